"""Private WS v2 desk of the loopback: who listens to executions and balances, and what they hear.

Must not know sockets, the market model or REST. Called by the loopback's connections; news comes
from the exchange through Changes. When a client disconnects its orders and positions stay.
https://docs.kraken.com/api/docs/websocket-v2/executions, /balances.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.clock import Clock
from venue import loopback_reports as reports
from venue import loopback_templates as templates
from venue.exchange import Exchange
from venue.exchange_account import ExchangeAccount
from venue.exchange_orders import Change
from venue.loopback_ask import Ask
from venue.loopback_changes import Changes
from venue.loopback_connection import Connection
from venue.loopback_keys import KeyRing
from venue.loopback_private_orders import OrderDesk
from venue.loopback_switches import DOCUMENTED, PrivateSwitches

_NO_SESSION = "ESession:Invalid session"
_SNAPSHOT_FILLS = 50
_MAX_RATE_COUNT = 125  # of an account whose engine counts nothing
_TURNS = frozenset({"new", "filled", "canceled", "expired"})
"""What a subscription with `order_status: false` still hears."""


class _Wish(msgspec.Struct, frozen=True):
    """What a subscription to executions asked for beyond the default."""

    every_status: bool = True
    rate_counter: bool = False


class _Seat(msgspec.Struct):
    """What one connection holds: its account once a subscription is live, and its sequences."""

    connection: Connection
    account: str = ""
    sequences: dict[str, int] = {}
    wish: _Wish = _Wish()


class PrivateDesk:
    """Answers private requests. Mutable: connections and their subscriptions."""

    def __init__(
        self,
        exchange: Exchange,
        changes: Changes,
        keys: KeyRing,
        clock: Clock,
        wake: Callable[[], None],
        switches: PrivateSwitches = DOCUMENTED,
    ) -> None:
        self._exchange = exchange
        self._keys = keys
        self._clock = clock
        self._switches = switches
        self._orders = OrderDesk(exchange, changes, switches, wake)
        self._seats: dict[int, _Seat] = {}
        changes.listen(self._on_change)

    # ---- connections ----

    def opened(self, connection: Connection) -> None:
        """Seat a connection; its door greets it."""
        self._seats[connection.number] = _Seat(connection)

    def closed(self, connection: Connection) -> None:
        """Forget the connection and nothing else."""
        self._seats.pop(connection.number, None)

    def heartbeat(self) -> None:
        """Send the beat of the second."""
        for seat in self._seats.values():
            seat.connection.beat(templates.HEARTBEAT)

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
        ask = Ask(connection, method, req_id, now, self._clock)
        if not account or (held and seat.account != account):
            ask.refuse(_NO_SESSION)
            return
        if not self._keys.permits(params.get("token"), method):
            ask.refuse("EGeneral:Permission denied")
            return
        if method == "subscribe":
            self._subscribe(seat, account, params, ask)
        elif method == "unsubscribe":
            self._unsubscribe(seat, params, ask)
        elif method in self._orders.methods:
            self._orders.methods[method](account, params, ask)
        else:
            ask.refuse("Unsupported event")

    # ---- subscriptions ----

    def _subscribe(self, seat: _Seat, account: str, params: Mapping[str, Any], ask: Ask) -> None:
        channel, book = params.get("channel"), self._exchange.account(account)
        if channel == "executions":
            orders, fills = bool(params.get("snap_orders", True)), bool(params.get("snap_trades", False))
            seat.wish = _Wish(bool(params.get("order_status", True)), bool(params.get("ratecounter", False)))
            ask.succeed(
                {
                    "channel": channel,
                    "maxratecount": book.counter.tier.threshold if book.counter else _MAX_RATE_COUNT,
                    "snap_orders": orders,
                    "snap_trades": fills,
                }
            )
            rows = self._executions_snapshot(book, orders=orders, fills=fills)
            told = orders or fills
        elif channel == "balances":
            told = bool(params.get("snapshot", True))
            ask.succeed({"channel": channel, "snapshot": told})
            rows = reports.balance_rows(self._balances(book))
        else:
            ask.refuse("Unsupported channel")
            return
        seat.account = account
        seat.connection.beating = True
        seat.sequences[channel] = 0
        if told:
            self._push(seat, channel, "snapshot", rows)

    def _unsubscribe(self, seat: _Seat, params: Mapping[str, Any], ask: Ask) -> None:
        if seat.sequences.pop(str(params.get("channel")), None) is None:
            ask.refuse("Subscription not found")
        else:
            ask.succeed({"channel": params["channel"]})

    def _executions_snapshot(
        self, book: ExchangeAccount, *, orders: bool, fills: bool
    ) -> list[dict[str, Any]]:
        rows = [reports.snapshot_order(order) for order in book.open.values()] if orders else []
        recent = list(book.executions)[-_SNAPSHOT_FILLS:] if fills else []
        return rows + [reports.snapshot_fill(one, self._fee_asset(one.fill.instrument)) for one in recent]

    def _balances(self, book: ExchangeAccount) -> dict[str, Decimal]:
        quotes = dict.fromkeys(i.quote for i in self._exchange.instruments.values())
        return {quote: book.portfolio.cash.quantize(reports.GRID) for quote in quotes} | book.assets

    # ---- news ----

    def _on_change(self, change: Change) -> None:
        seats = [seat for seat in self._seats.values() if seat.account == change.account and seat.sequences]
        if not seats:
            return
        rows = self._executions(change) if change.order is not None else []
        ledger = [reports.ledger_line(line) for line in change.ledger]
        for seat in seats:
            if "executions" in seat.sequences:
                for row in rows:
                    self._tell(seat, change, row)
            if "balances" in seat.sequences:
                for line in ledger:
                    self._push(seat, "balances", "update", [line])

    def _executions(self, change: Change) -> list[dict[str, Any]]:
        symbol = change.order.submit.instrument if change.order is not None else ""
        return reports.executions(change, self._fee_asset(symbol))

    def _tell(self, seat: _Seat, change: Change, row: dict[str, Any]) -> None:
        if not seat.wish.every_status and row["exec_type"] not in _TURNS:
            return
        counter = self._exchange.account(change.account).counter
        if seat.wish.rate_counter and counter is not None and change.order is not None:
            level = counter.level(change.order.submit.instrument, change.ts)
            row = {**row, "ratecount": float(round(level, 2))}
        self._push(seat, "executions", "update", [row])

    def _push(self, seat: _Seat, channel: str, kind: str, rows: list[dict[str, Any]]) -> None:
        seat.sequences[channel] += 1
        seat.connection.send(reports.private(channel, kind, rows, seat.sequences[channel]))

    def _fee_asset(self, symbol: str) -> str:
        listed = self._exchange.instruments.get(symbol)  # an order of an unknown pair is refused, and told
        if listed is None:
            return ""
        return listed.base if self._switches.fees_in_base else listed.quote
