"""Private REST: order forms, order methods, histories, positions, fees."""

import asyncio
import json
from decimal import Decimal

import msgspec
import pytest

from core.clock import HOUR, SECOND
from core.orders import OrderType, TimeInForce
from core.text import iso, parse_iso
from tests.venue.loopback_client import SETTINGS, START, Client, ManualClock, rest
from venue.exchange_fees import kraken_spot
from venue.exchange_settings import ExchangeRules
from venue.exchange_terms import CloseTerms, Offset, SelfTrade
from venue.loopback import build
from venue.loopback_rest_orders import asks_for_check, rest_batch, rest_edit, rest_submit
from venue.loopback_rest_public import RestError

NOW = parse_iso("2024-06-14T12:00:00Z")
D = Decimal
FORM = {"type": "buy", "ordertype": "limit", "volume": "1.5", "price": "10.5"}


def read(**change):
    return rest_submit(FORM | change, "X/Y", "a", NOW)


# ---- reading forms ----


@pytest.mark.parametrize(
    "change,trigger,limit",
    [
        ({}, None, D("10.5")),
        ({"price": "+2"}, None, Offset(D(2))),
        ({"price": "#1.5%"}, None, Offset(D("1.5"), percent=True, directed=True)),
        ({"ordertype": "market", "price": "0"}, None, None),
        ({"ordertype": "stop-loss", "price": "-3%"}, Offset(D(-3), percent=True), None),
        ({"ordertype": "take-profit-limit", "price2": "11"}, D("10.5"), D(11)),
        ({"ordertype": "stop-loss-limit", "price2": "#1"}, D("10.5"), Offset(D(1), directed=True)),
        ({"ordertype": "trailing-stop", "price": "+5%"}, Offset(D(5), percent=True), None),
        ({"ordertype": "trailing-stop-limit", "price": "+5", "price2": "-1"}, Offset(D(5)), Offset(D(-1))),
    ],
)
def test_what_price_means_follows_from_the_type(change, trigger, limit):
    new = read(**change)
    assert (new.submit.trigger_price or new.terms.trigger_offset) == trigger
    assert (new.submit.limit_price or new.terms.limit_offset) == limit


@pytest.mark.parametrize("text,ratio", [("5", 5), ("5:1", 5), ("none", 0), ("", 0)])
def test_leverage(text, ratio):
    new = read(leverage=text)
    assert (new.terms.leverage, new.submit.margin) == (ratio, ratio > 0)


def test_further_terms():
    new = read(
        oflags="viqc",
        stptype="cancel-both",
        displayvol="0.5",
        userref="-7",
        starttm="+10",
        timeinforce="FOK",
        trigger="index",
        **{"close[ordertype]": "stop-loss-limit", "close[price]": "#5%", "close[price2]": "8"},
    )
    terms = new.terms
    assert (terms.cash, terms.self_trade, terms.display) == (D("1.5"), SelfTrade.BOTH, D("0.5"))
    assert (terms.userref, terms.starts, terms.index) == (-7, NOW + 10 * SECOND, True)
    assert new.submit.time_in_force is TimeInForce.FOK
    assert terms.close == CloseTerms(
        OrderType.STOP_LOSS_LIMIT,
        limit_price=D(8),
        trigger_offset=Offset(D(5), percent=True, directed=True),
    )
    assert read(volume="0", leverage="3").terms.whole_position


@pytest.mark.parametrize(
    "change,field",
    [
        ({"leverage": "much"}, "leverage"),
        ({"userref": str(1 << 31)}, "userref"),
        ({"userref": "x"}, "userref"),
        ({"stptype": "x"}, "stptype"),
        ({"price": "+"}, "price"),
        ({"starttm": "x"}, "starttm"),
        ({"close[ordertype]": "x"}, "close"),
        ({"deadline": iso(NOW + SECOND)}, "deadline"),
        ({"deadline": iso(NOW + 61 * SECOND)}, "deadline"),
    ],
)
def test_unreadable_terms(change, field):
    assert read(**change) == f"EGeneral:Invalid arguments:{field}"


@pytest.mark.parametrize("text", ["", "{}", "[1,2]", "[{}]", "[" + ",".join(["{}"] * 16) + "]", "["])
def test_a_batch_is_a_list_of_two_to_fifteen(text):
    assert rest_batch({"orders": text}, "X/Y", "a", NOW) == "EGeneral:Invalid arguments:orders"


def test_a_batch_reads_nested_closes():
    rows = [FORM, FORM | {"close": {"ordertype": "limit", "price": "12"}, "reduce_only": True, "leverage": 2}]
    one, two = rest_batch({"orders": json.dumps(rows)}, "X/Y", "a", NOW)
    assert one.terms.close is None
    assert two.terms.close == CloseTerms(OrderType.LIMIT, limit_price=D(12))
    assert two.submit.reduce_only


@pytest.mark.parametrize(
    "text,check", [("true", True), ("1", True), ("False", False), ("", False), (None, False)]
)
def test_validate(text, check):
    assert asks_for_check({} if text is None else {"validate": text}) is check


def test_edit_reads_price_by_the_orders_type():
    edit = rest_edit(
        {"txid": "O", "price": "5", "price2": "4", "oflags": "post"}, "a", NOW, OrderType.STOP_LOSS_LIMIT
    )
    assert (edit.trigger_price, edit.limit_price, edit.post_only) == (D(5), D(4), True)
    assert rest_edit({"txid": "O", "price": "x"}, "a", NOW, OrderType.LIMIT).endswith("price")


# ---- methods ----


class Desk:
    """A venue whose private REST methods are called as values, on a clock that moves by itself."""

    def __init__(self, **settings):
        self.clock = ManualClock(START)
        self.venue = build(msgspec.structs.replace(SETTINGS, **settings), self.clock)

    def ask(self, method, **form):
        return rest(self.venue, method, **form)

    def order(self, method, **form):
        return asyncio.run(self._order(method, form))

    async def _order(self, method, form):
        task = asyncio.ensure_future(self.venue.rest._private.orders[method]("paper", form))
        while not task.done():
            await asyncio.sleep(0)
            self.pass_(SECOND // 100)
        return task.result()

    def pass_(self, duration):
        self.clock.advance_to(self.clock.now() + duration)
        self.venue.pump()

    def add(self, **change):
        values = {"pair": "XRPUSDT", "type": "buy", "ordertype": "limit", "volume": "100", "price": "0.4"}
        return self.order("AddOrder", **values | change)

    def buy(self, **change):
        return self.add(ordertype="market", price="", **change)


@pytest.fixture
def desk():
    return Desk()


def test_orders_describe_themselves(desk):
    close = {"close[ordertype]": "stop-loss-limit", "close[price]": "0.41", "close[price2]": "0.4"}
    assert desk.add(leverage="2", **close)["descr"] == {
        "order": "buy 100.00000000 XRPUSDT @ limit 0.4 with 2:1 leverage",
        "close": "close position @ stop loss 0.41 -> limit 0.4",
    }
    trailing = desk.add(type="sell", ordertype="trailing-stop", price="+5%", leverage="2")
    assert trailing["descr"]["order"] == "sell 100.00000000 XRPUSDT @ trailing stop +5% with 2:1 leverage"
    (row,) = [r for r in desk.ask("OpenOrders")["open"].values() if r["descr"]["type"] == "sell"]
    assert (row["descr"]["price"], row["trigger"]) == ("+5%", "last")
    assert D(row["stopprice"]) > 0


def test_validate_meets_the_exchanges_rules_and_places_nothing(desk):
    assert "txid" not in desk.add(validate="true")
    with pytest.raises(RestError, match="EOrder:Insufficient funds"):
        desk.add(volume="1000000", validate="true")
    assert desk.ask("OpenOrders") == {"open": {}}


def test_batch_amend_edit_and_the_ways_to_cancel(desk):
    one = {"ordertype": "limit", "type": "buy", "volume": "50", "userref": 9}
    rows = [one | {"price": price} for price in ("0.4", "0.39")]
    found = desk.order("AddOrderBatch", pair="XRPUSDT", orders=json.dumps(rows))["orders"]
    assert [r["descr"]["order"] for r in found][1] == "buy 50.00000000 XRPUSDT @ limit 0.39"
    first, second = (r["txid"] for r in found)
    assert set(desk.order("AmendOrder", txid=first, order_qty="60")) == {"amend_id"}
    assert desk.ask("OpenOrders")["open"][first]["vol"] == "60.00000000"
    edited = desk.order("EditOrder", txid=second, pair="XRPUSDT", price="0.38")
    assert (edited["originaltxid"], edited["status"], edited["orders_cancelled"]) == (second, "ok", 1)
    assert set(desk.ask("OpenOrders", userref="9")["open"]) == {first, edited["txid"]}
    assert desk.order("CancelOrder", txid="9") == {"count": 2}
    with pytest.raises(RestError, match="EOrder:Unknown order"):
        desk.order("CancelOrder", txid="9")
    ids = [desk.add()["txid"][0] for _ in range(3)]
    assert desk.order("CancelOrderBatch", orders=json.dumps(ids[:2])) == {"count": 2}
    assert desk.order("CancelOrderBatch", orders=",".join([*ids, "nobody"])) == {"count": 1}
    armed = desk.order("CancelAllOrdersAfter", timeout="60")
    assert parse_iso(armed["triggerTime"]) - parse_iso(armed["currentTime"]) == 60 * SECOND
    desk.add()
    desk.pass_(61 * SECOND)
    assert desk.ask("OpenOrders") == {"open": {}}


def test_a_batch_names_the_leg_that_could_not_be_paid(desk):
    rows = [{"ordertype": "limit", "type": "buy", "volume": v, "price": "0.4"} for v in ("50", "10000000")]
    good, bad = desk.order("AddOrderBatch", pair="XRPUSDT", orders=json.dumps(rows))["orders"]
    assert good["txid"].startswith("O")
    assert bad == {"error": "EOrder:Insufficient funds"}
    with pytest.raises(RestError, match="EOrder:Insufficient funds"):
        desk.order("AddOrderBatch", pair="XRPUSDT", orders=json.dumps(rows[1:] * 2))


@pytest.mark.parametrize(
    "method,form",
    [
        ("AddOrderBatch", {"pair": "XRPUSDT", "orders": "[]"}),
        ("AmendOrder", {"txid": "O", "order_qty": "x"}),
        ("AmendOrder", {"txid": "O"}),
        ("EditOrder", {"txid": "O", "pair": "XRPUSDT"}),
        ("CancelOrderBatch", {"orders": "[1"}),
        ("CancelOrderBatch", {}),
        ("CancelAllOrdersAfter", {"timeout": "soon"}),
        ("AddOrder", {"pair": "NOPE"}),
    ],
)
def test_bad_order_requests_are_errors(desk, method, form):
    with pytest.raises(RestError, match=r"^E"):
        desk.order(method, **form)


@pytest.mark.parametrize(
    "method,form",
    [
        ("ClosedOrders", {"closetime": "never"}),
        ("ClosedOrders", {"ofs": "-1"}),
        ("TradesHistory", {"type": "odd"}),
        ("QueryTrades", {}),
        ("QueryLedgers", {}),
        ("QueryOrders", {"txid": ",".join(["O"] * 51)}),
        ("Ledgers", {"asset": "NOPE"}),
        ("TradeVolume", {"pair": "NOPE"}),
    ],
)
def test_bad_questions_are_errors(desk, method, form):
    with pytest.raises(RestError, match=r"^E"):
        desk.ask(method, **form)


def test_closed_orders_come_in_pages_newest_first(desk):
    for _ in range(53):
        desk.pass_(10 * SECOND)
        desk.add()
        desk.order("CancelAll")
    pages = [desk.ask("ClosedOrders", ofs=str(at)) for at in (0, 50)]
    assert [page["count"] for page in pages] == [53, 53]
    rows = [row for page in pages for row in page["closed"].items()]
    assert len(rows) == 53
    times = [row["closetm"] for _, row in rows]
    assert times == sorted(times, reverse=True)
    middle = rows[20][1]
    newer = desk.ask(
        "ClosedOrders", start=f"{middle['closetm']:.9f}", closetime="close", without_count="true"
    )
    assert set(newer) == {"closed"}
    assert len(newer["closed"]) == 20
    assert len(desk.ask("ClosedOrders", end=rows[20][0], closetime="open")["closed"]) == 33
    assert desk.ask("QueryOrders", txid=f"{rows[0][0]},{rows[1][0]}").keys() == {rows[0][0], rows[1][0]}


def test_fills_by_kind_and_consolidated(desk):
    desk.buy(volume="50")
    desk.buy(volume="60", leverage="2")
    desk.buy(volume="40", leverage="2", type="sell")
    kinds = {
        kind: [row["vol"] for row in desk.ask("TradesHistory", type=kind)["trades"].values()]
        for kind in ("all", "no position", "any position", "closing position", "closed position")
    }
    assert kinds == {
        "all": ["40.00000000", "60.00000000", "50.00000000"],
        "no position": ["50.00000000"],
        "any position": ["40.00000000", "60.00000000"],
        "closing position": ["40.00000000"],
        "closed position": [],
    }
    opening = next(r for r in desk.ask("TradesHistory")["trades"].values() if r["vol"] == "60.00000000")
    assert (opening["posstatus"], opening["cvol"], opening["leverage"]) == ("open", "40.00000000", "2")
    (position_id,) = desk.ask("OpenPositions")
    assert position_id == opening["postxid"]
    assert set(desk.ask("QueryTrades", txid=position_id)) == {position_id}
    large = desk.buy(volume="80000", leverage="5")
    assert large["txid"]
    for _ in range(20):
        desk.pass_(10 * SECOND)
    parts = desk.ask("TradesHistory", consolidate_taker="false", start=large["txid"][0])["trades"]
    whole = desk.ask("TradesHistory", start=large["txid"][0])["trades"]
    assert len(whole) <= len(parts)
    assert sum(D(r["vol"]) for r in whole.values()) == sum(D(r["vol"]) for r in parts.values())
    assert sum(D(r["fee"]) for r in whole.values()) == sum(D(r["fee"]) for r in parts.values())


def test_positions_stay_apart_are_worth_something_and_add_up(desk):
    desk.buy(volume="100", leverage="2")
    desk.buy(volume="200", leverage="5")
    plain = desk.ask("OpenPositions")
    assert [row["margin"] for row in plain.values()] != []
    assert all("net" not in row for row in plain.values())
    valued = desk.ask("OpenPositions", docalcs="true")
    assert all(row["net"][0] in "+-" for row in valued.values())
    first, second = valued.values()
    assert abs(D(first["cost"]) / 2 - D(first["margin"])) < D("1E-7")
    assert abs(D(second["cost"]) / 5 - D(second["margin"])) < D("1E-7")
    assert first["terms"] == "0.0200% per 4 hours"
    assert int(first["rollovertm"]) == int(first["time"]) + 4 * HOUR // SECOND
    (merged,) = desk.ask("OpenPositions", docalcs="true", consolidation="market")
    assert (merged["positions"], merged["vol"]) == ("2", "300.00000000")
    assert abs(D(merged["net"]) - D(first["net"]) - D(second["net"])) < D("1E-7")
    (alone,) = desk.ask("OpenPositions", txid=next(iter(plain)))
    assert alone == next(iter(plain))
    figures = {name: D(text) for name, text in desk.ask("TradeBalance").items()}
    assert figures["e"] == figures["tb"] + figures["n"]
    assert figures["mf"] == figures["e"] - figures["m"]
    assert abs(figures["ml"] - figures["e"] / figures["m"] * 100) <= D("0.005")
    assert abs(figures["m"] - D(first["margin"]) - D(second["margin"])) < D("1E-7")


def test_netted_accounts_show_one_position_per_pair():
    desk = Desk(rules=ExchangeRules())
    desk.buy(volume="100", leverage="2")
    desk.buy(volume="200", leverage="2")
    (row,) = desk.ask("OpenPositions", docalcs="true").values()
    assert (row["vol"], row["terms"]) == ("300.00000000", "0.0000% per 4 hours")


def test_ledgers_account_for_every_cent(desk):
    desk.buy(volume="50")
    desk.buy(volume="60", leverage="2")
    desk.pass_(5 * HOUR)
    page = desk.ask("Ledgers")
    assert page["count"] == 4
    kinds = [row["type"] for row in page["ledger"].values()]
    assert kinds == ["rollover", "margin", "trade", "trade"]
    cash = D(10_000) + sum(
        D(row["amount"]) - D(row["fee"]) for row in page["ledger"].values() if row["asset"] == "USDT"
    )
    assert cash == D(desk.ask("Balance")["USDT"])
    (xrp,) = desk.ask("Ledgers", asset="XRP")["ledger"].values()
    assert (xrp["asset"], xrp["amount"], xrp["balance"]) == ("XXRP", "50.00000000", "50.00000000")
    one = next(iter(page["ledger"]))
    assert set(desk.ask("QueryLedgers", id=one)) == {one}
    assert desk.ask("Ledgers", type="margin")["count"] == 1


def test_trade_volume_tells_the_own_fee():
    desk = Desk(fees=kraken_spot())
    assert set(desk.ask("TradeVolume")) == {"currency", "volume"}
    for _ in range(3):
        desk.buy(volume="8000", leverage="5")
        desk.pass_(60 * SECOND)
    found = desk.ask("TradeVolume", pair="XRPUSDT,XBTUSDT")
    assert D(found["volume"]) > 10_000
    assert set(found["fees"]) == set(found["fees_maker"]) == {"XRPUSDT", "XBTUSDT"}
    assert found["fees"]["XRPUSDT"] == {
        "fee": "0.3500",
        "minfee": "0.1000",
        "maxfee": "0.4000",
        "nextfee": "0.2400",
        "nextvolume": "50000.0000",
        "tiervolume": "10000.0000",
    }
    constant = Desk().ask("TradeVolume", pair="XRPUSDT")["fees_maker"]["XRPUSDT"]
    assert (constant["fee"], constant["nextfee"], constant["tiervolume"]) == ("0.2500", None, "0.0000")


def test_spot_orders_hold_what_they_need(desk):
    desk.add()
    assert desk.ask("BalanceEx")["USDT"] == {"balance": "10000.00000000", "hold_trade": "40.00000000"}
    desk.add(leverage="2")
    assert desk.ask("BalanceEx")["USDT"]["hold_trade"] == "40.00000000"
    assert D(desk.ask("TradeBalance")["uv"]) == 80


def test_an_order_over_rest_is_told_over_the_socket():
    desk = Desk()
    client = Client(desk.venue, desk.clock, account="paper")
    client.subscribed("executions")
    (txid,) = desk.add(userref="5")["txid"]
    news = [row for frame in client.frames() if frame.get("channel") == "executions" for row in frame["data"]]
    assert [(r["order_id"], r["order_userref"]) for r in news] == [(txid, 5)] * 2
