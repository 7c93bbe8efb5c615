"""Every private answer of the loopback beside Kraken's documented one: the same keys, the same types."""

import asyncio
import json
from pathlib import Path

import pytest

from core.clock import SECOND
from tests.venue.loopback_client import Client, margin_order, rest, rows, top, venue_at

FOUND = (parent / "shared" / "kraken" / "samples" for parent in Path(__file__).parents)
SAMPLES = next((folder for folder in FOUND if folder.is_dir()), Path("missing"))
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the shared sample folder is not on this machine"
)
BY_ID = {"open", "closed", "trades", "fees", "fees_maker"}
"""Objects whose keys are ids: any one of ours is compared with any one of theirs."""
MAY_LACK = {
    "trades": "only of orders with fills",
    "trigger": "only of orders with a trigger",
    "close": "only of orders with a conditional close",
    "stop_price": "deprecated, given with triggers",
    "order_type": "given with the first report",
}


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def differences(theirs, ours, path=""):
    """Give where ours lacks a documented key or has another JSON type."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{path}: an object is documented"]
        if path.rpartition(".")[2] in BY_ID or path == "rows":
            theirs, ours = ({"*": next(iter(one.values()))} for one in (theirs, ours))
        missing = [f"{path}.{key} is missing" for key in theirs.keys() - ours.keys() - MAY_LACK.keys()]
        for key in sorted(theirs.keys() & ours.keys()):
            missing += differences(theirs[key], ours[key], f"{path}.{key}")
        return missing
    if isinstance(theirs, list):
        if not isinstance(ours, list):
            return [f"{path}: a list is documented"]
        return differences(theirs[0], ours[0], f"{path}[]") if theirs and ours else []
    same = kind(theirs) == kind(ours) or None in (theirs, ours) or theirs == "None"
    return [] if same else [f"{path}: {kind(theirs)} is documented, found {kind(ours)} {ours!r}"]


def kind(value):
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) or hasattr(value, "as_tuple") else type(value).__name__


class World:
    def __init__(self):
        self.venue, self.clock = venue_at()
        self.client = Client(self.venue, self.clock, account="paper")
        self.client.subscribed("executions")
        self.client.ask("subscribe", channel="balances")

    def tell(self, method, **params):
        return self.client.ask(method, 1, **params) + self.client.wait(SECOND // 10)

    def result(self, method, **params):
        return next(f for f in self.tell(method, **params) if "method" in f)

    def rest(self, method, **form):
        if method in self.venue.rest._private.methods:
            answer = rest(self.venue, method, **form)
        else:
            answer = asyncio.run(self._order(method, form))
        return json.loads(json.dumps(answer))

    async def _order(self, method, form):
        task = asyncio.ensure_future(self.venue.rest._private.orders[method]("paper", form))
        while not task.done():
            await asyncio.sleep(0)
            self.clock.advance_to(self.clock.now() + SECOND // 100)
            self.venue.pump()
        return task.result()


@pytest.fixture
def world():
    """A venue where one order was filled on margin, one on spot, one rests and one was cancelled."""
    found = World()
    _, ask = top(found.venue)
    taking = margin_order(limit_price=round(float(ask) + 0.01, 4))
    found.tell("add_order", **taking)
    found.tell("add_order", **taking | {"margin": False})
    found.tell("add_order", **margin_order(limit_price=0.4, cl_ord_id="ended"))
    found.tell("cancel_order", cl_ord_id=["ended"])
    found.tell("add_order", **margin_order(limit_price=0.4, cl_ord_id="rests"))
    return found


@pytest.mark.parametrize(
    "method,name,form",
    [
        ("OpenOrders", "rest_open_orders", {}),
        ("ClosedOrders", "rest_closed_orders", {}),
        ("TradesHistory", "rest_trades_history", {}),
        ("OpenPositions", "rest_open_positions", {"docalcs": "true"}),
        ("TradeBalance", "rest_trade_balance", {}),
        ("TradeVolume", "rest_trade_volume", {"pair": "XRPUSDT"}),
        ("BalanceEx", "rest_balance_ex", {}),
        ("GetWebSocketsToken", "rest_get_websockets_token", {}),
        ("CancelOrder", "rest_cancel_order_response", {"cl_ord_id": "rests"}),
        ("CancelAll", "rest_cancel_all_response", {}),
        ("CancelAllOrdersAfter", "rest_cancel_all_orders_after_response", {"timeout": "60"}),
        ("AmendOrder", "rest_amend_order_response", {"cl_ord_id": "rests", "limit_price": "0.39"}),
    ],
)
def test_rest_answers(world, method, name, form):
    theirs, ours = sample(name)["result"], world.rest(method, **form)
    by_id = method in ("OpenPositions", "BalanceEx")
    assert differences(theirs, ours, "rows" if by_id else "") == []


def test_query_orders(world):
    (txid,) = world.rest("OpenOrders")["open"]
    closed = next(iter(world.rest("ClosedOrders")["closed"]))
    ours = world.rest("QueryOrders", txid=f"{closed},{txid}")
    assert differences(sample("rest_query_orders")["result"], ours, "rows") == []


def test_add_order_and_batch(world):
    close = {"close[ordertype]": "stop-loss-limit", "close[price]": "0.3", "close[price2]": "0.29"}
    form = {"pair": "XRPUSDT", "type": "buy", "ordertype": "limit", "volume": "50", "price": "0.4"}
    ours = world.rest("AddOrder", leverage="2", **form | close)
    assert differences(sample("rest_add_order_response")["result"], ours) == []
    legs = [{**form, "close": {"ordertype": "limit", "price": "0.6"}}, form]
    ours = world.rest("AddOrderBatch", pair="XRPUSDT", orders=json.dumps(legs))
    assert differences(sample("rest_add_order_batch_response")["result"], ours) == []


LEG = {"order_type": "limit", "side": "buy", "order_qty": 50.0, "limit_price": 0.4}


@pytest.mark.parametrize(
    "method,name,params",
    [
        ("add_order", "ws_add_order_response", {**LEG, "symbol": "XRP/USDT", "order_userref": 3}),
        ("add_order", "ws_add_order_response_error", {**LEG, "symbol": "XRP/USDT", "order_qty": 1e9}),
        ("amend_order", "ws_amend_order_response", {"cl_ord_id": "rests", "limit_price": 0.39}),
        ("cancel_all", "ws_cancel_all_response", {}),
        ("cancel_all_orders_after", "ws_cancel_all_orders_after_response", {"timeout": 60}),
        ("batch_cancel", "ws_batch_cancel_response", {"orders": ["x"], "cl_ord_id": ["rests"]}),
        (
            "batch_add",
            "ws_batch_add_response",
            {"symbol": "XRP/USDT", "orders": [{**LEG, "order_userref": n} for n in (1, 2)]},
        ),
    ],
)
def test_socket_answers(world, method, name, params):
    theirs = sample(name)
    theirs.setdefault("req_id", 1)
    assert differences(theirs, world.result(method, **params)) == []


def test_edit_and_cancel(world):
    old = world.result("add_order", **LEG, symbol="XRP/USDT")["result"]["order_id"]
    ours = world.result("edit_order", order_id=old, symbol="XRP/USDT", order_qty=60.0)
    assert differences(sample("ws_edit_order_response"), ours) == []
    ours = world.result("cancel_order", order_id=[ours["result"]["order_id"]])
    assert differences(sample("ws_cancel_order_responses")[0], ours) == []


def test_the_life_of_an_order_and_its_money(world):
    _, ask = top(world.venue)
    price = round(float(ask) + 0.01, 4)
    frames = world.tell("add_order", **margin_order(limit_price=price, margin=False, order_userref=3))
    pending, new, fill, _ = rows(frames)
    for theirs, ours in zip(sample("ws_executions_updates"), (pending, new, fill), strict=True):
        assert differences(theirs["data"][0], ours) == []
    assert set(new) == set(sample("ws_executions_updates")[1]["data"][0])
    assert "order_qty" not in fill
    legs = rows(frames, "balances")
    for theirs, ours in zip(sample("ws_balances_updates_trade"), legs, strict=True):
        assert differences(theirs["data"][0], ours) == []
    assert legs[0]["ref_id"] == legs[1]["ref_id"]
    assert legs[0]["ledger_id"] != legs[1]["ledger_id"]


@pytest.mark.parametrize("name", ["limit", "conditional_close", "stop_loss_pct"])
def test_documented_requests_are_understood(world, name):
    """A documented order meets the exchange's rules, not the reader's: its pair is not listed here."""
    params = sample(f"ws_add_order_request_{name}")["params"] | {"token": world.client.token}
    assert world.result("add_order", **params)["error"] == "EQuery:Unknown asset pair"
    batch = sample("ws_batch_add_request")["params"] | {"token": world.client.token}
    del batch["deadline"]
    assert world.result("batch_add", **batch)["error"] == "EQuery:Unknown asset pair"
