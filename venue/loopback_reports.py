"""Executions and balances of the loopback venue, shaped like Kraken's documented samples.

Must not know the client's decoder (`venue.wire`) or who listens. Called by the private desk. Most
executions are deltas: only the first report of an order is whole.
"""

import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.events import Fill
from core.text import iso
from venue.exchange_orders import Change, ChangeKind, ExchangeOrder
from venue.loopback_templates import encode, number


def private(channel: str, kind: str, data: Sequence[Mapping[str, Any]], sequence: int) -> str:
    """Give a frame of executions or balances."""
    return encode({"channel": channel, "type": kind, "data": data, "sequence": sequence})


def open_order(order: ExchangeOrder) -> dict[str, Any]:
    """Give an order in full: a snapshot row, and the body of `pending_new`."""
    submit = order.submit
    row: dict[str, Any] = {
        "order_id": order.order_id,
        "order_userref": 0,
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
    if order.trigger_price is not None:
        row["stop_price"] = number(order.trigger_price)
        row["triggers"] = _triggers(order)
    if submit.expires is not None:
        row["expire_time"] = iso(submit.expires)
    if order.amended:
        row["amended"] = True
    return row


def snapshot_order(order: ExchangeOrder) -> dict[str, Any]:
    """Give an open order as the executions snapshot lists it."""
    state = "pending_new" if order.waits_for_trigger else "new"
    return {
        **open_order(order),
        "exec_type": state,
        "order_status": "partially_filled" if order.filled else state,
    }


def snapshot_fill(fill: Fill, quote: str) -> dict[str, Any]:
    """Give a past fill as the executions snapshot lists it."""
    return {
        **_trade_fields(fill, quote),
        "order_id": fill.order_id,
        "exec_type": "trade",
        "order_status": "filled",
        "timestamp": iso(fill.ts_event),
    }


def executions(change: Change, quote: str) -> list[dict[str, Any]]:
    """Give the reports of one change, each a frame of its own; most are deltas."""
    order = change.order
    if order is None:
        return []
    delta = {"order_id": order.order_id, "order_userref": 0, "timestamp": iso(change.ts)}
    sums = {
        "cum_qty": number(order.filled),
        "cum_cost": number(order.cost),
        "avg_price": number(order.average_price),
    }
    match change.kind:
        case ChangeKind.ACCEPTED:
            full = {**open_order(order), "exec_type": "pending_new", "order_status": "pending_new"}
            live = {**delta, "exec_type": "new", "order_status": "new"}
            return [full] if order.waits_for_trigger else [full, live]
        case ChangeKind.TRADE if change.fill is not None:
            body = {"exec_type": "trade", "order_status": "partially_filled"}
            return [{**delta, **_trade_fields(change.fill, quote), **body, **sums}]
        case ChangeKind.FILLED | ChangeKind.CANCELED | ChangeKind.EXPIRED:
            ended = {**delta, **sums, "exec_type": change.kind, "order_status": change.kind}
            if order.reason:
                ended |= {"reason": order.reason, "cancel_reason": order.reason}
            return [ended]
        case ChangeKind.AMENDED:
            return [{**open_order(order), **delta, "exec_type": "amended", "order_status": "new"}]
        case ChangeKind.TRIGGERED:
            fired = {**delta, "exec_type": "status", "order_status": "new", "triggers": _triggers(order)}
            return [fired, {**delta, "exec_type": "new", "order_status": "new"}]
        case _:
            return []


def _trade_fields(fill: Fill, quote: str) -> dict[str, Any]:
    return {
        "exec_id": fill.exec_id,
        "trade_id": zlib.crc32(fill.exec_id.encode()),
        "symbol": fill.instrument,
        "side": fill.side,
        "last_qty": number(fill.quantity),
        "last_price": number(fill.price),
        "liquidity_ind": "m" if fill.maker else "t",
        "cost": number(fill.price * fill.quantity),
        "fee_usd_equiv": number(fill.fee),
        "fees": [{"asset": quote, "qty": number(fill.fee)}],
    }


def _triggers(order: ExchangeOrder) -> dict[str, Any]:
    return {
        "reference": "last",
        "price": number(order.trigger_price or Decimal(0)),
        "price_type": "static",
        "status": "triggered" if order.triggered else "untriggered",
    }


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


def ledger_line(
    fill: Fill, asset: str, amount: Decimal, *, fee: Decimal, balance: Decimal, margin: bool
) -> dict[str, Any]:
    """Give one leg of a trade as the balances channel tells it."""
    return {
        "ledger_id": f"L{fill.exec_id[1:]}",
        "ref_id": fill.exec_id,
        "timestamp": iso(fill.ts_event),
        "type": "margin" if margin else "trade",
        "asset": asset,
        "asset_class": "currency",
        "category": "margin-trade" if margin else "trade",
        "wallet_type": "spot",
        "wallet_id": "main",
        "amount": number(amount),
        "fee": number(fee),
        "balance": number(balance),
    }
