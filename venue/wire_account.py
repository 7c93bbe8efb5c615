"""Kraken WS v2 private channels and answers as values.

Must not know bytes, sockets, sessions or what an order is for. Called by venue.wire.

Source: https://docs.kraken.com/api/docs/websocket-v2/ (executions, balances, add_order and its
siblings; read 2026-11). The deprecated twins of executions (`cancel_reason`, `stop_price`,
`trigger`, `triggered_price`) are left out: `reason` and `triggers` say the same.
"""

from decimal import Decimal

import msgspec

from core.orders import Side
from venue.wire_values import countable


class FeeRow(msgspec.Struct, frozen=True):
    """One fee leg of a fill."""

    asset: str
    qty: Decimal


class TriggerRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The trigger of a stop, take-profit or trailing order, and how far it has come."""

    price: Decimal | None = None
    actual_price: Decimal | None = None
    reference: str | None = None
    price_type: str | None = None
    peak_price: Decimal | None = None
    last_price: Decimal | None = None
    status: str | None = None
    timestamp: str | None = None


class ContingentRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The close order that each fill of the order will send."""

    order_type: str | None = None
    trigger_price: Decimal | None = None
    trigger_price_type: str | None = None
    limit_price: Decimal | None = None
    limit_price_type: str | None = None


class ExecutionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One execution report. Only the first one of an order is full, later ones are deltas."""

    order_id: str
    exec_type: str
    order_status: str = ""
    timestamp: str = ""
    cl_ord_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: str | None = None
    order_qty: Decimal | None = None
    cum_qty: Decimal | None = None
    limit_price: Decimal | None = None
    triggers: TriggerRow | None = None
    reason: str | None = None
    # of a fill
    exec_id: str | None = None
    last_qty: Decimal | None = None
    last_price: Decimal | None = None
    liquidity_ind: str | None = None
    fees: tuple[FeeRow, ...] = ()
    fee_usd_equiv: Decimal | None = None
    trade_id: int | None = None
    cost: Decimal | None = None
    margin_borrow: bool | None = None
    # of the order
    order_userref: int | None = None
    cash_order_qty: Decimal | None = None
    display_qty: Decimal | None = None
    display_qty_remain: Decimal | None = None
    limit_price_type: str | None = None
    time_in_force: str | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    margin: bool | None = None
    no_mpp: bool | None = None
    effective_time: str | None = None
    expire_time: str | None = None
    cum_cost: Decimal | None = None
    avg_price: Decimal | None = None
    fee_ccy_pref: str | None = None
    amended: bool | None = None
    ord_ref_id: str | None = None
    contingent: ContingentRow | None = None
    position_status: str | None = None
    liquidated: bool | None = None
    sender_sub_id: str | None = None
    ext_ord_id: str | None = None
    ext_exec_id: str | None = None
    user: str | None = None
    ratecount: Decimal | None = None

    @property
    def possible(self) -> bool:
        """Tell whether its amounts can be money; JSON allows 1e308 and, as text, even NaN."""
        trigger = self.triggers or _NO_TRIGGER
        return (
            countable(self.order_qty)
            and countable(self.cum_qty)
            and countable(self.limit_price)
            and countable(self.last_qty)
            and countable(self.last_price)
            and countable(self.fee_usd_equiv)
            and countable(trigger.price)
            and countable(trigger.actual_price)
            and all(countable(fee.qty) for fee in self.fees)
        )


_NO_TRIGGER = TriggerRow()


class WalletRow(msgspec.Struct, frozen=True):
    """One wallet's part of a balance."""

    type: str
    id: str
    balance: Decimal


class BalanceRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A balance (snapshot) or a ledger line (update); `balance` is the new total in both."""

    asset: str
    balance: Decimal
    type: str = ""
    asset_class: str | None = None
    wallets: tuple[WalletRow, ...] | None = None
    # of a ledger line
    ledger_id: str | None = None
    ref_id: str | None = None
    timestamp: str | None = None
    category: str | None = None
    subtype: str | None = None
    wallet_type: str | None = None
    wallet_id: str | None = None
    amount: Decimal | None = None
    fee: Decimal | None = None
    user: str | None = None

    @property
    def possible(self) -> bool:
        """Tell whether the new total can be money."""
        return countable(self.balance)


class ExecutionsFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="executions"):
    """Order news; `sequence` counts per subscription."""

    type: str
    data: tuple[ExecutionRow, ...]
    sequence: int


class BalancesFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="balances"):
    """Balances or ledger lines; `sequence` counts per subscription."""

    type: str
    data: tuple[BalanceRow, ...]
    sequence: int


# ---- answers ----


class Leg(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order of a batch; a leg that was refused alone names its `error`."""

    order_id: str = ""
    cl_ord_id: str = ""
    order_userref: int | None = None
    success: bool | None = None
    error: str = ""


class AckResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an ack says besides yes: of a subscription, an order request or a sweep."""

    channel: str = ""
    symbol: str = ""
    order_id: str = ""
    cl_ord_id: str = ""
    maxratecount: int | None = None
    warnings: tuple[str, ...] = ()
    # subscriptions
    snapshot: bool | None = None
    depth: int | None = None
    interval: int | None = None
    event_trigger: str | None = None
    snap_orders: bool | None = None
    snap_trades: bool | None = None
    # orders
    order_userref: int | None = None
    amend_id: str = ""
    original_order_id: str = ""
    count: int | None = None
    current_time: str = msgspec.field(default="", name="currentTime")
    trigger_time: str = msgspec.field(default="", name="triggerTime")


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to a request. One request may have many, all with the same `req_id`.

    `legs` are those of batch_add. `time_in` is when the venue had the request on its wire,
    `time_out` when the answer left.
    """

    method: str
    success: bool
    req_id: int | None = None
    error: str = ""
    symbol: str = ""
    result: AckResult = AckResult()
    legs: tuple[Leg, ...] = ()
    time_in: str = ""
    time_out: str = ""
