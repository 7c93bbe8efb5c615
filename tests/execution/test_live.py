import asyncio
from decimal import Decimal

import msgspec
import pytest

from core.clock import SECOND, LiveClock
from core.errors import LinkLost
from core.events import Fill, LinkChange, Reconciled, RequestReconcile, VenuePosition
from core.orders import (
    CancelOrder,
    OrderState,
    Side,
)
from execution.live import NEVER_SENT, PROTECTION_REFUSED, VenueGateway, VenueUrls
from tests.execution.live_rig import (
    AMEND,
    CANCEL,
    DAY,
    ENTRY,
    STOP,
    FakePublic,
    FakeSigned,
    Rig,
    ids,
    order,
    reconciled,
)
from tests.venue.fake_kraken import fake_kraken, running, told
from venue import rest
from venue.client import Credentials


async def test_entry_leaves_only_after_its_stop_is_acknowledged():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    (stop,) = rig.sent()
    assert stop["params"]["triggers"] == {"reference": "last", "price": 60000.0, "price_type": "static"}
    rig.answer(stop, success=True, result={"order_id": "O1"})
    assert ids(rig.sent()) == ["SMaa2"]
    assert rig.take() == [("SMaa1", OrderState.WORKING, "")]


async def test_entry_leaves_when_the_channel_is_faster_than_the_ack():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    rig.sent()
    described = {"symbol": "BTC/USDT", "side": "sell", "order_type": "stop-loss", "order_qty": 0.5}
    rig.execution(order_id="O1", exec_type="pending_new", cl_ord_id="SMaa1", **described)
    assert ids(rig.sent()) == ["SMaa2"]


async def test_entry_behind_a_stop_that_already_works_leaves_at_once():
    rig = Rig()
    await rig.send(STOP)
    rig.answer(rig.sent()[0], success=True, result={"order_id": "O1"})
    await rig.send(ENTRY)
    assert ids(rig.sent()) == ["SMaa2"]


async def test_refused_stop_ends_its_entry_unsent():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    rig.answer(rig.sent()[0], success=False, error="EOrder:Reduce only:No position exists")
    assert rig.sent() == []
    assert rig.take() == [
        ("SMaa1", OrderState.REJECTED, "EOrder:Reduce only:No position exists"),
        ("SMaa2", OrderState.REJECTED, PROTECTION_REFUSED),
    ]


async def test_unanswered_stop_ends_its_entry_unsent():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    rig.sent()
    rig.clock.advance_to(5 * SECOND)
    for event in rig.session.on_time(5 * SECOND):
        rig.gateway._on_event(event)
    assert rig.sent() == []
    assert rig.take() == [
        ("SMaa1", OrderState.UNKNOWN, "no answer in 5 s"),
        ("SMaa2", OrderState.REJECTED, PROTECTION_REFUSED),
    ]


async def test_entry_behind_an_unknown_stop_is_never_sent():
    rig = Rig()
    await rig.send(ENTRY)
    assert rig.sent() == []
    assert rig.take() == [("SMaa2", OrderState.REJECTED, PROTECTION_REFUSED)]


async def test_stop_that_dies_after_its_ack_is_no_protection():
    rig = Rig()
    await rig.send(STOP)
    rig.answer(rig.sent()[0], success=True, result={"order_id": "O1"})
    rig.execution(order_id="O1", exec_type="canceled", reason="User requested")
    await rig.send(ENTRY)
    assert rig.sent() == []
    assert rig.take()[-1] == ("SMaa2", OrderState.REJECTED, PROTECTION_REFUSED)


async def test_without_a_link_an_entry_does_not_wait_for_its_stop():
    rig = Rig(ready=False)
    await rig.send(STOP, ENTRY)
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "private link is down")]
    rig.connect()
    assert ids(rig.sent()) == ["SMaa1"]


async def test_a_cancelled_entry_that_waits_for_its_stop_never_leaves():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    stop = rig.sent()[0]
    await rig.send(CancelOrder(ENTRY.account, ENTRY.trader, ENTRY.cl_ord_id, ENTRY.instrument))
    assert rig.sent() == []
    assert rig.take()[-1] == ("SMaa2", OrderState.REJECTED, NEVER_SENT)
    rig.answer(stop, success=True, result={"order_id": "O1"})
    assert rig.sent() == []


async def test_link_loss_leaves_the_stop_unknown_and_the_entry_unsent():
    rig = Rig()
    await rig.send(STOP, ENTRY)
    rig.gateway._on_down("1001")
    assert rig.take() == [
        ("SMaa1", OrderState.UNKNOWN, "1001"),
        ("SMaa2", OrderState.REJECTED, PROTECTION_REFUSED),
    ]


async def test_overdue_commands_are_not_sent():
    rig = Rig(now=100)
    late = {"deadline": 100}
    await rig.send(msgspec.structs.replace(STOP, **late), msgspec.structs.replace(AMEND, **late))
    assert rig.sent() == []
    reason = "deadline elapsed before it was sent"
    assert rig.take() == [("SMaa1", OrderState.REJECTED, reason), ("SMaa1", OrderState.WORKING, reason)]


async def test_held_entry_expires_while_its_stop_is_unanswered():
    rig = Rig()
    await rig.send(STOP, msgspec.structs.replace(ENTRY, deadline=SECOND))
    rig.sent()
    rig.clock.advance_to(SECOND)
    rig.gateway._expire_once()
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "deadline elapsed before it was sent")]
    rig.gateway._expire_once()
    assert rig.take() == []


async def test_while_down_entries_are_refused_and_protection_waits():
    rig = Rig(ready=False)
    alone = msgspec.structs.replace(ENTRY, after="")
    await rig.send(alone, STOP, msgspec.structs.replace(AMEND, deadline=SECOND), CANCEL)
    assert rig.sent() == []
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "private link is down")]
    rig.clock.advance_to(SECOND)
    rig.gateway._expire_once()
    assert rig.take() == [("SMaa1", OrderState.WORKING, "deadline elapsed before it was sent")]
    rig.connect()
    assert [request["method"] for request in rig.sent()] == ["add_order", "cancel_order"]


async def test_entries_leave_the_rate_reserve_alone_and_stops_do_not():
    rig = Rig()
    rig.gateway.counter.charge("BTC/USDT", 45, 0)
    await rig.send(msgspec.structs.replace(ENTRY, after=""), STOP)
    assert ids(rig.sent()) == ["SMaa1"]
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "rate reserve is for protection")]


async def test_changes_are_charged_by_the_age_of_the_order():
    rig = Rig()
    await rig.send(STOP)
    await rig.send(AMEND)
    await rig.send(CANCEL)
    assert rig.gateway.counter.level("BTC/USDT", 0) == 1 + 4 + 8
    rig.clock.advance_to(400 * SECOND)
    await rig.send(CANCEL)
    assert rig.gateway.counter.level("BTC/USDT", 400 * SECOND) == 0


async def test_link_news_is_told_once_and_with_the_venues_word():
    rig = Rig()
    rig.receive({"channel": "status", "type": "update", "data": [{"system": "cancel_only"}]})
    rig.gateway._on_down("cut")
    rig.gateway._on_down("cut")
    links = [(r.up, r.system, r.reason) for r in rig.reports if isinstance(r, LinkChange)]
    assert links == [(True, "online", ""), (True, "cancel_only", ""), (False, "cancel_only", "cut")]


def trade_row(order_id, second="1717409100.5"):
    return rest.TradeRow(
        order_id, "XBTUSDT", Decimal(second), Side.BUY, Decimal(60000), Decimal(3), Decimal("0.5")
    )


async def test_reconciliation_tells_open_and_asked_orders_positions_cash_and_fills():
    rig = Rig()
    rig.signed.opened = {"O1": order("SMaa1", order_id="O1")}
    rig.signed.closed = {
        "O2": order("SMaa2", OrderState.FILLED, "O2", "1"),
        "O3": order("SMaa3", OrderState.CANCELED, "O3"),
    }
    rig.signed.trades = {"T2": trade_row("O2"), "T9": trade_row("O9", "1717409100.25")}
    truth = await reconciled(rig, "SMaa2", "SMaa7")
    assert {o.cl_ord_id: o.state for o in truth.orders} == {
        "SMaa1": OrderState.WORKING,
        "SMaa2": OrderState.FILLED,
    }
    assert truth.cash == Decimal(1000)
    assert truth.positions == (VenuePosition("BTC/USDT", Decimal("0.5"), Decimal(30000)),)
    assert [(f.exec_id, f.cl_ord_id) for f in truth.fills] == [("T9", "SMold"), ("T2", "SMaa2")]
    assert rig.signed.asked == ["open", DAY, "SMaa7", "open"]


async def test_failed_queries_are_repeated_and_prove_nothing():
    rig = Rig()
    rig.signed.failures.extend([LinkLost("HTTP 520"), LinkLost("no answer")])
    truth = await reconciled(rig, "SMaa1")
    assert truth.orders == ()
    assert rig.signed.asked.count("open") == 4
    assert rig.take() == []


async def test_waiting_requests_become_one():
    rig = Rig()
    await rig.gateway.reconcile(RequestReconcile("main", ("SMaa8", "SMaa9"), 2 * DAY, asked_at=5))
    await rig.gateway.reconcile(RequestReconcile("main", (), 2 * DAY, asked_at=7))
    truth = await reconciled(rig, "SMaa9")
    assert truth.asked_at == 7  # it is read after the newest was asked
    assert rig.signed.asked == ["open", DAY, "SMaa8", "SMaa9", "open"]
    assert sum(isinstance(r, Reconciled) for r in rig.reports) == 1


async def test_fills_during_the_reading_make_it_read_again():
    rig = Rig()

    def fill():
        row = {"exec_id": "T1", "last_qty": 0.1, "last_price": 1.0, "symbol": "BTC/USDT", "side": "buy"}
        rig.execution(order_id="O1", exec_type="trade", cl_ord_id="SMaa2", **row)

    rig.signed.during_read.extend([fill, lambda: None])
    await reconciled(rig)
    assert rig.signed.asked.count("open") == 2
    assert sum(isinstance(r, Fill) for r in rig.reports) == 1


async def test_fills_without_end_are_read_three_times_and_told():
    rig = Rig()

    def fill(number):
        row = {
            "exec_id": f"T{number}",
            "last_qty": 0.1,
            "last_price": 1.0,
            "symbol": "BTC/USDT",
            "side": "buy",
        }
        rig.execution(order_id="O1", exec_type="trade", cl_ord_id="SMaa2", **row)

    rig.signed.during_read.extend([lambda: fill(1), lambda: fill(2), lambda: fill(3)])
    await reconciled(rig)
    assert rig.signed.asked.count("open") == 3


async def test_expiry_runs_beside_the_link():
    rig = Rig(ready=False)
    await rig.send(msgspec.structs.replace(STOP, deadline=SECOND))
    rig.clock.advance_to(SECOND)
    told_of = asyncio.Queue()
    rig.gateway.sink = told_of.put_nowait
    async with running(rig.gateway._expire()):
        assert (await told(told_of, bool)).state is OrderState.REJECTED


async def test_sockets_that_do_not_close_in_time_do_not_spoil_an_orderly_end():
    rig = Rig()

    async def hangs():
        raise TimeoutError

    rig.signed.close = hangs
    await rig.gateway.close()


async def test_odd_frames_and_balances_are_survived():
    rig = Rig()
    rig.receive({"channel": "level3", "data": []})
    row = {"asset": "USDT", "balance": 5, "type": "rollover"}
    rig.receive({"channel": "balances", "type": "update", "data": [row], "sequence": 2})
    assert [type(report) for report in rig.reports] == [LinkChange]


async def test_stream_wins_over_lagging_rest():
    rig = Rig()
    described = {"symbol": "BTC/USDT", "side": "buy", "order_type": "limit", "order_qty": 1.0}
    for number in (1, 2):
        rig.execution(order_id=f"O{number}", exec_type="pending_new", cl_ord_id=f"SMaa{number}", **described)
    rig.execution(order_id="O1", exec_type="filled", cum_qty=1.0)
    rig.execution(order_id="O2", exec_type="new")
    rig.signed.opened = {"O1": order("SMaa1", order_id="O1")}
    truth = await reconciled(rig, "SMaa1", "SMaa2")
    assert {o.cl_ord_id: (o.state, o.filled) for o in truth.orders} == {
        "SMaa1": (OrderState.FILLED, Decimal(1)),
        "SMaa2": (OrderState.WORKING, Decimal(0)),
    }


@pytest.mark.e2e
async def test_over_a_real_socket_with_a_fresh_token_for_each_connection():
    reports = asyncio.Queue()

    def answers(request):
        match request["method"], request["params"].get("channel"):
            case "subscribe", channel:
                result = {"channel": channel}
                ack = {"method": "subscribe", "success": True, "result": result}
                return [ack, {"channel": channel, "type": "snapshot", "data": [], "sequence": 1}]
            case "add_order", _:
                body = {"method": "add_order", "req_id": request["req_id"], "success": True}
                return [{**body, "result": {"order_id": "O" + request["params"]["cl_ord_id"]}}]
        return []

    async with fake_kraken(answers) as venue:
        urls = VenueUrls(private=venue.url)
        credentials = Credentials("k", "s")
        gateway = VenueGateway("main", urls, credentials, LiveClock(), reports.put_nowait, delays_s=(0.01,))
        gateway._signed, gateway._public = FakeSigned(), FakePublic()
        async with running(gateway.run()):
            await told(reports, lambda r: isinstance(r, LinkChange) and r.up)
            await gateway.send([STOP, ENTRY])
            assert (await venue.request("add_order"))["params"]["cl_ord_id"] == "SMaa1"
            assert (await venue.request("add_order"))["params"]["token"] == "TOKEN1"
            await venue.drop()
            await told(reports, lambda r: isinstance(r, LinkChange) and not r.up)
            await told(reports, lambda r: isinstance(r, LinkChange) and r.up)
            await gateway.send([CANCEL])
            assert (await venue.request("cancel_order"))["params"]["token"] == "TOKEN2"
