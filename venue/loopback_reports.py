"""Executions and balances of the loopback venue, shaped like Kraken's documented samples.

Must not know the client's decoder (`venue.wire`) or who listens. Called by the private desk. Most
executions are deltas: only the first report of an order is whole.
"""

import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.text import iso
from venue.exchange_orders import ZERO, Change, ChangeKind, ExchangeOrder, Execution, LedgerLine
from venue.exchange_terms import TRAILING, TRIGGERED, CloseTerms, Offset
from venue.loopback_templates import encode, number

GRID = Decimal("1E-8")
_BASE_PLACES = 10


def private(channel: str, kind: str, data: Sequence[Mapping[str, Any]], sequence: int) -> str:
    """Give a frame of executions or balances."""
    return encode({"channel": channel, "type": kind, "data": data, "sequence": sequence})


def open_order(order: ExchangeOrder) -> dict[str, Any]:
    """Give an order in full: a snapshot row, and the body of `pending_new`."""
    submit, terms = order.submit, order.terms
    row: dict[str, Any] = {
        "order_id": order.order_id,
        "order_userref": terms.userref,
        "symbol": submit.instrument,
        "side": submit.side,
        "order_type": submit.order_type,
        "order_qty": number(order.quantity),
        "cum_qty": number(order.filled),
        "cum_cost": number(order.cost),
        "avg_price": number(order.average_price),
        "time_in_force": submit.time_in_force.upper(),
        "margin": submit.margin,
        "post_only": submit.post_only,
        "reduce_only": submit.reduce_only,
        "fee_usd_equiv": number(order.fee),
        "fee_ccy_pref": "fciq",
        "timestamp": iso(order.arrived),
    }
    if submit.cl_ord_id:
        row["cl_ord_id"] = submit.cl_ord_id
    if order.limit_price is not None:
        row |= {"limit_price": number(order.limit_price), "limit_price_type": "static"}
    if submit.order_type in TRIGGERED:
        row["stop_price"] = number(order.trigger_price or ZERO)
        row["triggers"] = _triggers(order)
    if submit.expires is not None:
        row["expire_time"] = iso(submit.expires)
    if order.amended:
        row["amended"] = True
    return row | _further(order)


def _further(order: ExchangeOrder) -> dict[str, Any]:
    terms = order.terms
    row: dict[str, Any] = {}
    if order.display is not None:
        row |= {"display_qty": number(order.display), "display_qty_remain": number(order.shown or ZERO)}
    if terms.cash is not None:
        row["cash_order_qty"] = number(terms.cash)
    if terms.parent:
        row["ord_ref_id"] = terms.parent
    if terms.starts is not None:
        row["effective_time"] = iso(terms.starts)
    if terms.liquidation:
        row["liquidated"] = True
    if terms.close is not None:
        row["contingent"] = _contingent(terms.close)
    return row


def _contingent(close: CloseTerms) -> dict[str, Any]:
    row: dict[str, Any] = {"order_type": close.order_type}
    for name, price, offset in (
        ("trigger_price", close.trigger_price, close.trigger_offset),
        ("limit_price", close.limit_price, close.limit_offset),
    ):
        if price is not None or offset is not None:
            row[name] = number(price if price is not None else offset.value if offset else ZERO)
            row[f"{name}_type"] = _price_type(offset)
    return row


def _price_type(offset: Offset | None) -> str:
    if offset is None:
        return "static"
    return "pct" if offset.percent else "quote"


def snapshot_order(order: ExchangeOrder) -> dict[str, Any]:
    """Give an open order as the executions snapshot lists it."""
    state = "pending_new" if order.waits_for_trigger or order.dormant else "new"
    return {
        **open_order(order),
        "exec_type": state,
        "order_status": "partially_filled" if order.filled else state,
    }


def snapshot_fill(execution: Execution, fee_asset: str) -> dict[str, Any]:
    """Give a past fill as the executions snapshot lists it."""
    fill = execution.fill
    return {
        **_trade_fields(execution, fee_asset),
        "order_id": fill.order_id,
        "exec_type": "trade",
        "order_status": "filled",
        "timestamp": iso(fill.ts_event),
    }


def executions(change: Change, fee_asset: str) -> list[dict[str, Any]]:
    """Give the reports of one change, each a frame of its own; most are deltas."""
    order = change.order
    if order is None:
        return []
    delta = {
        "order_id": order.order_id,
        "order_userref": order.terms.userref,
        "timestamp": iso(change.ts),
    }
    live = {**delta, "exec_type": "new", "order_status": "new"}
    sums = {
        "cum_qty": number(order.filled),
        "cum_cost": number(order.cost),
        "avg_price": number(order.average_price),
    }
    match change.kind:
        case ChangeKind.ACCEPTED:
            full = {**open_order(order), "exec_type": "pending_new", "order_status": "pending_new"}
            return [full] if order.waits_for_trigger or order.dormant else [full, live]
        case ChangeKind.TRADE if change.execution is not None:
            body = {"exec_type": "trade", "order_status": "partially_filled"}
            return [{**delta, **_trade_fields(change.execution, fee_asset), **body, **sums}]
        case ChangeKind.FILLED | ChangeKind.CANCELED | ChangeKind.EXPIRED:
            ended = {**delta, **sums, "exec_type": change.kind, "order_status": change.kind}
            if order.reason:
                ended |= {"reason": order.reason, "cancel_reason": order.reason}
            return [ended]
        case ChangeKind.AMENDED:
            return [{**open_order(order), **delta, "exec_type": "amended", "order_status": "new"}]
        case ChangeKind.TRIGGERED:
            fired = {**delta, "exec_type": "status", "order_status": "new", "triggers": _triggers(order)}
            return [fired, live]
        case ChangeKind.MOVED:
            state = {"exec_type": "status", "order_status": "pending_new"}
            return [{**delta, **state, "triggers": _triggers(order)}]
        case ChangeKind.REFILLED:
            shown = {"display_qty_remain": number(order.shown or ZERO)}
            return [{**delta, **sums, **shown, "exec_type": "iceberg_refill", "order_status": "new"}]
        case ChangeKind.STARTED:
            return [live]
        case _:
            return []


def _trade_fields(execution: Execution, fee_asset: str) -> dict[str, Any]:
    fill = execution.fill
    told_in_base = fill.instrument.startswith(f"{fee_asset}/")
    fee = round(fill.fee / fill.price, _BASE_PLACES) if told_in_base else fill.fee
    row = {
        "exec_id": fill.exec_id,
        "trade_id": zlib.crc32(fill.exec_id.encode()),
        "symbol": fill.instrument,
        "side": fill.side,
        "order_type": execution.order.submit.order_type,
        "last_qty": number(fill.quantity),
        "last_price": number(fill.price),
        "liquidity_ind": "m" if fill.maker else "t",
        "cost": number(fill.price * fill.quantity),
        "fee_usd_equiv": number(fill.fee),
        "fees": [{"asset": fee_asset, "qty": number(fee)}],
    }
    if execution.opened is not None:
        row |= {"margin_borrow": True, "position_status": "opened"}
    elif execution.closed:
        row["position_status"] = "closed"
    if execution.order.terms.liquidation:
        row["liquidated"] = True
    return row


def _triggers(order: ExchangeOrder) -> dict[str, Any]:
    offset = order.terms.trigger_offset
    trailing = order.submit.order_type in TRAILING and offset is not None
    row: dict[str, Any] = {
        "reference": "index" if order.terms.index else "last",
        "price": number(offset.value if trailing and offset is not None else order.trigger_price or ZERO),
        "price_type": _price_type(offset) if trailing else "static",
        "status": "triggered" if order.triggered else "untriggered",
    }
    if trailing:
        row["actual_price"] = number(order.trigger_price or ZERO)
        row["peak_price"] = number(order.peak or ZERO)
    return row


def balance_rows(balances: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """Give the balances snapshot."""
    return [
        {
            "asset": asset,
            "asset_class": "currency",
            "balance": number(amount),
            "wallets": [{"type": "spot", "id": "main", "balance": number(amount)}],
        }
        for asset, amount in balances.items()
    ]


_CATEGORIES = {
    "trade": "trade",
    "margin": "margin-trade",
    "rollover": "marginrollover",
    "settled": "margin-settle",
}


def ledger_line(line: LedgerLine) -> dict[str, Any]:
    """Give one leg of a movement as the balances channel tells it."""
    return {
        "ledger_id": line.ledger_id,
        "ref_id": line.ref_id,
        "timestamp": iso(line.ts),
        "type": line.kind,
        "asset": line.asset,
        "asset_class": "currency",
        "category": _CATEGORIES[line.kind],
        "wallet_type": "spot",
        "wallet_id": "main",
        "amount": number(_rounded(line.amount)),
        "fee": number(_rounded(line.fee)),
        "balance": number(_rounded(line.balance)),
    }


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(GRID)
