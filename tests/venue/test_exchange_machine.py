"""The exchange under random orders, prices and time: what must hold whatever happens."""

import itertools
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from core.clock import HOUR, SECOND
from core.events import Fill
from core.market import Quote, Trade
from core.orders import AmendOrder, CancelOrder, OrderState, OrderType, TimeInForce
from tests.venue.exchange_world import BTC, BUY, FEES, LATENCY, SELL, D, order
from venue.exchange import Exchange
from venue.exchange_limits import EngineTier
from venue.exchange_listing import listed
from venue.exchange_orders import ChangeKind
from venue.exchange_positions import MarginRules
from venue.exchange_requests import NewOrder
from venue.exchange_settings import ExchangeRules
from venue.exchange_terms import CloseTerms, Offset, SelfTrade, Terms

CASH = D(10_000)
EXACT = D("1E-12")  # a division rounds its 28th digit
RULES = ExchangeRules(margin=MarginRules(), tier=EngineTier(200, D(5), 20), prevents_self_trades=True)
PRICES = st.integers(6_000, 14_000).map(lambda n: D(n).scaleb(-2))
SIZES = st.builds(lambda n, e: D(n).scaleb(e), st.integers(1, 300), st.sampled_from([-2, 0]))
SIDES = st.sampled_from([BUY, SELL])


class Market(RuleBasedStateMachine):
    """One account on a margin exchange, and a naive book-keeper who reads the same news."""

    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.venue = Exchange(
            listed([BTC]), fees=FEES, latency_ns=LATENCY, rules=RULES, listener=self.on_change
        )
        self.venue.open_account("a", CASH)
        self.numbers = itertools.count()
        self.assets = {"USDT": CASH, "BTC": D(0)}  # what the ledger says
        self.flows = D(0)  # what fills paid and cost
        self.units = D(0)  # what fills bought, on margin and on spot
        self.held = D(0)  # what fills left of the margin position
        self.filled: dict[str, Decimal] = {}
        self.fees = D(0)
        self.price = None
        self.venue.on_quote(self.quoted(D(100), D(5)))

    def quoted(self, price, size):
        self.price = price + D("0.01")
        return Quote(BTC, self.venue.now + SECOND, price, price + D("0.02"), size, size)

    # ---- the book-keeper ----

    def on_change(self, change):
        for line in change.ledger:
            self.assets[line.asset] += line.amount - line.fee
            assert abs(line.balance - self.assets[line.asset]) < EXACT
            if line.kind == "rollover":
                self.fees += line.fee
        if change.kind is ChangeKind.TRADE:
            self.on_fill(change.order, change.fill)
        elif change.kind is ChangeKind.SETTLED:
            moved = change.order.submit.side.sign * change.order.submit.quantity
            left = self.held + moved
            self.held = left if left * self.held > 0 else D(0)
        elif change.kind is ChangeKind.REJECTED:
            assert change.error
            assert change.order.filled == 0

    def on_fill(self, held_order, fill):
        sign, submit = fill.side.sign, held_order.submit
        self.flows -= sign * fill.quantity * fill.price
        self.units += sign * fill.quantity
        self.fees += fill.fee
        self.filled[fill.order_id] = self.filled.get(fill.order_id, D(0)) + fill.quantity
        assert 0 < self.filled[fill.order_id] <= held_order.quantity
        limit = held_order.resting_limit
        assert limit is None or (limit - fill.price) * sign >= 0
        if submit.margin:
            after = self.held + sign * fill.quantity
            if submit.reduce_only:
                assert abs(after) < abs(self.held)
                assert after * self.held >= 0
            self.held = after
        if submit.time_in_force is TimeInForce.FOK:
            assert fill.quantity == submit.quantity

    # ---- what clients and the market do ----

    def place(self, submit, terms):
        self.venue.submit(submit, self.venue.now, terms)
        self.venue.advance(self.venue.now + LATENCY)
        return submit.cl_ord_id or multiple()

    @rule(
        target=ids,
        side=SIDES,
        size=SIZES,
        price=PRICES,
        margin=st.booleans(),
        reduce=st.booleans(),
        force=st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        post=st.booleans(),
        stp=st.sampled_from(SelfTrade),
        leverage=st.sampled_from([0, 2, 10]),
    )
    def limit(self, side, size, price, margin, reduce, force, post, stp, leverage):
        cid = f"o{next(self.numbers)}"
        terms = Terms(self_trade=stp, leverage=leverage if margin else 0)
        flags = {"margin": margin, "reduce_only": reduce and margin, "post_only": post}
        return self.place(order(cid, side, size, limit=price, time_in_force=force, **flags), terms)

    @rule(
        target=ids,
        side=SIDES,
        size=SIZES,
        margin=st.booleans(),
        kind=st.sampled_from(["market", "stop-loss", "take-profit", "settle-position"]),
        price=PRICES,
        reduce=st.booleans(),
    )
    def simple(self, side, size, margin, kind, price, reduce):
        margin = margin or kind == "settle-position"
        trigger = price if kind in ("stop-loss", "take-profit") else None
        cid = f"o{next(self.numbers)}"
        flags = {"margin": margin, "reduce_only": reduce and margin}
        return self.place(order(cid, side, size, trigger=trigger, kind=OrderType(kind), **flags), Terms())

    @rule(side=SIDES, size=SIZES, distance=st.integers(1, 10), percent=st.booleans())
    def trailing(self, side, size, distance, percent):
        terms = Terms(trigger_offset=Offset(D(distance), percent=percent))
        self.place(order("", side, size, kind=OrderType.TRAILING_STOP), terms)

    @rule(target=ids, side=SIDES, size=SIZES, price=PRICES)
    def iceberg(self, side, size, price):
        display = max(D("0.01"), (size / 10).quantize(D("0.01"), "ROUND_UP"))
        cid = f"o{next(self.numbers)}"
        return self.place(order(cid, side, size, limit=price, kind=OrderType.ICEBERG), Terms(display=display))

    @rule(side=SIDES, size=SIZES, price=PRICES, distance=st.integers(1, 9))
    def with_close(self, side, size, price, distance):
        close = CloseTerms(OrderType.STOP_LOSS, trigger_offset=Offset(D(distance), directed=True))
        self.place(order("", side, size, limit=price), Terms(close=close))

    @rule(side=SIDES, leverage=st.sampled_from([2, 5]))
    def close_all(self, side, leverage):
        self.place(order("", side, "0"), Terms(whole_position=True, leverage=leverage))

    @rule(sizes=st.lists(SIZES, min_size=2, max_size=5), side=SIDES, price=PRICES, bad=st.booleans())
    def batch(self, sizes, side, price, bad):
        before = len(self.venue.account("a").open)
        orders = [NewOrder(order("", side, size, limit=price)) for size in sizes]
        if bad:
            orders[-1] = NewOrder(order("", side, "1", limit="99.001"))
        self.venue.submit_together(orders, self.venue.now)
        self.venue.advance(self.venue.now + LATENCY)
        if bad:
            assert len(self.venue.account("a").open) == before

    @rule(cid=ids)
    def reuse(self, cid):
        """A client id is refused exactly while an order of that id is open."""
        taken = self.venue.account("a").uses(cid)
        submit = order(cid, BUY, "0.1", limit="50", margin=False)
        error = self.venue.check(submit)
        assert (error == "EGeneral:Invalid arguments:cl_ord_id") is taken

    @rule(cid=ids, price=PRICES, size=SIZES)
    def amend(self, cid, price, size):
        change = AmendOrder("a", "t", cid, BTC, deadline=1 << 62, quantity=size, limit_price=price)
        self.venue.amend(change, self.venue.now)
        self.venue.advance(self.venue.now + LATENCY)

    @rule(cid=consumes(ids))
    def cancel(self, cid):
        self.venue.cancel(CancelOrder("a", "t", cid, BTC), self.venue.now)
        self.venue.advance(self.venue.now + LATENCY)
        assert not self.venue.account("a").uses(cid)

    @rule(price=PRICES, size=SIZES)
    def quote(self, price, size):
        self.venue.on_quote(self.quoted(price, size))

    @rule(price=PRICES, size=SIZES)
    def print_(self, price, size):
        self.venue.on_trade(Trade(BTC, self.venue.now + SECOND, price, size, SELL, 1))

    @rule(hours=st.sampled_from([1, 4, 9]))
    def wait(self, hours):
        self.venue.advance(self.venue.now + hours * HOUR)

    # ---- what must hold ----

    @invariant()
    def money_is_what_fills_and_fees_say(self):
        account = self.venue.account("a")
        assert abs(account.portfolio.cash - self.assets["USDT"]) < EXACT
        assert account.assets.get("BTC", D(0)) == self.assets["BTC"]
        assert account.portfolio.quantity(BTC) == self.held
        assert self.held + self.assets["BTC"] == self.units
        worth = account.portfolio.equity({BTC: self.price}) + self.assets["BTC"] * self.price
        assert abs(worth - (CASH + self.flows + self.units * self.price - self.fees)) < EXACT

    @invariant()
    def positions_are_the_net_one_in_parts(self):
        account = self.venue.account("a")
        parts = list(account.positions.values())
        assert sum((p.remaining * p.side.sign for p in parts), D(0)) == self.held
        assert len({p.side for p in parts}) <= 1
        assert all(0 < p.remaining <= p.quantity for p in parts)
        found = self.venue.trade_balance("a")
        assert abs(found.used - sum((p.open_cost / p.leverage for p in parts), D(0))) < EXACT
        assert found.equity == found.collateral + found.unrealised
        assert found.free == found.equity - found.used
        assert (found.level is None) is (not parts)
        assert found.level is None or abs(found.level - found.equity / found.used * 100) < EXACT

    @invariant()
    def books_agree(self):
        account = self.venue.account("a")
        assert all(o.state is OrderState.WORKING and o.remaining > 0 for o in account.open.values())
        names = [o.submit.cl_ord_id for o in account.open.values() if o.submit.cl_ord_id]
        assert len(names) == len(set(names))
        assert all(o.filled == self.filled.get(o.order_id, D(0)) for o in account.open.values())
        on_book = self.venue._core.markets[BTC].orders
        assert {o.order_id for o in on_book} == set(account.open)
        assert all(isinstance(one, Fill) for one in account.fills)

    @invariant()
    def spot_is_never_sold_short(self):
        assert self.venue.account("a").assets.get("BTC", D(0)) >= 0


Market.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestMarket = Market.TestCase
