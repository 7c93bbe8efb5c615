"""Public WS v2 desk of the loopback: subscriptions and what the market pushes to them.

Must not know accounts, sockets or REST. Called by the loopback's connections and by its pump.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from core.clock import MINUTE, Clock
from core.instrument import Instrument
from core.market import Trade
from venue import loopback_templates as templates
from venue.loopback_subscriptions import Channel, Key, SubscriptionDesk
from venue.loopback_switches import AS_SHOWN, PublicSwitches
from venue.market_candles import Candle, candles, last_day, touched
from venue.market_model import Events, Ladder, Level, Tape

DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_SNAPSHOT_TRADES = 50
_SNAPSHOT_CANDLES = 720

# https://docs.kraken.com/api/docs/websocket-v2/{instrument,ticker,book,trade,ohlc}
_CHANNELS = {
    "instrument": Channel(
        fields=("include_tokenized_assets", "execution_venue"),
        warnings=("tick_size is deprecated, use price_increment",),
    ),
    "ticker": Channel("event_trigger", "trades", ("trades", "bbo"), "Event trigger not supported"),
    "book": Channel("depth", 10, DEPTHS, "Subscription depth not supported"),
    "trade": Channel(snapshot=False),
    "ohlc": Channel(
        "interval",
        1,
        INTERVALS,
        "Subscription ohlc interval not supported",
        warnings=("timestamp is deprecated, use interval_begin",),
    ),
}


class PublicDesk(SubscriptionDesk):
    """Answers public requests and publishes market events. Mutable: who subscribed to what."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        tapes: Mapping[str, Tape],
        clock: Clock,
        switches: PublicSwitches = AS_SHOWN,
    ) -> None:
        super().__init__(_CHANNELS, instruments, clock, most_symbols=switches.most_symbols)
        self._switches = switches
        self._tapes = tapes
        self._books: dict[str, Ladder] = {}
        self._tops: dict[str, tuple[Level, Level]] = {}
        # all pairs of a venue, this minute's and the last
        self._day = lru_cache(maxsize=8192)(self._last_day)

    def _snapshot(self, key: Key, now: int) -> str:
        """Give the first frame of a subscription, empty where there is nothing to show yet."""
        name, symbol, option = key
        if name == "instrument":
            return templates.instruments(self._instruments.values(), "snapshot", self._switches)
        instrument, tape = self._instruments[symbol], self._tapes[symbol]
        match name:
            case "trade":
                return templates.trades(tape.latest(now, _SNAPSHOT_TRADES), "snapshot")
            case "book":
                return templates.book(instrument, self._ladder(symbol, now), int(str(option)))
            case "ticker":
                found = tape.at(now)
                if found is None:
                    return ""
                day = self._day(symbol, now // MINUTE)
                return templates.ticker(instrument, tape.ladder(*found, 1), day, "snapshot")
            case _:
                minutes = int(str(option))
                rows = candles(tape, minutes * MINUTE, now, _SNAPSHOT_CANDLES)
                return self._candles(instrument, rows, minutes, now, kind="snapshot")

    def _ladder(self, symbol: str, now: int) -> Ladder:
        """Give the book that updates go on from, which is the one last published."""
        if symbol not in self._books:
            found = self._tapes[symbol].at(now)
            self._books[symbol] = self._tapes[symbol].ladder(*found) if found else Ladder(now, (), ())
        return self._books[symbol]

    # ---- market events ----

    def on_events(self, symbol: str, events: Events, position: int, trades: Sequence[Trade]) -> None:
        """Publish what led to the event at `position`, in the order book, trade, ticker, ohlc."""
        instrument = self._instruments[symbol]
        self._publish_book(instrument, events, position)
        if trades and self._subscribers.get(("trade", symbol, None)):
            self._publish(("trade", symbol, None), templates.trades(trades, "update"))
        self._publish_ticker(instrument, events, position, traded=bool(trades))
        if trades:
            self._publish_candles(instrument, trades[-1].ts_event)

    def on_instruments(self, changed: Iterable[Instrument]) -> None:
        """Publish that pairs changed."""
        self._publish(("instrument", "*", None), templates.instruments(changed, "update", self._switches))

    def _publish_ticker(self, instrument: Instrument, events: Events, position: int, *, traded: bool) -> None:
        """Send level 1: to `trades` with every trade, to `bbo` when the touch moved."""
        symbol, tape = instrument.symbol, self._tapes[instrument.symbol]
        wanted = [t for t in ("trades", "bbo") if self._subscribers.get(("ticker", symbol, t))]
        if not wanted:
            self._tops.pop(symbol, None)
            return
        ladder = tape.ladder(events, position, 1)
        top = (ladder.bids[0], ladder.asks[0])
        moved = self._tops.get(symbol) != top
        self._tops[symbol] = top
        due = [t for t in wanted if (traded if t == "trades" else moved)]
        if due:
            day = self._day(symbol, int(events.ts[position]) // MINUTE)
            day = touched(day, int(events.last[position]))
            frame = templates.ticker(instrument, ladder, day, "update")
            for trigger in due:
                self._publish(("ticker", symbol, trigger), frame)

    def _publish_book(self, instrument: Instrument, events: Events, position: int) -> None:
        symbol = instrument.symbol
        wanted = [d for d in DEPTHS if self._subscribers.get(("book", symbol, d))]
        if not wanted:
            self._books.pop(symbol, None)
            return
        before = self._ladder(symbol, int(events.ts[position]))
        after = self._tapes[symbol].ladder(events, position)
        if after.bids == before.bids and after.asks == before.asks:
            return  # the book keeps the time of its last change
        self._books[symbol] = after
        for depth in wanted:
            if frame := templates.book(instrument, after, depth, before):
                self._publish(("book", symbol, depth), frame)

    def _publish_candles(self, instrument: Instrument, ts: int) -> None:
        for minutes in INTERVALS:
            key = ("ohlc", instrument.symbol, minutes)
            if self._subscribers.get(key):
                row = self._tapes[instrument.symbol].candle(minutes * MINUTE, ts)
                self._publish(key, self._candles(instrument, [row], minutes, ts, kind="update"))

    def _candles(
        self, instrument: Instrument, rows: Sequence[Candle], minutes: int, now: int, *, kind: str
    ) -> str:
        return templates.candles(instrument, rows, minutes, now, kind=kind, switches=self._switches)

    def _last_day(self, symbol: str, minute: int) -> Candle:
        return last_day(self._tapes[symbol], minute * MINUTE)
