"""The gateway and what the venue may forbid: its states, the key, the clock, the counters."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from core.clock import MINUTE, SECOND
from core.errors import LinkLost, NotPermitted, TemporaryError, VenueError
from core.events import LinkChange, OrderUpdate, RequestReconcile
from core.orders import CancelOrder, OrderState, Purpose
from execution.live import VenueGateway, VenueUrls
from tests.execution.live_rig import AMEND, CANCEL, ENTRY, PERMISSIONS, STOP, FakePublic, Rig, ids, reconciled
from tests.venue.fake_kraken import running, told
from venue.client import Credentials
from venue.key_info import KeyInfo
from venue.nonce import held_key

ALONE = msgspec.structs.replace(ENTRY, after="")
GEARED = msgspec.structs.replace(ALONE, leverage=3)


def system(rig, word):
    rig.receive({"channel": "status", "type": "update", "data": [{"system": word}]})


@pytest.mark.parametrize("word", ["cancel_only", "post_only", "maintenance"])
async def test_no_forbidden_request_leaves_and_all_is_tried_again_when_online(word):
    rig = Rig()
    system(rig, word)
    await rig.send(ALONE, STOP, AMEND, CANCEL)
    cancels = [] if word == "maintenance" else ["cancel_order"]
    assert [r["method"] for r in rig.sent()] == cancels
    assert rig.take() == [("SMaa2", OrderState.REJECTED, f"venue is {word}")]
    system(rig, "online")
    waited = ["add_order", "amend_order"] + ["cancel_order"] * (word == "maintenance")
    assert [r["method"] for r in rig.sent()] == waited


async def test_an_entry_behind_a_stop_is_refused_at_once_where_it_could_not_follow():
    rig = Rig()
    system(rig, "cancel_only")
    await rig.send(STOP, ENTRY)
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "venue is cancel_only")]


async def test_what_waits_for_the_venue_expires():
    rig = Rig()
    system(rig, "maintenance")
    await rig.send(msgspec.structs.replace(STOP, deadline=SECOND))
    rig.clock.advance_to(SECOND)
    rig.gateway._expire_once()
    assert rig.take() == [("SMaa1", OrderState.REJECTED, "deadline elapsed before it was sent")]


async def test_a_rate_limit_error_fills_the_counter_of_its_pair():
    rig = Rig()
    await rig.send(ALONE)
    rig.answer(rig.sent()[0], success=False, error="EOrder:Rate limit exceeded")
    await rig.send(msgspec.structs.replace(ALONE, cl_ord_id="SMaa9"))
    assert rig.take()[-1] == ("SMaa9", OrderState.REJECTED, "rate reserve is for protection")
    await rig.send(STOP)
    assert ids(rig.sent()) == ["SMaa1"]


# ---- the clock ----


async def test_a_wrong_clock_stops_entries_and_nothing_else():
    rig = Rig(now=100 * SECOND)
    rig.gateway._on_venue_time(100 * SECOND, 97 * SECOND, 100 * SECOND)
    await rig.send(ALONE, STOP)
    assert ids(rig.sent()) == ["SMaa1"]
    assert rig.take() == [("SMaa2", OrderState.REJECTED, "clock is +2.0 s off the venue's")]
    rig.gateway._on_venue_time(100 * SECOND, 100 * SECOND, 100 * SECOND)
    await rig.send(ALONE)
    assert ids(rig.sent()) == ["SMaa2"]


async def test_the_clock_is_compared_while_running():
    rig = Rig(now=100 * SECOND)
    rig.gateway._public.now = 90 * SECOND
    async with running(rig.gateway._watch_clock()):
        for _ in range(9):
            await asyncio.sleep(0)
    assert rig.gateway._clock_lead == -9 * SECOND


# ---- the key ----


@pytest.mark.parametrize(
    "info, words",
    [
        (KeyInfo((*PERMISSIONS, "Withdraw Funds"), 0, ("1",)), "key of account main: the key may withdraw"),
        (
            KeyInfo(PERMISSIONS[1:], 9, ("1",)),
            "lacks the permission Query Funds; expected a nonce window of 0",
        ),
        (KeyInfo(PERMISSIONS, 0, ()), "works from any address"),
        (
            VenueError("GetApiKeyInfo: EGeneral:Unknown method"),
            "expected proof of what the key of main may do",
        ),
    ],
)
async def test_a_key_that_is_not_right_ends_the_start(info, words):
    rig = Rig(ready=False)
    rig.signed.info = info
    with pytest.raises(ExceptionGroup) as ended:
        await rig.gateway.run()
    (error,) = ended.value.exceptions
    assert isinstance(error, NotPermitted)
    assert words in str(error)
    assert rig.signed.tokens == 0


async def test_a_list_of_addresses_can_be_waived_and_the_key_is_asked_once():
    rig = Rig(ready=False)
    rig.signed.info = KeyInfo(PERMISSIONS, 0, ())
    rig.gateway._any_address = True
    await rig.gateway._prepare()
    rig.signed.info = LinkLost("not asked again")
    await rig.gateway._prepare()
    assert rig.signed.tokens == 2


async def test_a_key_without_the_right_to_subscribe_ends_the_start_in_one_line():
    rig = Rig(ready=False)
    rig.session.connected(0)
    rig.receive({"method": "subscribe", "success": False, "error": "EGeneral:Permission denied"})
    with pytest.raises(NotPermitted, match="private subscription refused: EGeneral:Permission denied"):
        await rig.gateway._prepare()


async def test_a_key_that_dies_halts_the_account_and_keeps_the_socket_for_protection():
    rig = Rig()
    await reconciled(rig)
    rig.signed.failures.append(NotPermitted("OpenOrders: EAPI:Invalid key"))
    rig.reports.clear()
    await rig.gateway.reconcile(RequestReconcile("main", (), MINUTE))
    await rig.gateway._reconcile()
    (link,) = [r for r in rig.reports if isinstance(r, LinkChange)]
    assert (link.up, link.reason) == (True, "halted: OpenOrders: EAPI:Invalid key")
    refused = ("SMaa2", OrderState.REJECTED, "account is halted: OpenOrders: EAPI:Invalid key")
    await rig.send(ALONE, STOP, CANCEL)
    assert [r["method"] for r in rig.sent()] == ["add_order", "cancel_order"]
    assert refused in rig.take()
    left = await geared(rig, "never asked", msgspec.structs.replace(GEARED, purpose=Purpose.EXIT))
    assert (left.cl_ord_id, left.state, left.reason) == refused
    assert rig.signed.orders == []


async def test_questions_to_a_halted_account_are_neither_asked_nor_piled_up():
    rig = Rig()
    await reconciled(rig)
    rig.gateway._halt("OpenOrders: EAPI:Invalid key")
    asked = len(rig.signed.asked)
    for _ in range(3):
        await rig.gateway.reconcile(RequestReconcile("main", (), MINUTE))
    assert rig.gateway._requests == []
    assert not rig.gateway._asked.is_set()
    assert len(rig.signed.asked) == asked


async def test_a_cancelled_order_no_longer_leaves_over_rest():
    rig = Rig()
    await rig.send(GEARED, CancelOrder("main", "a", GEARED.cl_ord_id, "BTC/USDT"))
    assert rig.take() == [(GEARED.cl_ord_id, OrderState.REJECTED, "cancelled before it was sent")]
    assert rig.sent() == []
    async with running(rig.gateway._send_over_rest()):
        await asyncio.sleep(0)
    assert rig.signed.orders == []


async def test_a_link_that_may_not_come_back_halts_without_ending_the_process():
    rig = Rig()
    await reconciled(rig)
    rig.session.barred = "EGeneral:Permission denied"
    await rig.gateway._stay_linked()
    assert rig.gateway.halted == "private subscription refused: EGeneral:Permission denied"


def holding(rig):
    """Give a gateway of an account that an earlier process left something at the venue for."""
    gateway = VenueGateway(
        "main", VenueUrls(), Credentials("k", "s"), rig.clock, rig.sink, delays_s=(0.0,), holds=True
    )
    gateway._signed, gateway._public = rig.signed, FakePublic()
    return gateway


async def test_a_wrong_key_of_an_account_that_holds_something_is_kept_for_protection():
    rig = Rig(ready=False)
    gateway = holding(rig)
    rig.signed.info = VenueError("GetApiKeyInfo: EGeneral:Unknown method")
    await gateway._prepare()
    assert gateway.halted.startswith("expected proof of what the key of main may do")
    assert rig.signed.tokens == 1  # the socket can be opened: stops, exits and cancels need it
    (link,) = [r for r in rig.reports if isinstance(r, LinkChange)]
    assert (link.up, link.reason) == (False, f"halted: {gateway.halted}")
    rig.gateway, rig.session = gateway, gateway.session
    rig.connect()
    rig.take()
    await rig.send(ALONE, STOP)
    assert ids(rig.sent()) == ["SMaa1"]
    assert [state for _, state, _ in rig.take()] == [OrderState.REJECTED]


async def test_a_dead_key_of_an_account_that_holds_something_halts_instead_of_ending():
    rig = Rig(ready=False)
    gateway = holding(rig)
    rig.signed.info = NotPermitted("GetApiKeyInfo: EAPI:Invalid key")
    rig.signed.token_failure = NotPermitted("GetWebSocketsToken: EAPI:Invalid key")
    await gateway._stay_linked()
    assert gateway.halted == "GetApiKeyInfo: EAPI:Invalid key"


async def test_a_second_process_with_the_same_key_writes_nothing(tmp_path):
    rig = Rig(ready=False)
    rig.gateway._keys = tmp_path
    with held_key(tmp_path, "k"), pytest.raises(TemporaryError, match="this API key"):
        await rig.gateway.run()
    assert rig.signed.tokens == 0


# ---- leverage ----


async def geared(rig, answer, order=GEARED):
    """Send one order over REST and give the news of it."""
    rig.signed.answers.append(answer)
    news = asyncio.Queue()
    rig.gateway.sink = news.put_nowait
    await rig.send(order)
    async with running(rig.gateway._send_over_rest()):
        return await told(news, lambda report: isinstance(report, OrderUpdate))


async def test_an_order_with_a_leverage_goes_over_rest_and_is_known_to_the_stream():
    rig = Rig()
    report = await geared(rig, "O1")
    assert (report.cl_ord_id, report.state, report.order_id) == ("SMaa2", OrderState.WORKING, "O1")
    assert rig.sent() == []
    assert rig.signed.orders == [GEARED]
    assert rig.session.known("SMaa2").quantity == Decimal("0.5")
    assert rig.gateway.counter.level("BTC/USDT", 0) == 1


@pytest.mark.parametrize(
    "answer, state, halted",
    [
        (LinkLost("AddOrder: HTTP 520"), OrderState.UNKNOWN, ""),
        (VenueError("AddOrder: EOrder:Insufficient margin"), OrderState.REJECTED, ""),
        (NotPermitted("AddOrder: EAPI:Invalid key"), OrderState.REJECTED, "AddOrder: EAPI:Invalid key"),
    ],
)
async def test_an_order_over_rest_is_judged_by_proof(answer, state, halted):
    rig = Rig()
    report = await geared(rig, answer)
    assert (report.state, rig.gateway.halted) == (state, halted)
    assert len(rig.signed.orders) == 1


async def test_a_geared_entry_waits_for_its_stop_like_any_other():
    rig = Rig()
    await rig.send(STOP, msgspec.structs.replace(ENTRY, leverage=2))
    assert rig.gateway._rest_orders.empty()
    rig.answer(rig.sent()[0], success=True, result={"order_id": "O1"})
    assert rig.gateway._rest_orders.get_nowait().cl_ord_id == "SMaa2"
