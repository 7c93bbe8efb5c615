"""Orders, fills, positions and ledger lines as private REST rows.

Must not know accounts, forms or HTTP. Called by the loopback's REST desks. Shapes are those of
https://docs.kraken.com/api/docs/rest-api/get-open-orders, get-trade-history, get-open-positions.
"""

import zlib
from decimal import Decimal
from typing import Any, NamedTuple

from core.clock import SECOND
from core.instrument import Instrument
from core.orders import OrderState, OrderType, SubmitOrder
from venue.exchange_account import leverage
from venue.exchange_orders import ZERO, ExchangeOrder, Execution, LedgerLine
from venue.exchange_positions import MarginPosition
from venue.exchange_terms import LIMITED, PROFIT, TRAILING, TRIGGERED, CloseTerms, Offset, Terms
from venue.loopback_names import asset_id, pair_name

GRID = Decimal("1E-8")
_PERCENT = 100
_STATUS = {
    OrderState.WORKING: "open",
    OrderState.FILLED: "closed",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "expired",
}


class _Priced(NamedTuple):
    """What the prices of an order's description come from; relative ones stay relative."""

    kind: OrderType
    trigger_price: Decimal | None
    limit_price: Decimal | None
    terms: Terms


def money(value: Decimal) -> str:
    """Give an amount as text."""
    return f"{value.quantize(GRID):f}"


def lots(value: Decimal, pair: Instrument) -> str:
    """Give a quantity with all the decimals of its pair."""
    return f"{value:.{pair.quantity_precision}f}"


def ratio_text(submit: SubmitOrder, terms: Terms, pair: Instrument) -> str:
    """Give leverage as REST spells it."""
    return f"{terms.leverage or leverage(pair)}:1" if submit.margin else "none"


def order_row(order: ExchangeOrder, pair: Instrument) -> dict[str, Any]:
    """Give an order; one that is closed tells why and when."""
    submit, terms = order.submit, order.terms
    trigger = None if submit.order_type in TRAILING else order.trigger_price
    first, second = _prices(_Priced(submit.order_type, trigger, order.limit_price, terms))
    ratio = ratio_text(submit, terms, pair)
    row: dict[str, Any] = {
        "refid": terms.parent or None,
        "userref": terms.userref,
        "cl_ord_id": submit.cl_ord_id or None,
        "status": "pending" if order.dormant and not order.closed else _STATUS[order.state],
        "opentm": order.arrived / SECOND,
        "starttm": (terms.starts or 0) / SECOND,
        "expiretm": (submit.expires or 0) / SECOND,
        "descr": {
            "pair": pair_name(pair).altname,
            "type": submit.side,
            "ordertype": submit.order_type,
            "price": first,
            "price2": second,
            "leverage": ratio,
            "order": described(submit, terms, pair),
            "close": close_text(terms.close),
        },
        "vol": lots(order.quantity, pair),
        "vol_exec": lots(order.filled, pair),
        "cost": money(order.cost),
        "fee": money(order.fee),
        "price": money(order.average_price),
        "stopprice": f"{order.trigger_price or 0:f}",
        "limitprice": f"{order.limit_price or 0:f}",
        "misc": _misc(order),
        "oflags": "fciq,post" if submit.post_only else "fciq",
        "reduce_only": submit.reduce_only,
    }
    if submit.order_type in TRIGGERED:
        row["trigger"] = "index" if terms.index else "last"
    if order.display is not None:
        row["displayvol"] = lots(order.display, pair)
    if order.exec_ids:
        row["trades"] = list(order.exec_ids)
    if order.closed:
        row |= {"reason": order.reason or None, "closetm": order.closed / SECOND}
    return row


def _misc(order: ExchangeOrder) -> str:
    notes = {
        "stopped": order.triggered and order.submit.order_type not in PROFIT,
        "touched": order.triggered and order.submit.order_type in PROFIT,
        "liquidated": order.terms.liquidation,
        "partial": bool(order.closed) and ZERO < order.filled < order.quantity,
        "amended": order.amended,
    }
    return ",".join(note for note, true in notes.items() if true)


def _prices(order: _Priced) -> tuple[str, str]:
    first = _price(order.trigger_price, order.terms.trigger_offset)
    second = _price(order.limit_price, order.terms.limit_offset)
    return (first, second) if order.kind in TRIGGERED else (second, "0")


def _price(price: Decimal | None, offset: Offset | None) -> str:
    if offset is None or price is not None:
        return f"{price or 0:f}"
    number = f"#{offset.value:f}" if offset.directed else f"{offset.value:+f}"
    return f"{number}%" if offset.percent else number


def described(submit: SubmitOrder, terms: Terms, pair: Instrument) -> str:
    """Give an order as a sentence: `buy 1.25000000 XBTUSD @ limit 30010.0 with 5:1 leverage`."""
    ratio = ratio_text(submit, terms, pair)
    suffix = "" if ratio == "none" else f" with {ratio} leverage"
    worth = _worth(_Priced(submit.order_type, submit.trigger_price, submit.limit_price, terms))
    return f"{submit.side} {lots(submit.quantity, pair)} {pair_name(pair).altname} @ {worth}{suffix}"


def close_text(close: CloseTerms | None) -> str:
    """Give a conditional close as a sentence, empty if there is none."""
    if close is None:
        return ""
    terms = Terms(limit_offset=close.limit_offset, trigger_offset=close.trigger_offset)
    worth = _worth(_Priced(close.order_type, close.trigger_price, close.limit_price, terms))
    return f"close position @ {worth}"


def _worth(order: _Priced) -> str:
    first, second = _prices(order)
    if order.kind not in TRIGGERED:
        words = order.kind.replace("-", " ")
        return words if first == "0" else f"{words} {first}"
    words = order.kind.removesuffix("-limit").replace("-", " ")
    return f"{words} {first} -> limit {second}" if order.kind in LIMITED else f"{words} {first}"


def trade_row(execution: Execution, pair: Instrument) -> dict[str, Any]:
    """Give a fill; one that opened a position tells how that stands."""
    fill, opened = execution.fill, execution.opened
    cost = fill.price * fill.quantity
    position = opened.position_id if opened is not None else next(iter(execution.closed), fill.exec_id)
    notes = ["closing"] * bool(execution.closed) + ["liquidated"] * execution.order.terms.liquidation
    row: dict[str, Any] = {
        "ordertxid": fill.order_id,
        "postxid": position,
        "pair": pair_name(pair).key,
        "time": fill.ts_event / SECOND,
        "type": fill.side,
        "ordertype": execution.order.submit.order_type,
        "price": f"{fill.price:f}",
        "cost": money(cost),
        "fee": money(fill.fee),
        "vol": lots(fill.quantity, pair),
        "margin": money(execution.margin),
        "leverage": str(execution.leverage),
        "misc": ",".join(notes),
        "trade_id": zlib.crc32(fill.exec_id.encode()),
        "maker": fill.maker,
        "cl_ord_id": fill.cl_ord_id or None,
    }
    return row if opened is None else row | _standing(opened, pair)


def _standing(position: MarginPosition, pair: Instrument) -> dict[str, Any]:
    closed = position.closed
    return {
        "posstatus": "open" if position.remaining else "closed",
        "cprice": money(position.proceeds / closed if closed else ZERO),
        "ccost": money(position.proceeds),
        "cfee": money(position.closing_fee),
        "cvol": lots(closed, pair),
        "cmargin": money(position.cost * closed / position.quantity / position.leverage),
        "net": f"{position.profit.quantize(GRID):+f}",
        "trades": list(position.closing_ids),
    }


def position_row(position: MarginPosition, pair: Instrument, mark: Decimal | None) -> dict[str, Any]:
    """Give a position; with a `mark` also what it is worth."""
    row: dict[str, Any] = {
        "ordertxid": position.order_id,
        "posstatus": "open",
        "pair": pair_name(pair).key,
        "time": position.opened / SECOND,
        "type": position.side,
        "ordertype": position.order_type,
        "cost": money(position.cost),
        "fee": money(position.fee),
        "vol": lots(position.quantity, pair),
        "vol_closed": lots(position.closed, pair),
        "margin": money(position.margin),
        "terms": f"{position.rate * _PERCENT:.4f}% per 4 hours",
        "rollovertm": str(position.rolls // SECOND),
        "misc": "",
        "oflags": "",
    }
    if mark is not None:
        row |= {
            "value": money(position.remaining * mark),
            "net": f"{position.unrealised(mark).quantize(GRID):+f}",
        }
    return row


def ledger_row(line: LedgerLine) -> dict[str, Any]:
    """Give a ledger line."""
    return {
        "refid": line.ref_id,
        "time": line.ts / SECOND,
        "type": line.kind,
        "subtype": "",
        "aclass": "currency",
        "asset": asset_id(line.asset),
        "amount": money(line.amount),
        "fee": money(line.fee),
        "balance": money(line.balance),
    }
