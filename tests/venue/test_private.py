import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.clock import SECOND
from core.events import Fill, OrderUpdate
from core.orders import (
    AmendOrder,
    CancelOrder,
    OrderState,
    OrderType,
    Purpose,
    Side,
    SubmitOrder,
    TimeInForce,
)
from venue.private import BalanceChanged, PrivateSession
from venue.session import Dead, Ignored, Ready, SystemStatus

GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"
STAMP = "2023-09-22T10:33:05.709950Z"
ENTRY = SubmitOrder(
    account="main",
    trader="a",
    cl_ord_id="SMaa2",
    instrument="BTC/USDT",
    side=Side.BUY,
    quantity=Decimal("0.5"),
    order_type=OrderType.LIMIT,
    purpose=Purpose.ENTRY,
    time_in_force=TimeInForce.IOC,
    deadline=1_717_409_100_000_000_000,
    limit_price=Decimal(61000),
)
STOP = msgspec.structs.replace(
    ENTRY,
    cl_ord_id="SMaa1",
    side=Side.SELL,
    order_type=OrderType.STOP_LOSS,
    purpose=Purpose.STOP,
    limit_price=None,
    trigger_price=Decimal(60000),
    reduce_only=True,
)
AMEND = AmendOrder("main", "a", "SMaa1", "BTC/USDT", ENTRY.deadline, trigger_price=Decimal(60500))
CANCEL = CancelOrder("main", "a", "SMaa1", "BTC/USDT")


def frame(value):
    return json.dumps(value).encode()


def executions(*rows, sequence, kind="update"):
    return frame({"channel": "executions", "type": kind, "data": list(rows), "sequence": sequence})


def report(order_id="O1", exec_type="new", **more):
    return {
        "order_id": order_id,
        "exec_type": exec_type,
        "order_status": exec_type,
        "timestamp": STAMP,
        **more,
    }


def full(order_id="O1", cl_ord_id="SMaa2", **more):
    described = {
        "cl_ord_id": cl_ord_id,
        "symbol": "BTC/USDT",
        "side": "buy",
        "order_type": "limit",
        "order_qty": 0.5,
        "limit_price": 61000.0,
    }
    return report(order_id, "pending_new", **{**described, **more})


def fill(order_id="O1", exec_id="T1", quantity=0.2, **more):
    described = {
        "exec_id": exec_id,
        "last_qty": quantity,
        "last_price": 60990.0,
        "liquidity_ind": "t",
        "cum_qty": quantity,
        "order_status": "partially_filled",
        "fees": [{"asset": "USDT", "qty": 1.5}],
    }
    return {**report(order_id, "trade"), **described, **more}


def balances(*rows, sequence, kind="snapshot"):
    return frame({"channel": "balances", "type": kind, "data": list(rows), "sequence": sequence})


def ack(channel, **result):
    return frame({"method": "subscribe", "success": True, "result": {"channel": channel, **result}})


def sent(session):
    return [json.loads(raw) for raw in session.outgoing()]


def connected(now=0):
    session = PrivateSession("main")
    session.authorise("TOKEN")
    session.connected(now)
    return session


def ready(*opened):
    session = connected()
    session.outgoing()
    session.receive(ack("executions", maxratecount=125), 0)
    session.receive(ack("balances"), 0)
    session.receive(executions(*opened, sequence=1, kind="snapshot"), 0)
    assert session.receive(balances(sequence=1), 0)[-1] == Ready()
    return session


def asked(session, *commands, now=0):
    """Send and give the request ids."""
    for command in commands:
        session.request(command, now)
    return [request["req_id"] for request in sent(session)]


def answer(req_id, method="add_order", error="", **result):
    body = {"method": method, "req_id": req_id, "success": not error}
    return frame({**body, "error": error} if error else {**body, "result": result})


def states(events):
    return [(event.cl_ord_id, event.state) for event in events if isinstance(event, OrderUpdate)]


def assert_dead(events, match):
    assert isinstance(events[-1], Dead)
    assert match in events[-1].reason


def test_subscribes_with_the_token_and_without_old_fills():
    first, second = sent(connected())
    assert first["params"] == {
        "channel": "executions",
        "token": "TOKEN",
        "snap_orders": True,
        "snap_trades": False,
    }
    assert second["params"] == {"channel": "balances", "token": "TOKEN", "snapshot": True}


def test_ready_with_both_channels_and_the_tier_is_learnt():
    session = ready()
    assert session.ready
    assert session.max_rate == 125


def test_empty_account_without_a_snapshot_becomes_ready_after_a_grace():
    session = connected()
    session.receive(ack("executions"), SECOND)
    session.receive(ack("balances"), SECOND)
    assert session.on_time(3 * SECOND) == []
    assert session.on_time(3 * SECOND + 1) == [Ready()]


def test_missing_confirmation_cuts_the_link():
    session = connected()
    for now in range(0, 10 * SECOND, SECOND):
        session.receive(b'{"channel":"heartbeat"}', now)
        assert session.on_time(now) == []
    assert_dead(session.on_time(10 * SECOND), "confirmed []")


@pytest.mark.parametrize(
    "odd, match",
    [
        ({"method": "subscribe", "success": False, "error": "ESession:Invalid session"}, "token refused"),
        (
            {"method": "edit_order", "success": False, "error": "Token(s) not found", "req_id": 0},
            "token refused",
        ),
        (
            {"method": "subscribe", "success": False, "error": "EGeneral:Permission denied"},
            "Permission denied",
        ),
        ({"Error": "Exceeded msg rate"}, "Exceeded msg rate"),
        ({"channel": "executions", "type": "update", "data": 7, "sequence": 2}, "malformed"),
    ],
)
def test_unusable_connection_is_cut(odd, match):
    assert_dead(ready().receive(frame(odd), 1), match)


def test_documented_lifecycle_gives_one_fill_and_no_early_completion():
    raw = (GOLDEN / "ws_executions_updates.json").read_bytes()
    session = connected()
    events = [session.receive(bytes(one), 1) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    pending, new, (trade,) = events
    assert pending == []
    assert [update.state for update in new] == [OrderState.WORKING]
    assert new[0].quantity == Decimal("0.005")
    assert trade == Fill(
        ts=0,
        account="main",
        exec_id="TGBB7L-HT5LX-J3BZ4A",
        cl_ord_id="",
        order_id="OK4GJX-KSTLS-7DZZO5",
        instrument="BTC/USD",
        side=Side.SELL,
        price=Decimal("26599.9"),
        quantity=Decimal("0.005"),
        fee=Decimal("0.3458"),
        maker=False,
        ts_event=1695378785709993000,
    )


def test_deltas_are_merged_per_order():
    session = ready()
    session.receive(executions(full(), full("O2", "SMaa3", side="sell"), sequence=2), 1)
    (trade,) = session.receive(executions(fill("O2", maker=True, liquidity_ind="m"), sequence=3), 2)
    assert (trade.cl_ord_id, trade.side, trade.instrument, trade.maker) == (
        "SMaa3",
        Side.SELL,
        "BTC/USDT",
        True,
    )
    (done,) = session.receive(executions(report("O1", "canceled", reason="User requested"), sequence=4), 3)
    assert (done.cl_ord_id, done.state, done.reason) == ("SMaa2", OrderState.CANCELED, "User requested")
    assert done.quantity == Decimal("0.5")
    assert session.state_of("SMaa2") is OrderState.CANCELED
    assert session.state_of("SMaa9") is None


def test_last_fill_says_partially_filled_and_completion_is_its_own_event():
    session = ready()
    session.receive(executions(full(), sequence=2), 1)
    (trade,) = session.receive(executions(fill(quantity=0.5), sequence=3), 2)
    assert isinstance(trade, Fill)
    (done,) = session.receive(executions(report("O1", "filled"), sequence=4), 3)
    assert (done.state, done.filled) == (OrderState.FILLED, Decimal("0.5"))


def test_post_only_cross_is_accepted_and_then_cancelled():
    session = ready()
    (req_id,) = asked(session, ENTRY)
    assert states(session.receive(answer(req_id, order_id="O1"), 1)) == [("SMaa2", OrderState.WORKING)]
    end = executions(report("O1", "canceled", reason="Post only order"), sequence=2)
    assert states(session.receive(end, 2)) == [("SMaa2", OrderState.CANCELED)]


def test_resting_stop_says_pending_new_and_works():
    trigger = {"order_type": "stop-loss", "triggers": {"price": 60000.0, "actual_price": 60000.5}}
    session = ready(full("O9", "SMaa1", limit_price=0.0, **trigger))
    order = session.known("SMaa1")
    assert order.state is OrderState.WORKING
    assert (order.trigger_price, order.limit_price) == (Decimal("60000.5"), None)
    assert session.known("SMaa2") is None


def test_amendment_and_restatement_show_the_new_values():
    session = ready(full("O1"))
    (changed,) = session.receive(executions(report("O1", "amended", order_qty=0.25), sequence=2), 1)
    assert (changed.state, changed.quantity) == (OrderState.WORKING, Decimal("0.25"))


def test_fill_before_the_ack_waits_for_its_name():
    session = ready()
    (req_id,) = asked(session, ENTRY)
    assert session.receive(executions(fill("O1"), report("O1", "filled"), sequence=2), 1) == []
    update, trade, done = session.receive(answer(req_id, order_id="O1"), 2)
    assert (update.state, trade.cl_ord_id, done.state) == (OrderState.WORKING, "SMaa2", OrderState.FILLED)
    assert trade.instrument == "BTC/USDT"


def test_ack_after_the_end_says_nothing_new():
    session = ready()
    (req_id,) = asked(session, ENTRY)
    session.receive(executions(full("O1"), report("O1", "canceled"), sequence=2), 1)
    assert session.receive(answer(req_id, order_id="O1"), 2) == []


def test_fill_that_nobody_names_is_a_strangers():
    session = ready()
    session.receive(executions(fill("O7", symbol="ETH/USDT", side="sell"), sequence=2), SECOND)
    assert session.on_time(4 * SECOND) == []
    (trade,) = session.on_time(4 * SECOND + 1)
    assert (trade.cl_ord_id, trade.instrument, trade.order_id) == ("", "ETH/USDT", "O7")


@pytest.mark.parametrize(
    "odd",
    [
        fill("O7"),
        fill("O7", exec_id=None, symbol="A/B", side="buy"),
        fill("O7", last_price=0.0, symbol="A/B", side="buy"),
    ],
)
def test_fill_that_cannot_be_booked_forces_a_reconciliation(odd):
    session = ready()
    session.receive(executions(odd, sequence=2), SECOND)
    assert_dead(session.on_time(5 * SECOND), "fill")


def test_manual_order_is_reported_without_a_client_id():
    (update,) = ready().receive(executions(full("O5", None, order_type="stop-loss"), sequence=2), 1)
    assert (update.cl_ord_id, update.order_id, update.state) == ("", "O5", OrderState.WORKING)


@pytest.mark.parametrize(
    "fees, expected",
    [
        ([{"asset": "USDT", "qty": 1.0}, {"asset": "USDT", "qty": 0.5}], Decimal("1.5")),
        ([{"asset": "BTC", "qty": 0.001}], Decimal("60.990")),
        ([{"asset": "ADA", "qty": 3.0}], Decimal("2.5")),
        ([], Decimal(0)),
    ],
)
def test_fees_are_counted_in_quote(fees, expected):
    session = ready(full())
    (trade,) = session.receive(executions(fill(fees=fees, fee_usd_equiv=2.5), sequence=2), 1)
    assert trade.fee == expected


def test_sequence_gap_cuts_the_link_and_repeats_are_dropped():
    session = ready(full())
    first = executions(fill(), sequence=2)
    assert len(session.receive(first, 1)) == 1
    assert [type(event) for event in session.receive(first, 2)] == [Ignored]
    assert session.receive(first, 3) == []
    assert_dead(session.receive(executions(fill(), sequence=4), 4), "expected 3, found 4")


def test_each_channel_counts_for_itself():
    session = ready()
    row = {"asset": "USDT", "balance": 99.5, "type": "rollover"}
    assert session.receive(balances(row, sequence=2, kind="update"), 1) == [
        BalanceChanged("USDT", Decimal("99.5"), "rollover")
    ]
    assert_dead(session.receive(balances(row, sequence=9, kind="update"), 2), "balances sequence gap")


def test_unknown_exec_type_is_counted():
    session = ready(full())
    assert [type(e) for e in session.receive(executions(report("O1", "melted"), sequence=2), 1)] == [Ignored]


@pytest.mark.parametrize(
    "error, state",
    [
        ("EOrder:Insufficient margin", OrderState.REJECTED),
        ("EAPI:Rate limit exceeded", OrderState.REJECTED),
        ("EService:Unavailable", OrderState.UNKNOWN),
        ("EGeneral:Internal error", OrderState.UNKNOWN),
        ("something new", OrderState.UNKNOWN),
    ],
)
def test_refusal_proves_no_more_than_its_text(error, state):
    session = ready()
    (req_id,) = asked(session, ENTRY)
    (update,) = session.receive(answer(req_id, error=error), 1)
    assert (update.cl_ord_id, update.state, update.reason) == ("SMaa2", state, error)


def test_refused_amendment_leaves_the_order_working_unless_it_is_gone():
    session = ready()
    first, second, third = asked(session, AMEND, AMEND, AMEND)
    (kept,) = session.receive(answer(first, "amend_order", error="EOrder:Rate limit exceeded"), 1)
    assert (kept.state, kept.reason) == (OrderState.WORKING, "amend refused: EOrder:Rate limit exceeded")
    (gone,) = session.receive(answer(second, "amend_order", error="EOrder:Unknown order"), 2)
    assert gone.state is OrderState.UNKNOWN
    (unproved,) = session.receive(answer(third, "amend_order", error="EService:Unavailable"), 3)
    assert unproved.state is OrderState.UNKNOWN


@pytest.mark.parametrize(
    "error", ["EOrder:Unknown order", "EOrder:Rate limit exceeded", "EService:Unavailable"]
)
def test_refused_cancel_leaves_the_order_to_a_reconciliation(error):
    session = ready()
    (req_id,) = asked(session, CANCEL)
    (update,) = session.receive(answer(req_id, "cancel_order", error=error), 1)
    assert (update.state, update.reason) == (OrderState.UNKNOWN, error)


def test_accepted_amendment_is_reported_with_what_was_asked():
    session = ready()
    (stop,) = asked(session, STOP)
    session.receive(answer(stop, order_id="O1"), 1)
    (amend,) = asked(session, AMEND)
    (update,) = session.receive(answer(amend, "amend_order", amend_id="T"), 2)
    assert (update.state, update.trigger_price, update.quantity) == (
        OrderState.WORKING,
        Decimal(60500),
        Decimal("0.5"),
    )
    (late,) = asked(session, AMEND)
    session.receive(executions(report("O1", "canceled"), sequence=2), 3)
    assert session.receive(answer(late, "amend_order"), 4) == []


def test_accepted_cancel_waits_for_the_channel_to_say_so():
    session = ready()
    (req_id,) = asked(session, CANCEL)
    assert session.receive(answer(req_id, "cancel_order", order_id="O1"), 1) == []


def test_request_without_answer_is_unknown_once_and_a_late_answer_still_informs():
    session = ready()
    (req_id,) = asked(session, ENTRY)
    session.receive(b'{"channel":"heartbeat"}', 4 * SECOND)
    assert session.on_time(5 * SECOND - 1) == []
    (update,) = session.on_time(5 * SECOND)
    assert (update.cl_ord_id, update.state, update.reason) == (
        "SMaa2",
        OrderState.UNKNOWN,
        "no answer in 5 s",
    )
    assert session.on_time(5 * SECOND + 1) == []
    assert states(session.receive(answer(req_id, order_id="O1"), 6 * SECOND)) == [
        ("SMaa2", OrderState.WORKING)
    ]


def test_link_loss_makes_everything_unanswered_unknown():
    session = ready()
    asked(session, STOP, ENTRY)
    lost = session.lost("gone")
    assert states(lost) == [("SMaa1", OrderState.UNKNOWN), ("SMaa2", OrderState.UNKNOWN)]
    assert not session.ready
    assert session.lost("again") == []


def test_answer_of_another_life_matches_nothing():
    session = ready()
    (req_id,) = asked(session, ENTRY)
    session.lost("gone")
    session.connected(1)
    assert [type(e) for e in session.receive(answer(req_id, order_id="O1"), 2)] == [Ignored]
    assert all(request["req_id"] > req_id for request in sent(session))


def test_a_day_of_orders_does_not_grow_the_session():
    session = ready()
    for number in range(1200):
        order_id = f"O{number}"
        rows = [full(order_id, f"SM{number}"), report(order_id, "expired")]
        session.receive(executions(*rows, sequence=number + 2), 1)
    assert session.state_of("SM1199") is OrderState.EXPIRED
    assert session.state_of("SM100") is None
    assert len(session._orders) == len(session._ids) == 1000


def test_quiet_frames():
    session = ready()
    assert session.receive(b'{"method":"pong","req_id":1}', 1) == []
    assert session.receive(frame({"method": "unsubscribe", "success": True}), 1) == []
    assert [type(e) for e in session.receive(b'{"channel":"news"}', 1)] == [Ignored]
    assert [type(e) for e in session.receive(b'{"channel":"trade","type":"update","data":[]}', 1)] == [
        Ignored
    ]
    status = {"channel": "status", "type": "update", "data": [{"system": "maintenance"}]}
    assert session.receive(frame(status), 1) == [SystemStatus("maintenance")]
