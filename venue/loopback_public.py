"""Public WS v2 desk of the loopback: subscriptions and what the market pushes to them.

Must not know accounts, sockets or REST. Called by the loopback's connections and by its pump.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.clock import MINUTE, Clock
from core.instrument import Instrument
from core.market import Trade
from venue import loopback_templates as templates
from venue.loopback_connection import Connection
from venue.market_candles import Candle, candles, last_day, touched
from venue.market_model import Events, Ladder, Tape

DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_SNAPSHOT_TRADES = 50
_SNAPSHOT_CANDLES = 720
_WARNINGS = {
    "instrument": ["tick_size is deprecated, use price_increment"],
    "ohlc": ["timestamp is deprecated, use interval_begin"],
}
_OPTION = {"book": "depth", "ohlc": "interval", "ticker": "event_trigger"}
_DEFAULT: dict[str, object] = {"book": 10, "ohlc": 1, "ticker": "trades"}
_ALLOWED: dict[str, tuple[str, tuple[object, ...]]] = {
    "book": ("Subscription depth not supported", DEPTHS),
    "ohlc": ("Subscription ohlc interval not supported", INTERVALS),
    "ticker": ("Event trigger not supported", ("trades", "bbo")),
}

Key = tuple[str, str, object]
"""Channel, symbol, and the option that is part of a subscription's identity."""


class PublicDesk:
    """Answers public requests and publishes market events. Mutable: who subscribed to what."""

    def __init__(
        self, instruments: Mapping[str, Instrument], tapes: Mapping[str, Tape], clock: Clock
    ) -> None:
        self._instruments = instruments
        self._tapes = tapes
        self._clock = clock
        self._subscribers: dict[Key, dict[int, Connection]] = {}
        self._connections: dict[int, Connection] = {}
        self._books: dict[str, Ladder] = {}
        self._day = lru_cache(maxsize=8192)(
            self._last_day
        )  # all pairs of a venue, this minute's and the last

    # ---- connections ----

    def opened(self, connection: Connection) -> None:
        """Greet with the status frame."""
        self._connections[connection.number] = connection
        connection.send(templates.status(connection_id(connection)))

    def closed(self, connection: Connection) -> None:
        """Drop every subscription of the connection."""
        self._connections.pop(connection.number, None)
        for subscribers in self._subscribers.values():
            subscribers.pop(connection.number, None)

    def heartbeat(self) -> None:
        """Send the beat of the second."""
        for connection in self._connections.values():
            if connection.beating:
                connection.send(templates.HEARTBEAT)

    def receive(self, connection: Connection, request: dict[str, Any]) -> None:
        """Answer ping, subscribe and unsubscribe."""
        now, req_id = self._clock.now(), request.get("req_id")
        method, params = request["method"], request["params"]
        if method == "ping":
            connection.send(templates.pong(req_id, now))
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(connection, method, params, req_id=req_id, now=now)
        else:
            error = "Unsupported event"
            connection.send(templates.answer(method, req_id, (now, now), error=error))

    # ---- subscriptions ----

    def _subscription(
        self, connection: Connection, method: str, params: Mapping[str, Any], *, req_id: int | None, now: int
    ) -> None:
        channel = str(params.get("channel"))
        option = params.get(_OPTION.get(channel, ""), _DEFAULT.get(channel))
        for symbol in _symbols(channel, params):
            error = self._refusal(channel, symbol, option)
            extra = {"symbol": symbol} if error.startswith("Currency") else None
            result = self._result(channel, symbol, option, params)
            connection.send(
                templates.answer(method, req_id, (now, now), result=result, error=error, extra=extra)
            )
            if error:
                continue
            key = (channel, symbol, option)
            if method == "unsubscribe":
                self._subscribers.get(key, {}).pop(connection.number, None)
                continue
            connection.beating = True
            self._subscribers.setdefault(key, {})[connection.number] = connection
            if result.get("snapshot"):
                connection.send(self._snapshot(key, now))

    def _refusal(self, channel: str, symbol: str, option: object) -> str:
        if channel not in ("instrument", "trade", *_OPTION):
            return "Unsupported channel"
        if symbol == "":
            return "Symbol(s) not found"
        if channel != "instrument" and symbol not in self._instruments:
            return f"Currency pair not supported {symbol}"
        text, allowed = _ALLOWED.get(channel, ("", (option,)))
        return "" if option in allowed else text

    def _result(self, channel: str, symbol: str, option: object, params: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {
            "channel": channel,
            "snapshot": bool(params.get("snapshot", channel != "trade")),
        }
        if symbol != "*":
            result["symbol"] = symbol
        if channel in _OPTION:
            result[_OPTION[channel]] = option
        if channel in _WARNINGS:
            result["warnings"] = _WARNINGS[channel]
        return result

    def _snapshot(self, key: Key, now: int) -> str:
        channel, symbol, option = key
        if channel == "instrument":
            return templates.instruments(self._instruments.values(), "snapshot")
        instrument, tape = self._instruments[symbol], self._tapes[symbol]
        match channel:
            case "trade":
                return templates.trades(tape.latest(now, _SNAPSHOT_TRADES), "snapshot")
            case "book":
                return templates.book(instrument, self._ladder(symbol, now), int(str(option)))
            case "ticker":
                day = self._day(symbol, now // MINUTE)
                return templates.ticker(instrument, self._ladder(symbol, now), day, "snapshot")
            case _:
                minutes = int(str(option))
                rows = candles(tape, minutes * MINUTE, now, _SNAPSHOT_CANDLES)
                return templates.candles(instrument, rows, minutes, now, "snapshot")

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
        if trades:
            self._publish(("trade", symbol, None), templates.trades, trades, "update")
        for trigger in ("trades", "bbo") if trades else ("bbo",):
            if self._subscribers.get(("ticker", symbol, trigger)):
                day = self._day(symbol, int(events.ts[position]) // MINUTE)
                day = touched(day, int(events.last[position]))
                top = self._tapes[symbol].ladder(events, position, 1)
                self._publish(("ticker", symbol, trigger), templates.ticker, instrument, top, day, "update")
        if trades:
            self._publish_candles(instrument, trades[-1].ts_event)

    def on_instruments(self, changed: Iterable[Instrument]) -> None:
        """Publish that pairs changed."""
        self._publish(("instrument", "*", None), templates.instruments, changed, "update")

    def _publish_book(self, instrument: Instrument, events: Events, position: int) -> None:
        symbol = instrument.symbol
        wanted = [d for d in DEPTHS if self._subscribers.get(("book", symbol, d))]
        if not wanted:
            self._books.pop(symbol, None)
            return
        before = self._ladder(symbol, int(events.ts[position]))
        after = self._tapes[symbol].ladder(events, position)
        self._books[symbol] = after
        for depth in wanted:
            frame = templates.book(instrument, after, depth, before)
            for connection in self._subscribers[("book", symbol, depth)].values() if frame else ():
                connection.send(frame)

    def _publish_candles(self, instrument: Instrument, ts: int) -> None:
        for minutes in INTERVALS:
            key = ("ohlc", instrument.symbol, minutes)
            if self._subscribers.get(key):
                row = self._tapes[instrument.symbol].candle(minutes * MINUTE, ts)
                self._publish(key, templates.candles, instrument, [row], minutes, ts, "update")

    def _publish(self, key: Key, template: Any, *values: Any) -> None:
        subscribers = self._subscribers.get(key)
        if subscribers:
            frame = template(*values)
            for connection in subscribers.values():
                connection.send(frame)

    def _last_day(self, symbol: str, minute: int) -> Candle:
        return last_day(self._tapes[symbol], minute * MINUTE)


def _symbols(channel: str, params: Mapping[str, Any]) -> list[str]:
    """Give what to acknowledge one by one; the empty name stands for a list that is none."""
    if channel == "instrument":
        return ["*"]
    symbols = params.get("symbol")
    return [str(symbol) for symbol in symbols] if isinstance(symbols, list) and symbols else [""]


def connection_id(connection: Connection) -> int:
    """Give an id beyond 2**63, as Kraken's are: no client may keep it in a signed integer."""
    return (1 << 63) + connection.number * 7_919
