"""Public WS v2 desk of the loopback: subscriptions and what the market pushes to them.

Must not know accounts, sockets or REST. Called by the loopback's connections and by its pump.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from core.clock import DAY, MINUTE, Clock
from core.instrument import Instrument
from core.market import Trade
from venue import loopback_templates as templates
from venue.loopback_connection import Connection
from venue.market_candles import Candle, candles
from venue.market_model import Events, Ladder, Level, Tape

DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_SNAPSHOT_TRADES = 50
_SNAPSHOT_CANDLES = 720


class _Channel(msgspec.Struct, frozen=True):
    """What a channel takes: the option that belongs to a subscription's identity, and the rest."""

    option: str = ""
    default: object = None
    allowed: tuple[object, ...] = (None,)
    refusal: str = ""
    fields: tuple[str, ...] = ()
    snapshot: bool = True
    warnings: tuple[str, ...] = ()


# https://docs.kraken.com/api/docs/websocket-v2/{instrument,ticker,book,trade,ohlc}
_CHANNELS = {
    "instrument": _Channel(
        fields=("include_tokenized_assets", "execution_venue"),
        warnings=("tick_size is deprecated, use price_increment",),
    ),
    "ticker": _Channel("event_trigger", "trades", ("trades", "bbo"), "Event trigger not supported"),
    "book": _Channel("depth", 10, DEPTHS, "Subscription depth not supported"),
    "trade": _Channel(snapshot=False),
    "ohlc": _Channel(
        "interval",
        1,
        INTERVALS,
        "Subscription ohlc interval not supported",
        warnings=("timestamp is deprecated, use interval_begin",),
    ),
}
_FIELDS = frozenset({"channel", "symbol", "snapshot", "token"})

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
        self._tops: dict[str, tuple[Level, Level]] = {}
        self._mode = "online"
        self._day = lru_cache(maxsize=256)(self._last_day)

    @property
    def mode(self) -> str:
        """The engine's state: online, cancel_only, post_only or maintenance."""
        return self._mode

    def change_mode(self, mode: str) -> None:
        """Tell every connection that the engine's state changed."""
        self._mode = mode
        for connection in self._connections.values():
            connection.send(templates.status(connection_id(connection), mode))

    # ---- connections ----

    def opened(self, connection: Connection) -> None:
        """Greet with the status frame."""
        self._connections[connection.number] = connection
        connection.send(templates.status(connection_id(connection), self._mode))

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
            connection.send(templates.pong(req_id, now, params))
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(connection, method, params, req_id=req_id, now=now)
        else:
            error = "Unsupported event"
            connection.send(templates.answer(method, req_id, (now, self._clock.now()), error=error))

    # ---- subscriptions ----

    def _subscription(
        self, connection: Connection, method: str, params: Mapping[str, Any], *, req_id: int | None, now: int
    ) -> None:
        """Acknowledge symbol by symbol; a refusal leaves the connection as it was."""
        name = str(params.get("channel"))
        channel = _CHANNELS.get(name, _Channel())
        option = params.get(channel.option, channel.default)
        for symbol in _symbols(name, params):
            key = (name, symbol, option)
            error = self._refusal(key, channel, params) or self._absence(connection, method, key)
            result = self._result(key, channel, params, subscribes=method == "subscribe")
            extra = {"symbol": symbol} if error.startswith("Currency") else None
            times = (now, self._clock.now())
            connection.send(templates.answer(method, req_id, times, result=result, error=error, extra=extra))
            if error:
                continue
            if method == "unsubscribe":
                self._subscribers[key].pop(connection.number)
                continue
            connection.beating = True
            self._subscribers.setdefault(key, {})[connection.number] = connection
            if result["snapshot"] and (frame := self._snapshot(key, now)):
                connection.send(frame)

    def _refusal(self, key: Key, channel: _Channel, params: Mapping[str, Any]) -> str:
        name, symbol, option = key
        if name not in _CHANNELS:
            return "Unsupported channel"
        known = _FIELDS.union(channel.fields, (channel.option,))
        if unknown := [field for field in params if field not in known]:
            return f"Unsupported field: '{unknown[0]}' for the given msg type: subscribe"
        if not isinstance(params.get("snapshot", True), bool):
            return "Snapshot field must be a boolean"
        if symbol == "":
            return "Symbol(s) not found"
        if name != "instrument" and symbol not in self._instruments:
            return f"Currency pair not supported {symbol}"
        return "" if option in channel.allowed and not isinstance(option, bool) else channel.refusal

    def _absence(self, connection: Connection, method: str, key: Key) -> str:
        held = method == "subscribe" or connection.number in self._subscribers.get(key, {})
        return "" if held else "Subscription Not Found"

    def _result(
        self, key: Key, channel: _Channel, params: Mapping[str, Any], *, subscribes: bool
    ) -> dict[str, Any]:
        name, symbol, option = key
        result: dict[str, Any] = {"channel": name}
        if channel.option:
            result[channel.option] = option
        if subscribes:
            result["snapshot"] = params.get("snapshot", channel.snapshot)
        if symbol != "*":
            result["symbol"] = symbol
        if subscribes and channel.warnings:
            result["warnings"] = channel.warnings
        return result

    def _snapshot(self, key: Key, now: int) -> str:
        """Give the first frame of a subscription, empty where there is nothing to show yet."""
        name, symbol, option = key
        if name == "instrument":
            return templates.instruments(self._instruments.values(), "snapshot")
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
                return templates.candles(instrument, rows, minutes, now, "snapshot")

    def _ladder(self, symbol: str, now: int) -> Ladder:
        """Give the book that updates go on from, which is the one last published."""
        if symbol not in self._books:
            found = self._tapes[symbol].at(now)
            self._books[symbol] = self._tapes[symbol].ladder(*found) if found else Ladder(now, (), ())
        return self._books[symbol]

    # ---- market events ----

    def on_event(self, symbol: str, events: Events, position: int, trade: Trade | None) -> None:
        """Publish one event of the market model, in the order book, trade, ticker, ohlc."""
        instrument = self._instruments[symbol]
        self._publish_book(instrument, events, position)
        if trade is not None and self._subscribers.get(("trade", symbol, None)):
            self._publish(("trade", symbol, None), templates.trades([trade], "update"))
        self._publish_ticker(instrument, events, position, traded=trade is not None)
        if trade is not None:
            self._publish_candles(instrument, trade.ts_event)

    def on_instruments(self, changed: Iterable[Instrument]) -> None:
        """Publish that pairs changed."""
        self._publish(("instrument", "*", None), templates.instruments(changed, "update"))

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
                rows = candles(self._tapes[instrument.symbol], minutes * MINUTE, ts, 1)
                self._publish(key, templates.candles(instrument, rows, minutes, ts, "update"))

    def _publish(self, key: Key, frame: str) -> None:
        for connection in self._subscribers.get(key, {}).values():
            connection.send(frame)

    def _last_day(self, symbol: str, minute: int) -> Candle:
        return last_day(self._tapes[symbol], minute * MINUTE)


def _symbols(channel: str, params: Mapping[str, Any]) -> list[str]:
    """Give what to acknowledge one by one; the empty name stands for a list that is none."""
    if channel == "instrument":
        return ["*"]
    symbols = params.get("symbol")
    return [str(symbol) for symbol in symbols] if isinstance(symbols, list) and symbols else [""]


def last_day(tape: Tape, now: int) -> Candle:
    """Give the rolling 24 hours up to `now` as one candle."""
    rows = candles(tape, tape.length, now, DAY // tape.length)
    lots = sum(row.lots for row in rows)
    return Candle(
        ts_open=now - DAY,
        open=rows[0].open,
        high=max(row.high for row in rows),
        low=min(row.low for row in rows),
        close=rows[-1].close,
        lots=lots,
        vwap=sum(row.vwap * row.lots for row in rows) / lots if lots else 0.0,
        trades=sum(row.trades for row in rows),
    )


def connection_id(connection: Connection) -> int:
    """Give an id beyond 2**63, as Kraken's are: no client may keep it in a signed integer."""
    return (1 << 63) + connection.number * 7_919
