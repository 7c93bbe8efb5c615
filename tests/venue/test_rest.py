from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import SECOND
from core.errors import VenueError
from core.events import VenuePosition
from core.market import Timeframe
from core.orders import OrderState, Side
from venue import rest

GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"


def body(name):
    return (GOLDEN / f"{name}.json").read_bytes()


@pytest.fixture(scope="module")
def pairs():
    return rest.result_of(body("rest_asset_pairs"), dict[str, rest.Pair])


@pytest.fixture(scope="module")
def names(pairs):
    return rest.PairNames(pairs)


def test_errors_are_read_and_warnings_left_out():
    assert rest.errors_of(body("rest_error_invalid_arguments")) == ("EGeneral:Invalid arguments:ordertype",)
    assert rest.errors_of(body("rest_error_invalid_key")) == ("EAPI:Invalid key",)
    assert rest.errors_of(b'{"error":["WGeneral:Careful"],"result":{}}') == ()
    assert rest.errors_of(b"<html>Bad gateway</html>") is None
    assert rest.errors_of(b"") is None


def test_misfitting_result_blames_the_venue():
    with pytest.raises(VenueError, match="expected a REST result"):
        rest.result_of(b'{"error":[],"result":{"unixtime":"soon"}}', rest.ServerTime)


def test_time_is_read():
    assert rest.result_of(body("rest_time"), rest.ServerTime).unixtime == 1688669448


@pytest.mark.parametrize("told", ["-1", "1731700000000", "9" * 400])
def test_a_time_that_no_clock_can_be_compared_with_blames_the_venue(told):
    with pytest.raises(VenueError, match="expected a REST result"):
        rest.result_of(f'{{"error":[],"result":{{"unixtime":{told}}}}}'.encode(), rest.ServerTime)


def test_pairs_become_instruments_under_their_own_names(pairs):
    found = rest.instruments(pairs)
    assert set(found) == {"ETH/BTC", "BTC/USD"}
    one = found["ETH/BTC"]
    assert (one.base, one.quote, one.max_leverage) == ("ETH", "BTC", 5)
    assert one.price_increment == Decimal("0.00001")
    assert one.quantity_increment == Decimal("1e-8")
    assert (one.minimum_quantity, one.minimum_cost) == (Decimal("0.01"), Decimal("0.00002"))


def test_pair_without_leverage_or_tick_is_spot_on_its_decimals():
    one = rest.Pair("XDGUSDT", 7, 8, Decimal(5), wsname="XDG/USDT").instrument()
    assert one.symbol == "DOGE/USDT"
    assert one.max_leverage == 1
    assert one.price_increment == Decimal("1e-7")


def test_any_spelling_leads_to_the_symbol(names):
    for name in ("XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD"):
        assert names.symbol(name) == "BTC/USD"
    assert names.symbol("NOPE") == "NOPE"
    assert names.altname("BTC/USD") == "XBTUSD"
    with pytest.raises(VenueError, match="expected a listed pair"):
        names.altname("NO/PE")


def test_relics_without_a_public_name_are_skipped():
    relic = {"XETHXXBT.d": rest.Pair("ETHXBT.d", 5, 8, Decimal(1))}
    assert rest.instruments(relic) == {}
    assert rest.PairNames(relic).symbol("ETHXBT.d") == "ETHXBT.d"


def test_running_candle_is_dropped_and_idle_rows_are_quiet():
    rows = [
        (60, *map(Decimal, ("1.0", "3.0", "0.5", "2.0", "1.5", "7.0")), 4),
        (120, *map(Decimal, ("2.0", "2.0", "2.0", "2.0", "0.0", "0.0")), 0),
        (180, *map(Decimal, ("2.0", "9.0", "2.0", "9.0", "9.0", "1.0")), 1),
    ]
    first, quiet = rest.bars("BTC/USD", Timeframe.M1, rows)
    assert (first.ts_open, first.high, first.vwap, first.trades) == (60 * SECOND, 3.0, 1.5, 4)
    assert (quiet.open, quiet.close, quiet.vwap, quiet.volume, quiet.trades) == (2.0, 2.0, 2.0, 0.0, 0)
    assert rest.bars("BTC/USD", Timeframe.M1, []) == []


def test_open_orders_are_read(names):
    rows = rest.result_of(body("rest_open_orders"), dict[str, dict[str, rest.OrderRow]])["open"]
    order = rest.venue_order("OQCLML-BW3P3-BUCMWZ", rows["OQCLML-BW3P3-BUCMWZ"], names)
    assert order.state is OrderState.WORKING
    assert (order.instrument, order.side, order.cl_ord_id) == ("BTC/USD", Side.BUY, "")
    assert (order.quantity, order.filled) == (Decimal("1.25"), Decimal("0.375"))
    assert (order.limit_price, order.trigger_price) == (Decimal("30010.0"), None)


@pytest.mark.parametrize("name", ["rest_closed_orders", "rest_query_orders"])
def test_closed_orders_are_read(names, name):
    result = rest.result_of(body(name), dict[str, object])
    rows = (
        rest.result_of(body(name), dict[str, dict[str, rest.OrderRow] | int])["closed"]
        if "closed" in result
        else rest.result_of(body(name), dict[str, rest.OrderRow])
    )
    for order_id, row in rows.items():
        assert rest.venue_order(order_id, row, names).order_id == order_id


def test_triggered_order_shows_its_trigger(names):
    row = rest.OrderRow(
        status="canceled",
        descr=rest.OrderDescription("XBTUSD", Side.SELL, "stop-loss", Decimal(23667)),
        vol=Decimal(1),
        cl_ord_id="SM1",
        reason="User requested",
    )
    order = rest.venue_order("O1", row, names)
    assert (order.trigger_price, order.limit_price) == (Decimal(23667), None)
    assert (order.state, order.reason, order.cl_ord_id) == (OrderState.CANCELED, "User requested", "SM1")


def test_undocumented_status_blames_the_venue(names):
    row = rest.OrderRow("lost", rest.OrderDescription("XBTUSD", Side.BUY, "limit"), Decimal(1))
    with pytest.raises(VenueError, match="order status"):
        rest.venue_order("O1", row, names)


def test_history_row_becomes_a_fill(names):
    rows = rest.result_of(body("rest_trades_history"), dict[str, dict[str, rest.TradeRow] | int])["trades"]
    ((exec_id, row),) = rows.items()
    fill = rest.fill("main", exec_id, row, cl_ord_id="SM1", names=names)
    assert (fill.exec_id, fill.order_id, fill.cl_ord_id) == (
        "THVRQM-33VKH-UCI7BS",
        "OQCLML-BW3P3-BUCMWZ",
        "SM1",
    )
    assert (fill.price, fill.quantity, fill.fee, fill.maker) == (Decimal(30010), Decimal("0.02"), 0, True)
    assert fill.ts_event == 1688667796_880200000


def test_positions_net_per_instrument(names):
    rows = list(rest.result_of(body("rest_open_positions"), dict[str, rest.PositionRow]).values())
    (position,) = rest.positions(rows, names)
    assert position.instrument == "BTC/USD"
    assert position.quantity == Decimal("8.62212861")
    assert position.cost == pytest.approx(Decimal("102215.76"), rel=Decimal("1e-4"))
    short = rest.PositionRow("XXBTZUSD", Side.SELL, Decimal(3), Decimal(300), Decimal(1))
    long = rest.PositionRow("XXBTZUSD", Side.BUY, Decimal(1), Decimal(110))
    done = rest.PositionRow("XXBTZUSD", Side.BUY, Decimal(1), Decimal(110), Decimal(1))
    assert rest.positions([short, long, done], names) == (VenuePosition("BTC/USD", Decimal(-1), Decimal(90)),)


ASSETS = rest.AssetNames(
    {
        "ZUSD": rest.Asset("USD"),
        "XXBT": rest.Asset("XBT"),
        "XXDG": rest.Asset("XDG"),
        "XTZ": rest.Asset("XTZ"),
        "XBT.F": rest.Asset("XBT.F"),
    }
)


@pytest.mark.parametrize(
    "asset, name",
    [
        ("ZUSD", "USD"),
        ("USD.F", "USD"),
        ("XXBT", "BTC"),
        ("XBT.F", "BTC"),
        ("XXDG", "DOGE"),
        ("XTZ.S", "XTZ"),
    ],
)
def test_asset_names_come_from_the_venues_list(asset, name):
    assert ASSETS.name(asset) == name


def test_cash_adds_what_can_be_spent():
    balances = rest.result_of(body("rest_balance"), dict[str, Decimal])
    assert rest.cash(balances, "USDT", ASSETS) == Decimal(500000)
    assert rest.cash(balances, "GBP", ASSETS) == 0
    held = {
        "ZUSD": "1",
        "USD.F": "2",
        "USD.B": "4",
        "USD.M": "8",
        "USD.S": "16",
        "USD.HOLD": "32",
        "XUSD": "64",
    }
    assert rest.cash({k: Decimal(v) for k, v in held.items()}, "USD", ASSETS) == 15


def test_a_position_that_cannot_be_is_no_proof_of_being_flat():
    row = rest.PositionRow(
        pair="XXBTZUSD", type=Side.BUY, vol=Decimal(0), cost=Decimal(1), vol_closed=Decimal(-1)
    )
    with pytest.raises(VenueError, match=r"expected a position with a volume, found .*XXBTZUSD"):
        rest.positions([row], rest.PairNames({}))
