"""Private REST answers about what was: orders, fills, ledger lines, page by page.

Must not know HTTP, signatures or how orders are placed. Called by venue.loopback_rest_private.
Pages hold 50, the newest first; https://docs.kraken.com/api/docs/rest-api/get-closed-orders,
get-orders-info, get-trade-history, get-trades-info, get-ledgers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from core.clock import SECOND
from venue.exchange import Exchange
from venue.exchange_account import ExchangeAccount
from venue.exchange_orders import ExchangeOrder, Execution, LedgerLine
from venue.loopback_names import find_asset
from venue.loopback_rest_public import RestError
from venue.loopback_rest_rows import ledger_row, order_row, trade_row

_PAGE = 50
_LEDGER_IDS = 20
_FOREVER = 1 << 62
Form = Mapping[str, str]


class HistoryAnswers:
    """Answers about one account's past and open orders."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.methods: dict[str, Callable[[str, Form], Any]] = {
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades_history,
            "QueryTrades": self._query_trades,
            "Ledgers": self._ledgers,
            "QueryLedgers": self._query_ledgers,
        }

    # ---- orders ----

    def _open_orders(self, account: str, form: Form) -> Any:
        book = self._exchange.account(account)
        return {"open": self._rows(order for order in book.open.values() if _matches(order, form))}

    def _closed_orders(self, account: str, form: Form) -> Any:
        book = self._exchange.account(account)
        after, until = _span(form, book)
        by = form.get("closetime", "both")
        if by not in ("open", "close", "both"):
            raise RestError("EGeneral:Invalid arguments:closetime")

        def inside(order: ExchangeOrder) -> bool:
            times = {"open": order.arrived, "close": order.closed}
            return any(after < ts <= until for name, ts in times.items() if by in ("both", name))

        found = [order for order in reversed(book.closed) if inside(order) and _matches(order, form)]
        return {"closed": self._rows(_page(found, form))} | _count(found, form)

    def _query_orders(self, account: str, form: Form) -> Any:
        book = self._exchange.account(account)
        keys = _names(form, "txid") or _names(form, "cl_ord_id")
        if not keys or len(keys) > _PAGE:
            raise RestError("EGeneral:Invalid arguments")
        found = [order for key in keys if (order := book.find(key)) is not None]
        if form.get("userref"):
            found = [order for order in found if str(order.terms.userref) == form["userref"]]
        if not found:
            raise RestError("EOrder:Unknown order")
        return self._rows(found)

    def _rows(self, orders: Iterable[ExchangeOrder]) -> dict[str, Any]:
        listed = self._exchange.instruments
        return {order.order_id: order_row(order, listed[order.submit.instrument]) for order in orders}

    # ---- fills ----

    def _trades_history(self, account: str, form: Form) -> Any:
        book = self._exchange.account(account)
        after, until = _span(form, book)
        wanted = _KINDS.get(form.get("type", "all"))
        if wanted is None:
            raise RestError("EGeneral:Invalid arguments:type")
        found = [one for one in book.executions if after < one.fill.ts_event <= until and wanted(one)]
        if form.get("consolidate_taker", "true").lower() != "false":
            found = _consolidated(found)
        found.reverse()
        return {"trades": self._trades(_page(found, form))} | _count(found, form)

    def _query_trades(self, account: str, form: Form) -> Any:
        keys = _names(form, "txid")
        if not keys or len(keys) > _PAGE:
            raise RestError("EGeneral:Invalid arguments")
        book = self._exchange.account(account)
        return self._trades(one for one in book.executions if one.fill.exec_id in keys)

    def _trades(self, executions: Iterable[Execution]) -> dict[str, Any]:
        listed = self._exchange.instruments
        return {one.fill.exec_id: trade_row(one, listed[one.fill.instrument]) for one in executions}

    # ---- ledger ----

    def _ledgers(self, account: str, form: Form) -> Any:
        book, listed = self._exchange.account(account), self._exchange.instruments
        after, until = _span(form, book)
        assets = dict.fromkeys(a for i in listed.values() for a in (i.base, i.quote))
        names = [text for text in _names(form, "asset") if text != "all"]
        wanted = {asset for text in names if (asset := find_asset(text, assets)) is not None}
        if names and not wanted:
            raise RestError("EQuery:Unknown asset")
        kind = form.get("type", "all")
        found = [
            line
            for line in reversed(book.ledger)
            if after < line.ts <= until
            and kind in ("all", line.kind)
            and (not wanted or line.asset in wanted)
        ]
        return {"ledger": _lines(_page(found, form))} | _count(found, form)

    def _query_ledgers(self, account: str, form: Form) -> Any:
        keys = _names(form, "id")
        if not keys or len(keys) > _LEDGER_IDS:
            raise RestError("EGeneral:Invalid arguments")
        return _lines(line for line in self._exchange.account(account).ledger if line.ledger_id in keys)


_KINDS: dict[str, Callable[[Execution], bool]] = {
    "all": lambda one: one.leverage >= 0,
    "any position": lambda one: one.leverage > 0,
    "closed position": lambda one: one.opened is not None and not one.opened.remaining,
    "closing position": lambda one: bool(one.closed),
    "no position": lambda one: one.leverage == 0,
}


def _consolidated(executions: Iterable[Execution]) -> list[Execution]:
    """Merge the taker fills of an order that follow each other; the first one's id stands for all."""
    merged: list[Execution] = []
    for one in executions:
        before = merged[-1] if merged else None
        same = before is not None and before.fill.order_id == one.fill.order_id
        if before is None or not same or one.fill.maker or before.fill.maker:
            merged.append(one)
            continue
        quantity = before.fill.quantity + one.fill.quantity
        worth = before.fill.quantity * before.fill.price + one.fill.quantity * one.fill.price
        sums = {"quantity": quantity, "price": round(worth / quantity, 10)}
        fill = msgspec.structs.replace(before.fill, fee=before.fill.fee + one.fill.fee, **sums)
        merged[-1] = msgspec.structs.replace(before, fill=fill, margin=before.margin + one.margin)
    return merged


def _lines(lines: Iterable[LedgerLine]) -> dict[str, Any]:
    return {line.ledger_id: ledger_row(line) for line in lines}


def _matches(order: ExchangeOrder, form: Form) -> bool:
    reference = form.get("userref", "")
    named = form.get("cl_ord_id") in (None, "", order.submit.cl_ord_id)
    return named and reference in ("", str(order.terms.userref))


def _names(form: Form, field: str) -> list[str]:
    return [part.strip() for part in form.get(field, "").split(",") if part.strip()]


def _page(found: list[Any], form: Form) -> list[Any]:
    text = form.get("ofs", "0") or "0"
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise RestError("EGeneral:Invalid arguments:ofs")
    return found[int(text) : int(text) + _PAGE]


def _count(found: list[Any], form: Form) -> dict[str, int]:
    return {} if form.get("without_count", "").lower() == "true" else {"count": len(found)}


def _span(form: Form, book: ExchangeAccount) -> tuple[int, int]:
    """Give the times between which rows are wanted: `start` is exclusive, `end` inclusive."""
    return _time(form.get("start"), book, 0), _time(form.get("end"), book, _FOREVER)


def _time(text: str | None, book: ExchangeAccount, default: int) -> int:
    """Read unix seconds with decimals, or the id of an order or a fill, which stands for its time."""
    if not text:
        return default
    head, _, fraction = text.partition(".")
    digits = head + fraction
    if digits.isascii() and digits.isdigit() and len(head) < 13:
        return int(head or 0) * SECOND + int(fraction.ljust(9, "0")[:9])
    order = book.find(text)
    if order is not None:
        return order.arrived
    fills = (one.fill.ts_event for one in book.executions if one.fill.exec_id == text)
    return next(fills, default)
