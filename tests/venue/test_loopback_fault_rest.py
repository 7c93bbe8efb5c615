"""Faults around REST and the control call, over a real socket of the loopback."""

import json

import pytest
from aiohttp import ClientError

from core.clock import SECOND
from tests.venue.fault_client import XRP, arm, fired
from tests.venue.loopback_client import top
from tests.venue.test_loopback_rest import call, ordered, posted, serving

pytestmark = pytest.mark.e2e


def resting(venue, **more):
    bid, _ = top(venue)
    price = f"{float(bid) * 0.9:.4f}"
    return {"pair": XRP, "type": "buy", "ordertype": "limit", "volume": "100", "price": price, **more}


async def open_ids(http):
    return sorted(o["cl_ord_id"] for o in (await call(http, "OpenOrders"))["result"]["open"].values())


@pytest.mark.parametrize(
    "fault, carried_out, status, start",
    [
        ("http_502_before", False, 502, "<html>"),
        ("http_520_after", True, 520, "<html>"),
        ("html_200", True, 200, "<html>"),
        ("empty_body", True, 200, ""),
        ("no_result", True, 200, '{"error": []}'),
        ("rest_warning", True, 200, '{"error": ["WGeneral:Danger"], "result"'),
    ],
)
async def test_an_order_whose_answer_is_none(fault, carried_out, status, start):
    async with serving() as (venue, clock, http):
        arm(venue, fault, match={"method": "AddOrder"})
        request = posted(http, "AddOrder", leverage="5", **resting(venue, cl_ord_id="mine"))
        found, text = await ordered(venue, clock, request)
        assert found == status
        assert text.startswith(start)
        assert (text == "") is (start == "")
        assert await open_ids(http) == ["mine"] * carried_out


@pytest.mark.parametrize("fault, carried_out", [("rest_lost_request", False), ("rest_lost_answer", True)])
async def test_a_connection_that_ends(fault, carried_out):
    async with serving() as (venue, clock, http):
        arm(venue, fault, match={"method": "AddOrder"})
        with pytest.raises(ExceptionGroup) as ended:
            await ordered(
                venue, clock, posted(http, "AddOrder", leverage="5", **resting(venue, cl_ord_id="mine"))
            )
        assert ended.group_contains(ClientError)
        assert await open_ids(http) == ["mine"] * carried_out


async def test_a_slow_answer_takes_market_time():
    async with serving() as (venue, clock, http):
        arm(venue, "rest_slow", seconds=3)
        before = clock.now()
        await ordered(venue, clock, call(http, "Balance"))
        assert clock.now() - before >= 3 * SECOND


@pytest.mark.parametrize(
    "fault, error",
    [
        ({"name": "rate_limited"}, "EAPI:Rate limit exceeded"),
        ({"name": "invalid_nonce"}, "EAPI:Invalid nonce"),
        ({"name": "permission_denied"}, "EGeneral:Permission denied"),
        ({"name": "lockout", "duration_s": 900.0}, "EGeneral:Temporary lockout"),
        ({"name": "key_revoked", "count": 1}, "EAPI:Invalid key"),
        ({"name": "rest_error", "error": "EService:Busy"}, "EService:Busy"),
        ({"name": "throttled", "seconds": 7.0}, "EService: Throttled: 1718366407"),
    ],
)
async def test_refused_calls(fault, error):
    async with serving() as (venue, clock, http):
        arm(venue, **fault)
        assert (await call(http, "Balance")) == {"error": [error]}
        clock.advance_to(clock.now() + 900 * SECOND)
        assert (await call(http, "Balance"))["error"] == []


async def test_rest_down_and_the_venues_mode():
    async with serving() as (venue, clock, http):

        async def refused(method, **form):
            return (await ordered(venue, clock, call(http, method, **form)))["error"]

        arm(venue, "rest_down", count=1)
        assert (await posted(http, "Balance"))[0] == 503
        arm(venue, "mode", system="maintenance")
        async with http.get("/0/public/SystemStatus") as response:
            assert (await response.json())["result"]["status"] == "maintenance"
        assert await refused("AddOrder", **resting(venue)) == ["EService:Unavailable"]
        assert await refused("CancelAll") == ["EService:Unavailable"]
        assert await refused("CancelOrderBatch", orders='["O1","O2"]') == ["EService:Unavailable"]
        arm(venue, "mode", system="post_only")
        assert await refused("AddOrder", **resting(venue)) == ["EService:Market in post_only mode"]


async def test_answers_that_are_not_the_whole_truth():
    async with serving() as (venue, clock, http):
        order = resting(venue, leverage="5", cl_ord_id="mine")
        await ordered(venue, clock, call(http, "AddOrder", **order))
        arm(venue, "stranger_position", account="paper", symbol=XRP)
        clock.advance_to(clock.now() + SECOND)
        venue.pump()
        arm(venue, "missing_order")
        assert await open_ids(http) == []
        assert await open_ids(http) == ["mine"]
        (position,) = (await call(http, "OpenPositions"))["result"].values()
        arm(venue, "split_view")
        (doubled,) = (await call(http, "OpenPositions"))["result"].values()
        assert float(doubled["vol"]) == 2 * float(position["vol"])
        arm(venue, "positions_empty")
        assert (await call(http, "OpenPositions"))["result"] == {}


async def control(http, **order):
    async with http.post("/control/faults", data=json.dumps(order)) as response:
        return response.status, await response.json()


async def test_control_arms_lists_and_clears():
    async with serving() as (venue, _, http):
        faults = [{"name": "rate_limited", "count": 2}, {"name": "burst"}]
        status, found = await control(http, action="add", faults=faults)
        assert status == 200
        assert [(row["fault"]["name"], row["left"]) for row in found["armed"]] == [
            ("rate_limited", 2),
            ("burst", 1),
        ]
        await call(http, "Balance")
        status, found = await control(http, action="list")
        assert found["fired"] == {"rate_limited": 1}
        status, found = await control(http, action="clear", names=["burst"])
        assert [row["fault"]["name"] for row in found["armed"]] == ["rate_limited"]
        await control(http, action="clear")
        async with http.get("/control/faults") as response:
            assert await response.json() == {"system": "online", "armed": [], "fired": {"rate_limited": 1}}
        assert fired(venue, "rate_limited") == 1


@pytest.mark.parametrize(
    "body, words",
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"action":"dance"}', "expected action add, list or clear, found 'dance'"),
        ('{"action":"add"}', "expected faults, found none"),
        ('{"action":"add","faults":[{"name":"nonsense"}]}', "expected a fault of docs/faults.md"),
        ('{"action":"add","faults":[{"name":"burst","colour":1}]}', "unknown field `colour`"),
        ('{"action":"add","faults":[{"name":"burst","count":"many"}]}', "Expected `int"),
    ],
)
async def test_control_refuses_what_it_cannot_read(body, words):
    async with serving() as (venue, _, http):
        async with http.post("/control/faults", data=body) as response:
            assert response.status == 400
            assert words in (await response.json())["error"]
        assert venue.faults.schedule.idle
