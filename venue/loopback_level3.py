"""Level 3 of the loopback: every order of the book on its own, in queue order.

Must not know accounts, sockets or REST. Called by the loopback's connections and by its pump.
The market model knows levels only; here a level is a queue: what comes in stands last, what is
taken leaves from the front. Rules of https://docs.kraken.com/api/docs/websocket-v2/level3
(PROTOCOL 2.6): an endpoint of its own, a token in every request, depth in price levels.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from core.clock import Clock
from core.instrument import Instrument
from venue import loopback_templates as templates
from venue.exchange_orders import identifier
from venue.loopback_connection import Connection
from venue.loopback_keys import KeyRing
from venue.loopback_subscriptions import Channel, Key, SubscriptionDesk
from venue.market_model import Events, Ladder, Level, Tape

DEPTHS = (10, 100, 1000)
_CHANNELS = {"level3": Channel("depth", 10, DEPTHS, "Subscription depth not supported")}
_CHECKSUM_LEVELS = 10
_LARGEST_QUEUE = 3  # orders that a level is made of when it first shows


class Resting(msgspec.Struct, frozen=True):
    """One order of the market at a price in ticks, with its lots and the time it came in."""

    order_id: str
    ticks: int
    lots: int
    ts: int


Queue = tuple[Resting, ...]
Side = dict[int, Queue]
"""Queues by price, best price first."""


class Queues:
    """The orders of one instrument that make up its book. Mutable: `bids` and `asks`."""

    def __init__(self, symbol: str) -> None:
        self._seed = zlib.crc32(symbol.encode()) << 32
        self._made = 0
        self.bids: Side = {}
        self.asks: Side = {}

    def follow(self, ladder: Ladder) -> None:
        """Let orders come and go until they add up to the ladder."""
        self.bids = {level.ticks: self._queue(self.bids, level, ladder.ts) for level in ladder.bids}
        self.asks = {level.ticks: self._queue(self.asks, level, ladder.ts) for level in ladder.asks}

    def _queue(self, side: Side, level: Level, ts: int) -> Queue:
        queue = side.get(level.ticks)
        if queue is None:
            count = min(level.lots, 1 + level.ticks % _LARGEST_QUEUE)
            part = level.lots // count
            sizes = [part] * (count - 1) + [level.lots - part * (count - 1)]
            return tuple(self._order(level.ticks, lots, ts) for lots in sizes)
        more = level.lots - sum(order.lots for order in queue)
        if more > 0:
            return (*queue, self._order(level.ticks, more, ts))
        return _taken(queue, -more)

    def _order(self, ticks: int, lots: int, ts: int) -> Resting:
        self._made += 1
        return Resting(identifier("O", self._seed + self._made), ticks, lots, ts)


class Level3Desk(SubscriptionDesk):
    """Answers level3 requests and publishes orders. Mutable: queues of what is subscribed."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        tapes: Mapping[str, Tape],
        keys: KeyRing,
        clock: Clock,
    ) -> None:
        super().__init__(_CHANNELS, instruments, clock)
        self._tapes = tapes
        self._keys = keys
        self._queues: dict[str, Queues] = {}
        self._holders: dict[int, str] = {}

    def closed(self, connection: Connection) -> None:
        """Drop every subscription of the connection, and the token that it held."""
        super().closed(connection)
        self._holders.pop(connection.number, None)

    def on_events(self, symbol: str, events: Events, position: int) -> None:
        """Publish what the events up to `position` did to the orders."""
        depths = [d for d in DEPTHS if self._subscribers.get(("level3", symbol, d))]
        if not depths:
            self._queues.pop(symbol, None)
            return
        queues = self._queues[symbol]
        before = queues.bids, queues.asks
        queues.follow(self._tapes[symbol].ladder(events, position))
        for depth in depths:
            bids = changes(before[0], queues.bids, depth)
            asks = changes(before[1], queues.asks, depth)
            if bids or asks:
                frame = templates.level3(
                    self._instruments[symbol], _rows(bids), _rows(asks), checksum(queues), "update"
                )
                self._publish(("level3", symbol, depth), frame)

    def _snapshot(self, key: Key, now: int) -> str:
        _, symbol, option = key
        depth = int(str(option))
        if symbol not in self._queues:
            found = self._tapes[symbol].at(now)
            self._queues[symbol] = Queues(symbol)
            if found is not None:
                self._queues[symbol].follow(self._tapes[symbol].ladder(*found))
        queues = self._queues[symbol]
        bids, asks = (_standing(_cut(side, depth)) for side in (queues.bids, queues.asks))
        return templates.level3(self._instruments[symbol], bids, asks, checksum(queues), "snapshot")

    def _entitlement(self, connection: Connection, params: Mapping[str, Any]) -> str:
        held = self._holders.get(connection.number, "")
        owner = self._keys.owner(params.get("token"), self._clock.monotonic(), held=bool(held))
        if not owner or (held and owner != held):
            return "ESession:Invalid session"
        self._holders[connection.number] = owner
        return ""


def changes(before: Side, after: Side, depth: int) -> list[tuple[str, Resting]]:
    """Give the events that lead a client of this depth from one side to the next.

    What enters the depth is added in full, what was pushed out of it is not mentioned.
    """
    old, new = _cut(before, depth), _cut(after, depth)
    found: list[tuple[str, Resting]] = []
    for ticks, queue in old.items():
        left = {order.order_id for order in after.get(ticks, ())}
        found += [("delete", order) for order in queue if order.order_id not in left]
    for ticks, queue in new.items():
        known = {order.order_id: order for order in old.get(ticks, ())}
        for order in queue:
            former = known.get(order.order_id)
            if former is None:
                found.append(("add", order))
            elif former.lots != order.lots:
                found.append(("modify", order))
    return found


def checksum(queues: Queues) -> int:
    """Give the CRC32 over every order of the ten best prices, asks first, in queue order."""
    orders = [
        order
        for side in (queues.asks, queues.bids)
        for queue in _cut(side, _CHECKSUM_LEVELS).values()
        for order in queue
    ]
    return zlib.crc32("".join(f"{order.ticks}{order.lots}" for order in orders).encode())


def _taken(queue: Queue, lots: int) -> Queue:
    """Take lots from the front of a queue."""
    rest = list(queue)
    while lots >= rest[0].lots:
        lots -= rest.pop(0).lots
    if lots:
        rest[0] = msgspec.structs.replace(rest[0], lots=rest[0].lots - lots)
    return tuple(rest)


def _cut(side: Side, depth: int) -> Side:
    return dict(list(side.items())[:depth])


def _standing(side: Side) -> list[tuple[str, str, int, int, int]]:
    return _rows(("", order) for queue in side.values() for order in queue)


def _rows(found: Iterable[tuple[str, Resting]]) -> list[tuple[str, str, int, int, int]]:
    return [(event, order.order_id, order.ticks, order.lots, order.ts) for event, order in found]
