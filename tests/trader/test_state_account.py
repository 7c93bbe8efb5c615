"""One account on the page: the venue is the truth, every fill counts once."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY
from core.events import (
    Reconciled,
    Timer,
    VenueOrder,
    VenuePosition,
)
from core.orders import AmendOrder, CancelOrder, Order, OrderState, OrderType, Purpose, Side
from core.portfolio import Portfolio, Position, apply_fill
from risk.policy import RiskPolicy
from tests import desk_story as story
from trader.state import ReadModel


def folded(steps, **more):
    model = ReadModel(story.setup(**more), speed=60.0)
    feed(model, steps)
    return model


def feed(model, steps):
    for event, commands in steps:
        model.on_step(model.seq + 1, event, commands)


# ---- money ----


def test_today_starts_again_at_midnight():
    steps = [
        *story.opening(),
        *story.round_trip(1, "SOL/USDT", Side.BUY, "6.100", prices=("165.02", "166.41"), ts=story.START),
    ]
    model = folded(steps)
    assert Decimal(model.view()["equity"]["today"]) > 0
    feed(model, [(Timer(story.START + DAY), [])])
    assert model.view()["equity"]["today"] == "0.00"


def test_drawdown_is_measured_from_the_peak_and_shown_with_its_limit():
    steps = [
        *story.opening(),
        *story.round_trip(1, "SOL/USDT", Side.BUY, "60.0", prices=("166.00", "160.00"), ts=story.START),
    ]
    equity = folded(steps).view()["equity"]
    lost = Decimal(10_000) - Decimal(equity["total"])
    assert equity["drawdown"] == pytest.approx(float(lost / 10_000), abs=1e-6)
    assert equity["drawdown_limit"] == RiskPolicy().max_drawdown


def test_the_venue_is_the_truth_about_cash_positions_and_orders():
    model = folded(story.opening())
    theirs = VenueOrder(
        "",
        "OXYZ",
        "ETH/USDT",
        Side.SELL,
        OrderState.WORKING,
        Decimal(1),
        Decimal(0),
        limit_price=Decimal(4000),
    )
    gone = VenueOrder("SMHB1", "OGONE", "ETH/USDT", Side.SELL, OrderState.FILLED, Decimal(1), Decimal(1))
    event = Reconciled(
        story.START + 5,
        story.ACCOUNT,
        Decimal(9_500),
        (VenuePosition("ETH/USDT", Decimal(-1), Decimal(3_900)),),
        (theirs, gone),
        (),
    )
    feed(model, [(event, [])])
    view = model.view()
    assert view["positions"][0]["side"] == "short"
    assert view["positions"][0]["stop"] is None
    assert [(o["cl_ord_id"], o["purpose"]) for o in view["orders"]] == [("OXYZ", "not ours")]
    assert view["equity"]["accounts"][0]["cash"] == "9500.00"


def test_a_fill_that_comes_with_the_reconciliation_counts_once():
    ts = story.START + 5
    held = story.position(
        5, "BTC/USDT", Side.BUY, "0.03600", prices=("68325.1", "67890.0", "69120.0"), ts=story.START
    )
    model = folded([*story.opening(), *held])
    out = story.fill("T5B", "SMHB00053", "BTC/USDT", Side.SELL, "0.03600", "69120.0", ts=ts)
    feed(model, [(Reconciled(ts, story.ACCOUNT, Decimal(10_020), (), (), (out,)), []), (out, [])])
    account = model.accounts[story.ACCOUNT]
    assert account.portfolio.round_trips == 1
    assert account.portfolio.cash == Decimal(10_020)
    assert account.portfolio.positions == {}
    assert [line.purpose for line in account.fills] == [Purpose.ENTRY, Purpose.TARGET]


def test_reconciliation_keeps_what_is_in_flight_and_when_a_position_was_opened():
    held = story.position(
        5, "BTC/USDT", Side.BUY, "0.03600", prices=("68325.1", "67890.0", "69120.0"), ts=story.START
    )
    wish = story.submit("SMNEW", "ETH/USDT", Side.BUY, "1")
    model = folded([*story.opening(), *held, (Timer(story.START + 9), [wish])])
    opened = model.accounts[story.ACCOUNT].portfolio.positions["BTC/USDT"].opened
    position = VenuePosition("BTC/USDT", Decimal("0.03600"), Decimal("2459.70"))
    feed(
        model,
        [
            (
                Reconciled(
                    story.START + 10,
                    story.ACCOUNT,
                    Decimal(9_996),
                    (position,),
                    (),
                    (),
                    asked=("SMHB00052", "SMHB00053"),
                ),
                [],
            )
        ],
    )
    account = model.accounts[story.ACCOUNT]
    assert list(account.orders) == ["SMNEW"]
    assert account.portfolio.positions["BTC/USDT"].opened == opened


def test_what_the_last_process_left_is_taken_over():
    model = ReadModel(story.setup())
    stop = story.submit(
        "SMOLD",
        "BTC/USDT",
        Side.SELL,
        "1",
        order_type=OrderType.STOP_LOSS,
        purpose=Purpose.STOP,
        trigger_price=Decimal(60_000),
    )
    done = story.submit("SMDONE", "BTC/USDT", Side.BUY, "1")
    orders = [
        Order(stop, OrderState.WORKING, 1, quantity=Decimal(1), trigger_price=Decimal(61_000)),
        Order(done, OrderState.FILLED, 1, quantity=Decimal(1)),
    ]
    held = {"BTC/USDT": Position("BTC/USDT", Decimal(1), Decimal(65_000), 1)}
    portfolio = Portfolio(cash=Decimal(9_000), positions=held, round_trips=7, peak_equity=Decimal(12_000))
    model.on_step(1, Timer(story.START), [])
    model.on_recovered(story.ACCOUNT, portfolio, orders, day_equity=Decimal(10_000))
    told = VenueOrder(
        "SMOLD",
        "O1",
        "BTC/USDT",
        Side.SELL,
        OrderState.WORKING,
        Decimal(1),
        Decimal(0),
        trigger_price=Decimal(61_000),
    )
    position = VenuePosition("BTC/USDT", Decimal(1), Decimal(65_000))
    feed(model, [(Reconciled(story.START + 1, story.ACCOUNT, Decimal(9_000), (position,), (told,), ()), [])])
    view = model.view()
    assert view["equity"]["round_trips"] == 7
    assert view["equity"]["today"] == "-1000.00"
    assert view["equity"]["drawdown"] == pytest.approx(0.25)
    assert view["positions"][0]["stop"] == "61000.0"
    assert view["positions"][0]["trader"] == story.TRADER


FILLS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(list(Side)), st.integers(1, 9), st.integers(90, 110)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(FILLS)
def test_fills_fold_once_whatever_is_repeated(rows):
    model = folded(story.opening())
    expected, seen = Portfolio(cash=Decimal(10_000)), set()
    for number, side, quantity, price in rows:
        fill = story.fill(
            f"E{number}", "SMX", "SOL/USDT", side, str(quantity), str(price), ts=story.START + number
        )
        feed(model, [(fill, [])])
        if number not in seen:
            seen.add(number)
            expected, _ = apply_fill(expected, fill)
    portfolio = model.accounts[story.ACCOUNT].portfolio
    assert portfolio.cash == expected.cash
    assert portfolio.positions == expected.positions
    assert portfolio.round_trips == expected.round_trips


# ---- orders ----


def test_an_order_walks_from_submitting_to_gone():
    ts = story.START + 1
    wish = story.submit("SM1", "BTC/USDT", Side.BUY, "2", limit_price=Decimal(100))
    model = folded([*story.opening(), (Timer(ts), [wish])])

    def row():
        return next((o for o in model.view()["orders"]), None)

    assert row()["state"] == "submitting"
    feed(model, [(story.order_update("SM1", OrderState.WORKING, ts=ts + 1, filled=Decimal("0.5")), [])])
    assert (row()["state"], row()["filled"]) == ("working", "0.5")
    amend = AmendOrder(
        story.ACCOUNT, story.TRADER, "SM1", "BTC/USDT", ts + 60, quantity=Decimal(3), limit_price=Decimal(99)
    )
    feed(model, [(Timer(ts + 2), [amend])])
    assert (row()["quantity"], row()["price"]) == ("3", "99.0")
    feed(model, [(Timer(ts + 3), [CancelOrder(story.ACCOUNT, story.TRADER, "SM1", "BTC/USDT")])])
    assert row()["state"] == "cancelling"
    feed(model, [(story.order_update("SM1", OrderState.CANCELED, ts=ts + 4), [])])
    assert row() is None
    feed(model, [(story.order_update("SM1", OrderState.UNKNOWN, ts=ts + 5, reason="late news"), [])])
    assert (row()["state"], row()["reason"]) == ("unknown", "late news")


def test_fills_alone_complete_an_order():
    ts = story.START + 1
    model = folded([*story.opening(), (Timer(ts), [story.submit("SM1", "SOL/USDT", Side.BUY, "2")])])
    feed(model, [(story.fill("E1", "SM1", "SOL/USDT", Side.BUY, "1.5", "165", ts=ts + 1), [])])
    assert model.view()["orders"][0]["filled"] == "1.5"
    feed(model, [(story.fill("E2", "SM1", "SOL/USDT", Side.BUY, "0.5", "165", ts=ts + 2), [])])
    assert model.view()["orders"] == []


def test_news_of_a_strange_order_is_no_order_of_ours():
    model = folded(
        [*story.opening(), (story.order_update("SMSTRANGE", OrderState.WORKING, ts=story.START + 1), [])]
    )
    assert model.view()["orders"] == []


def test_an_account_that_nobody_named_is_shown_all_the_same():
    stray = msgspec.structs.replace(
        story.fill("E1", "SM1", "SOL/USDT", Side.BUY, "1", "165", ts=story.START + 1), account="other"
    )
    model = folded([*story.opening(), (stray, [])])
    assert [a["account"] for a in model.view()["equity"]["accounts"]] == [story.ACCOUNT, "other"]


def test_a_deposit_is_no_result():
    model = folded(
        [*story.opening(), (Reconciled(story.START + 5, story.ACCOUNT, Decimal(12_000), (), (), ()), [])]
    )
    equity = model.view()["equity"]
    assert (equity["total"], equity["today"], equity["drawdown"]) == ("12000.00", "0.00", 0.0)
    feed(model, [(Reconciled(story.START + 9, story.ACCOUNT, Decimal(9_000), (), (), ()), [])])
    assert model.view()["equity"]["drawdown"] == 0.0
