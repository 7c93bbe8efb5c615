"""Faults armed by the control call of a running loopback, met by the real shells over sockets."""

import asyncio
from decimal import Decimal

import aiohttp
import pytest

from core.events import Fill, LinkChange, OrderUpdate, Reconciled, RequestReconcile
from core.orders import CancelOrder, OrderState, Side
from execution.live import VenueGateway, VenueUrls
from feeds.bars import BarBuilder
from feeds.live import LiveFeed
from tests.e2e.test_live_loopback import EPOCH, SECRET, XRP, kind, loopback, stop_order, submit
from tests.feeds.live_story import Ears
from tests.venue.fake_kraken import running, told
from venue.client import Credentials, PublicRest
from venue.limits import ConnectionBudget

pytestmark = pytest.mark.e2e


async def control(ports, *faults, action="add"):
    body = {"action": action, "faults": faults} if faults else {"action": action}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{ports.rest}/control/faults", json=body) as answer,
    ):
        assert answer.status == 200
        return await answer.json()


def live(ports, clock, reports, tmp_path, **more):
    return VenueGateway(
        "main",
        VenueUrls(private=ports.private, rest=ports.rest),
        Credentials("key", SECRET),
        clock,
        reports.put_nowait,
        currency="USDT",
        delays_s=(0.01, 0.05),
        keys=tmp_path,
        **more,
    )


async def price(ports):
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{ports.rest}/0/public/Ticker?pair={XRP}") as answer,
    ):
        (row,) = (await answer.json())["result"].values()
        return Decimal(row["a"][0])


def scaled(ask, share):
    return (ask * Decimal(share)).quantize(Decimal("0.0001"))


def up(report):
    return isinstance(report, LinkChange) and report.up


def down(report):
    return isinstance(report, LinkChange) and not report.up


async def test_an_order_over_rest_behind_a_520_is_unknown_and_found_filled(tmp_path):
    async with loopback(speed=1.0) as (ports, clock):
        reports = asyncio.Queue()
        gateway = live(ports, clock, reports, tmp_path)
        async with running(gateway.run()):
            await told(reports, up)
            limit = scaled(await price(ports), "1.01")
            await control(ports, {"name": "http_520_after", "match": {"method": "AddOrder"}})
            order = submit(clock, 1, Side.BUY, "20", limit_price=limit, leverage=3)
            await gateway.send([order])
            await told(reports, kind(OrderUpdate, cl_ord_id=order.cl_ord_id, state=OrderState.UNKNOWN))
            await gateway.reconcile(RequestReconcile("main", (order.cl_ord_id,), EPOCH))
            truth = await told(reports, kind(Reconciled))
            assert [(o.cl_ord_id, o.state) for o in truth.orders] == [(order.cl_ord_id, OrderState.FILLED)]
            assert [p.quantity for p in truth.positions] == [20]
            fired = (await control(ports, action="list"))["fired"]
            assert fired == {"http_520_after": 1}


async def test_a_closed_socket_comes_back_and_protection_goes_out_while_rest_is_down(tmp_path):
    async with loopback(speed=1.0) as (ports, clock):
        reports = asyncio.Queue()
        budget = ConnectionBudget()
        gateway = live(ports, clock, reports, tmp_path, budget=budget)
        async with running(gateway.run()):
            await told(reports, up)
            trigger = scaled(await price(ports), "0.9")
            stop = stop_order(clock, 1, "20", trigger)
            await gateway.send([stop])
            await told(reports, kind(OrderUpdate, cl_ord_id=stop.cl_ord_id, state=OrderState.WORKING))
            await control(
                ports, {"name": "close", "stream": "private"}, {"name": "connect_refused", "count": 2}
            )
            await told(reports, down)
            await told(reports, up)
            # Nothing but tokens is answered from here on: no reading of the truth can finish.
            methods = "OpenOrders|ClosedOrders|TradesHistory|OpenPositions|Balance|QueryOrders"
            await control(ports, {"name": "rest_down", "count": 1000, "match": {"method": methods}})
            await gateway.reconcile(RequestReconcile("main", (stop.cl_ord_id,), EPOCH))
            await gateway.send([CancelOrder("main", "a", stop.cl_ord_id, XRP)])
            await told(reports, kind(OrderUpdate, cl_ord_id=stop.cl_ord_id, state=OrderState.CANCELED))
            await control(ports, action="clear")
            await told(reports, kind(Reconciled))
    assert list(tmp_path.glob("*.nonce"))


async def test_a_cut_request_ends_filled_once_over_the_new_connection(tmp_path):
    async with loopback(speed=1.0) as (ports, clock):
        reports = asyncio.Queue()
        gateway = live(ports, clock, reports, tmp_path)
        async with running(gateway.run()):
            await told(reports, up)
            limit = scaled(await price(ports), "1.01")
            await control(ports, {"name": "cut_on_request", "match": {"method": "add_order"}})
            order = submit(clock, 1, Side.BUY, "20", limit_price=limit)
            await gateway.send([order])
            lost = await told(reports, kind(OrderUpdate, cl_ord_id=order.cl_ord_id))
            assert lost.state is OrderState.UNKNOWN
            await told(reports, up)
            await gateway.reconcile(RequestReconcile("main", (order.cl_ord_id,), EPOCH))
            truth = await told(reports, kind(Reconciled))
            assert [(o.state, o.filled) for o in truth.orders] == [(OrderState.FILLED, 20)]
            assert len({f.exec_id for f in truth.fills}) == 1
    assert all(not isinstance(r, Fill) for r in list(reports._queue))


async def test_the_feed_comes_back_from_closes_damaged_books_and_odd_frames():
    async with loopback(speed=60.0) as (ports, clock), PublicRest(ports.rest) as rest:
        assert await rest.asset_pairs()
        ears = Ears()
        feed = LiveFeed(ports.public, (XRP,), clock, BarBuilder(), ears, delays_s=(0.01, 0.05))
        async with running(feed.run()):
            await told(ears.heard, lambda item: item[0] == "quote")
            await control(
                ports,
                {"name": "corrupt_checksum"},
                {"name": "malformed", "count": 3},
                {"name": "unknown_keys", "count": 3},
                {"name": "close", "code": 1006, "stream": "public", "start_s": 60.0},
            )
            await told(ears.heard, lambda item: item[0] == "link" and not item[1])
            await told(ears.heard, lambda item: item[0] == "link" and item[1])
            await told(ears.heard, lambda item: item[0] == "quote")
            assert (await control(ports, action="list"))["fired"]["close"] == 1
