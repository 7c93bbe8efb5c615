"""The paper gateway: the exchange model behind the same protocol as the venue."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from core.clock import HOUR, SECOND, LiveClock, ManualClock
from core.events import Fill, LinkChange, OrderUpdate, Reconciled, RequestReconcile
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import (
    AmendOrder,
    Approved,
    CancelOrder,
    OrderIntent,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.portfolio import Portfolio
from execution.manager import OrderManager
from execution.paper import PaperGateway
from execution.state import ExecutionState
from venue.exchange import Exchange
from venue.exchange_orders import FeeSchedule
from venue.exchange_positions import MarginRules
from venue.exchange_settings import PLAIN_RULES, ExchangeRules

D = Decimal
NOW = 1_700_000_000 * SECOND
SYMBOL = "ETH/USDT"
ETH = Instrument(
    symbol=SYMBOL,
    base="ETH",
    quote="USDT",
    price_increment=D("0.01"),
    quantity_increment=D("0.001"),
    price_precision=2,
    quantity_precision=3,
    minimum_quantity=D("0.001"),
    minimum_cost=D("1"),
    max_leverage=5,
)


class Paper:
    """A gateway, its clock, and what it said."""

    def __init__(self, clock=None, rules=PLAIN_RULES):
        self.clock = clock or ManualClock(NOW)
        self.exchange = Exchange({SYMBOL: ETH}, fees=FeeSchedule(D("0.001"), D("0.002")), rules=rules)
        self.exchange.open_account("paper", D(10_000))
        self.said = []
        self.gateway = PaperGateway("paper", self.exchange, self.clock, self.said.append)
        self.orders = OrderManager(
            "paper", "five", code="P1", instruments={SYMBOL: ETH}, state=ExecutionState()
        )
        self.orders.on_session(NOW // SECOND)
        self.quote()

    def quote(self, bid="99.99", ask="100.01"):
        now = self.clock.now()
        self.gateway.on_quote(Quote(SYMBOL, now, D(bid), D(ask), D(9), D(9)))

    def later(self, seconds=0.1):
        self.clock.advance_to(self.clock.now() + int(seconds * SECOND))
        self.gateway.settle()

    def enter(self, stop="95"):
        wish = OrderIntent("five", SYMBOL, D(1), D(stop), D(110), D("100.05"), NOW, "p", "")
        now = self.clock.now()
        return self.orders.on_intents([Approved(wish)], now, Portfolio(cash=D(1)))

    def states(self, name):
        return [r.state for r in self.said if isinstance(r, OrderUpdate) and r.cl_ord_id == name]


async def test_an_entry_leaves_once_its_stop_works():
    paper = Paper()
    stop, entry = paper.enter()
    await paper.gateway.send([stop, entry])
    assert paper.said == []
    paper.later(0.006)
    assert paper.states(stop.cl_ord_id) == [OrderState.WORKING]
    assert paper.states(entry.cl_ord_id) == []
    paper.later()
    assert paper.states(entry.cl_ord_id)[-1] is OrderState.FILLED
    (fill,) = [r for r in paper.said if isinstance(r, Fill)]
    assert (fill.quantity, fill.price, fill.ts) == (D(1), D("100.01"), 0)
    assert {r.ts for r in paper.said} == {0}


async def test_an_entry_whose_stop_already_works_leaves_at_once():
    paper = Paper()
    stop, entry = paper.enter()
    await paper.gateway.send([stop])
    paper.later()
    await paper.gateway.send([entry])
    paper.later()
    assert paper.states(entry.cl_ord_id)[-1] is OrderState.FILLED


async def test_an_entry_whose_stop_is_refused_is_never_sent():
    paper = Paper()
    stop, entry = paper.enter()
    bad = msgspec.structs.replace(stop, trigger_price=D("95.001"))  # off the tick grid
    await paper.gateway.send([bad, entry])
    paper.later()
    assert paper.states(stop.cl_ord_id) == [OrderState.REJECTED]
    assert paper.states(entry.cl_ord_id) == [OrderState.REJECTED]
    assert "never sent" in paper.said[-1].reason


async def test_an_entry_that_waited_past_its_deadline_is_never_sent():
    paper = Paper()
    _, entry = paper.enter()
    await paper.gateway.send([entry])
    paper.later(6)
    assert paper.states(entry.cl_ord_id) == [OrderState.REJECTED]


async def test_a_waiting_entry_can_be_taken_back():
    paper = Paper()
    stop, entry = paper.enter()
    await paper.gateway.send([stop, entry])
    await paper.gateway.send([CancelOrder("paper", "five", entry.cl_ord_id, SYMBOL)])
    assert paper.states(entry.cl_ord_id) == [OrderState.CANCELED]
    paper.later()
    await paper.gateway.send([CancelOrder("paper", "five", stop.cl_ord_id, SYMBOL)])
    paper.later()
    assert paper.states(stop.cl_ord_id) == [OrderState.WORKING, OrderState.CANCELED]
    assert not [r for r in paper.said if isinstance(r, Fill)]


async def test_amends_prints_and_reconciliation_go_through():
    paper = Paper()
    stop, entry = paper.enter()
    await paper.gateway.send([stop, entry])
    paper.later()
    await paper.gateway.send(
        [AmendOrder("paper", "five", stop.cl_ord_id, SYMBOL, NOW + SECOND, quantity=D("0.5"))]
    )
    paper.later()
    paper.gateway.on_trade(Trade(SYMBOL, paper.clock.now(), D("94.5"), D(1), Side.SELL, 1))
    paper.later()
    await paper.gateway.reconcile(RequestReconcile("paper", (stop.cl_ord_id,), NOW))
    found = paper.said[-1]
    assert isinstance(found, Reconciled)
    assert found.ts == 0
    assert [p.quantity for p in found.positions] == [D("0.5")]
    assert [(o.cl_ord_id, o.state) for o in found.orders] == [(stop.cl_ord_id, OrderState.FILLED)]
    assert len(found.fills) == 2


async def test_running_reports_the_link_and_lets_requests_arrive():
    paper = Paper(LiveClock())
    stop, entry = paper.enter()
    filled = asyncio.Event()

    def sink(report):
        paper.said.append(report)
        if isinstance(report, OrderUpdate) and report.state is OrderState.FILLED:
            filled.set()

    gateway = PaperGateway("paper", paper.exchange, paper.clock, sink)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(gateway.run())
        await gateway.send([stop, entry])
        await filled.wait()
        running.cancel()
    await gateway.close()
    assert isinstance(paper.said[0], LinkChange)
    assert paper.said[0].up
    assert paper.states(entry.cl_ord_id)[-1] is OrderState.FILLED


async def test_an_idle_gateway_just_waits():
    paper = Paper()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await paper.gateway.run()
    assert [r.account for r in paper.said] == ["paper"]
    assert Purpose.ENTRY not in {getattr(r, "purpose", None) for r in paper.said}


async def test_a_loan_costs_at_its_opening_and_every_four_hours_and_the_next_answer_shows_it():
    paper = Paper(rules=ExchangeRules(margin=MarginRules(), queue=True))
    stop, entry = paper.enter()
    await paper.gateway.send([stop, entry])
    paper.later()
    paper.later()
    (fill,) = [r for r in paper.said if isinstance(r, Fill)]
    assert fill.fee == D("100.01") * D("0.002") + D("100.01") * D("0.0002")
    paper.later(2 * 4 * HOUR // SECOND)
    await paper.gateway.reconcile(RequestReconcile("paper", (), NOW, asked_at=NOW))
    answer = paper.said[-1]
    assert isinstance(answer, Reconciled)
    assert answer.cash == 10_000 - fill.fee - 2 * D("100.01") * D("0.0002")


async def test_a_target_at_the_touch_waits_for_its_turn():
    paper = Paper(rules=ExchangeRules(margin=MarginRules(), queue=True))
    stop, entry = paper.enter()
    await paper.gateway.send([stop, entry])
    paper.later()
    target = msgspec.structs.replace(
        stop,
        cl_ord_id="target",
        order_type=OrderType.LIMIT,
        purpose=Purpose.TARGET,
        trigger_price=None,
        limit_price=D("100.01"),
    )
    paper.quote()
    await paper.gateway.send([target])
    paper.later()
    for quantity, filled in ((D(9), []), (D(2), [D(1)])):  # nine were offered there before
        paper.said.clear()
        paper.gateway.on_trade(Trade(SYMBOL, paper.clock.now(), D("100.01"), quantity, Side.BUY, 1))
        assert [r.quantity for r in paper.said if isinstance(r, Fill)] == filled
