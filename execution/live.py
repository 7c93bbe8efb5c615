"""Trading on the real venue: orders over the private WebSocket, truth over REST.

Must not know why an order is wanted. Called by trader.live for accounts whose stage is live.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import assert_never

import msgspec
import structlog

from core.clock import SECOND, Clock
from core.errors import LinkLost, NotPermitted, Recoverable, VenueError
from core.events import Fill, LinkChange, OrderUpdate, Reconciled, RequestReconcile, Stream
from core.orders import AmendOrder, CancelOrder, OrderState, Purpose, SubmitOrder, VenueCommand
from execution.gateway import ReportSink
from execution.truth import read_truth
from venue.client import KRAKEN_REST, Credentials, PublicRest, SignedRest
from venue.key_info import key_faults
from venue.limits import ConnectionBudget, EngineCounter, amend_cost, cancel_cost
from venue.link import DELAYS_S, Link
from venue.modes import CLOCK_DOUBTFUL, CLOCK_WRONG, clock_lead, forbidden
from venue.nonce import Nonces, held_key, nonce_file
from venue.private import BalanceChanged, PrivateEvent, PrivateSession
from venue.session import Dead, Ignored, Ready, SystemStatus

KRAKEN_PRIVATE = "wss://ws-auth.kraken.com/v2"
PROTECTION_REFUSED = "protection refused"
NEVER_SENT = "cancelled before it was sent"
TICK_S = 0.2
CLOCK_EVERY_S = 600.0
RATE_LIMITED = "EOrder:Rate limit exceeded"
READINGS = 3
"""A reconciliation during which fills arrived is read again, so often at most."""

log = structlog.get_logger()


class VenueUrls(msgspec.Struct, frozen=True):
    """Where the venue is; the defaults are the real one."""

    private: str = KRAKEN_PRIVATE
    rest: str = KRAKEN_REST


class VenueGateway:
    """One account at the venue; `currency` is the one its cash is counted in.

    While the link is down, or the venue's state forbids it, entries are refused at once;
    everything that shrinks risk waits until its deadline. An entry with `after` leaves once that
    stop is known to work. An order with a leverage of its own goes over REST, everything else
    over the socket. `keys` is where the key's nonces and lock lie, `budget` is shared with the
    other links of the process, `any_address` accepts a key without a list of addresses.

    A key that is refused before the account was ever in step ends the process (NotPermitted).
    Later, or where an earlier process left something at the venue (`holds`), it halts the account:
    no entries, no private calls, the socket stays for protection.
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
        keys: Path | None = None,
        any_address: bool = False,
        holds: bool = False,
    ) -> None:
        self.account = account
        self.clock = clock
        self.sink = sink
        self.currency = currency
        self.delays_s = delays_s
        self.session = PrivateSession(account)
        self.counter = EngineCounter()
        self._public = PublicRest(urls.rest)
        self._credentials = credentials
        self._keys = keys
        self._any_address = any_address
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
        self.halted = ""
        self._key_checked = False
        self._in_step = holds
        self._clock_lead = 0
        self._rest_orders: asyncio.Queue[SubmitOrder] = asyncio.Queue()
        self._system = "online"
        self._told: tuple[bool, str, str] | None = None
        self._unanswered: set[str] = set()
        self._held: list[SubmitOrder] = []
        self._waiting: list[VenueCommand] = []
        self._born: dict[str, tuple[int, str]] = {}  # when, and on which pair
        self._requests: list[RequestReconcile] = []
        self._asked = asyncio.Event()
        self._fills_seen = 0

    async def run(self) -> None:
        """Stay connected and answer reconciliations until cancelled."""
        with held_key(self._keys, self._credentials.key):
            if self._keys is not None:
                path = nonce_file(self._keys, self._credentials.key)
                self._signed.nonces = Nonces(lambda: self.clock.now() // 1000, path)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._stay_linked())
                    group.create_task(self._expire())
                    group.create_task(self._reconcile())
                    group.create_task(self._send_over_rest())
                    group.create_task(self._watch_clock())
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
        """Queue a reading of the whole truth; requests that wait together become one.

        A halted account asks nothing: the engine's questions come for as long as the process lives.
        """
        if self.halted:
            return
        self._requests.append(request)
        self._asked.set()

    # ---- out ----

    def _send_now(self, command: VenueCommand) -> None:
        if isinstance(command, SubmitOrder):
            self._unanswered.add(command.cl_ord_id)
        if not isinstance(command, CancelOrder) and self.clock.now() >= command.deadline:
            self._not_sent(command, "deadline elapsed before it was sent")
        elif reason := self._entry_barred(command):
            self._not_sent(command, reason)
        elif not self.session.ready or forbidden(self._system, command):
            self._waiting.append(command)
        else:
            self._charge(command)
            if isinstance(command, SubmitOrder) and command.leverage is not None:
                self._rest_orders.put_nowait(command)  # the socket takes no ratio
                return
            self.session.request(command, self.clock.monotonic())
            self._link.flush()

    def _entry_barred(self, command: VenueCommand) -> str:
        """Give why an entry may not leave now; empty for everything that may, or shrinks risk."""
        if not isinstance(command, SubmitOrder) or command.purpose is not Purpose.ENTRY:
            return ""
        if self.halted:
            return f"account is halted: {self.halted}"
        if not self.session.ready:
            return "private link is down"
        if forbidden(self._system, command):
            return f"venue is {self._system}"
        if abs(self._clock_lead) > CLOCK_WRONG:
            return f"clock is {-self._clock_lead / SECOND:+.1f} s off the venue's"
        if not self.counter.entry_allowed(command.instrument, self.clock.now()):
            return "rate reserve is for protection"
        return ""

    def _send_after(self, order: SubmitOrder) -> None:
        if self._entry_barred(order) or self.session.state_of(order.after) is OrderState.WORKING:
            self._send_now(order)  # which refuses it, if it is barred
        elif order.after in self._unanswered:
            self._unanswered.add(order.cl_ord_id)
            self._held.append(order)
        else:
            self._not_sent(order, PROTECTION_REFUSED)

    def _drop_held(self, cl_ord_id: str) -> bool:
        """End an order that waits for its stop, or for its turn over REST; False if none does."""
        queued = [self._rest_orders.get_nowait() for _ in range(self._rest_orders.qsize())]
        held = [order for order in (*self._held, *queued) if order.cl_ord_id == cl_ord_id]
        self._held = [order for order in self._held if order.cl_ord_id != cl_ord_id]
        for order in queued:
            if order.cl_ord_id != cl_ord_id:
                self._rest_orders.put_nowait(order)
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
        born, _ = self._born.get(command.cl_ord_id, (0, ""))
        age_s = (now - born) / SECOND
        match command:
            case SubmitOrder():
                cost = 1
                self._born[command.cl_ord_id] = (now, command.instrument)
            case AmendOrder():
                cost = amend_cost(age_s)
                self._born[command.cl_ord_id] = (
                    now,
                    command.instrument,
                )  # the age counts from the last amend
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

    # ---- over REST ----

    async def _send_over_rest(self) -> None:
        """Send orders with a leverage of their own, one by one, each once."""
        while True:
            order = await self._rest_orders.get()
            for event in await self._sent_over_rest(order):
                self._on_event(event)

    async def _sent_over_rest(self, order: SubmitOrder) -> Sequence[PrivateEvent]:
        if self.halted:
            return [self._told_of(order, OrderState.REJECTED, f"account is halted: {self.halted}")]
        try:
            order_id = await self._signed.add_order(order, await self._public.names())
        except (VenueError, NotPermitted) as refused:
            if isinstance(refused, NotPermitted):
                self._halt(str(refused))
            return [self._told_of(order, OrderState.REJECTED, str(refused))]
        except LinkLost as lost:
            return [self._told_of(order, OrderState.UNKNOWN, str(lost))]
        return self.session.accept(order, order_id)

    def _told_of(self, order: SubmitOrder, state: OrderState, reason: str) -> OrderUpdate:
        return OrderUpdate(ts=0, account=self.account, cl_ord_id=order.cl_ord_id, state=state, reason=reason)

    # ---- the link, the key and the clock ----

    async def _stay_linked(self) -> None:
        try:
            await self._link.run()
        except NotPermitted as refused:
            if not self._in_step:
                raise
            self._halt(str(refused))

    def _halt(self, reason: str) -> None:
        """Stop entries and private calls for good; what rests at the venue stays as it is."""
        if not self.halted:
            self.halted = reason
            log.error("account_halted", account=self.account, reason=reason)
        self._tell(up=self.session.ready, reason=f"halted: {self.halted}")

    async def _check_key(self) -> None:
        """Refuse a key that may do more, or less, than trading asks for."""
        try:
            info = await self._signed.key_info()
        except VenueError as odd:
            raise NotPermitted(f"expected proof of what the key of {self.account} may do: {odd}") from odd
        if faults := key_faults(info, any_address=self._any_address):
            raise NotPermitted(f"key of account {self.account}: {'; '.join(faults)}")
        self._key_checked = True

    async def _watch_clock(self) -> None:
        while True:
            with suppress(Recoverable):
                before = self.clock.now()
                told = await self._public.time()
                self._on_venue_time(before, told, self.clock.now())
            await asyncio.sleep(CLOCK_EVERY_S)

    def _on_venue_time(self, before: int, told: int, after: int) -> None:
        self._clock_lead = clock_lead(before, told, after)
        if abs(self._clock_lead) > CLOCK_DOUBTFUL:
            off_s = -self._clock_lead / SECOND
            entries = "refused" if abs(self._clock_lead) > CLOCK_WRONG else "allowed"
            log.warning("clock_off", account=self.account, seconds=off_s, entries=entries)

    # ---- in ----

    async def _prepare(self) -> None:
        """Get what a connection needs: the pair names once, a fresh token each time."""
        if self.session.barred:
            raise NotPermitted(f"private subscription refused: {self.session.barred}")
        await self._public.names()
        if not self._key_checked:
            try:
                await self._check_key()
            except NotPermitted as refused:
                if not self._in_step:
                    raise
                # What is held must stay within reach of stops, exits and the kill switch.
                self._key_checked = True
                self._halt(str(refused))
        self.session.authorise(await self._signed.websocket_token())

    def _on_event(self, event: PrivateEvent) -> None:
        match event:
            case OrderUpdate() | Fill():
                self._report(event)
            case Ready():
                self._on_ready()
            case SystemStatus(system):
                self._on_system(system)
            case Ignored(reason):
                log.warning("frame_ignored", account=self.account, reason=reason)
            case BalanceChanged() | Dead():
                pass  # cash is a fold of fills, checked by reconciliation; a Dead ends the link
            case _:
                assert_never(event)

    def _on_system(self, system: str) -> None:
        self._system = system
        if self.session.ready:
            self._tell(up=True, reason="")
            self._send_waiting()

    def _on_ready(self) -> None:
        if self.session.max_rate:
            self.counter.threshold = self.session.max_rate
            self._signed.budget.adopt(self.session.max_rate)
        self._tell(up=True, reason="")
        self._send_waiting()

    def _send_waiting(self) -> None:
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
        if report.reason.startswith(RATE_LIMITED) and report.cl_ord_id in self._born:
            self.counter.exceeded(self._born[report.cl_ord_id][1], self.clock.now())
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
            except NotPermitted as refused:
                if not self._in_step:
                    raise
                self._halt(str(refused))
                return
            except Recoverable as error:
                # A query that failed proves nothing about any order: ask again, report nothing.
                log.warning("reconcile_failed", account=self.account, reason=str(error))
                self._requests.append(request)
                self._asked.set()
                await asyncio.sleep(self.delays_s[min(failures, len(self.delays_s) - 1)])
                failures += 1
            else:
                failures = 0
                self._in_step = True
                self.sink(reconciled)

    async def _read_settled(self, request: RequestReconcile) -> Reconciled:
        """Read until no fill came in meanwhile, so that positions and fills fit together."""
        for _ in range(READINGS - 1):
            seen = self._fills_seen
            reconciled = await self._read(request)
            if self._fills_seen == seen:
                return reconciled
        return await self._read(request)

    async def _read(self, request: RequestReconcile) -> Reconciled:
        return await read_truth(
            request,
            currency=self.currency,
            signed=self._signed,
            public=self._public,
            known=self.session.known,
        )


def _expired(command: VenueCommand, now: int) -> bool:
    """Tell whether a waiting command has become pointless; a cancel never does."""
    return not isinstance(command, CancelOrder) and command.deadline <= now
