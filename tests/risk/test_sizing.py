"""Sizes: never beyond a limit, never larger for more risk, nothing without an edge."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.instrument import Instrument
from core.market import Quote
from core.orders import Refused
from core.signal import Direction
from risk.edge import Edge
from risk.policy import RiskPolicy, exact
from risk.sizing import Room, levels, leverage, size

D = Decimal
BTC = Instrument(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    price_increment=D("0.1"),
    quantity_increment=D("0.00001"),
    price_precision=1,
    quantity_precision=5,
    minimum_quantity=D("0.0001"),
    minimum_cost=D("5"),
    max_leverage=10,
)
QUOTE = Quote("BTC/USDT", 0, D("49995"), D("50005"), D(1), D(1))
POLICY = RiskPolicy()
ROOM = Room(equity=D(10_000), drawdown=D(0), gross=D(0), margin=D(0))
SURE = Edge(Direction.LONG, 0.6, 0.3, 0.002)

sides = st.sampled_from([Direction.LONG, Direction.SHORT])
atrs = st.floats(20.0, 5_000.0)
fractions = st.decimals("0", "0.2", places=4)
moneys = st.decimals("0", "60000", places=2)


def edge(direction, confidence, lean=0.1):
    return Edge(direction, confidence, lean, 0.001)


def sized(direction=Direction.LONG, *, atr=250.0, confidence=0.6, room=ROOM, policy=POLICY, instrument=BTC):
    prices = levels(direction, QUOTE, atr, instrument=instrument, policy=policy)
    if isinstance(prices, Refused):
        return prices, None
    return size(prices, edge(direction, confidence), room=room, instrument=instrument, policy=policy), prices


def quantity(*args, **kwargs):
    outcome, _ = sized(*args, **kwargs)
    return D(0) if isinstance(outcome, Refused) else outcome.quantity


def test_a_long_is_placed_around_the_ask():
    prices = levels(Direction.LONG, QUOTE, 250.0, instrument=BTC, policy=POLICY)
    assert (prices.entry_limit, prices.stop, prices.take_profit) == (D("50030.0"), D("49505.0"), D("50755.0"))
    assert prices.risk == D("525.0")
    assert prices.worst == prices.entry_limit


def test_a_short_is_placed_around_the_bid_and_valued_at_the_ask():
    prices = levels(Direction.SHORT, QUOTE, 250.0, instrument=BTC, policy=POLICY)
    assert (prices.entry_limit, prices.stop, prices.take_profit) == (D("49970.1"), D("50495.0"), D("49245.0"))
    assert prices.worst == QUOTE.ask


@pytest.mark.parametrize("direction", [Direction.LONG, Direction.SHORT])
def test_no_target_distance_means_no_target(direction):
    policy = RiskPolicy(target_atr=0.0)
    assert levels(direction, QUOTE, 250.0, instrument=BTC, policy=policy).take_profit == 0


@pytest.mark.parametrize("direction", [Direction.LONG, Direction.SHORT])
def test_a_stop_inside_the_spread_is_refused(direction):
    refused = levels(direction, QUOTE, 1.0, instrument=BTC, policy=POLICY)
    assert isinstance(refused, Refused)
    assert refused.rule == "stop_distance"


def test_a_short_whose_target_is_below_zero_is_refused():
    assert isinstance(levels(Direction.SHORT, QUOTE, 20_000.0, instrument=BTC, policy=POLICY), Refused)


@settings(max_examples=300, deadline=None)
@given(sides, atrs, st.floats(0.0, 1.0), fractions, moneys, moneys)
def test_size_never_exceeds_a_limit(direction, atr, confidence, drawdown, gross, margin):
    room = Room(equity=D(50_000), drawdown=drawdown, gross=gross, margin=margin)
    outcome, prices = sized(direction, atr=atr, confidence=confidence, room=room)
    if isinstance(outcome, Refused):
        return
    policy, equity = POLICY, room.equity
    assert outcome.quantity % BTC.quantity_increment == 0
    assert BTC.tradable(outcome.quantity, prices.entry_limit)
    assert outcome.quantity * prices.risk <= exact(policy.risk_per_trade) * equity
    assert outcome.notional == outcome.quantity * prices.worst
    assert outcome.notional <= exact(policy.max_position_notional) * equity
    assert room.gross + outcome.notional <= exact(policy.max_leverage) * equity
    assert room.margin + outcome.notional / 5 <= equity
    assert drawdown < exact(policy.max_drawdown)


@settings(max_examples=300, deadline=None)
@given(
    sides,
    st.tuples(atrs, atrs),
    st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    st.tuples(fractions, fractions),
    st.tuples(moneys, moneys),
    st.tuples(moneys, moneys),
)
def test_more_risk_never_gives_a_larger_size(direction, atr, confidence, drawdown, gross, margin):
    calm = Room(equity=D(50_000), drawdown=min(drawdown), gross=min(gross), margin=min(margin))
    risky = Room(equity=D(40_000), drawdown=max(drawdown), gross=max(gross), margin=max(margin))
    more = quantity(direction, atr=min(atr), confidence=max(confidence), room=calm)
    less = quantity(direction, atr=max(atr), confidence=min(confidence), room=risky)
    if isinstance(levels(direction, QUOTE, min(atr), instrument=BTC, policy=POLICY), Refused):
        return  # a stop that does not fit is a refusal of its own
    assert less <= more


@given(sides, atrs)
def test_no_lean_means_no_size(direction, atr):
    prices = levels(direction, QUOTE, max(atr, 100.0), instrument=BTC, policy=POLICY)
    if not isinstance(prices, Refused):
        outcome = size(prices, edge(direction, 0.9, 0.0), room=ROOM, instrument=BTC, policy=POLICY)
        assert isinstance(outcome, Refused)
        assert outcome.rule == "expected_value"


@pytest.mark.parametrize(
    "room,rule",
    [
        (msgspec.structs.replace(ROOM, drawdown=D("0.1")), "drawdown"),
        (msgspec.structs.replace(ROOM, equity=D(0)), "drawdown"),
        (msgspec.structs.replace(ROOM, gross=D(10_000)), "max_exposure"),
        (msgspec.structs.replace(ROOM, margin=D(9_000)), "max_exposure"),
        (msgspec.structs.replace(ROOM, gross=D("9999")), "below_minimum"),
    ],
)
def test_a_limit_that_leaves_nothing_is_named(room, rule):
    outcome, _ = sized(room=room)
    assert isinstance(outcome, Refused)
    assert outcome.rule == rule


@pytest.mark.parametrize("listed,usable", [(0, 1), (1, 1), (3, 3), (10, 5)])
def test_leverage_is_capped_at_the_venue_s_margin_rule(listed, usable):
    assert leverage(msgspec.structs.replace(BTC, max_leverage=listed)) == usable
