"""Each fault of frames, requests and acts fires at the door and does what its row says."""

import asyncio
import json
import zlib
from decimal import Decimal

import pytest

from core.clock import MINUTE
from core.errors import ConfigError
from tests.venue.fault_client import SECOND, XRP, Guest, arm, fired
from tests.venue.loopback_client import public, rest, rows, top, venue_at

BOOK = {"channel": "book", "symbol": [XRP]}


@pytest.fixture
def world():
    venue, clock = venue_at()
    guest, member = Guest(venue, clock), Guest(venue, clock, account="paper")
    assert [guest.frames()[0]["channel"], member.frames()[0]["channel"]] == ["status", "status"]
    return venue, clock, guest, member


def kinds(frames):
    return [frame.get("channel") or frame.get("method") for frame in frames]


def sequences(frames, channel="executions"):
    return [frame["sequence"] for frame in frames if frame.get("channel") == channel]


def test_without_faults_frames_pass_untouched(world):
    venue, clock, guest, _ = world
    plain = Guest(venue, clock)
    plain.connection.tamper = None
    for one in (guest, plain):
        one.ask("subscribe", channel="book", symbol=[XRP])
    clock.advance_to(clock.now() + 3 * SECOND)
    venue.pump()
    assert guest.texts() == plain.texts() != []


# ---- connections and modes ----


def test_connect_refused(world):
    venue, *_ = world
    arm(venue, "connect_refused", count=2)
    assert [venue.public_door.admits() for _ in range(3)] == [False, False, True]


def test_close_by_stream_and_code(world):
    venue, _, guest, member = world
    arm(venue, "close", stream="public")
    assert guest.connection.farewell == (1001, "CloudFlare WebSocket proxy restarting")
    assert guest.frames()[-1] is None
    assert not member.connection.closing
    arm(venue, "close", code=1006)
    assert member.connection.farewell[0] == 1006


def test_stall_keeps_heartbeats_and_acks(world):
    venue, _, guest, _ = world
    guest.subscribed(channel="trade", symbol=[XRP])
    arm(venue, "stall", duration_s=30)
    assert kinds(guest.ask("subscribe", **BOOK)) == ["subscribe"]
    venue.public.heartbeat()
    assert kinds(guest.wait(20 * SECOND)) == ["heartbeat"]
    assert "book" in kinds(guest.wait(20 * SECOND))


def test_silence_lets_nothing_pass(world):
    venue, _, guest, _ = world
    guest.subscribed(**BOOK)
    arm(venue, "silence", duration_s=30, match={"stream": "public"})
    venue.public.heartbeat()
    assert guest.ask("ping", 1) == []
    assert guest.wait(20 * SECOND) == []
    assert not guest.connection.closing


def test_one_dead_channel_leaves_the_others(world):
    venue, _, guest, _ = world
    guest.subscribed(**BOOK)
    guest.subscribed(channel="trade", symbol=[XRP])
    arm(venue, "channel_dead", duration_s=60, match={"channel": "trade"})
    assert set(kinds(guest.wait(30 * SECOND))) == {"book"}
    assert fired(venue, "channel_dead") > 0


def test_status_comes_first_and_keeps_its_id_beyond_64_bits_signed():
    venue, clock = venue_at()
    guest = Guest(venue, clock)
    arm(venue, "mode", system="post_only")
    first, second = guest.frames()
    assert [(f["channel"], f["data"][0]["system"]) for f in (first, second)] == [
        ("status", "online"),
        ("status", "post_only"),
    ]
    assert first["data"][0]["connection_id"] == second["data"][0]["connection_id"] > 1 << 63


def test_modes_are_told_and_forbid_what_they_forbid(world):
    venue, clock, guest, member = world
    member.subscribed("executions")
    member.submit("rests")
    member.wait(SECOND)
    guest.frames()

    arm(venue, "mode", system="cancel_only")
    member.frames()
    closed = "EService:Market in cancel_only mode"
    assert error_of(member, member.submit("plain")) == closed
    assert error_of(member, member.submit("quiet", post_only=True)) == closed
    assert error_of(member, member.ask("amend_order", cl_ord_id="rests", order_qty=150.0)) == closed
    arm(venue, "mode", system="post_only")
    member.frames()
    assert error_of(member, member.submit("plain")) == "EService:Market in post_only mode"
    member.ask("amend_order", cl_ord_id="rests", order_qty=150.0)
    assert answer_of(member)["success"]
    assert member.submit("quieter", post_only=True) == []
    assert answer_of(member)["success"]
    arm(venue, "mode", system="maintenance")
    member.frames()
    for method, more in (
        ("cancel_order", {"cl_ord_id": ["rests"]}),
        ("batch_cancel", {"orders": ["rests", "quieter"]}),
        ("cancel_all", {}),
        ("amend_order", {"cl_ord_id": "rests", "order_qty": 160.0}),
    ):
        assert error_of(member, member.ask(method, **more)) == "EService:Unavailable"
    assert [f["data"][0]["system"] for f in guest.frames()] == ["cancel_only", "post_only", "maintenance"]
    assert Guest(venue, clock).frames()[0]["data"][0]["system"] == "maintenance"
    arm(venue, "mode", system="online")
    member.frames()
    assert member.submit("again") == []
    assert member.wait(SECOND)[0]["success"]


def test_nothing_matches_while_the_venue_is_not_online(world):
    venue, _, _, member = world
    member.subscribed("executions")
    bid, _ = top(venue)
    member.submit("near", limit_price=float(bid))
    member.wait(SECOND)
    arm(venue, "mode", system="cancel_only")
    assert [row["exec_type"] for row in rows(member.wait(30 * MINUTE))] == []
    arm(venue, "mode", system="online")
    assert "trade" in [row["exec_type"] for row in rows(member.wait(60 * MINUTE))]


def answer_of(member):
    """The answer to a request, once the exchange has it."""
    return next(frame for frame in member.wait(SECOND) if "success" in frame)


def error_of(member, at_once):
    assert at_once == []  # it comes from the exchange, not from the door
    return answer_of(member)["error"]


# ---- frames ----


def first(guest, channel):
    return next(f for f in guest.wait(30 * SECOND) if not isinstance(f, dict) or f.get("channel") == channel)


def test_malformed_huge_and_deep_frames(world):
    venue, _, guest, _ = world
    guest.subscribed(channel="trade", symbol=[XRP])
    arm(venue, "malformed")
    guest.clock.advance_to(guest.clock.now() + 30 * SECOND)
    venue.pump()
    with pytest.raises(ValueError, match=r"."):
        json.loads(guest.texts()[0])
    arm(venue, "huge", times=100)
    assert len(first(guest, "trade")["padding"]) == 102_400
    arm(venue, "deep", times=5000)
    guest.clock.advance_to(guest.clock.now() + 30 * SECOND)
    venue.pump()
    assert "[" * 5000 + "]" * 5000 in guest.texts()[0]


def test_wrong_types_unknown_keys_channels_and_bare_text(world):
    venue, _, guest, _ = world
    guest.subscribed(channel="trade", symbol=[XRP])
    arm(venue, "wrong_type")
    row = first(guest, "trade")["data"][0]
    assert (row["symbol"], type(row["price"])) == (7, str)
    arm(venue, "unknown_keys")
    frame = first(guest, "trade")
    assert "flavour" in frame
    assert "flavour" in frame["data"][0]
    arm(venue, "unknown_channel")
    assert first(guest, "weather")["data"] == [{"sky": "blue"}]
    arm(venue, "bare_text")
    assert first(guest, "-") == "CloudFlare WebSocket proxy restarting"


@pytest.mark.parametrize("value", ["0", "-1", "1e308", "NaN", "Infinity"])
def test_numbers_no_market_has(world, value):
    venue, _, guest, _ = world
    guest.subscribed(channel="trade", symbol=[XRP])
    arm(venue, "bad_number", value=value)
    guest.clock.advance_to(guest.clock.now() + 30 * SECOND)
    venue.pump()
    assert f'"price":{value},' in guest.texts()[0]


def crc(row):
    def digits(level):
        return "".join(format(level[k], "f").replace(".", "").lstrip("0") for k in ("price", "qty"))

    return zlib.crc32("".join(map(digits, row["asks"][:10] + row["bids"][:10])).encode())


def test_corrupt_checksum_and_crossed_book(world):
    venue, _, guest, _ = world
    right = guest.subscribed(**BOOK)[-1]["data"][0]
    assert right["checksum"] == crc(right)
    guest.ask("unsubscribe", **BOOK)
    arm(venue, "corrupt_checksum")
    wrong = guest.ask("subscribe", **BOOK)[-1]["data"][0]
    assert wrong["checksum"] == crc(wrong) ^ 1
    guest.ask("unsubscribe", **BOOK)
    arm(venue, "crossed_book")
    crossed = guest.ask("subscribe", **BOOK)[-1]["data"][0]
    assert crossed["bids"][0]["price"] > crossed["asks"][0]["price"]
    assert crossed["checksum"] == crc(crossed)


def test_lost_book_trade_gap_burst_and_shifted_time(world):
    venue, clock, guest, _ = world
    guest.subscribed(**BOOK)
    guest.subscribed(channel="trade", symbol=[XRP])
    other = Guest(venue, clock)
    other.subscribed(**BOOK)
    arm(venue, "lost_book")
    arm(venue, "trade_gap", count=2)
    guest.wait(2 * MINUTE)
    assert (fired(venue, "lost_book"), fired(venue, "trade_gap")) == (1, 2)
    arm(venue, "burst", match={"channel": "trade"})
    trades = [f for f in guest.wait(MINUTE) if f["channel"] == "trade"]
    assert trades.count(trades[0]) == 50
    arm(venue, "shifted_time", seconds=3600.0, match={"channel": "trade"})
    hour = first(guest, "trade")["data"][0]["timestamp"]
    assert hour > "2024-06-14T13:00:00"


def test_instrument_change_is_told_and_holds(world):
    venue, _, guest, member = world
    guest.subscribed("instrument")
    member.subscribed("executions")
    arm(venue, "instrument_change", symbol=XRP, fields={"price_increment": "0.01", "status": "reduce_only"})
    (frame,) = guest.frames()
    (pair,) = frame["data"]["pairs"]
    assert (pair["status"], pair["price_precision"], pair["price_increment"]) == (
        "reduce_only",
        2,
        Decimal("0.01"),
    )
    member.submit("x")
    assert member.wait(SECOND)[0]["success"] is False


# ---- orders ----


def names(venue):
    return sorted(order["cl_ord_id"] for order in rest(venue, "OpenOrders")["open"].values())


def test_lost_request_and_lost_ack(world):
    venue, _, _, member = world
    arm(venue, "drop_request")
    assert member.submit("a") == []
    member.wait(SECOND)
    assert names(venue) == []
    arm(venue, "drop_ack")
    member.submit("b")
    assert [f for f in member.wait(SECOND) if "method" in f] == []
    assert names(venue) == ["b"]
    arm(venue, "drop_cancel_ack")
    member.ask("cancel_order", cl_ord_id=["b"])
    assert [f for f in member.wait(SECOND) if "method" in f] == []
    assert names(venue) == []


def test_late_request_is_carried_out_even_for_a_client_that_left(world):
    venue, _, _, member = world
    arm(venue, "delay_request", seconds=5, count=2)
    member.submit("a")
    assert member.wait(4 * SECOND) == []
    assert names(venue) == []
    member.submit("b")
    venue.private_door.closed(member.connection)
    member.wait(7 * SECOND)
    member.wait(SECOND)
    assert names(venue) == ["a", "b"]


def test_a_delay_beyond_the_deadline_ends_the_order(world):
    venue, _, _, member = world
    arm(venue, "delay_request", seconds=6, count=2)
    member.submit("a", deadline="2024-06-14T12:00:05.000Z")
    member.submit("b", deadline="2024-06-14T12:00:30.000Z")
    errors = [f.get("error") for f in member.wait(10 * SECOND) + member.wait(SECOND)]
    assert errors == ["EService:Deadline elapsed", None]
    assert names(venue) == ["b"]


def test_late_ack_comes_after_the_news(world):
    venue, _, _, member = world
    member.subscribed("executions")
    arm(venue, "delay_ack", seconds=3)
    member.submit("a")
    assert set(kinds(member.wait(SECOND))) == {"executions"}
    assert kinds(member.wait(3 * SECOND)) == ["add_order"]


def test_cut_before_the_answer_leaves_the_order(world):
    venue, _, _, member = world
    arm(venue, "cut_on_request", match={"method": "add_order"})
    assert member.submit("a") == [None]
    assert member.connection.farewell[0] == 1006
    member.wait(SECOND)
    assert names(venue) == ["a"]


def test_refusals_of_requests(world):
    venue, _, guest, member = world
    arm(venue, "reject", count=3)
    assert {member.submit(n)[0]["error"] for n in "abc"} == {"EOrder:Insufficient funds"}
    assert names(venue) == []
    arm(venue, "message_rate")
    assert guest.ask("subscribe", **BOOK)[-1] == {"Error": "Exceeded msg rate"}
    arm(venue, "token_invalid")
    assert member.subscribed("executions")[0]["error"] == "ESession:Invalid session"
    arm(venue, "subscribe_refused")
    assert member.subscribed("executions")[0]["error"] == "EGeneral:Permission denied"
    arm(venue, "subscribe_unacked")
    assert member.subscribed("executions") == []
    arm(venue, "subscribe_silent", duration_s=5)
    assert kinds(member.subscribed("executions")) == ["subscribe"]


def test_phantom_cancel_and_overfill_are_told_of_living_orders(world):
    venue, _, _, member = world
    member.subscribed("executions")
    arm(venue, "phantom_cancel")
    member.submit("a")
    news = member.wait(SECOND)
    assert [row["exec_type"] for row in rows(news)] == ["pending_new", "new", "canceled"]
    assert names(venue) == ["a"]
    arm(venue, "overfill")
    member.take("b")
    more = member.wait(SECOND)
    fills = [row for row in rows(more) if row["exec_type"] == "trade"]
    assert len({row["exec_id"] for row in fills}) == len(fills) == 2
    assert sum(row["last_qty"] for row in fills) == 200
    assert sequences(news + more) == list(range(2, 2 + len(sequences(news + more))))


# ---- the private stream ----


def told(member, venue, name, **parameters):
    member.subscribed("executions")
    arm(venue, name, **parameters)
    member.submit("a")
    return [f for f in member.wait(SECOND) if f.get("channel") == "executions"]


def test_dropped_report_leaves_no_hole(world):
    venue, _, _, member = world
    assert sequences(told(member, venue, "drop_exec")) == [2]
    member.submit("b")
    assert sequences(member.wait(SECOND)) == [3, 4]


def test_duplicated_report_and_frame(world):
    venue, _, _, member = world
    frames = told(member, venue, "duplicate_exec")
    assert sequences(frames) == [2, 3, 4]
    assert frames[0]["data"] == frames[1]["data"]
    arm(venue, "duplicate_frame", match={"channel": "executions"})
    member.submit("b")
    assert sequences(member.wait(SECOND)) == [5, 5, 6]


def test_reordered_reports_keep_rising_numbers(world):
    venue, _, _, member = world
    frames = told(member, venue, "reorder")
    assert sequences(frames) == [2, 3]
    assert [row["exec_type"] for row in rows(frames)] == ["new", "pending_new"]


def test_sequence_gap_and_a_new_subscription_counts_anew(world):
    venue, _, _, member = world
    assert sequences(told(member, venue, "sequence_gap")) == [3, 4]
    member.ask("unsubscribe", channel="executions")
    assert sequences(member.subscribed("executions")) == [1]
    member.submit("b")
    assert sequences(member.wait(SECOND)) == [2, 3]


def test_replayed_fills_and_missing_order(world):
    venue, clock, _, member = world
    member.subscribed("executions")
    member.take("a")
    member.submit("b")
    member.wait(SECOND)
    arm(venue, "replay_fills")
    again = Guest(venue, clock, account="paper")
    snapshot = again.subscribed("executions", snap_trades=False)[-1]
    assert [row["exec_type"] for row in snapshot["data"]] == ["new", "trade"]
    arm(venue, "missing_snapshot_order")
    other = Guest(venue, clock, account="paper")
    assert other.subscribed("executions")[-1]["data"] == []
    assert names(venue) == ["b"]


def test_strangers_on_the_account(world):
    venue, _, _, member = world
    member.subscribed("executions")
    arm(venue, "stranger_order", account="paper", symbol=XRP)
    arm(venue, "stranger_position", account="paper", symbol=XRP)
    news = rows(member.wait(SECOND))
    assert {row.get("cl_ord_id") for row in news} == {None}
    assert "trade" in {row["exec_type"] for row in news}
    assert len(rest(venue, "OpenOrders")["open"]) == 1
    assert len(rest(venue, "OpenPositions")) == 1


def test_truncated_batch_loses_its_last_leg(world):
    venue, *_ = world
    arm(venue, "truncated_batch", count=2)
    door = venue.private_door
    member = Guest(venue, venue.faults.clock, account="paper")
    member.frames()
    legs = [{"order_id": "O1"}, {"order_id": "O2"}]
    member.connection.send(json.dumps({"method": "batch_add", "success": True, "result": legs}))
    member.connection.send(json.dumps({"method": "batch_add", "success": True, "result": {"orders": legs}}))
    one, two = member.frames()
    assert one["result"] == two["result"]["orders"] == legs[:1]
    assert door.connections


def test_rest_lag_answers_as_of_a_while_ago(world):
    venue, _, _, member = world
    member.submit("a")
    member.wait(SECOND)
    arm(venue, "rest_lag", seconds=10, duration_s=60)
    member.submit("b")
    member.wait(5 * SECOND)
    assert names(venue) == ["a"]
    member.wait(6 * SECOND)
    assert names(venue) == ["a", "b"]
    member.take("c")
    member.wait(SECOND)
    assert rest(venue, "OpenPositions") == {}
    member.wait(60 * SECOND)
    assert len(rest(venue, "OpenPositions")) == 1
    assert public(venue, "Time")


@pytest.mark.parametrize(
    "fault, words",
    [
        ({"account": "nobody", "symbol": XRP}, "expected account among other, paper, found 'nobody'"),
        (
            {"account": "paper", "symbol": "NO/PAIR"},
            "expected symbol among BTC/USDT, XRP/USDT, found 'NO/PAIR'",
        ),
    ],
)
def test_a_fault_on_what_is_not_here_is_refused(world, fault, words):
    venue, *_ = world
    with pytest.raises(ConfigError, match=words):
        arm(venue, "stranger_order", **fault)
    assert venue.faults.schedule.idle


async def test_delays_need_no_running_client():
    venue, clock = venue_at()
    done = asyncio.Event()
    venue.faults.later(2.0, done.set)
    venue.faults.release(clock.now() + SECOND)
    assert not done.is_set()
    venue.faults.release(clock.now() + 2 * SECOND)
    assert done.is_set()
