"""The account's sans-io session: order requests out, merged order news in.

Must not know sockets, REST, or why an order is sent; `now` is monotonic ns, `ts` of reports is 0.
Called by execution.live through venue.link.
"""

from collections import deque
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from core.clock import SECOND
from core.events import Fill, OrderUpdate, VenueOrder
from core.orders import AmendOrder, CancelOrder, OrderState, Side, SubmitOrder, VenueCommand
from venue import outcomes, wire
from venue.session import CONFIRMATION, Dead, Ignored, Keepalive, Ready, SystemStatus

ANSWER_DUE = 5 * SECOND
"""A request without an answer for this long has an unknown outcome."""
SNAPSHOT_GRACE = 2 * SECOND
ORPHAN_WAIT = 3 * SECOND
"""How long news of an order id that we cannot name waits for the ack that names it."""
KEPT = 1000
MOST_ORDERS = 20_000
"""More live orders than an account may have on ninety pairs at the highest tier: not news, noise."""
_CHANNELS = ("executions", "balances")
_TRIGGERED = ("stop-loss", "take-profit", "trailing-stop")
_STATES = {
    "new": OrderState.WORKING,
    "amended": OrderState.WORKING,
    "restated": OrderState.WORKING,
    "status": OrderState.WORKING,
    "iceberg_refill": OrderState.WORKING,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
}


class BalanceChanged(msgspec.Struct, frozen=True):
    """The new total of an asset; `cause` is the ledger's word, empty in a snapshot."""

    asset: str
    balance: Decimal
    cause: str


PrivateEvent = Ready | Dead | SystemStatus | Ignored | BalanceChanged | OrderUpdate | Fill


class _Order(msgspec.Struct):
    """What all reports of one order say together; only the first of them is complete."""

    order_id: str
    cl_ord_id: str = ""
    symbol: str = ""
    side: Side | None = None
    order_type: str = ""
    quantity: Decimal | None = None
    filled: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    state: OrderState = OrderState.SUBMITTING

    def merge(self, row: wire.ExecutionRow) -> None:
        self.cl_ord_id = self.cl_ord_id or row.cl_ord_id or ""  # an order never changes its name
        self.symbol = row.symbol or self.symbol
        self.side = row.side or self.side
        self.order_type = row.order_type or self.order_type
        self.quantity = row.order_qty or self.quantity
        self.filled = self.filled if row.cum_qty is None else row.cum_qty
        self.limit_price = row.limit_price or self.limit_price
        if row.triggers is not None:
            self.trigger_price = row.triggers.actual_price or row.triggers.price or self.trigger_price

    @property
    def triggered(self) -> bool:
        return self.order_type.startswith(_TRIGGERED)


class _Pending(msgspec.Struct):
    """A request on the wire; kept after its time-out, for a late answer still informs."""

    command: VenueCommand
    due: int
    overdue: bool = False


class PrivateSession(Keepalive):
    """Executions, balances and order requests of one account on one connection.

    `authorise` must bring a fresh token before every `connected`. Every request ends in at least
    one OrderUpdate: working, rejected, or unknown when no answer proves either. `barred` is why
    the venue will never let this key subscribe, empty as long as it may.
    """

    def __init__(self, account: str) -> None:
        super().__init__()
        self.account = account
        self.max_rate: int | None = None
        self.barred = ""
        self._token = ""
        self._pending: dict[int, _Pending] = {}
        self._restart(0)

    def _restart(self, now: int) -> None:
        super()._restart(now)
        self._now = now
        self.ready = False
        self._due = now + CONFIRMATION
        self._orders: dict[str, _Order] = {}
        self._ids: dict[str, str] = {}
        self._done: deque[str] = deque()
        self._acked: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._orphans: list[tuple[int, wire.ExecutionRow]] = []

    def authorise(self, token: str) -> None:
        """Take the token of the next connection."""
        self._token = token

    def connected(self, now: int) -> None:
        """Start from nothing: the snapshot tells what is open, REST what ended in the gap."""
        self._restart(now)
        # Past fills come from REST with their order ids resolved; the channel's last 50 would
        # bring strangers' fills of any age.
        wanted = {"snap_orders": True, "snap_trades": False}
        self._out.append(wire.subscribe(self._next_id(), "executions", token=self._token, **wanted))
        self._out.append(wire.subscribe(self._next_id(), "balances", token=self._token, snapshot=True))

    def state_of(self, cl_ord_id: str) -> OrderState | None:
        """Give what the venue last said of an order, None if it has not spoken of it."""
        order = self._orders.get(self._ids.get(cl_ord_id, ""))
        return order.state if order else None

    def known(self, cl_ord_id: str) -> VenueOrder | None:
        """Give one order as this connection's news tell it; None if they never described it."""
        order = self._orders.get(self._ids.get(cl_ord_id, ""))
        if order is None or order.side is None or order.quantity is None:
            return None
        return VenueOrder(
            cl_ord_id=cl_ord_id,
            order_id=order.order_id,
            instrument=order.symbol,
            side=order.side,
            state=order.state,
            quantity=order.quantity,
            filled=order.filled or Decimal(0),
            trigger_price=order.trigger_price,
            limit_price=order.limit_price,
        )

    # ---- out ----

    def request(self, command: VenueCommand, now: int) -> None:
        """Queue one order request."""
        req_id = self._next_id()
        match command:
            case SubmitOrder():
                frame = wire.add_order(req_id, self._token, command)
            case AmendOrder():
                frame = wire.amend_order(req_id, self._token, command)
            case CancelOrder():
                frame = wire.cancel_order(req_id, self._token, command.cl_ord_id)
            case _:
                assert_never(command)
        self._pending[req_id] = _Pending(command, now + ANSWER_DUE)
        self._out.append(frame)

    def accept(self, command: SubmitOrder, order_id: str) -> list[PrivateEvent]:
        """Learn that an order which went another road (REST) was accepted."""
        return self._accepted(command, order_id)

    def lost(self, reason: str) -> list[PrivateEvent]:
        """Give the end of everything unanswered: the link is gone, nothing is proved."""
        self.ready = False
        pending, self._pending = self._pending, {}
        return [
            self._unknown(one.command, reason)
            for one in pending.values()
            if not one.overdue and not self._spoken_of(one.command)
        ]

    def _spoken_of(self, command: VenueCommand) -> bool:
        """Tell whether the channel has proved a new order, so that its answer is not missed."""
        return isinstance(command, SubmitOrder) and self.state_of(command.cl_ord_id) is not None

    # ---- in ----

    def receive(self, frame: bytes, now: int) -> list[PrivateEvent]:
        """Take one frame and give what it means; never raises, whatever the bytes are."""
        self._heard = self._now = now
        message = wire.decode(frame)
        match message:
            case wire.ExecutionsFrame() | wire.BalancesFrame():
                return self._on_sequenced(message)
            case wire.Ack():
                return self._on_ack(message)
            case wire.HeartbeatFrame():
                return []
            case wire.StatusFrame():
                return [SystemStatus(row.system) for row in message.data]
            case (
                wire.InstrumentFrame()
                | wire.TickerFrame()
                | wire.TradeFrame()
                | wire.BookFrame()
                | wire.CandleFrame()
                | wire.Level3Frame()
            ):
                return self._ignore("public", "public frame on the private connection")
            case wire.UnknownChannel(channel):
                return self._ignore("unknown channel", f"unknown channel {channel!r}")
            case wire.Malformed(detail):
                return self._on_malformed(detail)
            case _:
                assert_never(message)

    def on_time(self, now: int) -> list[PrivateEvent]:
        """Let time pass: silence, pings, missing confirmations and answers, unnamed fills."""
        self._now = now
        events: list[PrivateEvent] = self._keep_alive(now)
        if events:
            return events
        if not self.ready and now >= self._due:
            return [Dead(f"private subscriptions not confirmed in 10 s, confirmed {sorted(self._acked)}")]
        events = self._settled()
        for one in self._pending.values():
            if now >= one.due and not one.overdue:
                one.overdue = True
                if not self._spoken_of(one.command):
                    events.append(self._unknown(one.command, f"no answer in {ANSWER_DUE // SECOND} s"))
        return events + self._adopt_orphans(lambda waiting, _: now - waiting > ORPHAN_WAIT)

    def _on_malformed(self, detail: str) -> list[PrivateEvent]:
        # A lost execution report must not pass unseen: the sequence check of the next one would
        # find it too, but a quiet account may wait for hours.
        self.counters["malformed"] += 1
        return [Dead(f"malformed private frame: {detail}")]

    def _on_sequenced(self, frame: wire.ExecutionsFrame | wire.BalancesFrame) -> list[PrivateEvent]:
        """Apply a frame once; a jump of the sequence means that news was lost."""
        channel = "executions" if isinstance(frame, wire.ExecutionsFrame) else "balances"
        last = self._sequences.get(channel)
        if frame.type != "snapshot" and last is not None:
            if frame.sequence <= last:
                return self._ignore("repeated frame", f"{channel} frame {frame.sequence} came again")
            if frame.sequence != last + 1:
                return [Dead(f"{channel} sequence gap: expected {last + 1}, found {frame.sequence}")]
        self._sequences[channel] = frame.sequence
        if odd := next((row for row in frame.data if not row.possible), None):
            return [Dead(f"expected amounts, found {odd}"[:400])]
        if isinstance(frame, wire.ExecutionsFrame):
            return self._on_executions(frame)
        return self._on_balances(frame)

    def _settled(self) -> list[PrivateEvent]:
        """Become ready once both channels are confirmed and their snapshots are in or overdue.

        Whether an account without open orders gets an empty snapshot is not documented.
        """
        if self.ready or len(self._acked) < len(_CHANNELS):
            return []
        waited = self._now - max(self._acked.values()) > SNAPSHOT_GRACE
        if not waited and len(self._sequences) < len(_CHANNELS):
            return []
        self.ready = True
        return [Ready()]

    # ---- balances and executions ----

    def _on_balances(self, frame: wire.BalancesFrame) -> list[PrivateEvent]:
        rows = [BalanceChanged(row.asset, row.balance, row.type) for row in frame.data]
        return [*rows, *self._settled()]

    def _on_executions(self, frame: wire.ExecutionsFrame) -> list[PrivateEvent]:
        events: list[PrivateEvent] = []
        for row in frame.data:
            events += self._on_row(row, orphan_after=self._now)
        if len(self._orders) + len(self._orphans) > MOST_ORDERS:
            return [*events, Dead(f"expected at most {MOST_ORDERS} live orders, found more")]
        return events + self._settled()

    def _on_row(self, row: wire.ExecutionRow, orphan_after: int | None) -> list[PrivateEvent]:
        """Merge one report; one that nobody can name yet waits, unless `orphan_after` is None."""
        order = self._orders.get(row.order_id)
        if order is None:
            complete = row.order_type is not None and row.order_qty is not None
            if row.cl_ord_id is None and not complete and orphan_after is not None:
                self._orphans.append((orphan_after, row))
                return []
            order = self._orders.setdefault(row.order_id, _Order(row.order_id))
        order.merge(row)
        if order.cl_ord_id:
            self._ids[order.cl_ord_id] = order.order_id
        if row.exec_type == "trade":
            return self._fill(order, row)
        state = _STATES.get(row.exec_type)
        if row.exec_type == "pending_new":
            # A trigger order stays in this state for as long as it rests; for others it only
            # announces `new`.
            state = OrderState.WORKING if order.triggered else None
            if state is None:
                return []
        if state is None:
            return self._ignore("exec_type", f"unknown exec_type {row.exec_type!r}")
        self._move(order, state)
        return [self._update(order, row.reason or "")]

    def _move(self, order: _Order, state: OrderState) -> None:
        if state.terminal and not order.state.terminal:
            self._done.append(order.order_id)
        order.state = state
        while len(self._done) > KEPT:
            old = self._orders.pop(self._done.popleft(), None)
            if old is not None:
                self._ids.pop(old.cl_ord_id, None)

    def _update(self, order: _Order, reason: str) -> OrderUpdate:
        return OrderUpdate(
            ts=0,
            account=self.account,
            cl_ord_id=order.cl_ord_id,
            state=order.state,
            order_id=order.order_id,
            filled=order.filled,
            quantity=order.quantity,
            trigger_price=order.trigger_price,
            limit_price=order.limit_price,
            reason=reason,
        )

    def _fill(self, order: _Order, row: wire.ExecutionRow) -> list[PrivateEvent]:
        """Give the fill alone: completion is told by its own event, never by a fill's status."""
        if row.exec_id is None or row.last_qty is None or row.last_price is None:
            return [Dead(f"fill without id, quantity or price: {row}")]
        if not order.symbol or order.side is None:
            return [Dead(f"fill of an order that was never described: {row.order_id}")]
        if not wire.possible(row.last_price, row.last_qty):
            return [Dead(f"impossible fill: {row}")]
        return [
            Fill(
                ts=0,
                account=self.account,
                exec_id=row.exec_id,
                cl_ord_id=order.cl_ord_id,
                order_id=order.order_id,
                instrument=order.symbol,
                side=order.side,
                price=row.last_price,
                quantity=row.last_qty,
                fee=_fee_in_quote(row, order.symbol),
                maker=row.liquidity_ind == "m",
                ts_event=_ts(row.timestamp),
            )
        ]

    def _adopt_orphans(self, wanted: Any) -> list[PrivateEvent]:
        """Apply waiting reports that are `wanted(waiting_since, row)`, in their order."""
        waiting, self._orphans = self._orphans, []
        events: list[PrivateEvent] = []
        for since, row in waiting:
            if wanted(since, row) or row.order_id in self._orders:
                events += self._on_row(row, orphan_after=None)
            else:
                self._orphans.append((since, row))
        return events

    # ---- answers ----

    def _on_ack(self, ack: wire.Ack) -> list[PrivateEvent]:
        if "Invalid session" in ack.error or "Token(s) not found" in ack.error:
            return [*self._on_answer(ack), Dead(f"token refused: {ack.error}")]
        if ack.method == "subscribe":
            if not ack.success:
                if outcomes.classify(ack.error) is outcomes.Outcome.HALT:
                    self.barred = ack.error
                return [Dead(f"private subscription refused: {ack.error}")]
            if ack.result.channel in _CHANNELS:
                self._acked[ack.result.channel] = self._now
            self.max_rate = ack.result.maxratecount or self.max_rate
            return self._settled()
        if ack.method in ("pong", "unsubscribe"):
            return []
        if not ack.method:
            return [Dead(f"venue refused: {ack.error}")]
        return self._on_answer(ack)

    def _on_answer(self, ack: wire.Ack) -> list[PrivateEvent]:
        pending = self._pending.pop(ack.req_id or 0, None)
        if pending is None:
            return self._ignore("stray answer", f"answer to no request of ours: {ack.method} {ack.error}")
        command = pending.command
        if not ack.success:
            return [self._refusal(command, ack.error)]
        match command:
            case SubmitOrder():
                return self._accepted(command, ack.result.order_id)
            case AmendOrder():
                return self._amended(command)
            case CancelOrder():
                return []  # the executions channel tells whether it was cancelled or filled first
            case _:
                assert_never(command)

    def _accepted(self, command: SubmitOrder, order_id: str) -> list[PrivateEvent]:
        order = self._orders.setdefault(order_id, _Order(order_id))
        self._ids[command.cl_ord_id] = order_id
        order.cl_ord_id, order.symbol, order.side = command.cl_ord_id, command.instrument, command.side
        order.order_type = command.order_type.value
        order.quantity = order.quantity or command.quantity
        order.limit_price = order.limit_price or command.limit_price
        order.trigger_price = order.trigger_price or command.trigger_price
        events: list[PrivateEvent] = []
        if order.state is OrderState.SUBMITTING:  # else the channel was faster and knows more
            order.state = OrderState.WORKING
            events.append(self._update(order, ""))
        return events + self._adopt_orphans(lambda _, row: row.order_id == order_id)

    def _amended(self, command: AmendOrder) -> list[PrivateEvent]:
        order = self._orders.get(self._ids.get(command.cl_ord_id, ""))
        if order is None or order.state.terminal:
            return []
        order.quantity = command.quantity or order.quantity
        order.limit_price = command.limit_price or order.limit_price
        order.trigger_price = command.trigger_price or order.trigger_price
        order.state = OrderState.WORKING
        return [self._update(order, "amended")]

    def _refusal(self, command: VenueCommand, error: str) -> OrderUpdate:
        proved = outcomes.classify(error) is not outcomes.Outcome.UNKNOWN
        if isinstance(command, SubmitOrder):
            state = OrderState.REJECTED if proved else OrderState.UNKNOWN
            return self._report(command, state, error)
        if isinstance(command, CancelOrder) or not proved or outcomes.unknown_order(error):
            # Whether the order is gone or rests uncancelled is for a reconciliation to find out.
            return self._unknown(command, error)
        # The amendment was refused, the order itself rests as before.
        return self._report(command, OrderState.WORKING, f"amend refused: {error}")

    def _unknown(self, command: VenueCommand, reason: str) -> OrderUpdate:
        return self._report(command, OrderState.UNKNOWN, reason)

    def _report(self, command: VenueCommand, state: OrderState, reason: str) -> OrderUpdate:
        return OrderUpdate(
            ts=0, account=self.account, cl_ord_id=command.cl_ord_id, state=state, reason=reason
        )


def _fee_in_quote(row: wire.ExecutionRow, symbol: str) -> Decimal:
    """Add up a fill's fees in quote currency; the documented case is one leg in quote already."""
    base, _, quote = symbol.partition("/")
    total = Decimal(0)
    for fee in row.fees:
        if fee.asset == quote:
            total += fee.qty
        elif fee.asset == base and row.last_price is not None:
            total += fee.qty * row.last_price
        else:
            return row.fee_usd_equiv or total  # paid in a third asset: the venue's own estimate
    return total


def _ts(text: str) -> int:
    try:
        return wire.timestamp_ns(text)
    except ValueError:
        return 0
