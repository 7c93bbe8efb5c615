"""Orders as the exchange model holds them, and what it tells about them.

Must not know matching rules, accounts or any wire format. Called by the other exchange modules
and by the loopback, which spells these changes in Kraken's words.
"""

import enum
from decimal import Decimal

import msgspec

from core.events import Fill, OrderUpdate, VenueOrder
from core.orders import Order, OrderState, SubmitOrder
from venue.exchange_positions import MarginPosition
from venue.exchange_terms import LIMITED, PLAIN, PROFIT, TRAILING, TRIGGERED, Terms

ZERO = Decimal(0)
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWX"
_MIX = 0x9E3779B97F4A7C15F39D  # odd, so multiplying by it modulo 2**80 never repeats a number

Report = OrderUpdate | Fill


class FeeTier(msgspec.Struct, frozen=True):
    """Rates from a 30-day volume on."""

    volume: Decimal
    maker: Decimal
    taker: Decimal


class FeeSchedule(msgspec.Struct, frozen=True):
    """Fractions of notional: `taker` 0.004 is 0.4 %. Tiers, lowest first, replace the two rates."""

    maker: Decimal
    taker: Decimal
    tiers: tuple[FeeTier, ...] = ()

    def at(self, volume: Decimal) -> FeeTier:
        """Give the tier that a 30-day volume has reached; without tiers the rates are constant."""
        constant = FeeTier(ZERO, self.maker, self.taker)
        return next((tier for tier in reversed(self.tiers) if volume >= tier.volume), constant)


class ExchangeOrder(msgspec.Struct, eq=False):
    """One order inside the exchange; mutable, owned by the exchange, read by the loopback.

    `amended_at` is its birth or last amend, from which the engine counts its age. `peak` is the
    best reference price since a trailing order came, `shown` what an iceberg still displays;
    a `dormant` order waits for its starting time. `ahead` is what stands before it at its price, as far
    as that was ever seen (only where the rules keep a queue).
    """

    submit: SubmitOrder
    order_id: str
    arrived: int
    quantity: Decimal
    limit_price: Decimal | None
    trigger_price: Decimal | None
    state: OrderState = OrderState.WORKING
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    triggered: bool = False
    amended: bool = False
    closed: int = 0
    reason: str = ""
    exec_ids: list[str] = []
    terms: Terms = PLAIN
    amended_at: int = 0
    peak: Decimal | None = None
    shown: Decimal | None = None
    display: Decimal | None = None
    dormant: bool = False
    ahead: Decimal | None = None
    # What the type means, looked up once: matching asks at every quote.
    conditional: bool = False
    limited: bool = False
    trailing: bool = False
    profits: bool = False

    def __post_init__(self) -> None:
        kind = self.submit.order_type
        self.conditional, self.limited = kind in TRIGGERED, kind in LIMITED
        self.trailing, self.profits = kind in TRAILING, kind in PROFIT

    @property
    def remaining(self) -> Decimal:
        """What may still fill."""
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """Price per unit filled to ten decimals, 0 before the first fill."""
        return round(self.cost / self.filled, 10) if self.filled else ZERO

    @property
    def waits_for_trigger(self) -> bool:
        """Tell whether the order is a stop or take-profit that has not fired."""
        return self.conditional and not self.triggered

    @property
    def resting_limit(self) -> Decimal | None:
        """Worst price accepted; `None` for a market order and for a trigger that became one."""
        return self.limit_price if self.limited else None

    def update(self, ts: int, reason: str = "") -> OrderUpdate:
        """Give the report of the state as it is now."""
        return OrderUpdate(
            ts=ts,
            account=self.submit.account,
            cl_ord_id=self.submit.cl_ord_id,
            state=self.state,
            order_id=self.order_id,
            filled=self.filled,
            quantity=self.quantity,
            trigger_price=self.trigger_price,
            limit_price=self.limit_price,
            reason=reason or self.reason,
        )

    def view(self) -> VenueOrder:
        """Give the row of a reconciliation."""
        return VenueOrder(
            cl_ord_id=self.submit.cl_ord_id,
            order_id=self.order_id,
            instrument=self.submit.instrument,
            side=self.submit.side,
            state=self.state,
            quantity=self.quantity,
            filled=self.filled,
            trigger_price=self.trigger_price,
            limit_price=self.limit_price,
            reason=self.reason,
        )


class Execution(msgspec.Struct, frozen=True):
    """A fill with what only the venue knows of it.

    `leverage` is 0 for a spot trade, `margin` the collateral that it tied up. `opened` is the
    position that began here and `closed` the ids of those that it closed in part or whole.
    `lending` is the part of the fill's fee that was charged for what was lent, `mid` half-way
    between the touches that the fill met, if both were known.
    """

    fill: Fill
    order: ExchangeOrder
    leverage: int = 0
    margin: Decimal = ZERO
    opened: MarginPosition | None = None
    closed: tuple[str, ...] = ()
    lending: Decimal = ZERO
    mid: Decimal | None = None


class LedgerLine(msgspec.Struct, frozen=True):
    """One movement of one asset: balance afterwards = balance before + amount - fee."""

    ledger_id: str
    ref_id: str
    ts: int
    kind: str  # trade, margin, rollover, settled
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal


class ChangeKind(enum.StrEnum):
    """Everything that can become of a request, an order or a position."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the order never existed
    TRADE = "trade"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    AMENDED = "amended"
    TRIGGERED = "triggered"
    MOVED = "moved"  # a trailing trigger followed the market
    REFILLED = "refilled"  # an iceberg shows its next part
    STARTED = "started"  # a scheduled order is live
    REFUSED = "refused"  # an amend or cancel that changed nothing
    CANCELED_ALL = "canceled all"
    ARMED = "armed"  # the dead man's switch was set or cleared
    SETTLED = "settled"  # positions were repaid from balances, without a trade
    MARGIN_CALL = "margin call"  # an account's margin level has come down to the call level
    ROLLED = "rolled"  # a position paid for another four hours


class Change(msgspec.Struct, frozen=True):
    """One step of one order, for a listener. `request` is 0 when nobody asked for it.

    `order` is the live record: a listener reads it at once or not at all. `instrument` names what
    rolled over, where there is no order to name it.
    """

    ts: int
    kind: ChangeKind
    account: str
    request: int = 0
    order: ExchangeOrder | None = None
    execution: Execution | None = None
    error: str = ""
    count: int = 0
    ledger: tuple[LedgerLine, ...] = ()
    instrument: str = ""

    @property
    def fill(self) -> Fill | None:
        """The fill of a trade."""
        return self.execution.fill if self.execution is not None else None


def record(submit: SubmitOrder, order_id: str, arrived: int, terms: Terms = PLAIN) -> ExchangeOrder:
    """Make the record of an order that arrives now."""
    return ExchangeOrder(
        submit=submit,
        order_id=order_id,
        arrived=arrived,
        quantity=submit.quantity,
        limit_price=submit.limit_price,
        trigger_price=submit.trigger_price,
        terms=terms,
        amended_at=arrived,
        display=terms.display,
    )


def restored(order: Order, order_id: str) -> ExchangeOrder:
    """Make the record of an order that worked before a restart."""
    return ExchangeOrder(
        submit=order.submit,
        order_id=order_id,
        arrived=order.created,
        quantity=order.quantity or order.submit.quantity,
        limit_price=order.limit_price or order.submit.limit_price,
        trigger_price=order.trigger_price or order.submit.trigger_price,
        filled=order.filled,
        amended_at=order.created,
    )


def identifier(prefix: str, number: int) -> str:
    """Give an id of Kraken's looks, e.g. `OK4GJX-KSTLS-7DZZO5`; distinct numbers, distinct ids."""
    mixed = number * _MIX % (1 << 80)
    text = "".join(_ALPHABET[mixed >> shift & 31] for shift in range(75, -1, -5))
    return f"{prefix}{text[:5]}-{text[5:10]}-{text[10:]}"


def ledger_id(ref_id: str, leg: int) -> str:
    """Give the id of one leg of what `ref_id` names, which two legs share."""
    first, second, third = ref_id[1:].split("-")
    return f"L{first}-{second}-{third}" if leg == 0 else f"L{second}-{first}-{third}"
