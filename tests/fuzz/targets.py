"""What is fuzzed: each takes any bytes, keeps its state from case to case, and must not grow with it."""

from collections.abc import Callable, Sized
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from core.clock import SECOND, ManualClock
from core.errors import VenueError
from core.market import Timeframe
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from tests.fuzz.corpus import LISTING, SYMBOLS, Corpus
from tests.venue.loopback_client import rest as call
from tests.venue.loopback_client import venue_at
from venue import futures, rest, wire
from venue import rest_values as values
from venue.loopback_connection import Connection, read_request
from venue.private import PrivateSession
from venue.public import PublicSession
from venue.session import Dead

_SAMPLE_ID = b"123456789"
_STEP = SECOND // 1000


class Target:
    """One thing to feed; `seeds` are what its cases are made of."""

    name = ""

    def __init__(self, corpus: Corpus, rng: Random) -> None:
        self.rng = rng
        self.seeds = self.chosen(corpus)
        self.start()

    def chosen(self, corpus: Corpus) -> tuple[bytes, ...]:
        """Give the seeds."""
        return corpus.frames

    def start(self) -> None:
        """Make the state."""

    def prepared(self, case: bytes) -> bytes:
        """Put what only this run knows into a case: a live token, the id of a waiting request."""
        return case

    def feed(self, case: bytes) -> None:
        """Take one case; an exception is a crash."""
        raise NotImplementedError

    def held(self) -> int:
        """Give how many things the state holds."""
        return 0


class Decode(Target):
    """The decoder, and the reader of the futures feed beside it."""

    name = "wire.decode"

    def feed(self, case: bytes) -> None:
        assert isinstance(wire.decode(case), wire.Message)
        futures.decode(case)


class Public(Target):
    """A public session that is never started anew unless it asks for it."""

    name = "PublicSession"

    def start(self) -> None:
        self.session = PublicSession(SYMBOLS)
        self.now = 0
        self._connect()

    def _connect(self) -> None:
        self.session.connected(self.now)
        self.session.receive(LISTING, self.now)

    def feed(self, case: bytes) -> None:
        self.now += _STEP
        events = self.session.receive(case, self.now)
        if self.rng.random() < 0.01:
            self.now += self.rng.randrange(12) * SECOND
            events += self.session.on_time(self.now)
        self.session.outgoing()
        if any(isinstance(event, Dead) for event in events):
            self._connect()

    def held(self) -> int:
        return held(self.session)


ENTRY = SubmitOrder(
    account="main",
    trader="a",
    cl_ord_id="SMaa1",
    instrument="BTC/USD",
    side=Side.BUY,
    quantity=Decimal("0.005"),
    order_type=OrderType.LIMIT,
    purpose=Purpose.ENTRY,
    time_in_force=TimeInForce.IOC,
    deadline=1_717_409_100_123_999_999,
    limit_price=Decimal(26500),
)


class Private(Target):
    """An account's session with requests on the wire; what it says must be usable numbers."""

    name = "PrivateSession"

    def start(self) -> None:
        self.session = PrivateSession("main")
        self.now = 0
        self._connect()

    def _connect(self) -> None:
        self.session.lost("fuzz")
        self.session.authorise("T")
        self.session.connected(self.now)

    def prepared(self, case: bytes) -> bytes:
        return case.replace(_SAMPLE_ID, str(self.session._req_id).encode())

    def feed(self, case: bytes) -> None:
        self.now += _STEP
        if self.rng.random() < 0.05:
            self.session.request(ENTRY, self.now)
        events = self.session.receive(case, self.now)
        if self.rng.random() < 0.01:
            self.now += self.rng.randrange(6) * SECOND
            events += self.session.on_time(self.now)
        self.session.outgoing()
        for event in events:
            assert_numbers(event)
        if any(isinstance(event, Dead) for event in events):
            self._connect()

    def held(self) -> int:
        return held(self.session)


def assert_numbers(event: Any) -> None:
    """Whoever adds or compares money must not meet a NaN, nor a number without end."""
    for value in msgspec.structs.asdict(event).values():
        if isinstance(value, Decimal):
            assert value.is_finite(), event
            assert -60 < value.adjusted() < 40, event


# Of these one bad row must not cost the others: their readers judge each row.
_JUDGED_BY_ROW = (dict[str, rest.Pair], dict[str, list[rest.OhlcRow] | int])


class Rest(Target):
    """Every REST answer that is read, and the turn into our own words."""

    name = "rest"
    kinds = (
        rest.ServerTime,
        dict[str, rest.Pair],
        dict[str, list[rest.OhlcRow] | int],
        dict[str, rest.OrderRow],
        dict[str, rest.TradeRow],
        dict[str, rest.PositionRow],
        dict[str, Decimal],
        values.SystemStatus,
        dict[str, values.Asset],
        dict[str, values.Ticker],
        dict[str, values.Depth],
        dict[str, list[values.PublicTrade] | str | int],
        dict[str, list[values.Spread] | str | int],
        dict[str, values.ExtendedBalance],
        values.TradeBalance,
        values.TradeVolume,
        values.SocketToken,
        values.Placed,
        values.PlacedBatch,
        values.Amended,
        values.Edited,
        values.Cancelled,
        values.SwitchSet,
    )

    def chosen(self, corpus: Corpus) -> tuple[bytes, ...]:
        pairs = next(body for stem, body in corpus.bodies if stem == "rest_asset_pairs")
        self.names = rest.PairNames(rest.result_of(pairs, dict[str, rest.Pair]))
        inner = [_unpacked(body) for _, body in corpus.bodies]
        return tuple(body for _, body in corpus.bodies) + tuple(body for body in inner if body)

    def feed(self, case: bytes) -> None:
        if rest.errors_of(case) is None:
            return
        for kind in self.rng.sample(self.kinds, 4):
            try:
                found = rest.result_of(case, kind)
                self._use(kind, found if kind in _JUDGED_BY_ROW else rest.vetted(found, "an answer"))
            except VenueError:
                continue

    def _use(self, kind: Any, found: Any) -> None:
        """Turn an answer into our own words, as the client does."""
        if kind == dict[str, rest.Pair]:
            assert all(one.possible for one in rest.instruments(found).values())
        elif kind == dict[str, rest.OrderRow]:
            for order_id, row in found.items():
                rest.venue_order(order_id, row, self.names)
        elif kind == dict[str, rest.TradeRow]:
            for exec_id, trade in found.items():
                rest.fill("main", exec_id, trade, cl_ord_id="", names=self.names)
        elif kind == dict[str, rest.PositionRow]:
            rest.positions(found.values(), self.names)
        elif kind == dict[str, list[rest.OhlcRow] | int]:
            for rows in found.values():
                if isinstance(rows, list):
                    rest.bars("BTC/USD", Timeframe.M1, rows)
        elif kind == dict[str, values.ExtendedBalance]:
            assert all(row.available.is_finite() for row in found.values())


def _unpacked(body: bytes) -> bytes | None:
    """Give the rows of an answer that wraps them once more, as if they were the answer."""
    result = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get("result", msgspec.Raw())
    try:
        wrapped = msgspec.json.decode(result, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return None
    inner = next((wrapped[key] for key in ("open", "closed", "trades") if key in wrapped), None)
    return None if inner is None else b'{"error":[],"result":' + bytes(inner) + b"}"


class Request(Target):
    """The loopback's reader of requests."""

    name = "read_request"

    def chosen(self, corpus: Corpus) -> tuple[bytes, ...]:
        return corpus.requests

    def feed(self, case: bytes) -> None:
        read_request(case.decode(errors="replace"))


class _Desk(Target):
    """A desk of the loopback with one client."""

    def chosen(self, corpus: Corpus) -> tuple[bytes, ...]:
        return corpus.requests

    def start(self) -> None:
        self.venue, self.clock = venue_at()
        self.connection = Connection(1)
        self.desk: Any = self._pick()
        self.desk.opened(self.connection)
        self.fed = 0

    def _pick(self) -> Any:
        raise NotImplementedError

    def feed(self, case: bytes) -> None:
        request = read_request(case.decode(errors="replace"))
        if request is not None:
            self.desk.receive(self.connection, request)
        self.fed += 1
        if self.fed % 200 == 0:
            pump(self.venue.pump, self.clock)
        while not self.connection.frames.empty():
            self.connection.frames.get_nowait()
        if self.connection.closing:
            self.desk.closed(self.connection)
            self.connection = Connection(1)
            self.desk.opened(self.connection)

    def held(self) -> int:
        return held(self.desk)


def pump(step: Callable[[], Any], clock: ManualClock) -> None:
    """Let the venue's time pass."""
    clock.advance_to(clock.now() + SECOND // 10)
    step()


class PublicDesk(_Desk):
    """Subscriptions of a public client."""

    name = "loopback public desk"

    def _pick(self) -> Any:
        return self.venue.public


class PrivateDesk(_Desk):
    """Orders and subscriptions of a private client that holds a live token."""

    name = "loopback private desk"

    def _pick(self) -> Any:
        self.token = str(call(self.venue, "GetWebSocketsToken", account="paper")["token"]).encode()
        return self.venue.private

    def chosen(self, corpus: Corpus) -> tuple[bytes, ...]:
        return tuple(_with_token(seed) for seed in corpus.requests)

    def start(self) -> None:
        super().start()
        self.feed(self.prepared(b'{"method":"subscribe","params":{"channel":"executions","token":"TOKEN"}}'))

    def prepared(self, case: bytes) -> bytes:
        return case.replace(b"TOKEN", self.token)


def _with_token(seed: bytes) -> bytes:
    message = msgspec.json.decode(seed, type=dict[str, msgspec.Raw])
    params = msgspec.json.decode(message.get("params", msgspec.Raw(b"{}")), type=dict[str, msgspec.Raw])
    if "token" not in params:
        return seed
    return msgspec.json.encode({**message, "params": {**params, "token": "TOKEN"}})


TARGETS: tuple[type[Target], ...] = (Decode, Public, Private, Rest, Request, PublicDesk, PrivateDesk)


def held(thing: Any) -> int:
    """Count what an object keeps in its containers, and in theirs."""
    return sum(_size(value) for value in vars(thing).values())


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(len(inner) for inner in value.values() if _holds(inner))
    if isinstance(value, list | set | tuple | frozenset):
        return len(value)
    return len(value) if _holds(value) else 0


def _holds(value: Any) -> bool:
    return isinstance(value, Sized) and not isinstance(value, str | bytes)
