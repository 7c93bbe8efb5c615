"""The subscriptions we want against those that the venue confirmed, one by one.

Must not know frames, sockets or what becomes of the data; `now` is monotonic ns. Owned by
venue.public, which sends what `requests` gives and tells what the venue answered. What is asked
follows from what is wanted, never from what was asked before: a new connection asks for all again.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from core.clock import MINUTE, SECOND
from venue.session import CONFIRMATION

CHUNK = 100
"""Symbols per request at first; the venue documents no maximum, so acks are verified one by one."""
BURST, RATE = 20, 10
"""Requests at once and per second. The venue's limit has no published number; 20 a second was
what its support once told a client."""
ASK_AGAIN = 4 * SECOND
FORGIVEN = 10 * MINUTE
"""A subscription that lived this long has its old faults forgotten."""
RETRY = 15 * MINUTE
"""When one that was refused, or failed too often, is tried again."""

Key = tuple[str, str]
"""Channel and symbol."""


class Request(NamedTuple):
    """One message to send."""

    method: str
    channel: str
    symbols: tuple[str, ...]


class _Line:
    """One subscription. `due`: when to ask; `since`: when this attempt began; `asked`: last time."""

    __slots__ = ("acked", "asked", "due", "faults", "live", "live_since", "settled", "since")

    def __init__(self, due: int) -> None:
        self.due: int | None = due
        self.since: int | None = None
        self.asked = 0
        self.acked = False
        self.live = False
        self.live_since = 0
        self.settled = False
        self.faults = 0


class Subscriptions:
    """Mutable table of one connection's subscriptions."""

    max_faults = 5

    def __init__(self) -> None:
        self._lines: dict[Key, _Line] = {}
        self._leaving: list[Key] = []
        self._chunks: dict[str, int] = {}  # by channel, where fewer symbols have to do; kept for good
        self._allowance = float(BURST)
        self._counted_at: int | None = None

    def restart(self) -> None:
        """Forget everything: a new connection holds no subscription."""
        self._lines, self._leaving = {}, []
        self._allowance, self._counted_at = float(BURST), None

    def want(self, channel: str, symbols: Iterable[str], now: int) -> None:
        """Ask for what is not wanted yet."""
        for symbol in symbols:
            self._lines.setdefault((channel, symbol), _Line(now))

    def drop(self, channel: str, symbol: str) -> None:
        """Want it no longer."""
        if (line := self._lines.pop((channel, symbol), None)) and line.since is not None:
            self._leaving.append((channel, symbol))

    def wanted(self, channel: str, symbol: str) -> bool:
        """Tell whether it is wanted, live or not."""
        return (channel, symbol) in self._lines

    def live(self, channel: str, symbol: str) -> bool:
        """Tell whether the venue confirmed it and nothing has gone wrong since."""
        line = self._lines.get((channel, symbol))
        return line is not None and line.live

    def all_live(self, channel: str) -> frozenset[str]:
        """Give the symbols whose subscription to a channel is live."""
        return frozenset(s for (c, s), line in self._lines.items() if c == channel and line.live)

    def __len__(self) -> int:
        return len(self._lines)

    # ---- what the venue says ----

    def acked(self, channel: str, symbol: str) -> None:
        """Note that the request was accepted; what needs a snapshot is live only with it."""
        if line := self._lines.get((channel, symbol)):
            line.acked = True

    def confirmed(self, channel: str, symbol: str, now: int) -> bool:
        """Note that it works; tells whether that is news."""
        line = self._lines.get((channel, symbol))
        if line is None or line.live:
            return False
        line.live = line.settled = line.acked = True
        line.live_since, line.due = now, None
        line.since = line.since or now
        return True

    def refused(self, channel: str, symbol: str, now: int) -> bool:
        """Note a refusal: asked again much later. Tells whether it was wanted at all."""
        line = self._lines.get((channel, symbol))
        if line is None:
            return False
        line.live = line.acked = False
        line.settled, line.since, line.due = True, None, now + RETRY
        return True

    def halve(self, request: Request, now: int) -> None:
        """Ask for a refused request's symbols again, half as many at once from now on."""
        half = max(1, len(request.symbols) // 2)
        self._chunks[request.channel] = min(self._chunks.get(request.channel, CHUNK), half)
        for symbol in request.symbols:
            line = self._lines.get((request.channel, symbol))
            if line is not None and not line.acked:
                line.since, line.due = None, now

    def renew(self, channel: str, symbol: str, now: int) -> bool:
        """Fetch one subscription anew, later each time; True once it failed too often (degraded)."""
        line = self._lines[channel, symbol]
        if line.live and now - line.live_since > FORGIVEN:
            line.faults = 0
        line.faults += 1
        if line.since is not None:
            self._leaving.append((channel, symbol))
        line.live, line.acked, line.since = False, False, None
        degraded = line.faults > self.max_faults
        line.settled = True  # one that has to be fetched again must not hold up the others
        pause = 0 if line.faults == 1 else 2**line.faults * SECOND
        line.due = now + (RETRY if degraded else pause)
        return degraded

    def faults(self, channel: str, symbol: str) -> int:
        """Give how often it failed of late."""
        line = self._lines.get((channel, symbol))
        return line.faults if line else 0

    # ---- what to do ----

    def unsettled(self) -> list[Key]:
        """Give what is neither confirmed nor refused since the connection began."""
        return [key for key, line in self._lines.items() if not line.settled]

    def overdue(self, now: int) -> list[Key]:
        """Give what was asked for, and again, and is not confirmed."""
        return [
            key
            for key, line in self._lines.items()
            if not line.live and line.since is not None and now - line.since >= CONFIRMATION
        ]

    def requests(self, now: int) -> list[Request]:
        """Give what to send now, as few messages as possible and no faster than the venue likes."""
        again = [key for key, line in self._lines.items() if _forgotten(line, now)]
        self._leaving += [key for key in again if self._lines[key].acked]
        due = [key for key, line in self._lines.items() if line.due is not None and line.due <= now]
        leaving, self._leaving = self._leaving, []
        messages = [*self._grouped("unsubscribe", leaving), *self._grouped("subscribe", [*again, *due])]
        allowed = self._allowed(len(messages), now)
        for message in messages[allowed:]:
            if message.method == "unsubscribe":
                self._leaving += [(message.channel, symbol) for symbol in message.symbols]
        sent = messages[:allowed]
        for message in sent:
            for symbol in message.symbols if message.method == "subscribe" else ():
                line = self._lines[message.channel, symbol]
                line.since = now if line.since is None else line.since
                line.asked, line.due, line.acked = now, None, False
        return sent

    def _grouped(self, method: str, keys: Iterable[Key]) -> Iterator[Request]:
        by_channel: dict[str, list[str]] = {}
        for channel, symbol in keys:
            by_channel.setdefault(channel, []).append(symbol)
        for channel, symbols in by_channel.items():
            chunk = self._chunks.get(channel, CHUNK)
            for at in range(0, len(symbols), chunk):
                yield Request(method, channel, tuple(symbols[at : at + chunk]))

    def _allowed(self, wished: int, now: int) -> int:
        if not wished:
            return 0
        if self._counted_at is not None:
            self._allowance = min(BURST, self._allowance + (now - self._counted_at) / SECOND * RATE)
        self._counted_at = now
        allowed = min(wished, int(self._allowance))
        self._allowance -= allowed
        return allowed


def _forgotten(line: _Line, now: int) -> bool:
    return not line.live and line.since is not None and line.due is None and now - line.asked >= ASK_AGAIN


def parameters(request: Request, depth: int) -> dict[str, Any]:
    """Give what a channel wants beside symbols; leaving takes the same, but for the snapshot."""
    match request.channel:
        case "trade":
            return {"snapshot": True} if request.method == "subscribe" else {}
        case "book":
            return {"depth": depth}
        case "ticker":
            return {"event_trigger": "bbo"}
        case _:
            return {"interval": 1} | ({"snapshot": False} if request.method == "subscribe" else {})
