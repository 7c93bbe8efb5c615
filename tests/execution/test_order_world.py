"""The order manager against a small venue that loses, repeats and reorders what it says."""

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.clock import SECOND
from core.events import OrderUpdate
from core.orders import (
    CancelOrder,
    OrderState,
    Purpose,
    SubmitOrder,
)
from execution.planner import counts, effective
from execution.state import Timing
from tests.execution.order_desk import SYMBOL, D, Desk, closing, execution, intent, listed


class World(RuleBasedStateMachine):
    """A venue that keeps its own truth; requests and reports travel in any order, or not at all."""

    def __init__(self):
        super().__init__()
        self.desk = Desk()
        self.requests = []
        self.reports = []
        self.venue = {}
        self.position = D(0)
        self.executions = []
        self.names = set()
        self.largest = D(0)
        self.proved = True

    # what the desk does

    def step(self, *intents):
        desk = self.desk
        commands = desk.act(*intents, proved=self.proved)
        for command in commands:
            if isinstance(command, SubmitOrder):
                assert command.cl_ord_id not in self.names
                self.names.add(command.cl_ord_id)
                assert command.reduce_only is (command.purpose is not Purpose.ENTRY)
        self.requests += commands
        assert desk.act(proved=self.proved) == []
        self.check_cover()

    def check_cover(self):
        desk = self.desk
        book = list(desk.orders.state.orders.values())
        held = effective(desk.portfolio.quantity(SYMBOL), book)
        if held == 0:
            return
        relied = [o for o in book if counts(o, desk.now, Timing().settle) and o.submit.side.sign * held < 0]
        stops = sum((o.remaining for o in relied if o.submit.purpose is Purpose.STOP), D(0))
        leaving = any(o.submit.purpose is Purpose.EXIT for o in relied)
        held_back = any(r.retry_at > desk.now for r in desk.orders.state.refusals.values())
        assert stops >= abs(held) or leaving or held_back, f"{held} is naked"

    @initialize(long=st.booleans(), share=st.sampled_from([None, "0.25", "1"]))
    def begin(self, long, share):
        """Start with an entry under way, or with a position after a fair start."""
        self.enter(long)
        if share:
            self.calm()
            self.execute(next(n for n, r in self.venue.items() if not r["submit"].reduce_only), share)

    @rule()
    def calm(self):
        """For a moment nothing is lost or late."""
        sent, self.requests = self.requests, []
        for command in sent:
            self.arrive(command, "ok")
        news, self.reports = self.reports, []
        for report in news:
            self.desk.tell(msgspec.structs.replace(report, ts=self.desk.now))
        self.step()

    def idle(self):
        desk = self.desk
        free = SYMBOL not in desk.orders.busy(desk.portfolio) and not desk.portfolio.quantity(SYMBOL)
        return free and self.proved  # risk refuses entries before the venue was read

    @precondition(idle)
    @rule(long=st.booleans())
    def enter(self, long):
        self.largest = D(1)
        wanted = intent("1") if long else intent("-1", stop="105", take_profit="90")
        self.step(wanted)

    @rule(proved=st.booleans())
    def read_or_not(self, proved):
        """REST goes down, or comes back."""
        self.proved = proved

    @rule()
    def close(self):
        self.step(closing())

    @rule(seconds=st.sampled_from([0.1, 1, 4, 20]))
    def wait(self, seconds):
        self.desk.now += int(seconds * SECOND)
        self.step()

    # what happens to requests on their way

    def pick(self, data):
        return self.requests.pop(data.draw(st.integers(0, len(self.requests) - 1)))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), fate=st.sampled_from(["ok", "ok", "ok", "ack lost", "lost", "refused"]))
    def travel(self, data, fate):
        command = self.pick(data)
        if fate != "lost":
            self.arrive(command, fate)
        if fate in {"lost", "ack lost"}:
            self.say(command.cl_ord_id, OrderState.UNKNOWN)

    def arrive(self, command, fate):
        name = command.cl_ord_id
        if isinstance(command, SubmitOrder):
            guard = self.venue.get(command.after)
            unguarded = command.after and (guard is None or guard["state"] is not OrderState.WORKING)
            if fate == "refused" or unguarded or self.desk.now > command.deadline:
                self.say(name, OrderState.REJECTED)
                return
            self.venue[name] = {
                "submit": command,
                "state": OrderState.WORKING,
                "filled": D(0),
                "quantity": command.quantity,
            }
        elif name in self.venue and self.venue[name]["state"] is OrderState.WORKING and fate != "refused":
            if isinstance(command, CancelOrder):
                self.venue[name]["state"] = OrderState.CANCELED
            else:
                row = self.venue[name]
                row["quantity"] = command.quantity
                if row["filled"] >= row["quantity"]:  # documented: the rest is cancelled
                    row["state"] = OrderState.CANCELED
        if fate != "ack lost":
            self.report(name)

    def say(self, name, state, **fields):
        self.reports.append(OrderUpdate(self.desk.now, "paper", name, state, **fields))

    def report(self, name):
        row = self.venue.get(name)
        if row:
            self.say(name, row["state"], filled=row["filled"], quantity=row["quantity"])

    # what happens at the venue

    def live(self):
        return [n for n, row in sorted(self.venue.items()) if row["state"] is OrderState.WORKING]

    @precondition(lambda self: self.live())
    @rule(data=st.data(), share=st.sampled_from(["0.25", "0.5", "1"]), tell=st.booleans())
    def fill(self, data, share, tell):
        live = self.live()
        entries = [n for n in live if not self.venue[n]["submit"].reduce_only]
        self.execute(data.draw(st.sampled_from(entries or live)), share, tell=tell)

    def execute(self, name, share, *, tell=True):
        row = self.venue[name]
        submit = row["submit"]
        quantity = min(D(share), row["quantity"] - row["filled"])
        if submit.reduce_only:
            room = abs(self.position) if self.position * submit.side.sign < 0 else D(0)
            quantity = min(quantity, room)
            if quantity == 0:
                row["state"] = OrderState.CANCELED
                self.report(name)
                return
        if quantity <= 0:
            return
        before = self.position
        self.position += quantity * submit.side.sign
        assert before * self.position >= 0, "flipped"
        assert abs(self.position) <= self.largest
        row["filled"] += quantity
        done = row["filled"] >= row["quantity"]
        row["state"] = OrderState.FILLED if done else row["state"]
        fill = execution(submit, quantity, exec_id=f"T{len(self.executions)}", price="100", now=self.desk.now)
        self.executions.append(fill)
        if tell:
            self.reports.append(fill)
            self.report(name)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def end(self, data):
        """IOC ends, a hand or the venue takes an order away."""
        name = data.draw(st.sampled_from(self.live()))
        self.venue[name]["state"] = OrderState.CANCELED
        self.report(name)

    # what happens to reports on their way

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data, twice):
        report = self.reports.pop(data.draw(st.integers(0, len(self.reports) - 1)))
        if twice:
            self.reports.append(report)
        self.desk.tell(msgspec.structs.replace(report, ts=self.desk.now))
        self.step()

    @precondition(lambda self: self.desk.orders.needs_reconcile(self.desk.now, self.desk.portfolio))
    @rule()
    def reconcile(self):
        self.ask()
        self.step()

    def ask(self):
        desk = self.desk
        request = desk.orders.request_reconcile(desk.now)
        rows = tuple(
            msgspec.structs.replace(
                listed(row["submit"], row["state"], filled=str(row["filled"])), quantity=row["quantity"]
            )
            for name, row in sorted(self.venue.items())
            if row["state"] is OrderState.WORKING or name in request.asked
        )
        positions = [str(self.position)] if self.position else []
        applied = desk.answer(*rows, positions=positions, fills=tuple(self.executions))
        assert applied.mismatches == ()

    @invariant()
    def every_exec_is_booked_once(self):
        desk = self.desk
        booked = sum(
            (f.quantity * f.side.sign for f in self.executions if f.exec_id in desk.orders.state.seen), D(0)
        )
        assert desk.portfolio.quantity(SYMBOL) == booked

    def teardown(self):
        """Faults off: within a minute the two sides agree and the position is guarded or gone."""
        desk = self.desk
        self.proved = True
        for _ in range(60):
            self.reports, late = [], self.reports
            for report in late:
                desk.tell(msgspec.structs.replace(report, ts=desk.now))
            self.step()
            sent, self.requests = self.requests, []
            for command in sent:
                self.arrive(command, "ok")
            for name in self.live():
                row = self.venue[name]
                if row["submit"].purpose is Purpose.ENTRY:
                    row["state"] = OrderState.CANCELED  # immediate or cancel
                    self.report(name)
                elif row["submit"].purpose is Purpose.EXIT:
                    self.execute(name, "2")  # at market
            desk.now += 2 * SECOND
            if desk.orders.needs_reconcile(desk.now, desk.portfolio):
                self.ask()
        self.ask()
        assert desk.portfolio.quantity(SYMBOL) == self.position
        live = [row for row in self.venue.values() if row["state"] is OrderState.WORKING]
        if self.position == 0:
            assert live == []
            assert desk.orders.busy(desk.portfolio) == frozenset()
        else:
            relied = {Purpose.STOP, Purpose.EXIT}
            cover = sum((r["quantity"] - r["filled"] for r in live if r["submit"].purpose in relied), D(0))
            assert cover >= abs(self.position)
        super().teardown()


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
