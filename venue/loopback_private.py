"""Private WS v2 desk of the loopback: order requests, executions and balances.

Must not know sockets, the market model or REST. Called by the loopback's connections; news comes
from the exchange through Changes. When a client disconnects its orders and positions stay.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.clock import SECOND, Clock
from core.orders import CancelOrder
from core.text import iso
from venue import loopback_reports as reports
from venue import loopback_templates as templates
from venue.exchange import Exchange
from venue.exchange_orders import Change, ChangeKind
from venue.loopback_changes import Changes
from venue.loopback_connection import Connection
from venue.loopback_keys import KeyRing
from venue.loopback_orders import ws_amend, ws_submit
from venue.loopback_subscriptions import connection_id

_NO_SESSION = "ESession:Invalid session"
_SNAPSHOT_FILLS = 50
_MAX_RATE_COUNT = 125
_CENTS = Decimal("1E-8")
_UNTIL = 86_400


class _Seat(msgspec.Struct):
    """What one connection holds: its account once a subscription is live, and its sequences."""

    connection: Connection
    account: str = ""
    sequences: dict[str, int] = {}


class PrivateDesk:
    """Answers private requests. Mutable: connections, subscriptions, last told cash."""

    def __init__(
        self,
        exchange: Exchange,
        changes: Changes,
        keys: KeyRing,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._changes = changes
        self._keys = keys
        self._clock = clock
        self._wake = wake  # something was sent to the exchange and waits for time to pass
        self._seats: dict[int, _Seat] = {}
        self._cash: dict[str, Decimal] = {}
        changes.listen(self._on_change)

    # ---- connections ----

    def opened(self, connection: Connection) -> None:
        """Greet with the status frame."""
        self._seats[connection.number] = _Seat(connection)
        connection.send(templates.status(connection_id(connection)))

    def closed(self, connection: Connection) -> None:
        """Forget the connection and nothing else."""
        self._seats.pop(connection.number, None)

    def heartbeat(self) -> None:
        """Send the beat of the second."""
        for seat in self._seats.values():
            if seat.connection.beating:
                seat.connection.send(templates.HEARTBEAT)

    def receive(self, connection: Connection, request: dict[str, Any]) -> None:
        """Answer a request, at once or when the exchange has."""
        now, req_id = self._clock.now(), request.get("req_id")
        method, params = request["method"], request["params"]
        if method == "ping":
            connection.send(templates.pong(req_id, now, params))
            return
        seat = self._seats[connection.number]
        held = bool(seat.account)
        account = self._keys.owner(params.get("token"), self._clock.monotonic(), held=held)
        ask = _Ask(connection, method, req_id, now, self._clock)
        if not account or (held and seat.account != account):
            ask.refuse(_NO_SESSION)
            return
        if not self._keys.permits(params.get("token"), method):
            ask.refuse("EGeneral:Permission denied")
            return
        match method:
            case "subscribe":
                self._subscribe(seat, account, params, ask)
            case "unsubscribe":
                self._unsubscribe(seat, params, ask)
            case "add_order":
                self._add(account, params, ask)
            case "amend_order":
                self._amend(account, params, ask)
            case "cancel_order":
                self._cancel(account, params, ask)
            case "cancel_all":
                request_number = self._exchange.cancel_all(account, now)
                self._expect(request_number, lambda c: ask.succeed({"count": c.count}))
            case "cancel_all_orders_after":
                self._cancel_after(account, params, ask)
            case _:
                ask.refuse("Unsupported event")

    # ---- subscriptions ----

    def _subscribe(self, seat: _Seat, account: str, params: Mapping[str, Any], ask: "_Ask") -> None:
        channel = params.get("channel")
        if channel == "executions":
            orders, fills = bool(params.get("snap_orders", True)), bool(params.get("snap_trades", False))
            ask.succeed(
                {
                    "channel": channel,
                    "maxratecount": _MAX_RATE_COUNT,
                    "snap_orders": orders,
                    "snap_trades": fills,
                }
            )
            rows = self._executions_snapshot(account, orders=orders, fills=fills)
        elif channel == "balances":
            ask.succeed({"channel": channel, "snapshot": bool(params.get("snapshot", True))})
            rows = reports.balance_rows(self._balances(account))
        else:
            ask.refuse("Unsupported channel")
            return
        seat.account = account
        seat.connection.beating = True
        seat.sequences[channel] = 0
        self._cash.setdefault(account, self._exchange.account(account).portfolio.cash)
        self._push(seat, channel, "snapshot", rows)

    def _unsubscribe(self, seat: _Seat, params: Mapping[str, Any], ask: "_Ask") -> None:
        if seat.sequences.pop(str(params.get("channel")), None) is None:
            ask.refuse("Subscription not found")
        else:
            ask.succeed({"channel": params["channel"]})

    def _executions_snapshot(self, account: str, *, orders: bool, fills: bool) -> list[dict[str, Any]]:
        book = self._exchange.account(account)
        rows = [reports.snapshot_order(order) for order in book.open.values()] if orders else []
        recent = list(book.fills)[-_SNAPSHOT_FILLS:] if fills else []
        return rows + [reports.snapshot_fill(fill, self._quote(fill.instrument)) for fill in recent]

    def _balances(self, account: str) -> dict[str, Decimal]:
        book = self._exchange.account(account)
        quotes = dict.fromkeys(i.quote for i in self._exchange.instruments.values())
        return {quote: book.portfolio.cash.quantize(_CENTS) for quote in quotes} | book.assets

    # ---- requests ----

    def _add(self, account: str, params: Mapping[str, Any], ask: "_Ask") -> None:
        order = ws_submit(params, account, ask.now)
        if isinstance(order, str):
            ask.refuse(order)
        elif params.get("validate"):
            ask.succeed({"order_id": ""})
        else:
            self._expect(self._exchange.submit(order, ask.now), ask.identified)

    def _amend(self, account: str, params: Mapping[str, Any], ask: "_Ask") -> None:
        amend = ws_amend(params, account, ask.now)
        if isinstance(amend, str):
            ask.refuse(amend)
            return
        self._expect(self._exchange.amend(amend, ask.now), ask.identified)

    def _cancel(self, account: str, params: Mapping[str, Any], ask: "_Ask") -> None:
        lists = [params.get("order_id", []), params.get("cl_ord_id", [])]
        ids = [key for keys in lists if isinstance(keys, list) for key in keys]
        if not ids:
            ask.refuse("EGeneral:Invalid arguments:order_id")
        for key in ids:
            cancel = CancelOrder(account, "", str(key), "")
            self._expect(self._exchange.cancel(cancel, ask.now), ask.identified)

    def _cancel_after(self, account: str, params: Mapping[str, Any], ask: "_Ask") -> None:
        timeout = params.get("timeout")
        if not isinstance(timeout, int) or not 0 <= timeout < _UNTIL:
            ask.refuse("EGeneral:Invalid arguments:timeout")
            return
        number = self._exchange.cancel_all_after(account, timeout * SECOND, ask.now)
        self._expect(number, lambda change: ask.succeed(_switch_result(change.ts, timeout)))

    def _expect(self, number: int, answer: Callable[[Change], None]) -> None:
        self._changes.expect(number, answer)
        self._wake()

    # ---- news ----

    def _on_change(self, change: Change) -> None:
        if change.order is None:
            return
        seats = [seat for seat in self._seats.values() if seat.account == change.account and seat.sequences]
        if not seats:
            self._cash.pop(change.account, None)
            return
        rows = reports.executions(change, self._quote(change.order.submit.instrument))
        ledger = self._ledger(change) if change.kind is ChangeKind.TRADE else []
        for seat in seats:
            for channel, lines in (("executions", rows), ("balances", ledger)):
                for row in lines if channel in seat.sequences else ():
                    self._push(seat, channel, "update", [row])

    def _ledger(self, change: Change) -> list[dict[str, Any]]:
        fill, order = change.fill, change.order
        if fill is None or order is None:
            return []
        book, instrument = self._exchange.account(change.account), self._exchange.instruments[fill.instrument]
        cash, margin = book.portfolio.cash, order.submit.margin
        moved = cash - self._cash.get(change.account, cash) + fill.fee
        self._cash[change.account] = cash
        money = reports.ledger_line(
            fill,
            instrument.quote,
            moved.quantize(_CENTS),
            fee=fill.fee,
            balance=cash.quantize(_CENTS),
            margin=margin,
        )
        if margin:
            return [money]
        held = book.assets[instrument.base]
        got = fill.quantity * fill.side.sign
        return [
            reports.ledger_line(fill, instrument.base, got, fee=Decimal(0), balance=held, margin=False),
            money,
        ]

    def _push(self, seat: _Seat, channel: str, kind: str, rows: list[dict[str, Any]]) -> None:
        seat.sequences[channel] += 1
        seat.connection.send(reports.private(channel, kind, rows, seat.sequences[channel]))

    def _quote(self, symbol: str) -> str:
        listed = self._exchange.instruments.get(symbol)  # an order of an unknown pair is refused, and told
        return listed.quote if listed is not None else ""


class _Ask(msgspec.Struct, frozen=True):
    """One request that waits for its answer."""

    connection: Connection
    method: str
    req_id: int | None
    now: int
    clock: Clock

    def refuse(self, error: str) -> None:
        times = (self.now, self.clock.now())
        self.connection.send(templates.answer(self.method, self.req_id, times, error=error))

    def succeed(self, result: Mapping[str, Any]) -> None:
        times = (self.now, self.clock.now())
        self.connection.send(templates.answer(self.method, self.req_id, times, result=result))

    def identified(self, change: Change) -> None:
        order = change.order
        if change.error or order is None:
            self.refuse(change.error)
            return
        ids = {"order_id": order.order_id, "cl_ord_id": order.submit.cl_ord_id}
        if self.method == "amend_order":
            ids["amend_id"] = f"T{order.order_id[1:]}"
        self.succeed({name: value for name, value in ids.items() if value})


def _switch_result(now: int, timeout: int) -> dict[str, str]:
    """Whole seconds and camel case, unlike everything else; a cleared switch shows `0`."""
    trigger = f"{iso(now + timeout * SECOND)[:19]}Z" if timeout else "0"
    return {"currentTime": f"{iso(now)[:19]}Z", "triggerTime": trigger}
