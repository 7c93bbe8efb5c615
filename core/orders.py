"""Orders, intents, fills: what we want, what we ask for, what the venue says.

Must not know how any venue spells them. Called by risk (intents), execution (commands), venue
(reports). Every quantity is a positive magnitude with a side; every position is signed.
"""

import enum
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec


class Side(enum.StrEnum):
    """Which way an order or a taker goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Give +1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """Give the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(enum.StrEnum):
    """Every order type of the venue. The daemon sends the first four; triggers become orders."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LOSS = "stop-loss"
    TAKE_PROFIT = "take-profit"
    STOP_LOSS_LIMIT = "stop-loss-limit"
    TAKE_PROFIT_LIMIT = "take-profit-limit"
    TRAILING_STOP = "trailing-stop"
    TRAILING_STOP_LIMIT = "trailing-stop-limit"
    ICEBERG = "iceberg"
    SETTLE_POSITION = "settle-position"


class TimeInForce(enum.StrEnum):
    """How long an order rests."""

    GTC = "gtc"
    IOC = "ioc"
    GTD = "gtd"
    FOK = "fok"


class Purpose(enum.StrEnum):
    """Why an order exists. Everything but an entry only ever shrinks the position."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class OrderState(enum.StrEnum):
    """States of an order as we know it; the legal moves are execution.lifecycle's table."""

    SUBMITTING = "submitting"  # journaled, answer not seen: may or may not exist at the venue
    WORKING = "working"
    CANCELLING = "cancelling"  # cancel sent, answer not seen: may still fill
    UNKNOWN = "unknown"  # an answer that proves nothing; resolved by reconciliation only
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """Tell whether nothing can happen to the order any more."""
        return self in _TERMINAL


_TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED})


class OrderIntent(msgspec.Struct, frozen=True):
    """A target, not an act: the position wanted, how to get in, where to get out.

    `target` is the signed position wanted; 0 closes. `entry_limit` is the worst price accepted
    for getting there, `stop` and `take_profit` guard what is reached; `expires` ends the wish to
    enter, never the protection.
    """

    trader: str
    instrument: str
    target: Decimal
    stop: Decimal
    take_profit: Decimal
    entry_limit: Decimal
    expires: int
    prediction_id: str
    reason: str


class SubmitOrder(msgspec.Struct, frozen=True, tag="submit"):
    """Ask the venue for a new order.

    `deadline` is the market time after which the venue must not match it any more. An order with
    `after` leaves only once that other client order id is acknowledged as working; if that one is
    refused, this one is never sent and reported as rejected (docs/adr/0006). `leverage` asks for a
    ratio of its own; without it a margin order borrows what the venue lends by default.
    """

    account: str
    trader: str
    cl_ord_id: str
    instrument: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    purpose: Purpose
    time_in_force: TimeInForce
    deadline: int
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    expires: int | None = None
    reduce_only: bool = False
    margin: bool = True
    post_only: bool = False
    after: str = ""
    prediction_id: str = ""
    leverage: int | None = None


class AmendOrder(msgspec.Struct, frozen=True, tag="amend"):
    """Change quantity or prices of a working order in place; `None` leaves a value as it is."""

    account: str
    trader: str
    cl_ord_id: str
    instrument: str
    deadline: int
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


class CancelOrder(msgspec.Struct, frozen=True, tag="cancel"):
    """Take one of our own orders back."""

    account: str
    trader: str
    cl_ord_id: str
    instrument: str


VenueCommand = SubmitOrder | AmendOrder | CancelOrder


class Order(msgspec.Struct):
    """One order as execution tracks it; mutable, owned by execution.manager alone.

    `filled` is what the venue says (cumulative), `booked` what arrived as fills; they meet in the
    end. `changed` and `amended` are when it last changed and when we last asked for an amend.
    """

    submit: SubmitOrder
    state: OrderState
    created: int
    order_id: str = ""
    filled: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)  # current, after amends
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None
    reason: str = ""
    booked: Decimal = Decimal(0)
    changed: int = 0
    amended: int = 0

    @property
    def remaining(self) -> Decimal:
        """What may still fill."""
        return self.quantity - self.filled


T = TypeVar("T")


class Approved(msgspec.Struct, Generic[T], frozen=True):
    """A value that passed every check of risk; execution accepts nothing else."""

    value: T


class Refused(msgspec.Struct, frozen=True):
    """The rule that said no, and the figures that made it say so."""

    rule: str
    detail: str
