"""The sans-io session of public market data: frames in, events out, requests queued.

Must not know sockets, tasks, other connections or what anyone does with an event; `now` is
monotonic ns. Called by venue.link; feeds.live hands in the symbols of one connection. A symbol
that is refused, damaged or silent costs the others nothing.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from core.clock import MINUTE, SECOND
from core.instrument import Instrument
from core.market import Quote, Trade
from venue import wire
from venue.book import Book
from venue.liveness import Liveness
from venue.prints import Prints as Tape
from venue.prints import TradeGap
from venue.session import CONFIRMATION, Dead, Ignored, Keepalive, Ready, SystemStatus
from venue.subscriptions import Key, Request, Subscriptions, parameters
from venue.tops import Top, Tops, instruments, precision

CUT_PAUSE = 10 * MINUTE
"""One symbol that stays dead may cost its connection so often at most."""

SILENT = "silent while other channels tell of trades"


class Listed(msgspec.Struct, frozen=True):
    """Wanted instruments as listed now, or the ones that changed."""

    instruments: tuple[Instrument, ...]


class Prints(msgspec.Struct, frozen=True):
    """New trades, each seen once, in the venue's order; `replayed` ones were missed before."""

    trades: tuple[Trade, ...]
    replayed: bool = False


class Following(msgspec.Struct, frozen=True):
    """Trades of an instrument are complete from here on; `joined` = also back to the last known one."""

    instrument: str
    joined: bool


class TopMoved(msgspec.Struct, frozen=True):
    """There is a (possibly) new best bid and ask. `stand_in` = of the ticker, for want of a good book."""

    quote: Quote
    stand_in: bool = False


class Candles(msgspec.Struct, frozen=True):
    """The venue's own running one-minute candles, in full."""

    rows: tuple[wire.CandleRow, ...]


class Lost(msgspec.Struct, frozen=True):
    """One channel of one instrument cannot be trusted until it is told of again.

    It is fetched anew, later each time; `degraded` = it failed so often that the pause is long.
    """

    channel: str
    instrument: str
    reason: str
    degraded: bool


class Refused(msgspec.Struct, frozen=True):
    """The venue will not serve a channel of an instrument; the rest goes on."""

    channel: str
    instrument: str
    reason: str


PublicEvent = (
    Ready
    | Dead
    | SystemStatus
    | Listed
    | Prints
    | Following
    | TopMoved
    | TradeGap
    | Candles
    | Lost
    | Refused
    | Ignored
)


class PublicSession(Keepalive):
    """Instruments, trades and best prices of the wanted symbols on one connection.

    `books` are the symbols with a verified book (None: all), the others have level 1 only; `play`
    changes that at any time. `candles` adds the venue's one-minute candles as a witness.
    `*_stale_s` bound how long all symbols together may say nothing while the socket lives.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        depth: int = 10,
        books: Iterable[str] | None = None,
        candles: bool = False,
        book_stale_s: float = 60.0,
        trade_stale_s: float = 900.0,
    ) -> None:
        super().__init__()
        self.symbols = tuple(symbols)
        self.depth = depth
        self._wanted = frozenset(self.symbols)
        self._booked = self._wanted if books is None else self._wanted & frozenset(books)
        self._candles = candles
        self._stale = {"book": int(book_stale_s * SECOND), "trade": int(trade_stale_s * SECOND)}
        self._tape = Tape()
        self._tops = Tops(depth)
        self._lines = Subscriptions()
        self._liveness = Liveness()
        self._cut_at = -CUT_PAUSE
        self._restart(0)

    def _restart(self, now: int) -> None:
        super()._restart(now)
        self._now = now
        self._ready = False
        self._listing_came = False
        self._instruments: dict[str, Instrument] = {}
        self._requests: dict[int, Request] = {}
        self._candle_seen: dict[str, tuple[str, int]] = {}
        self._due = now + CONFIRMATION
        self._seen = dict.fromkeys(self._stale, now)
        self._tape.restart()
        self._tops.restart()
        self._lines.restart()
        self._liveness.restart()

    @property
    def max_resyncs(self) -> int:
        """Give how often one subscription is fetched anew before it counts as degraded."""
        return self._lines.max_faults

    @property
    def trading(self) -> frozenset[str]:
        """Symbols whose trades are subscribed and complete."""
        return self._lines.all_live("trade")

    @property
    def booked(self) -> frozenset[str]:
        """Symbols that have, or are to have, a verified book."""
        return self._booked

    def book(self, symbol: str) -> Book | None:
        """Give a symbol's verified book, None while there is none to trust."""
        return self._tops.book(symbol)

    def connected(self, now: int) -> None:
        """Start from nothing: the venue remembers no subscription."""
        self._restart(now)
        req_id = self._next_id()
        self._requests[req_id] = Request("subscribe", "instrument", ())
        self._out.append(wire.subscribe(req_id, "instrument", snapshot=True))

    def play(self, symbols: Iterable[str]) -> None:
        """Keep verified books of these symbols from now on, and level 1 of the others.

        The old source of a symbol is left only once the new one speaks.
        """
        self._booked = self._wanted & frozenset(symbols)
        for symbol in self._wanted & self._instruments.keys():
            self._want_top(symbol)
        self._flush()

    def receive(self, frame: bytes, now: int) -> list[PublicEvent]:
        """Take one frame and give what it means; never raises, whatever the bytes are."""
        self._heard = self._now = now
        message = wire.decode(frame)
        match message:
            case wire.TradeFrame():
                return self._on_trades(message)
            case wire.BookFrame():
                return self._on_book(message)
            case wire.TickerFrame():
                return self._on_ticker(message)
            case wire.CandleFrame():
                return self._on_candles(message)
            case wire.HeartbeatFrame():
                return []
            case wire.Ack():
                return self._on_ack(message) + self._settled()
            case wire.StatusFrame():
                return [SystemStatus(row.system) for row in message.data]
            case wire.InstrumentFrame():
                return self._on_instruments(message) + self._settled()
            case _:
                return self._stray(message)

    def _stray(
        self,
        message: wire.ExecutionsFrame
        | wire.BalancesFrame
        | wire.Level3Frame
        | wire.UnknownChannel
        | wire.Malformed,
    ) -> list[PublicEvent]:
        match message:
            case wire.ExecutionsFrame() | wire.BalancesFrame() | wire.Level3Frame():
                return self._ignore("private", "private frame on the public connection")
            case wire.UnknownChannel(channel):
                return self._ignore("unknown channel", f"unknown channel {channel!r}")
            case wire.Malformed(detail):
                return self._ignore("malformed", detail)
            case _:
                assert_never(message)

    def on_time(self, now: int) -> list[PublicEvent]:
        """Let time pass: silence, pings, missing confirmations, dead channels, due requests."""
        self._now = now
        dead = self._keep_alive(now) or self._not_listed(now) or self._gone_quiet(now)
        events = dead or self._overdue(now) or self._owing(now)
        self._flush()
        return events + ([] if any(isinstance(event, Dead) for event in events) else self._settled())

    # ---- subscriptions ----

    def _flush(self) -> None:
        for request in self._lines.requests(self._now):
            req_id = self._next_id()
            self._requests[req_id] = request
            params = parameters(request, self.depth)
            send = wire.subscribe if request.method == "subscribe" else wire.unsubscribe
            self._out.append(send(req_id, request.channel, symbol=request.symbols, **params))

    def _on_instruments(self, frame: wire.InstrumentFrame) -> list[PublicEvent]:
        told = instruments(row for row in frame.data.pairs if row.symbol in self._wanted)
        listed = [one for one in told if one.possible]
        first = not self._listing_came
        changed = tuple(one for one in listed if self._instruments.get(one.symbol) != one)
        self._instruments |= {one.symbol: one for one in listed}
        events: list[PublicEvent] = [Listed(changed)] if changed else []
        for odd in (one for one in told if not one.possible):
            events += self._ignore("impossible instrument", f"impossible instrument {odd}")
        if first and frame.type == "snapshot":
            self._listing_came = True
            self._seen = dict.fromkeys(self._stale, self._now)
            missing = [symbol for symbol in self.symbols if symbol not in self._instruments]
            events += [Refused("instrument", symbol, "not listed") for symbol in missing]
        for one in changed:
            kept = self._tops.kept(one.symbol)
            if kept is not None and precision(kept) != precision(one):
                self._tops.keep(one)
                events += self._renew("book", one.symbol, "precision changed")
        self._subscribe(one.symbol for one in changed)
        return events

    def _subscribe(self, symbols: Iterable[str]) -> None:
        """Ask for all channels of what is listed: trades first, for they are what bars need."""
        listed = [symbol for symbol in symbols if not self._lines.wanted("trade", symbol)]
        self._lines.want("trade", listed, self._now)
        for symbol in listed:
            self._want_top(symbol)
        if self._candles:
            self._lines.want("ohlc", listed, self._now)
        self._flush()

    def _want_top(self, symbol: str) -> None:
        """Want the source that a symbol deserves; leave the other one only if there is a better."""
        booked = symbol in self._booked
        wanted, other = ("book", "ticker") if booked else ("ticker", "book")
        if booked and not self._lines.wanted("book", symbol):
            self._tops.keep(self._instruments[symbol])
        self._lines.want(wanted, [symbol], self._now)
        if self._lines.live(wanted, symbol):
            self._leave(other, symbol)

    def _leave(self, channel: str, symbol: str) -> None:
        self._lines.drop(channel, symbol)
        if channel == "book":
            self._tops.forget(symbol)

    def _on_ack(self, ack: wire.Ack) -> list[PublicEvent]:
        if ack.method == "pong" or (ack.success and ack.method != "subscribe"):
            return []
        if ack.success:
            return self._on_accepted(ack.result.channel, ack.result.symbol)
        if ack.method == "unsubscribe":
            return self._ignore("unsubscribe", f"unsubscribe refused: {ack.error}")
        request = self._requests.get(ack.req_id or 0, Request("", "", ()))
        if not ack.method and self._listing_came:
            return self._ignore("message rate", f"venue refused: {ack.error}")  # asked again when due
        if ack.method != "subscribe" or request.channel == "instrument":
            return [Dead(f"venue refused: {ack.error}")]
        if "already" in ack.error.lower():
            return self._on_accepted(request.channel, ack.symbol)
        if not ack.symbol and self._perhaps_too_many(request, ack):
            return []
        symbols = (ack.symbol,) if ack.symbol else request.symbols
        return self._on_refusal(request.channel, symbols, ack.error)

    def _perhaps_too_many(self, request: Request, ack: wire.Ack) -> bool:
        """Ask in halves for what was refused without a reason that would hold for one symbol, too."""
        alone = len(request.symbols) == 1 or "supported" in ack.error
        if not request.channel or (request.symbols and alone):
            return False
        if request.symbols:  # else this request was halved already
            self._requests[ack.req_id or 0] = request._replace(symbols=())
            self._lines.halve(request, self._now)
            self._flush()
        return True

    def _on_accepted(self, channel: str, symbol: str) -> list[PublicEvent]:
        """Take an ack: a book waits for its snapshot, and so do trades that have to be joined."""
        self._lines.acked(channel, symbol)
        if channel == "book" or (channel == "trade" and self._tape.knows(symbol)):
            return []
        return self._confirm(channel, symbol)

    def _confirm(self, channel: str, symbol: str) -> list[PublicEvent]:
        if not self._lines.confirmed(channel, symbol, self._now):
            return []
        self._liveness.settle(channel, symbol)
        if channel in ("book", "ticker") and (channel == "book") == (symbol in self._booked):
            self._leave("ticker" if channel == "book" else "book", symbol)
            self._flush()
        return [Following(symbol, self._tape.knows(symbol))] if channel == "trade" else []

    def _on_refusal(self, channel: str, symbols: Sequence[str], error: str) -> list[PublicEvent]:
        channels = (channel,) if channel else ("trade", "book", "ticker", "ohlc")
        events: list[PublicEvent] = []
        for symbol in symbols:
            for one in channels:
                if self._lines.refused(one, symbol, self._now):
                    events.append(Refused(one, symbol, error))
                    if one == "book":
                        self._fall_back(symbol)
        return events or [Dead(f"venue refused an unnamed subscription: {error}")]

    def _fall_back(self, symbol: str) -> None:
        """Take the best prices of a symbol without a usable book from the ticker."""
        self._tops.distrust(symbol)
        self._lines.want("ticker", [symbol], self._now)

    def _settled(self) -> list[PublicEvent]:
        if self._ready or not self._listing_came or self._lines.unsettled():
            return []
        if not any(self._lines.all_live(channel) for channel in ("trade", "book", "ticker")):
            return [Dead(f"no subscription was accepted, wanted {len(self.symbols)} symbols")]
        self._ready = True
        self._seen = dict.fromkeys(self._stale, self._now)
        return [Ready()]

    def _not_listed(self, now: int) -> list[PublicEvent]:
        if self._listing_came or now < self._due:
            return []
        return [Dead("('instrument', '') not confirmed in 10 s")]

    def _overdue(self, now: int) -> list[PublicEvent]:
        """Judge what stayed unconfirmed: half of a connection is a dead one, a few are bad symbols."""
        overdue = self._lines.overdue(now)
        if overdue and not self._ready and 2 * len(overdue) >= len(self._lines):
            first = min(overdue)
            return [Dead(f"{len(overdue)} subscriptions not confirmed in 10 s, first {first}")]
        events: list[PublicEvent] = []
        for channel, symbol in overdue:
            if channel == "book":
                events += self._renew(channel, symbol, "no snapshot in 10 s")
            elif channel == "trade" or self._ready:
                events += self._renew(channel, symbol, "not confirmed in 10 s")
            else:
                self._lines.refused(channel, symbol, now)
                events.append(Refused(channel, symbol, "not confirmed in 10 s"))
        return events

    def _gone_quiet(self, now: int) -> list[PublicEvent]:
        if not self._ready:
            return []
        live = {
            "trade": bool(self._lines.all_live("trade")),
            "book": bool(self._tops.trusted or self._lines.all_live("ticker")),
        }
        for channel, limit in self._stale.items():
            age = now - self._seen[channel]
            if live[channel] and age > limit:
                return [Dead(f"{channel} channel silent for {age / SECOND:.0f} s on a live socket")]
        return []

    def _owing(self, now: int) -> list[PublicEvent]:
        """Fetch anew what other channels prove dead; cut the connection where that did not help."""
        dead: list[Key] = []
        for channel, symbol in self._liveness.owing(now):
            one = channel if channel != "top" else "book" if symbol in self._tops.trusted else "ticker"
            self._liveness.settle(one, symbol)
            if self._lines.live(one, symbol):
                dead.append((one, symbol))
        again = [key for key in dead if self._lines.faults(*key) > 1]
        many = len(dead) >= max(3, len(self._instruments) // 2)
        if many or (again and now - self._cut_at >= CUT_PAUSE):
            self._cut_at = now
            return [Dead(f"{len(dead)} subscriptions acknowledged but silent, first {min(dead)}")]
        return [event for key in dead for event in self._renew(*key, SILENT)]

    def _renew(self, channel: str, symbol: str, reason: str) -> list[PublicEvent]:
        """Fetch one symbol's channel anew, later each time."""
        if not self._lines.wanted(channel, symbol):
            return []
        if channel == "book":
            self._tops.distrust(symbol)
        self.counters[f"resync {symbol}"] += 1
        degraded = self._lines.renew(channel, symbol, self._now)
        self._liveness.settle(channel, symbol)
        if degraded and channel == "book":
            self._fall_back(symbol)
        self._flush()
        return [Lost(channel, symbol, reason, degraded), *self._settled()]

    # ---- trades ----

    def _on_trades(self, frame: wire.TradeFrame) -> list[PublicEvent]:
        self._seen["trade"] = self._now
        events: list[PublicEvent] = []
        if not self._wanted.issuperset([row.symbol for row in frame.data]):
            known = tuple(row for row in frame.data if row.symbol in self._wanted)
            frame = wire.TradeFrame(frame.type, known)
            events += self._ignore("stray trade", "trade of a symbol that nobody asked for")
        read = self._tape.read(frame)
        for row in read.impossible:
            events += self._ignore("impossible trade", f"impossible trade {row}")
        if read.repeated:
            self.counters["repeated trade"] += read.repeated
        for gap in read.gaps:
            self.counters["trade gap"] += 1
            events.append(gap)
        if read.old:
            events.append(Prints(read.old, replayed=True))
        if frame.type == "update":  # a repeated trade shows that the channel lives, too
            for symbol in {row.symbol for row in frame.data}:
                self._liveness.trade(symbol, self._now)
        if read.trades:
            events.append(Prints(read.trades))
        for symbol in read.covered:
            events += self._confirm("trade", symbol)
        return events + (self._settled() if read.covered else [])

    # ---- best prices ----

    def _on_book(self, frame: wire.BookFrame) -> list[PublicEvent]:
        self._seen["book"] = self._now
        events: list[PublicEvent] = []
        for row in frame.data:
            if self._tops.kept(row.symbol) is None:
                events += self._ignore("stray book", f"book of {row.symbol[:40]}, which is not subscribed")
            elif frame.type == "snapshot":
                top = self._tops.on_snapshot(row)
                events += self._on_top("book", row.symbol, top)
                events += [] if top.fault else self._confirm("book", row.symbol)
                events += self._settled()
            else:
                events += self._on_top("book", row.symbol, self._tops.on_update(row))
        return events

    def _on_ticker(self, frame: wire.TickerFrame) -> list[PublicEvent]:
        self._seen["book"] = self._now
        events: list[PublicEvent] = []
        for row in frame.data:
            if not self._lines.wanted("ticker", row.symbol):
                events += self._ignore(
                    "stray ticker", f"ticker of {row.symbol[:40]}, which is not subscribed"
                )
                continue
            events += self._confirm("ticker", row.symbol)
            if row.symbol not in self._tops.trusted:  # a verified book knows better
                events += self._on_top("ticker", row.symbol, self._tops.on_ticker(row))
        return events

    def _on_top(self, channel: str, symbol: str, top: Top) -> list[PublicEvent]:
        if top.fault is not None:
            return self._renew(channel, symbol, str(top.fault))
        self._liveness.top(symbol)
        return [TopMoved(top.quote, channel == "ticker" and symbol in self._booked)] if top.quote else []

    # ---- candles ----

    def _on_candles(self, frame: wire.CandleFrame) -> list[PublicEvent]:
        rows = tuple(row for row in frame.data if row.symbol in self._wanted)
        for row in rows:
            state = (row.interval_begin, row.trades)
            if row.trades and self._candle_seen.get(row.symbol) != state and frame.type == "update":
                self._liveness.candle(row.symbol, self._now)
            self._candle_seen[row.symbol] = state
        return [Candles(rows)] if rows else self._ignore("stray candle", "candle that nobody asked for")
