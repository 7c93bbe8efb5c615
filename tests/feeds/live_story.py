"""A live feed driven by hand, and what stands around it: a sink, REST, the venue's frames."""

import asyncio
import json
from decimal import Decimal

from core.clock import MINUTE, SECOND, ManualClock
from core.events import Stream
from core.market import Timeframe, Trade
from core.orders import Side
from core.text import iso
from feeds.bars import BarBuilder
from feeds.live import LiveFeed
from tests.venue.market_frames import ack, book_frame, instruments, pair, snapshot, trade
from venue.rest_market import TradePage

BTC = "BTC/USD"


class Ears:
    """A sink that keeps what it is told in one queue."""

    def __init__(self):
        self.heard = asyncio.Queue()

    def on_trade(self, trade):
        self.heard.put_nowait(("trade", trade))

    def on_quote(self, quote):
        self.heard.put_nowait(("quote", quote))

    def on_bars(self, ts_close, bars):
        self.heard.put_nowait(("bars", ts_close, bars))

    def on_link(self, stream, up, system, reason):
        assert stream is Stream.PUBLIC
        self.heard.put_nowait(("link", up, system, reason))

    def on_instruments(self, instruments):
        self.heard.put_nowait(("instruments", instruments))

    def on_hole(self, instruments):
        self.heard.put_nowait(("hole", instruments))

    def on_quality(self, changes):
        self.heard.put_nowait(("quality", changes))

    def all(self, kind):
        found = []
        while not self.heard.empty():
            item = self.heard.get_nowait()
            if item[0] == kind:
                found.append(item[1:])
        return found


class Served:
    """REST with a list of trades; `bars` are what OHLC serves."""

    def __init__(self, *trades, bars=()):
        self.traded = trades
        self.bars = list(bars)
        self.asked = []

    async def trades(self, symbol, since):
        self.asked.append((symbol, int(since)))
        found = tuple(one for one in self.traded if one.ts_event > int(since))[:2]
        return TradePage(found, str(found[-1].ts_event) if found else since)

    async def ohlc(self, symbol, timeframe):
        return self.bars


class Kept:
    """A tap that keeps the trades it is told, by id."""

    def __init__(self):
        self.trades = {}

    def on_trades(self, trades):
        self.trades |= {one.trade_id: one for one in trades}

    def on_quote(self, quote):
        pass


def traded(number, second, *, symbol=BTC, price=100):
    return Trade(symbol, second * SECOND, Decimal(price), Decimal(1), Side.BUY, number)


class Story:
    """A feed driven by hand: frames in, no socket, no wall clock."""

    def __init__(self, *symbols, rest=None, followed=True, **options):
        self.symbols = symbols or (BTC,)
        self.clock = ManualClock(10 * MINUTE)
        self.ears = Ears()
        self.builder = BarBuilder((Timeframe.M1,))
        self.feed = LiveFeed(
            "ws://127.0.0.1:9", self.symbols, self.clock, self.builder, self.ears, rest=rest, **options
        )
        self.number = dict.fromkeys(self.symbols, 0)
        if followed:
            self.connect()

    def of(self, symbol):
        return next(one for one in self.feed.connections if symbol in one.session.symbols)

    def connect(self, *snapshots):
        for connection in self.feed.connections:
            connection.session.connected(self.clock.monotonic())
            mine = connection.session.symbols
            self.receive(instruments(*map(pair, mine)), mine[0])
            for symbol in mine:
                for channel in ("trade", "ohlc", "book"):
                    self.receive(ack(channel, symbol), symbol)
                self.receive(book_frame(symbol), symbol)
        for frame in snapshots:
            self.receive(frame)

    def receive(self, frame, symbol=BTC):
        connection = self.of(symbol)
        for event in connection.session.receive(frame, self.clock.monotonic()):
            self.feed._on_event(connection, event)

    def prints(self, *seconds, symbol=BTC, price=100.0):
        for at in seconds:
            self.number[symbol] += 1
            number = self.number[symbol]
            self.receive(trade(number, symbol=symbol, stamp=iso(at * SECOND), price=price, qty=1.0), symbol)

    def down(self, symbol=BTC):
        self.feed._on_down(self.of(symbol), "cut")

    def to(self, second):
        self.clock.advance_to(second * SECOND)

    def close_at(self, second):
        self.to(second)
        for symbol in self.symbols:
            self.receive(b'{"channel":"heartbeat"}', symbol)
        self.feed._close(grace=0)

    def closes(self, symbol=BTC):
        bars = [bar for _, bars in self.ears.all("bars") for bar in bars]
        return [(bar.ts_close // SECOND, bar.trades) for bar in bars if bar.instrument == symbol]

    def verdicts(self, symbol=BTC):
        return self.feed.quality.verdicts(symbol)

    def replay(self, *rows):
        """A trade snapshot: (number, second) each."""
        frame = json.loads(snapshot())
        frame["data"] = [
            json.loads(trade(number, stamp=iso(second * SECOND), price=100.0, qty=1.0))["data"][0]
            for number, second in rows
        ]
        return json.dumps(frame).encode()
