"""The door of a desk: requests come in and frames go out through it, and faults stand in it.

Must not know what requests mean or how they are answered. Called by the loopback's connections.
Without an armed fault a frame passes untouched.
"""

from collections.abc import Callable, Iterable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from core.clock import SECOND, Clock
from core.errors import ConfigError
from venue import loopback_fault_frames as frames
from venue import loopback_templates as templates
from venue.exchange import Exchange
from venue.loopback_connection import NO_CLOSE_FRAME, Connection, Desk
from venue.loopback_fault_catalogue import Point
from venue.loopback_faults import Fault, Schedule

Request = dict[str, Any]


class Faults:
    """The schedule and what was delayed. Mutable, one per loopback."""

    def __init__(
        self, clock: Clock, seed: int = 1, *, accounts: Iterable[str] = (), symbols: Iterable[str] = ()
    ) -> None:
        self.schedule = Schedule(seed)
        self.clock = clock
        self._known = {"account": frozenset(accounts), "symbol": frozenset(symbols)}
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def arm(self, faults: Iterable[Fault]) -> None:
        """Arm faults, all or none; raises ConfigError for one that cannot be."""
        wanted = tuple(faults)
        for fault in wanted:
            for field, known in self._known.items():
                named = getattr(fault, field)
                if named is not None and named not in known:
                    listed = ", ".join(sorted(known))
                    raise ConfigError(f"fault {fault.name}: expected {field} among {listed}, found {named!r}")
        self.schedule.add(wanted, self.clock.now())

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Do something once this much market time has passed."""
        due = self.clock.now() + round(seconds * SECOND)
        heappush(self._later, (due, next(self._numbers), call))

    def release(self, now: int) -> None:
        """Do what has become due."""
        while self._later and self._later[0][0] <= now:
            heappop(self._later)[2]()


class Door:
    """A desk as clients see it: faults stand between the two. Mutable: open connections."""

    def __init__(self, stream: str, desk: Desk, faults: Faults, exchange: Exchange) -> None:
        self.stream = stream
        self.connections: dict[int, Connection] = {}
        self._desk = desk
        self._faults = faults
        self._exchange = exchange
        self._spoilers: dict[int, frames.Spoiler] = {}

    def admits(self) -> bool:
        """Tell whether a handshake is answered."""
        return not self._strike(Point.CONNECT, {"stream": self.stream})

    def opened(self, connection: Connection) -> None:
        """Let a connection in and greet it with the engine's state."""
        self.connections[connection.number] = connection
        self._spoilers[connection.number] = frames.Spoiler()
        connection.tamper = lambda frame: self._outgoing(connection, frame)
        self._desk.opened(connection)
        self._tell_system(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.pop(connection.number, None)
        self._spoilers.pop(connection.number, None)
        self._desk.closed(connection)

    def tell_system(self) -> None:
        """Push the engine's state to everybody, as the venue does on each change."""
        for connection in tuple(self.connections.values()):
            self._tell_system(connection)

    def _tell_system(self, connection: Connection) -> None:
        connection.send(templates.status(_connection_id(connection), self._exchange.system))

    # ---- in ----

    def receive(self, connection: Connection, request: Request) -> None:
        """Pass a request on, unless a fault is in its way."""
        for fault in self._strike(Point.REQUEST, self._facts(request)):
            if not self._withstands(fault, connection, request):
                return
        self._desk.receive(connection, request)

    def _facts(self, request: Request) -> dict[str, str]:
        params = request["params"]
        symbol = params.get("symbol")
        found = {"stream": self.stream, "method": request["method"]}
        if isinstance(symbol, list):
            symbol = symbol[0] if symbol else None
        named = {"symbol": symbol} | {
            name: params.get(name) for name in ("channel", "cl_ord_id", "order_type")
        }
        return found | {name: str(value) for name, value in named.items() if value is not None}

    def _withstands(self, fault: Fault, connection: Connection, request: Request) -> bool:
        """Carry out one fault; False if the request ends here."""
        match fault.kind.effect:
            case "delay":
                self._faults.later(
                    fault.parameter("seconds"), partial(self._arrive_late, connection, request)
                )
            case "refuse":
                self._refuse(connection, request, str(fault.parameter("error")))
            case "message_rate":
                connection.send('{"Error":"Exceeded msg rate"}')
            case "cut":
                # The desk takes the request in, its answer finds nobody.
                connection.cut(NO_CLOSE_FRAME, "")
                self._desk.receive(connection, request)
            case "replay_fills":
                request["params"]["snap_trades"] = True
                return True
            case _:
                pass  # dropped
        return False

    def _arrive_late(self, connection: Connection, request: Request) -> None:
        """Hand a delayed request over; if its client is gone the venue still carries it out."""
        if connection.number in self.connections:
            self._desk.receive(connection, request)
            return
        nobody = Connection(-connection.number)
        self._desk.opened(nobody)
        self._desk.receive(nobody, request)
        self._desk.closed(nobody)

    def _refuse(self, connection: Connection, request: Request, error: str) -> None:
        now = self._faults.clock.now()
        connection.send(templates.answer(request["method"], request.get("req_id"), (now, now), error=error))

    # ---- out ----

    def _outgoing(self, connection: Connection, frame: str) -> list[str]:
        """Give what goes out in the place of a frame."""
        spoiler = self._spoilers.get(connection.number)
        if spoiler is None or (self._faults.schedule.idle and spoiler.numbers.idle):
            return [frame]
        pieces = self._spoilt(connection, frames.read(frame), spoiler)
        return [frames.text(piece) for piece in pieces]

    def _spoilt(
        self, connection: Connection, body: frames.Body, spoiler: frames.Spoiler
    ) -> list[frames.Piece]:
        numbering = spoiler.numbers
        whole = self._in_turn(body, numbering)
        for fault in self._strike(Point.FRAME, frames.facts(body, self.stream)):
            if fault.kind.effect == "delay":
                late = [frames.text(numbering.written(one)) for one in whole]
                self._faults.later(fault.parameter("seconds"), partial(connection.put, late))
                return []
            pieces = [piece for one in whole for piece in spoiler.spoil(one, fault)]
            texts = [piece for piece in pieces if isinstance(piece, str)]
            whole = [piece for piece in pieces if not isinstance(piece, str)]
            if texts or not whole:
                return [one if isinstance(one, str) else numbering.written(one) for one in pieces]
        return [numbering.written(one) for one in whole]

    def _in_turn(self, body: frames.Body, numbering: frames.Numbering) -> list[frames.Body]:
        """Give a frame, followed by the one that it was to change places with."""
        for held in numbering.held:
            if held.get("channel") == body.get("channel") and "sequence" in body:
                numbering.held.remove(held)
                return [
                    {**body, "sequence": held["sequence"]},
                    {**held, "sequence": body["sequence"]},
                ]
        return [body]

    def _strike(self, point: Point, facts: dict[str, str]) -> list[Fault]:
        return self._faults.schedule.strike(point, facts, self._faults.clock.now())


def _connection_id(connection: Connection) -> int:
    """Give an id beyond 2**63, as Kraken's are: no client may keep it in a signed integer."""
    return (1 << 63) + connection.number * 7_919
