"""Everything that can happen to the engine, and everything it can ask for.

Must not know who sends or who obeys. One door: `Event` in, `Command` out. Every event carries
`ts`, the market time at which it came through the door (ns UTC, never decreasing).
"""

import enum
from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.orders import AmendOrder, CancelOrder, OrderState, Side, SubmitOrder
from core.signal import Direction, Filter, Opinion

# ---- in: market ----


class BarsClosed(msgspec.Struct, frozen=True, tag="bars"):
    """All bars of all timeframes that closed at `ts_close`, smallest timeframe first."""

    ts: int
    ts_close: int
    bars: tuple[Bar, ...]


class Quotes(msgspec.Struct, frozen=True, tag="quotes"):
    """The newest best bid/ask of each instrument that moved since the last event (conflated)."""

    ts: int
    quotes: tuple[Quote, ...]


class InstrumentsChanged(msgspec.Struct, frozen=True, tag="instruments"):
    """Instruments are listed, or their grid, minimum or status changed."""

    ts: int
    instruments: tuple[Instrument, ...]


class Prediction(msgspec.Struct, frozen=True, tag="prediction"):
    """The answer to one RequestOpinion. `late` = over budget, `error` = nothing usable.

    `members` names the models behind each opinion's votes, `filters` those that do not vote. `stages` is
    where the time went, in ns: waiting for the worker, stepping features, running models, blending.
    """

    ts: int
    prediction_id: str
    trader: str
    ts_close: int
    timeframe: Timeframe
    model_hash: str
    opinions: tuple[Opinion, ...]
    latency_ns: int = 0
    late: bool = False
    error: str = ""
    members: tuple[str, ...] = ()
    stages: tuple[int, ...] = ()
    filters: tuple[Filter, ...] = ()


# ---- in: venue ----


class OrderUpdate(msgspec.Struct, frozen=True, tag="order"):
    """What the venue says of one order. `filled` is cumulative; `reason` its own words."""

    ts: int
    account: str
    cl_ord_id: str
    state: OrderState
    order_id: str = ""
    filled: Decimal | None = None
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, tag="fill"):
    """One execution; `exec_id` is applied once, whatever the order of arrival. Fee in quote."""

    ts: int
    account: str
    exec_id: str
    cl_ord_id: str
    order_id: str
    instrument: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    maker: bool
    ts_event: int


class VenuePosition(msgspec.Struct, frozen=True, array_like=True):
    """A net position as the venue holds it; `quantity` signed, `cost` positive, in quote."""

    instrument: str
    quantity: Decimal
    cost: Decimal


class VenueOrder(msgspec.Struct, frozen=True):
    """One order as a reconciliation query found it."""

    cl_ord_id: str
    order_id: str
    instrument: str
    side: Side
    state: OrderState
    quantity: Decimal
    filled: Decimal
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None
    reason: str = ""


class Reconciled(msgspec.Struct, frozen=True, tag="reconciled"):
    """The venue's whole truth about one account, asked after a start or a gap.

    `orders` holds every open order and the resolved state of each id in the request's `asked`;
    an asked id that is missing here was never accepted. `fills` covers the time since `since`.
    `asked` and `asked_at` repeat the question: an answer may be slow, and a newer question open.
    """

    ts: int
    account: str
    cash: Decimal
    positions: tuple[VenuePosition, ...]
    orders: tuple[VenueOrder, ...]
    fills: tuple[Fill, ...]
    asked: tuple[str, ...] = ()
    asked_at: int = 0


class Stream(enum.StrEnum):
    """What a link carries."""

    PUBLIC = "public"
    PRIVATE = "private"


class LinkChange(msgspec.Struct, frozen=True, tag="link"):
    """A stream came up, went down or went stale; `system` is the venue's status word."""

    ts: int
    stream: Stream
    up: bool
    account: str = ""
    system: str = "online"
    reason: str = ""


# ---- in: control ----


class SessionStarted(msgspec.Struct, frozen=True, tag="session"):
    """A process takes over. `setup` is the encoded DeskSetup, so that replay needs no file."""

    ts: int
    session: int
    version: str
    config_hash: str
    setup: bytes


class SetupChanged(msgspec.Struct, frozen=True, tag="setup"):
    """A running process takes over a reloaded configuration; nothing is reconnected."""

    ts: int
    config_hash: str
    setup: bytes


class Timer(msgspec.Struct, frozen=True, tag="timer"):
    """Time passed with nothing else to carry it."""

    ts: int


class Verb(enum.StrEnum):
    """What an operator may ask for."""

    PAUSE = "pause"  # no entries; open positions keep their protection
    RESUME = "resume"
    FLATTEN = "flatten"  # close everything, then stay paused
    KILL = "kill"  # flatten and halt; latched until an explicit resume with force
    DRAIN = "drain"  # shutting down: cancel entries, keep protection


class Operator(msgspec.Struct, frozen=True, tag="operator"):
    """A person, a signal or the shell asks for something."""

    ts: int
    verb: Verb
    actor: str
    reason: str = ""
    force: bool = False  # RESUME only: also lifts a halt


class InstrumentQuality(msgspec.Struct, frozen=True, array_like=True):
    """What is wrong with the data of one instrument, by name; empty = nothing any more."""

    instrument: str
    verdicts: tuple[str, ...]


class QualityChanged(msgspec.Struct, frozen=True, tag="quality"):
    """The feed's verdicts on some instruments; none is entered while anything is said of it."""

    ts: int
    changes: tuple[InstrumentQuality, ...]


MarketEvent = BarsClosed | Quotes | InstrumentsChanged | QualityChanged
VenueReport = OrderUpdate | Fill | Reconciled | LinkChange
Event = (
    BarsClosed
    | Quotes
    | InstrumentsChanged
    | Prediction
    | OrderUpdate
    | Fill
    | Reconciled
    | LinkChange
    | SessionStarted
    | SetupChanged
    | Timer
    | Operator
    | QualityChanged
)
TAPED = (BarsClosed, Quotes, Timer)
"""Kinds that are frequent: they go to the tape file, everything else is a journal row."""

# ---- out ----


class RequestOpinion(msgspec.Struct, frozen=True, tag="opinion"):
    """Ask a trader's models about the bars that closed at `ts_close`."""

    trader: str
    prediction_id: str
    timeframe: Timeframe
    ts_close: int
    instruments: tuple[str, ...]


def unanswered(request: RequestOpinion, error: str) -> Prediction:
    """Give the answer that holds no opinion, and why; `ts` and latency are left at 0."""
    return Prediction(
        ts=0,
        prediction_id=request.prediction_id,
        trader=request.trader,
        ts_close=request.ts_close,
        timeframe=request.timeframe,
        model_hash="",
        opinions=(),
        error=error,
    )


class RequestReconcile(msgspec.Struct, frozen=True, tag="reconcile"):
    """Ask the venue for the whole truth; `asked` are ids whose outcome is not proved.

    `since` is from when fills are wanted, `asked_at` when the question was put.
    """

    account: str
    asked: tuple[str, ...]
    since: int
    asked_at: int = 0


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """What became of one opinion. `rule` is empty when an intent came out of it.

    `expected_value` is the fraction of notional expected after fees and spread.
    """

    instrument: str
    direction: Direction
    confidence: float
    expected_value: float
    rule: str
    detail: str


class Decisions(msgspec.Struct, frozen=True, tag="decisions"):
    """One trader's decisions about one closing instant."""

    trader: str
    prediction_id: str
    ts_close: int
    timeframe: Timeframe
    rows: tuple[Decision, ...]


class Severity(enum.StrEnum):
    """How loud a notice is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """Something that people should see; nothing in the program reacts to it."""

    severity: Severity
    code: str
    text: str
    trader: str = ""
    instrument: str = ""


Command = SubmitOrder | AmendOrder | CancelOrder | RequestOpinion | RequestReconcile | Decisions | Notice
MUTATING = (SubmitOrder, AmendOrder, CancelOrder)
"""Commands that change the venue: none leaves before its journal row is committed."""
