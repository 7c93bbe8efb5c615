"""Trading on the real venue: orders over the private WebSocket, truth over REST.

Must not know why an order is wanted. Called by trader.live for accounts whose stage is live.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import assert_never

import msgspec
import structlog

from core.clock import SECOND, Clock
from core.errors import Recoverable
from core.events import Fill, LinkChange, OrderUpdate, Reconciled, RequestReconcile, Stream, VenueOrder
from core.orders import AmendOrder, CancelOrder, OrderState, Purpose, SubmitOrder, VenueCommand
from execution.gateway import ReportSink
from venue import rest
from venue.client import KRAKEN_REST, Credentials, PublicRest, SignedRest, fills
from venue.limits import ConnectionBudget, EngineCounter, amend_cost, cancel_cost
from venue.link import DELAYS_S, Link
from venue.private import BalanceChanged, PrivateEvent, PrivateSession
from venue.session import Dead, Ignored, Ready, SystemStatus

KRAKEN_PRIVATE = "wss://ws-auth.kraken.com/v2"
PROTECTION_REFUSED = "protection refused"
NEVER_SENT = "cancelled before it was sent"
TICK_S = 0.2
READINGS = 3
"""A reconciliation during which fills arrived is read again, so often at most."""

log = structlog.get_logger()


class VenueUrls(msgspec.Struct, frozen=True):
    """Where the venue is; the defaults are the real one."""

    private: str = KRAKEN_PRIVATE
    rest: str = KRAKEN_REST


class VenueGateway:
    """One account at the venue; `currency` is the one its cash is counted in.

    While the link is down entries are refused at once; everything that shrinks risk waits for
    the link until its deadline. An entry with `after` leaves once that stop is known to work.
    """

    def __init__(
        self,
        account: str,
        urls: VenueUrls,
        credentials: Credentials,
        clock: Clock,
        sink: ReportSink,
        *,
        currency: str = "USDT",
        budget: ConnectionBudget | None = None,
        delays_s: tuple[float, ...] = DELAYS_S,
    ) -> None:
        self.account = account
        self.clock = clock
        self.sink = sink
        self.currency = currency
        self.delays_s = delays_s
        self.session = PrivateSession(account)
        self.counter = EngineCounter()
        self._public = PublicRest(urls.rest)
        self._signed = SignedRest(credentials, clock, urls.rest)
        self._link = Link(
            urls.private,
            self.session,
            clock,
            on_event=self._on_event,
            on_down=self._on_down,
            prepare=self._prepare,
            budget=budget,
            delays_s=delays_s,
        )
        self._system = "online"
        self._told: tuple[bool, str, str] | None = None
        self._unanswered: set[str] = set()
        self._held: list[SubmitOrder] = []
        self._waiting: list[VenueCommand] = []
        self._born: dict[str, int] = {}
        self._requests: list[RequestReconcile] = []
        self._asked = asyncio.Event()
        self._fills_seen = 0

    async def run(self) -> None:
        """Stay connected and answer reconciliations until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run())
                group.create_task(self._expire())
                group.create_task(self._reconcile())
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the HTTP sockets back; those that do not close in time end with the process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._signed.close()
                await self._public.close()

    async def send(self, commands: Sequence[VenueCommand]) -> None:
        """Take journaled commands in order; see the class for what waits and what is refused."""
        for command in commands:
            if isinstance(command, SubmitOrder) and command.after:
                self._send_after(command)
            elif isinstance(command, CancelOrder) and self._drop_held(command.cl_ord_id):
                continue
            else:
                self._send_now(command)

    async def reconcile(self, request: RequestReconcile) -> None:
        """Queue a reading of the whole truth; requests that wait together become one."""
        self._requests.append(request)
        self._asked.set()

    # ---- out ----

    def _send_now(self, command: VenueCommand) -> None:
        entry = isinstance(command, SubmitOrder) and command.purpose is Purpose.ENTRY
        if isinstance(command, SubmitOrder):
            self._unanswered.add(command.cl_ord_id)
        if not isinstance(command, CancelOrder) and self.clock.now() >= command.deadline:
            self._not_sent(command, "deadline elapsed before it was sent")
        elif entry and not self.session.ready:
            self._not_sent(command, "private link is down")
        elif entry and not self.counter.entry_allowed(command.instrument, self.clock.now()):
            self._not_sent(command, "rate reserve is for protection")
        elif not self.session.ready:
            self._waiting.append(command)
        else:
            self._charge(command)
            self.session.request(command, self.clock.monotonic())
            self._link.flush()

    def _send_after(self, order: SubmitOrder) -> None:
        if not self.session.ready or self.session.state_of(order.after) is OrderState.WORKING:
            self._send_now(order)  # which refuses an entry while the link is down
        elif order.after in self._unanswered:
            self._unanswered.add(order.cl_ord_id)
            self._held.append(order)
        else:
            self._not_sent(order, PROTECTION_REFUSED)

    def _drop_held(self, cl_ord_id: str) -> bool:
        """End an entry that still waits for its stop; False if none of that id waits."""
        held = [order for order in self._held if order.cl_ord_id == cl_ord_id]
        self._held = [order for order in self._held if order.cl_ord_id != cl_ord_id]
        for order in held:
            self._not_sent(order, NEVER_SENT)
        return bool(held)

    def _release(self, report: OrderUpdate) -> None:
        """Let entries go, or end them, now that their stop has been spoken of."""
        held = [order for order in self._held if order.after == report.cl_ord_id]
        self._held = [order for order in self._held if order.after != report.cl_ord_id]
        for order in held:
            if report.state is OrderState.WORKING:
                self._send_now(order)
            else:
                self._not_sent(order, PROTECTION_REFUSED)

    def _not_sent(self, command: VenueCommand, reason: str) -> None:
        """Report the end of a command that never left: an order does not exist, a change is not made."""
        state = OrderState.REJECTED if isinstance(command, SubmitOrder) else OrderState.WORKING
        self._report(
            OrderUpdate(ts=0, account=self.account, cl_ord_id=command.cl_ord_id, state=state, reason=reason)
        )

    def _charge(self, command: VenueCommand) -> None:
        now = self.clock.now()
        age_s = (now - self._born.get(command.cl_ord_id, 0)) / SECOND
        match command:
            case SubmitOrder():
                cost = 1
                self._born[command.cl_ord_id] = now
            case AmendOrder():
                cost = amend_cost(age_s)
                self._born[command.cl_ord_id] = now  # the age counts from the last amend
            case CancelOrder():
                cost = cancel_cost(age_s)
            case _:
                assert_never(command)
        self.counter.charge(command.instrument, cost, now)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._expire_once()

    def _expire_once(self) -> None:
        now = self.clock.now()
        late = [one for one in (*self._waiting, *self._held) if _expired(one, now)]
        self._waiting = [one for one in self._waiting if not _expired(one, now)]
        self._held = [one for one in self._held if not _expired(one, now)]
        for command in late:
            self._not_sent(command, "deadline elapsed before it was sent")

    # ---- in ----

    async def _prepare(self) -> None:
        """Get what a connection needs: the pair names once, a fresh token each time."""
        await self._public.names()
        self.session.authorise(await self._signed.websocket_token())

    def _on_event(self, event: PrivateEvent) -> None:
        match event:
            case OrderUpdate() | Fill():
                self._report(event)
            case Ready():
                self._on_ready()
            case SystemStatus(system):
                self._system = system
                if self.session.ready:
                    self._tell(up=True, reason="")
            case Ignored(reason):
                log.warning("frame_ignored", account=self.account, reason=reason)
            case BalanceChanged() | Dead():
                pass  # cash is a fold of fills, checked by reconciliation; a Dead ends the link
            case _:
                assert_never(event)

    def _on_ready(self) -> None:
        self.counter.threshold = self.session.max_rate or self.counter.threshold
        self._tell(up=True, reason="")
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self._send_now(command)

    def _on_down(self, reason: str) -> None:
        for event in self.session.lost(reason):
            self._on_event(event)
        held, self._held = self._held, []
        for order in held:
            self._not_sent(order, PROTECTION_REFUSED)
        self._tell(up=False, reason=reason)

    def _report(self, report: OrderUpdate | Fill) -> None:
        if isinstance(report, Fill):
            self._fills_seen += 1
            self.sink(report)
            return
        self._unanswered.discard(report.cl_ord_id)
        if report.state.terminal:
            self._born.pop(report.cl_ord_id, None)
        self.sink(report)
        self._release(report)

    def _tell(self, *, up: bool, reason: str) -> None:
        if self._told == (up, self._system, reason):
            return  # a long outage is one piece of news
        self._told = (up, self._system, reason)
        self.sink(LinkChange(0, Stream.PRIVATE, up, self.account, self._system, reason))

    # ---- the whole truth ----

    async def _reconcile(self) -> None:
        failures = 0
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._requests = self._requests, []
            if not waiting:
                continue
            request = RequestReconcile(
                account=self.account,
                asked=tuple(dict.fromkeys(one for request in waiting for one in request.asked)),
                since=min(request.since for request in waiting),
                # Read after the newest of them was asked, so it answers that one and the others.
                asked_at=max(request.asked_at for request in waiting),
            )
            try:
                reconciled = await self._read_settled(request)
            except Recoverable as error:
                # A query that failed proves nothing about any order: ask again, report nothing.
                log.warning("reconcile_failed", account=self.account, reason=str(error))
                self._requests.append(request)
                self._asked.set()
                await asyncio.sleep(self.delays_s[min(failures, len(self.delays_s) - 1)])
                failures += 1
            else:
                failures = 0
                self.sink(reconciled)

    async def _read_settled(self, request: RequestReconcile) -> Reconciled:
        """Read until no fill came in meanwhile, so that positions and fills fit together."""
        names = await self._public.names()
        for _ in range(READINGS - 1):
            seen = self._fills_seen
            reconciled = await self._read(request, names)
            if self._fills_seen == seen:
                return reconciled
        return await self._read(request, names)

    async def _read(self, request: RequestReconcile, names: rest.PairNames) -> Reconciled:
        opened = await self._signed.open_orders(names)
        closed = await self._signed.closed_orders(names, since=request.since)
        orders = opened | closed
        named = {order.cl_ord_id for order in orders.values()}
        for cl_ord_id in request.asked:
            if cl_ord_id not in named:
                orders |= await self._signed.closed_orders(names, cl_ord_id=cl_ord_id)
        if any(one not in named for one in request.asked):
            orders = await self._signed.open_orders(names) | orders  # it may have come in meanwhile
        trades = await self._signed.trades_history(request.since)
        strange = {row.ordertxid for row in trades.values()} - orders.keys()
        orders |= await self._signed.query_orders(names, tuple(sorted(strange)))
        positions = await self._signed.open_positions(names)
        balances = await self._signed.balances()
        return Reconciled(
            ts=0,
            account=self.account,
            cash=rest.cash(balances, self.currency),
            positions=positions,
            orders=self._freshest(orders, request.asked),
            fills=fills(self.account, trades, orders, names),
            asked=request.asked,
            asked_at=request.asked_at,
        )

    def _freshest(self, orders: dict[str, VenueOrder], asked: tuple[str, ...]) -> tuple[VenueOrder, ...]:
        """Give open and asked orders; the stream wins over REST, which is known to lag behind it."""
        found = {order.cl_ord_id or order.order_id: order for order in orders.values()}
        for cl_ord_id in (*found, *asked):
            streamed = self.session.known(cl_ord_id)
            listed = found.get(cl_ord_id)
            if streamed and (listed is None or _newer(streamed, listed)):
                found[cl_ord_id] = streamed
        wanted = set(asked)
        return tuple(
            order for key, order in found.items() if key in wanted or order.state is OrderState.WORKING
        )


def _newer(streamed: VenueOrder, listed: VenueOrder) -> bool:
    ended = streamed.state.terminal and not listed.state.terminal
    return ended or (streamed.filled > listed.filled and not listed.state.terminal)


def _expired(command: VenueCommand, now: int) -> bool:
    """Tell whether a waiting command has become pointless; a cancel never does."""
    return not isinstance(command, CancelOrder) and command.deadline <= now
