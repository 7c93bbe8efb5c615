"""Sans-io sessions: frames in, events out, requests queued; here the keep-alive and the public one.

Must not know sockets, tasks or what anyone does with an event; `now` is monotonic ns.
Called by venue.link, which owns the socket; venue.private holds the account's session.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from core.clock import MINUTE, SECOND
from core.instrument import Instrument
from core.market import Quote, Trade
from venue import wire
from venue.book import Book, Fault

SILENCE = 6 * SECOND
"""Heartbeats come every second; the venue's guide says to reconnect after five silent ones."""
CONFIRMATION = 10 * SECOND
PING_EVERY = 20 * SECOND
CHUNK = 100
"""Symbols per subscribe; the venue documents no maximum, so acks are verified one by one."""


class Ready(msgspec.Struct, frozen=True):
    """Every wanted subscription is confirmed or refused: news from here on is complete."""


class Dead(msgspec.Struct, frozen=True):
    """The connection must be cut; a new one starts from nothing."""

    reason: str


class SystemStatus(msgspec.Struct, frozen=True):
    """The engine's word: online, cancel_only, post_only or maintenance."""

    system: str


class Listed(msgspec.Struct, frozen=True):
    """Wanted instruments as listed now, or the ones that changed."""

    instruments: tuple[Instrument, ...]


class Prints(msgspec.Struct, frozen=True):
    """New trades, each seen once, in the venue's order."""

    trades: tuple[Trade, ...]


class TopMoved(msgspec.Struct, frozen=True):
    """A verified book has a (possibly) new best bid and ask."""

    quote: Quote


class TradeGap(msgspec.Struct, frozen=True):
    """Trades between two ids were never seen."""

    instrument: str
    last_id: int
    next_id: int
    since: int
    until: int


class BookLost(msgspec.Struct, frozen=True):
    """One book cannot be trusted; it is fetched anew unless it failed too often (`degraded`)."""

    instrument: str
    reason: str
    degraded: bool


class Refused(msgspec.Struct, frozen=True):
    """The venue will not serve a channel of an instrument; the rest goes on."""

    channel: str
    instrument: str
    reason: str


class Ignored(msgspec.Struct, frozen=True):
    """A frame or row that was counted and dropped; reported once per kind and connection."""

    reason: str


PublicEvent = (
    Ready | Dead | SystemStatus | Listed | Prints | TopMoved | TradeGap | BookLost | Refused | Ignored
)


class Keepalive:
    """What every session shares: the outgoing queue, silence, pings and counted oddities."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._out: list[bytes] = []
        self._req_id = 0  # never reset: a late answer must not match a newer request
        self._heard = 0
        self._pinged = 0
        self._told: set[str] = set()

    @property
    def heard(self) -> int:
        """When the last frame came, monotonic ns."""
        return self._heard

    def outgoing(self) -> list[bytes]:
        """Give and forget the frames that want to be sent."""
        out, self._out = self._out, []
        return out

    def _restart(self, now: int) -> None:
        self._out = []
        self._heard = self._pinged = now
        self._told = set()

    def _next_id(self) -> int:
        self._req_id += 1
        return self._req_id

    def _ignore(self, kind: str, detail: str) -> list[Any]:
        self.counters[kind] += 1
        if kind in self._told:
            return []
        self._told.add(kind)
        return [Ignored(detail)]

    def _keep_alive(self, now: int) -> list[Any]:
        if now - self._heard > SILENCE:
            return [Dead(f"nothing heard for {(now - self._heard) / SECOND:.1f} s")]
        if now - self._pinged >= PING_EVERY:
            self._pinged = now
            self._out.append(wire.ping(self._next_id()))
        return []


class _BookState:
    """One symbol's book: `live` from its snapshot until its first fault."""

    def __init__(self, book: Book, due: int) -> None:
        self.book = book
        self.live = False
        self.live_since = 0
        self.faults = 0
        self.retry_at: int | None = None
        self.due: int | None = due


class PublicSession(Keepalive):
    """Instruments, trades and books of the wanted symbols on one connection.

    `stale_s` bounds how long a channel may say nothing at all while the socket lives; a thin
    market needs larger values than the defaults.
    """

    max_resyncs = 5

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        depth: int = 10,
        book_stale_s: float = 60.0,
        trade_stale_s: float = 900.0,
    ) -> None:
        super().__init__()
        self.symbols = tuple(symbols)
        self.depth = depth
        self._stale = {"book": int(book_stale_s * SECOND), "trade": int(trade_stale_s * SECOND)}
        self._restart(0)

    def _restart(self, now: int) -> None:
        super()._restart(now)
        self._now = now
        self._ready = False
        self._instruments: dict[str, Instrument] = {}
        self._books: dict[str, _BookState] = {}
        self._trading: set[str] = set()
        self._last_trade: dict[str, tuple[int, int]] = {}
        self._requests: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._awaited: set[tuple[str, str]] = {("instrument", "")}
        self._due = now + CONFIRMATION
        self._seen = dict.fromkeys(self._stale, now)

    @property
    def trading(self) -> frozenset[str]:
        """Symbols whose trades are subscribed and confirmed."""
        return frozenset(self._trading)

    def book(self, symbol: str) -> Book | None:
        """Give a symbol's verified book, None while there is none to trust."""
        state = self._books.get(symbol)
        return state.book if state and state.live else None

    def connected(self, now: int) -> None:
        """Start from nothing: the venue remembers no subscription."""
        self._restart(now)
        self._subscribe("instrument", (), snapshot=True)

    def receive(self, frame: bytes, now: int) -> list[PublicEvent]:
        """Take one frame and give what it means; never raises, whatever the bytes are."""
        self._heard = self._now = now
        message = wire.decode(frame)
        match message:
            case wire.TradeFrame():
                return self._on_trades(message)
            case wire.BookFrame():
                return self._on_book(message)
            case wire.HeartbeatFrame():
                return []
            case wire.Ack():
                return self._on_ack(message) + self._settled()
            case wire.StatusFrame():
                return [SystemStatus(row.system) for row in message.data]
            case wire.InstrumentFrame():
                return self._on_instruments(message) + self._settled()
            case wire.ExecutionsFrame() | wire.BalancesFrame():
                return self._ignore("private", "private frame on the public connection")
            case wire.TickerFrame() | wire.OhlcFrame() | wire.Level3Frame():
                return self._ignore("unwanted channel", "frame of a channel without a subscription")
            case wire.UnknownChannel(channel):
                return self._ignore("unknown channel", f"unknown channel {channel!r}")
            case wire.Malformed(detail):
                return self._ignore("malformed", detail)
            case _:
                assert_never(message)

    def on_time(self, now: int) -> list[PublicEvent]:
        """Let time pass: silence, pings, missing confirmations, stale channels, due resyncs."""
        self._now = now
        dead = self._keep_alive(now) or self._overdue(now) or self._gone_quiet(now)
        return dead or self._retry_books(now)

    # ---- subscriptions ----

    def _subscribe(self, channel: str, symbols: tuple[str, ...], **params: Any) -> None:
        req_id = self._next_id()
        self._requests[req_id] = (channel, symbols)
        wanted = {"symbol": symbols} if symbols else {}
        self._out.append(wire.subscribe(req_id, channel, **wanted, **params))

    def _on_instruments(self, frame: wire.InstrumentFrame) -> list[PublicEvent]:
        wanted = set(self.symbols)
        told = [_instrument(row) for row in frame.data.pairs if row.symbol in wanted]
        listed = [one for one in told if one.possible]
        first = not self._instruments
        changed = tuple(one for one in listed if self._instruments.get(one.symbol) != one)
        self._instruments |= {one.symbol: one for one in listed}
        events: list[PublicEvent] = [Listed(changed)] if changed else []
        for odd in (one for one in told if not one.possible):
            events += self._ignore("impossible instrument", f"impossible instrument {odd}")
        if first and frame.type == "snapshot":
            self._awaited.discard(("instrument", ""))
            missing = [symbol for symbol in self.symbols if symbol not in self._instruments]
            events += [Refused("instrument", symbol, "not listed") for symbol in missing]
            self._subscribe_markets()
            return events
        for one in changed:
            state = self._books.get(one.symbol)
            if state and _precision(state.book.instrument) != _precision(one):
                state.book = Book(one, self.depth)
                events += self._resync(one.symbol, "precision changed")
        return events

    def _subscribe_markets(self) -> None:
        symbols = tuple(symbol for symbol in self.symbols if symbol in self._instruments)
        self._due = self._now + CONFIRMATION
        self._awaited |= {(channel, symbol) for channel in ("trade", "book") for symbol in symbols}
        self._books = {
            symbol: _BookState(Book(self._instruments[symbol], self.depth), self._due) for symbol in symbols
        }
        for at in range(0, len(symbols), CHUNK):
            self._subscribe("trade", symbols[at : at + CHUNK], snapshot=False)
            self._subscribe("book", symbols[at : at + CHUNK], depth=self.depth)

    def _on_ack(self, ack: wire.Ack) -> list[PublicEvent]:
        if ack.method == "pong" or ack.success:
            wanted = ack.result.symbol in self._instruments
            if ack.method == "subscribe" and ack.result.channel == "trade" and wanted:
                self._awaited.discard(("trade", ack.result.symbol))
                self._trading.add(ack.result.symbol)
            return []
        if ack.method == "unsubscribe":
            return self._ignore("unsubscribe", f"unsubscribe refused: {ack.error}")
        channel, symbols = self._requests.get(ack.req_id or 0, ("", ()))
        if ack.method != "subscribe" or channel == "instrument":
            return [Dead(f"venue refused: {ack.error}")]
        return self._on_refusal(channel, (ack.symbol,) if ack.symbol else symbols, ack.error)

    def _on_refusal(self, channel: str, symbols: Sequence[str], error: str) -> list[PublicEvent]:
        channels = (channel,) if channel else ("trade", "book")
        events: list[PublicEvent] = []
        for symbol in symbols:
            for one in channels:
                self._awaited.discard((one, symbol))
                events.append(Refused(one, symbol, error))
                if one == "book":
                    self._books.pop(symbol, None)
        return events or [Dead(f"venue refused an unnamed subscription: {error}")]

    def _settled(self) -> list[PublicEvent]:
        if self._ready or self._awaited:
            return []
        if not (self._books or self._trading):
            return [Dead(f"no subscription was accepted, wanted {len(self.symbols)} symbols")]
        self._ready = True
        self._seen = dict.fromkeys(self._stale, self._now)
        return [Ready()]

    def _overdue(self, now: int) -> list[PublicEvent]:
        if self._ready or now < self._due:
            return []
        first = min(self._awaited)
        return [Dead(f"{len(self._awaited)} subscriptions not confirmed in 10 s, first {first}")]

    def _gone_quiet(self, now: int) -> list[PublicEvent]:
        if not self._ready:
            return []
        live = {"trade": bool(self._trading), "book": any(s.live for s in self._books.values())}
        for channel, limit in self._stale.items():
            age = now - self._seen[channel]
            if live[channel] and age > limit:
                return [Dead(f"{channel} channel silent for {age / SECOND:.0f} s on a live socket")]
        return []

    # ---- trades ----

    def _on_trades(self, frame: wire.TradeFrame) -> list[PublicEvent]:
        self._seen["trade"] = self._now
        events: list[PublicEvent] = []
        trades: list[Trade] = []
        for row in frame.data:
            try:
                ts_event = wire.timestamp_ns(row.timestamp)
            except ValueError:
                ts_event = 0
            if row.symbol not in self._instruments:
                events += self._ignore("stray trade", f"trade of {row.symbol[:40]}, which was not wanted")
                continue
            if not wire.datable(ts_event) or not wire.possible(row.price, row.qty) or row.qty == 0:
                events += self._ignore("impossible trade", f"impossible trade {row}")
                continue
            last_id, since = self._last_trade.get(row.symbol, (row.trade_id - 1, ts_event))
            if row.trade_id <= last_id:
                self.counters["repeated trade"] += 1
                continue
            if row.trade_id != last_id + 1:
                self.counters["trade gap"] += 1
                events.append(TradeGap(row.symbol, last_id, row.trade_id, since, ts_event))
            self._last_trade[row.symbol] = (row.trade_id, ts_event)
            trades.append(Trade(row.symbol, ts_event, row.price, row.qty, row.side, row.trade_id))
        if trades:
            events.append(Prints(tuple(trades)))
        return events

    # ---- books ----

    def _on_book(self, frame: wire.BookFrame) -> list[PublicEvent]:
        self._seen["book"] = self._now
        events: list[PublicEvent] = []
        for row in frame.data:
            state = self._books.get(row.symbol)
            if state is None:
                events += self._ignore("stray book", f"book of {row.symbol[:40]}, which is not subscribed")
            elif frame.type == "snapshot":
                events += self._on_snapshot(state, row)
            elif state.live:  # updates before the snapshot belong to a former subscription
                fault = state.book.update(row.bids, row.asks, row.checksum)
                events += self._resync(row.symbol, fault) if fault else _top(state.book, row)
        return events

    def _on_snapshot(self, state: _BookState, row: wire.BookRow) -> list[PublicEvent]:
        state.due = None
        self._awaited.discard(("book", row.symbol))
        if fault := state.book.replace(row.bids, row.asks, row.checksum):
            return self._resync(row.symbol, fault) + self._settled()
        state.live, state.live_since = True, self._now
        return _top(state.book, row) + self._settled()

    def _resync(self, symbol: str, reason: Fault | str) -> list[PublicEvent]:
        """Fetch one symbol's book anew, later each time, and give up on it after `max_resyncs`."""
        state = self._books[symbol]
        if state.live and self._now - state.live_since > 10 * MINUTE:
            state.faults = 0
        state.live, state.due = False, None
        state.faults += 1
        self.counters[f"resync {symbol}"] += 1
        degraded = state.faults > self.max_resyncs
        self._out.append(wire.unsubscribe(self._next_id(), "book", symbol=[symbol], depth=self.depth))
        if not degraded:
            pause = 0 if state.faults == 1 else 2**state.faults * SECOND
            state.retry_at = self._now + pause
        return [BookLost(symbol, str(reason), degraded), *self._retry_books(self._now)]

    def _retry_books(self, now: int) -> list[PublicEvent]:
        events: list[PublicEvent] = []
        for symbol, state in self._books.items():
            if state.retry_at is not None and now >= state.retry_at:
                state.retry_at, state.due = None, now + CONFIRMATION
                self._subscribe("book", (symbol,), depth=self.depth)
            elif state.due is not None and now > state.due and self._ready:
                events += self._resync(symbol, "no snapshot in 10 s")
        return events


def _top(book: Book, row: wire.BookRow) -> list[PublicEvent]:
    try:
        ts_event = wire.timestamp_ns(row.timestamp) if row.timestamp else 0
    except ValueError:
        ts_event = 0
    quote = book.top(ts_event)
    return [TopMoved(quote)] if quote else []


def _precision(instrument: Instrument) -> tuple[int, int]:
    return instrument.price_precision, instrument.quantity_precision


_LEAST_MARGIN = Decimal("0.001")


def _instrument(row: wire.PairRow) -> Instrument:
    leverage = 1
    margin = row.margin_initial
    if row.marginable and margin is not None and margin.is_finite() and _LEAST_MARGIN <= margin <= 1:
        leverage = int(1 / float(margin) + 0.01)  # 0.3333 means 3x
    return Instrument(
        symbol=row.symbol,
        base=row.base,
        quote=row.quote,
        price_increment=row.price_increment,
        quantity_increment=row.qty_increment,
        price_precision=row.price_precision,
        quantity_precision=row.qty_precision,
        minimum_quantity=row.qty_min,
        minimum_cost=row.cost_min,
        max_leverage=leverage,
        status=row.status,
    )
