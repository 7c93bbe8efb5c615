"""Subscriptions of the loopback's market data: who asked for which channel, and the answers.

Must not know what channels carry, nor sockets. Called by the desks that derive from it. Refusals
are acknowledgements; the connection they come on lives on (PROTOCOL 1.5, 1.8).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import msgspec

from core.clock import Clock
from core.instrument import Instrument
from venue import loopback_templates as templates
from venue.loopback_connection import Connection

Key = tuple[str, str, object]
"""Channel, symbol, and the option that is part of a subscription's identity."""


class Channel(msgspec.Struct, frozen=True):
    """What a channel takes: the option that belongs to a subscription's identity, and the rest."""

    option: str = ""
    default: object = None
    allowed: tuple[object, ...] = (None,)
    refusal: str = ""
    fields: tuple[str, ...] = ()
    snapshot: bool = True
    warnings: tuple[str, ...] = ()


_TOO_MANY = "Symbol list too long"  # Kraken documents neither a limit nor the words
_FIELDS = frozenset({"channel", "symbol", "snapshot", "token"})


class SubscriptionDesk(ABC):
    """Answers requests of market data and keeps subscribers. Mutable: connections, subscriptions."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        instruments: Mapping[str, Instrument],
        clock: Clock,
        *,
        most_symbols: int = 0,
    ) -> None:
        self._channels = channels
        self._instruments = instruments
        self._clock = clock
        self._most_symbols = most_symbols
        self._subscribers: dict[Key, dict[int, Connection]] = {}
        self._connections: dict[int, Connection] = {}

    @abstractmethod
    def _snapshot(self, key: Key, now: int) -> str:
        """Give the first frame of a subscription, empty where there is nothing to show yet."""

    def _entitlement(self, connection: Connection, params: Mapping[str, Any]) -> str:
        """Give why this client may not subscribe; empty where anybody may."""
        return ""

    # ---- connections ----

    def opened(self, connection: Connection) -> None:
        """Take a connection in; its door greets it."""
        self._connections[connection.number] = connection

    def closed(self, connection: Connection) -> None:
        """Drop every subscription of the connection."""
        self._connections.pop(connection.number, None)
        for subscribers in self._subscribers.values():
            subscribers.pop(connection.number, None)

    def heartbeat(self) -> None:
        """Send the beat of the second."""
        for connection in self._connections.values():
            connection.beat(templates.HEARTBEAT)

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
        symbols = _symbols(name, params)
        if method == "subscribe" and 0 < self._most_symbols < len(symbols):
            times = (now, self._clock.now())
            connection.send(templates.answer(method, req_id, times, error=_TOO_MANY))
            return
        channel = self._channels.get(name, Channel())
        barred = self._entitlement(connection, params)
        option = params.get(channel.option, channel.default)
        for symbol in symbols:
            key = (name, symbol, option)
            error = barred or self._refusal(key, channel, params) or self._absence(connection, method, key)
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

    def _refusal(self, key: Key, channel: Channel, params: Mapping[str, Any]) -> str:
        name, symbol, option = key
        if name not in self._channels:
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
        self, key: Key, channel: Channel, params: Mapping[str, Any], *, subscribes: bool
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

    def _publish(self, key: Key, frame: str) -> None:
        for connection in self._subscribers.get(key, {}).values():
            connection.send(frame)


def _symbols(channel: str, params: Mapping[str, Any]) -> list[str]:
    """Give what to acknowledge one by one; the empty name stands for a list that is none."""
    if channel == "instrument":
        return ["*"]
    symbols = params.get("symbol")
    if not isinstance(symbols, list) or not symbols:
        return [""]
    return list(dict.fromkeys(map(str, symbols)))  # one snapshot each, however often named
