"""The promises of a live account, each while the venue does what it must not.

Ids in the names' comments are rows of the fault catalogue.
"""

import msgspec
import pytest

from core.clock import SECOND
from core.errors import LinkLost, NotPermitted
from core.orders import CancelOrder, OrderState
from tests.execution.faulty_world import World, passing
from tests.venue.loopback_client import XRP

WORKING, FILLED, UNKNOWN = OrderState.WORKING, OrderState.FILLED, OrderState.UNKNOWN
REJECTED, CANCELED = OrderState.REJECTED, OrderState.CANCELED


@pytest.fixture
async def world():
    return await World().connect()


def cancel(order):
    return CancelOrder("paper", "a", order.cl_ord_id, XRP)


def only_truth(truth, order):
    (found,) = [one for one in truth.orders if one.cl_ord_id == order.cl_ord_id]
    return found


# ---- A: orders ----


@pytest.mark.parametrize("fault", ["drop_ack", "cut_on_request"])  # A01, A19
async def test_an_order_whose_answer_is_lost_is_found_and_never_called_rejected(world, fault):
    world.arm(fault)
    order = world.entry()
    await world.send(order)
    await world.passes(6)
    assert REJECTED not in world.states(order)
    if world.connection is None:
        await world.connect()
    truth = await world.truth(order.cl_ord_id)
    assert only_truth(truth, order).state is FILLED
    assert [p.quantity for p in truth.positions] == [100]
    assert world.held_at_venue() == 100
    assert sum({f.exec_id: f.quantity for f in truth.fills}.values()) == 100


async def test_a_request_that_never_arrives_is_unknown_until_its_absence_is_read(world):  # A04
    world.arm("drop_request", count=5)
    order = world.entry()
    await world.send(order)
    await world.passes(6)
    assert world.states(order) == [UNKNOWN]
    truth = await world.truth(order.cl_ord_id)
    assert truth.asked == (order.cl_ord_id,)
    assert truth.orders == ()
    assert world.venue.faults.schedule.fired == {"drop_request": 1}  # nothing was sent again


@pytest.mark.parametrize("late", [2, 30])  # A03
async def test_a_late_request_is_carried_out_once_or_killed_by_its_deadline(world, late):
    world.arm("delay_request", seconds=late)
    order = world.entry()
    await world.send(order)
    await world.passes(late + 2)
    assert world.held_at_venue() == (100 if late < 5 else 0)
    assert world.states(order)[-1] is (FILLED if late < 5 else REJECTED)


async def test_a_late_answer_only_informs(world):  # A18
    world.arm("delay_ack", seconds=8)
    order = world.resting()
    await world.send(order)
    await world.passes(10)
    assert world.states(order)[-1] is WORKING
    assert world.open_at_venue() == [order.cl_ord_id]


async def test_an_order_that_filled_before_the_first_look_is_found_filled(world):  # A06
    world.arm("drop_exec", count=10)
    world.arm("drop_ack")
    order = world.entry()
    await world.send(order)
    await world.passes(6)
    assert world.states(order) == [UNKNOWN]
    assert only_truth(await world.truth(order.cl_ord_id), order).state is FILLED


@pytest.mark.parametrize(
    "fault", ["http_502_before", "http_520_after", "html_200", "empty_body", "no_result"]
)
async def test_a_query_that_fails_says_nothing_of_any_order(world, fault):  # A07, B11, D09
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    for path in ("OpenOrders", "OpenPositions"):
        world.arm(fault, match={"method": path})
        with pytest.raises(LinkLost):
            await world.truth(order.cl_ord_id)
    assert only_truth(await world.truth(order.cl_ord_id), order).state is WORKING
    assert world.states(order)[-1] is WORKING


@pytest.mark.parametrize(
    "fault, state",
    [
        ("http_502_before", UNKNOWN),
        ("http_520_after", UNKNOWN),
        ("rest_lost_answer", UNKNOWN),
        ("html_200", UNKNOWN),
        ("empty_body", UNKNOWN),
        ("no_result", UNKNOWN),
        ("rate_limited", REJECTED),
        ("rest_warning", FILLED),
    ],
)
async def test_an_order_over_rest_is_sent_once_and_unknown_on_any_doubt(world, fault, state):  # A01, A02
    world.arm(fault, match={"method": "AddOrder"})
    order = msgspec.structs.replace(world.entry(), leverage=3)
    before = world.rest.calls.count("AddOrder")
    for event in await passing(world, world.gateway._sent_over_rest(order)):
        world.gateway._on_event(event)
    await world.passes(1)
    assert world.rest.calls.count("AddOrder") == before + 1
    carried_out = fault not in ("http_502_before", "rate_limited")
    assert world.held_at_venue() == (100 if carried_out else 0)
    assert state in world.states(order)
    assert (REJECTED in world.states(order)) is (state is REJECTED)


async def test_a_lost_cancel_answer_leaves_the_channel_to_tell(world):  # A08
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    world.arm("drop_cancel_ack")
    await world.send(cancel(order))
    await world.passes(6)
    assert CANCELED in world.states(order)
    assert world.open_at_venue() == []


async def test_a_phantom_cancel_is_contradicted_by_a_targeted_query(world):  # A11
    world.arm("phantom_cancel")
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    assert world.open_at_venue() == [order.cl_ord_id]
    opened = await world.rest.open_orders(await world.gateway._public.names())
    assert [o.cl_ord_id for o in opened.values()] == [order.cl_ord_id]


async def test_more_fills_than_the_order_had_are_told_not_swallowed(world):  # A12
    world.arm("overfill")
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    assert sorted(world.fills().values()) == [100, 100]
    assert world.dead == []


async def test_a_storm_of_refusals_costs_one_request_each(world):  # A15
    world.arm("reject", count=20)
    for number in range(20):
        await world.send(world.entry(f"SMe{number}"))
    await world.passes(1)
    refused = [s for n in range(20) for s in world.states(world.entry(f"SMe{n}"))]
    assert refused == [REJECTED] * 20
    assert world.held_at_venue() == 0


# ---- B: the private stream ----


async def test_a_report_that_was_never_written_is_found_by_reading(world):  # B01
    world.arm("drop_exec", count=10, match={"exec_type": "trade"})
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    assert world.fills() == {}
    truth = await world.truth()
    assert [(f.cl_ord_id, f.quantity) for f in truth.fills] == [(order.cl_ord_id, 100)]


@pytest.mark.parametrize("fault", ["duplicate_exec", "duplicate_frame", "reorder"])  # B02, B03
async def test_the_ledger_is_the_same_whatever_the_order_of_reports(world, fault):
    world.arm(fault, count=3, match={"channel": "executions"})
    order = world.entry()
    await world.send(order)
    await world.passes(5)
    if world.connection is None:
        await world.connect()
    fills = world.fills() | {f.exec_id: f.quantity for f in (await world.truth(order.cl_ord_id)).fills}
    assert sum(fills.values()) == 100 == world.held_at_venue()


async def test_replayed_fills_carry_the_ids_they_had(world):  # B04
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    before = world.fills()
    world.disconnect("test")
    world.arm("replay_fills")
    await world.connect()
    assert world.fills() == before
    assert before


async def test_more_than_fifty_fills_during_an_outage_are_all_read(world):  # B05
    world.disconnect("test")
    other = await World.connect(Stranger(world))
    for number in range(60):
        await other.send(other.entry(f"SMx{number}"))
    await other.passes(1)
    await world.connect()
    truth = await world.truth()
    assert len({f.exec_id for f in truth.fills}) == 60
    assert sum(f.quantity for f in truth.fills) == world.held_at_venue() == 6000


class Stranger(World):
    """A second connection to the venue of another world."""

    def __init__(self, world):
        super().__init__()
        self.venue, self.clock = world.venue, world.clock
        self.gateway.clock = world.clock
        self.rest = type(world.rest)(self.venue, self.clock)
        self.gateway._signed, self.gateway._public = self.rest, world.gateway._public


async def test_a_sequence_gap_cuts_the_connection_and_ends_the_doubt_by_reading(world):  # B06
    world.arm("sequence_gap")
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    assert world.dead == ["executions sequence gap: expected 2, found 3"]
    up, _, _ = world.links()[-1]
    assert not up
    await world.send(world.entry("SMe9"))
    assert world.states(world.entry("SMe9")) == [REJECTED]
    await world.connect()
    assert only_truth(await world.truth(order.cl_ord_id), order).state is WORKING


@pytest.mark.parametrize("fault", ["token_invalid", "subscribe_refused"])  # B07, D06
async def test_a_refused_token_is_renewed_on_a_new_connection(fault):
    world = World()
    world.arm(fault, **({"error": "ESession:Invalid session"} if fault == "subscribe_refused" else {}))
    await world.connect()
    assert len(world.dead) == 1
    await world.connect()
    assert world.session.ready
    assert world.rest.calls.count("GetWebSocketsToken") == 2


async def test_a_key_without_the_right_to_subscribe_stops_and_says_so():  # D06
    world = World()
    world.arm("subscribe_refused")
    await world.connect()
    with pytest.raises(NotPermitted, match="Permission denied"):
        await world.connect()


async def test_a_subscription_that_is_not_answered_is_cut_in_ten_seconds():  # B08
    world = World()
    world.arm("subscribe_unacked")
    await world.connect()
    await world.passes(9)
    assert not world.session.ready
    await world.passes(1)
    assert world.dead == ["private subscriptions not confirmed in 10 s, confirmed ['balances']"]


async def test_a_silent_subscription_leaves_the_truth_to_rest(world):  # B08
    world.disconnect("test")
    world.arm("subscribe_silent", duration_s=60)
    await world.connect()
    assert not world.session.ready  # acked, but no snapshot yet
    await world.passes(3)
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    assert world.fills() == {}
    assert only_truth(await world.truth(order.cl_ord_id), order).state is FILLED


async def test_silence_is_noticed_in_ten_seconds(world):  # C03
    world.arm("silence", duration_s=60)
    await world.passes(11)
    assert len(world.dead) == 1
    assert world.links()[-1][0] is False


async def test_a_stranger_is_seen_and_not_touched(world):  # B09
    world.arm("stranger_order", account="paper", symbol=XRP)
    world.arm("stranger_position", account="paper", symbol=XRP)
    await world.passes(2)
    truth = await world.truth()
    assert [o.cl_ord_id for o in truth.orders] == [""]
    assert len(truth.positions) == 1
    assert world.open_at_venue() == [""]


async def test_rest_that_lags_never_unfills(world):  # B10
    world.arm("rest_lag", seconds=60, duration_s=600)
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    found = only_truth(await world.truth(order.cl_ord_id), order)
    assert (found.state, found.filled) == (FILLED, 100)


async def test_an_order_missing_from_the_list_is_known_from_the_stream(world):  # B12
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    world.arm("missing_order", count=2)
    assert only_truth(await world.truth(order.cl_ord_id), order).state is WORKING


@pytest.mark.parametrize(
    "fault", ["malformed", "deep", "huge", "unknown_keys", "unknown_channel", "wrong_type", "bare_text"]
)
async def test_frames_that_cannot_be_right_never_end_in_a_crash(world, fault):  # C09
    world.arm(fault, match={"channel": "executions"}, **({"times": 64} if fault == "huge" else {}))
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    if world.connection is None:
        await world.connect()
    assert only_truth(await world.truth(order.cl_ord_id), order).state is WORKING


@pytest.mark.parametrize("value", ["0", "-1", "1e308", "NaN", "Infinity"])  # C07
async def test_a_fill_at_an_impossible_price_is_never_booked(world, value):
    world.arm("bad_number", value=value, match={"channel": "executions", "exec_type": "trade"})
    await world.send(world.entry())
    await world.passes(1)
    assert world.fills() == {}
    assert len(world.dead) == 1
    await world.connect()
    assert sum(f.quantity for f in (await world.truth()).fills) == 100


# ---- D: modes and limits ----


@pytest.mark.parametrize("system", ["cancel_only", "post_only", "maintenance"])  # D01
async def test_no_forbidden_request_reaches_the_venue_in_any_state(world, system):
    rests = world.resting()
    await world.send(rests)
    await world.passes(1)
    world.arm("mode", system=system)
    await world.passes(0.5)
    seen = []
    receive = world.venue.private_door.receive

    def watched(connection, request):
        seen.append(request["method"])
        receive(connection, request)

    world.venue.private_door.receive = watched
    entry, guard = world.entry(), world.resting("SMr2", deadline=world.clock.now() + 60 * SECOND)
    await world.send(entry, guard, cancel(rests))
    await world.passes(1)
    assert set(seen) - {"ping"} == (set() if system == "maintenance" else {"cancel_order"})
    assert world.states(entry) == [REJECTED]
    world.arm("mode", system="online")
    await world.passes(1)
    assert world.open_at_venue() == ["SMr2"]
    assert [system for _, system, _ in world.links()[-2:]] == [system, "online"]


async def test_a_message_rate_refusal_ends_in_a_fresh_connection(world):  # D03
    world.arm("message_rate", match={"method": "add_order"})
    order = world.entry()
    await world.send(order)
    await world.passes(1)
    assert world.dead == ["venue refused: Exceeded msg rate"]
    assert world.states(order) == [UNKNOWN]
    await world.connect()
    assert (await world.truth(order.cl_ord_id)).orders == ()


async def test_a_lockout_silences_rest_and_leaves_the_socket_to_work(world):  # D04
    world.arm("lockout", duration_s=3600)
    for _ in range(5):
        with pytest.raises(LinkLost, match="lock"):
            await world.truth()
    locked = world.rest.calls.count("OpenOrders")
    assert locked == 1
    order = world.resting()
    await world.send(order)
    await world.passes(1)
    assert world.open_at_venue() == [order.cl_ord_id]
    await world.passes(14 * 60)
    with pytest.raises(LinkLost):
        await world.truth()
    assert world.rest.calls.count("OpenOrders") == 1


async def test_a_refused_nonce_is_tried_once_more_and_then_demands_a_key(world):  # D05
    world.arm("invalid_nonce")
    assert await world.truth()
    world.arm("invalid_nonce", count=2)
    calls = len(world.rest.calls)
    with pytest.raises(NotPermitted, match="make a new key"):
        await world.truth()
    assert len(world.rest.calls) == calls + 2


async def test_throttled_is_waited_out(world):  # D03
    world.arm("throttled", seconds=30)
    for _ in range(3):
        with pytest.raises(LinkLost, match=r"[Tt]hrottled"):
            await world.truth()
    assert world.rest.calls.count("OpenOrders") == 1
    await world.passes(31)
    assert await world.truth()
