"""Private REST answers of the loopback venue, as values.

Must not know HTTP, signatures or sockets. Called by venue.loopback_rest once a call is proved to
come from an account. Orders take the same road as on WS; their answer comes with the exchange's.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.clock import SECOND, Clock
from core.events import Fill
from core.orders import CancelOrder, OrderState, OrderType, SubmitOrder
from core.portfolio import Position
from venue.exchange import Exchange
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_orders import ZERO, Change, ExchangeOrder, identifier
from venue.loopback_changes import Changes
from venue.loopback_keys import KeyRing
from venue.loopback_names import asset_id, find_pair, pair_name
from venue.loopback_orders import rest_submit
from venue.loopback_rest_public import RestError, leverage_text

_PAGE = 50
_TOKEN_EXPIRES_S = 900
_GRID = Decimal("1E-8")
_STATUS = {
    OrderState.WORKING: "open",
    OrderState.FILLED: "closed",
    OrderState.CANCELED: "canceled",
    OrderState.EXPIRED: "expired",
}
Form = Mapping[str, str]


class PrivateAnswers:
    """Answers about one account, and its order requests."""

    def __init__(
        self, exchange: Exchange, changes: Changes, keys: KeyRing, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._changes = changes
        self._keys = keys
        self._clock = clock
        self._wake = wake
        self.methods: dict[str, Callable[[str, Form], Any]] = {
            "GetApiKeyInfo": self._key_info,
            "GetWebSocketsToken": self._token,
            "Balance": self._balance,
            "BalanceEx": self._balance_extended,
            "TradeBalance": self._trade_balance,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades_history,
            "OpenPositions": self._open_positions,
        }
        self.orders: dict[str, Callable[[str, Form], Awaitable[Any]]] = {
            "AddOrder": self._add_order,
            "CancelOrder": self._cancel_order,
            "CancelAll": self._cancel_all,
        }

    # ---- money ----

    def _token(self, account: str, form: Form) -> Any:
        token = self._keys.issue(account, self._clock.monotonic())
        return {"token": token, "expires": _TOKEN_EXPIRES_S}

    def _key_info(self, account: str, form: Form) -> Any:
        return self._keys.describe(account)

    def _balance(self, account: str, form: Form) -> Any:
        return {asset_id(asset): _text(amount) for asset, amount in self._holdings(account).items()}

    def _balance_extended(self, account: str, form: Form) -> Any:
        book, listed = self._exchange.account(account), self._exchange.instruments
        return {
            asset_id(asset): {"balance": _text(amount), "hold_trade": _text(book.holds(asset, listed))}
            for asset, amount in self._holdings(account).items()
        }

    def _holdings(self, account: str) -> dict[str, Decimal]:
        book = self._exchange.account(account)
        quotes = dict.fromkeys(i.quote for i in self._exchange.instruments.values())
        return dict.fromkeys(quotes, book.portfolio.cash) | book.assets

    def _trade_balance(self, account: str, form: Form) -> Any:
        book, marks = self._exchange.account(account), self._exchange.marks(account)
        cash, equity = book.portfolio.cash, book.portfolio.equity(marks)
        used = book.used_margin(self._exchange.instruments)
        cost = sum((p.cost for p in book.portfolio.positions.values()), ZERO)
        figures = {
            "eb": cash,
            "tb": cash,
            "m": used,
            "n": equity - cash,
            "c": cost,
            "v": book.portfolio.notional(marks),
            "e": equity,
            "mf": equity - used,
            "uv": ZERO,
        }
        level = {"ml": f"{equity / used * 100:.2f}"} if used else {}
        return {name: _text(value) for name, value in figures.items()} | level

    # ---- orders ----

    def _open_orders(self, account: str, form: Form) -> Any:
        wanted = form.get("cl_ord_id")
        book = self._exchange.account(account)
        rows = [o for o in book.open.values() if wanted in (None, "", o.submit.cl_ord_id)]
        return {"open": self._rows(rows)}

    def _closed_orders(self, account: str, form: Form) -> Any:
        wanted, since = form.get("cl_ord_id"), _seconds(form.get("start"))
        rows = [
            order
            for order in reversed(self._exchange.account(account).closed)
            if order.closed > since and wanted in (None, "", order.submit.cl_ord_id)
        ]
        offset = _offset(form)
        return {"closed": self._rows(rows[offset : offset + _PAGE]), "count": len(rows)}

    def _query_orders(self, account: str, form: Form) -> Any:
        book = self._exchange.account(account)
        keys = [key for key in (form.get("txid") or form.get("cl_ord_id") or "").split(",") if key]
        found = [order for key in keys[:_PAGE] if (order := book.find(key)) is not None]
        if not found:
            raise RestError("EOrder:Unknown order" if keys else "EGeneral:Invalid arguments")
        return self._rows(found)

    def _rows(self, orders: Iterable[ExchangeOrder]) -> dict[str, Any]:
        return {order.order_id: self._row(order) for order in orders}

    def _row(self, order: ExchangeOrder) -> dict[str, Any]:
        submit, pair = order.submit, self._exchange.instruments[order.submit.instrument]
        price = order.limit_price if order.limit_price is not None else order.trigger_price
        ratio = leverage_text(pair, margin=submit.margin)
        row: dict[str, Any] = {
            "refid": None,
            "userref": 0,
            "cl_ord_id": submit.cl_ord_id or None,
            "status": _STATUS[order.state],
            "opentm": order.arrived / SECOND,
            "starttm": 0,
            "expiretm": (submit.expires or 0) / SECOND,
            "descr": {
                "pair": pair_name(pair).altname,
                "type": submit.side,
                "ordertype": submit.order_type,
                "price": f"{price or 0:f}",
                "price2": "0",
                "leverage": ratio,
                "order": _described(submit, pair_name(pair).altname, ratio),
                "close": "",
            },
            "vol": f"{order.quantity:f}",
            "vol_exec": f"{order.filled:f}",
            "cost": _text(order.cost),
            "fee": _text(order.fee),
            "price": _text(order.average_price),
            "stopprice": f"{order.trigger_price or 0:f}",
            "limitprice": f"{order.limit_price or 0:f}",
            "misc": "amended" if order.amended else "",
            "oflags": "fciq,post" if submit.post_only else "fciq",
            "reduce_only": submit.reduce_only,
        }
        if submit.order_type is not OrderType.LIMIT and order.trigger_price is not None:
            row["trigger"] = "last"
        if order.exec_ids:
            row["trades"] = order.exec_ids
        if order.closed:
            row |= {"reason": order.reason or None, "closetm": order.closed / SECOND}
        return row

    # ---- fills and positions ----

    def _trades_history(self, account: str, form: Form) -> Any:
        since = _seconds(form.get("start"))
        book = self._exchange.account(account)
        fills = [fill for fill in reversed(book.fills) if fill.ts_event > since]
        offset = _offset(form)
        rows = {fill.exec_id: self._fill(book, fill) for fill in fills[offset : offset + _PAGE]}
        return {"count": len(fills), "trades": rows}

    def _fill(self, book: ExchangeAccount, fill: Fill) -> dict[str, Any]:
        pair = self._exchange.instruments[fill.instrument]
        order = book.find(fill.order_id)
        cost = fill.price * fill.quantity
        margin = cost / leverage(pair) if order is not None and order.submit.margin else ZERO
        return {
            "ordertxid": fill.order_id,
            "postxid": _position_id(fill.instrument),
            "pair": pair_name(pair).key,
            "time": fill.ts_event / SECOND,
            "type": fill.side,
            "ordertype": order.submit.order_type if order is not None else "limit",
            "price": f"{fill.price:f}",
            "cost": _text(cost),
            "fee": _text(fill.fee),
            "vol": f"{fill.quantity:f}",
            "margin": _text(margin),
            "misc": "",
            "trade_id": zlib.crc32(fill.exec_id.encode()),
            "maker": fill.maker,
            "cl_ord_id": fill.cl_ord_id or None,
        }

    def _open_positions(self, account: str, form: Form) -> Any:
        book, marks = self._exchange.account(account), self._exchange.marks(account)
        return {
            _position_id(held.instrument): self._position(held, marks)
            for held in book.portfolio.positions.values()
        }

    def _position(self, held: Position, marks: Mapping[str, Decimal]) -> dict[str, Any]:
        pair = self._exchange.instruments[held.instrument]
        mark = marks.get(held.instrument, held.entry_price)
        return {
            "ordertxid": _position_id(held.instrument),
            "posstatus": "open",
            "pair": pair_name(pair).key,
            "time": held.opened / SECOND,
            "type": "buy" if held.quantity > 0 else "sell",
            "ordertype": "limit",
            "cost": _text(held.cost),
            "fee": _text(held.fees),
            "vol": f"{abs(held.quantity):f}",
            "vol_closed": f"{ZERO.quantize(pair.quantity_increment):f}",
            "margin": _text(held.cost / leverage(pair)),
            "value": _text(abs(held.quantity) * mark),
            "net": f"{held.unrealised(mark):+.8f}",
            "terms": "0.0100% per 4 hours",
            "rollovertm": str(held.opened // SECOND + 4 * 3600),
            "misc": "",
            "oflags": "",
        }

    # ---- requests ----

    async def _add_order(self, account: str, form: Form) -> Any:
        pair = find_pair(form.get("pair", ""), self._exchange.instruments)
        if pair is None:
            raise RestError("EQuery:Unknown asset pair")
        now = self._clock.now()
        order = rest_submit(form, pair.symbol, account, now)
        if isinstance(order, str):
            raise RestError(order)
        ratio = leverage_text(pair, margin=order.margin)
        descr = {"descr": {"order": _described(order, pair_name(pair).altname, ratio)}}
        if form.get("validate", "false").lower() not in ("", "0", "false"):
            return descr  # clients send `validate=False` and mean it
        change = await self._outcome(self._exchange.submit(order, now))
        return descr | {"txid": [change.order.order_id] if change.order is not None else []}

    async def _cancel_order(self, account: str, form: Form) -> Any:
        key = form.get("txid") or form.get("cl_ord_id") or ""
        cancel = CancelOrder(account, "", key, "")
        await self._outcome(self._exchange.cancel(cancel, self._clock.now()))
        return {"count": 1}

    async def _cancel_all(self, account: str, form: Form) -> Any:
        change = await self._outcome(self._exchange.cancel_all(account, self._clock.now()))
        return {"count": change.count}

    async def _outcome(self, request: int) -> Change:
        answer: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._changes.expect(request, lambda change: None if answer.done() else answer.set_result(change))
        self._wake()
        change = await answer
        if change.error:
            raise RestError(change.error)
        return change


def _described(submit: SubmitOrder, altname: str, ratio: str) -> str:
    price = submit.limit_price if submit.limit_price is not None else submit.trigger_price
    worth = "market" if price is None else f"{submit.order_type.replace('-', ' ')} {price:f}"
    suffix = "" if ratio == "none" else f" with {ratio} leverage"
    return f"{submit.side} {submit.quantity:f} {altname} @ {worth}{suffix}"


def _position_id(symbol: str) -> str:
    """Give the id of the one net position of a pair."""
    return identifier("T", zlib.crc32(symbol.encode()))


def _text(value: Decimal) -> str:
    return f"{value.quantize(_GRID):f}"


def _seconds(text: str | None) -> int:
    """Read a unix time with decimals; anything else, such as a txid, means from the beginning."""
    head, _, fraction = (text or "0").partition(".")
    return int(head) * SECOND + int(fraction.ljust(9, "0")[:9] or 0) if head.isdigit() else 0


def _offset(form: Form) -> int:
    text = form.get("ofs", "0")
    return int(text) if text.isdigit() else 0
