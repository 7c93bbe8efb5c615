"""What every sans-io session shares: the outgoing queue, silence, pings and counted oddities.

Must not know sockets, tasks, channels or what anyone does with an event; `now` is monotonic ns.
Called by venue.public (market data) and venue.private (an account), which venue.link drives.
"""

from collections import Counter
from typing import Any

import msgspec

from core.clock import SECOND
from venue import wire

SILENCE = 6 * SECOND
"""Heartbeats come every second; the venue's guide says to reconnect after five silent ones."""
CONFIRMATION = 10 * SECOND
PING_EVERY = 20 * SECOND


class Ready(msgspec.Struct, frozen=True):
    """Every wanted subscription is confirmed or refused: news from here on is complete."""


class Dead(msgspec.Struct, frozen=True):
    """The connection must be cut; a new one starts from nothing."""

    reason: str


class SystemStatus(msgspec.Struct, frozen=True):
    """The engine's word: online, cancel_only, post_only or maintenance."""

    system: str


class Ignored(msgspec.Struct, frozen=True):
    """A frame or row that was counted and dropped; reported once per kind and connection."""

    reason: str


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
