"""The queue at a price: what stood there first trades first. Numbers by hand, then a recorded market."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from core.events import Fill
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import AmendOrder, OrderType
from tests.venue.exchange_world import BTC, BUY, FEES, SELL, D, exchange, order, quote, send
from venue.exchange import Exchange
from venue.exchange_settings import ExchangeRules

QUEUED = ExchangeRules(queue=True)
RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "book" / "binance-coinm"


def queued():
    """A bid of 5 at 100.00, an offer of 5 at 100.02."""
    venue = exchange(rules=QUEUED)
    venue.on_quote(quote())
    return venue


def sold(venue, price, quantity, side=SELL):
    reports = venue.on_trade(Trade(BTC, venue.now, D(price), D(quantity), side, 1))
    return [(r.cl_ord_id, r.price, r.quantity, r.maker) for r in reports if isinstance(r, Fill)]


def test_an_order_at_the_touch_waits_until_what_was_there_has_traded():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00"))
    assert sold(venue, "100.00", "4") == []  # 5 - 4 = 1 before us
    assert sold(venue, "100.00", "2") == [("x", D("100.00"), D(1), True)]  # 1 is theirs, 1 ours
    assert sold(venue, "100.00", "9") == [("x", D("100.00"), D(1), True)]


def test_a_buyers_print_at_our_bid_is_not_our_turn():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00"))
    assert sold(venue, "100.00", "50", side=BUY) == []


def test_cancels_before_us_do_not_help():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00"))
    venue.on_quote(quote(size="1"))  # four of the five went away: perhaps those behind us
    assert sold(venue, "100.00", "5") == []
    assert sold(venue, "100.00", "1") == [("x", D("100.00"), D(1), True)]


def test_a_price_of_our_own_has_no_queue():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.01"))
    assert sold(venue, "100.01", "1") == [("x", D("100.01"), D(1), True)]


def test_a_level_that_is_empty_but_for_us_has_no_queue():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00"))
    venue.on_quote(quote(bid="99.99"))
    venue.on_quote(quote(bid="100.00"))  # whoever comes now stands behind us
    assert sold(venue, "100.00", "1") == [("x", D("100.00"), D(1), True)]


def test_behind_the_touch_nothing_is_known_until_the_touch_comes():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="99.95"))
    assert sold(venue, "99.95", "100") == []
    venue.on_quote(quote(bid="99.95", size="3"))
    assert sold(venue, "99.95", "4") == [("x", D("99.95"), D(1), True)]


def test_a_print_through_the_price_fills_whoever_stands_there():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00"))
    assert sold(venue, "99.99", "1") == [("x", D("100.00"), D(1), True)]
    assert sold(venue, "100.00", "1") == [("x", D("100.00"), D(1), True)]  # none is left before us


def test_two_of_our_own_share_what_is_beyond_the_queue():
    venue = queued()
    send(venue, order("x", BUY, "1", limit="100.00"), order("y", BUY, "3", limit="100.00"))
    assert sold(venue, "100.00", "8") == [("x", D("100.00"), D(1), True), ("y", D("100.00"), D(2), True)]


def test_an_amend_to_another_price_stands_at_the_end_there():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.01"))
    venue.amend(AmendOrder("a", "t", "x", BTC, 1 << 62, limit_price=D("100.00")), venue.now)
    venue.advance(venue.now + 10_000_000)
    assert sold(venue, "100.00", "5") == []
    assert sold(venue, "100.00", "1") == [("x", D("100.00"), D(1), True)]


def test_an_iceberg_queues_again_for_each_part():
    venue = queued()
    send(venue, order("x", BUY, "2", limit="100.00", kind=OrderType.ICEBERG), display=D(1))
    assert sold(venue, "100.00", "6") == [("x", D("100.00"), D(1), True)]
    assert sold(venue, "100.00", "5") == []
    assert sold(venue, "100.00", "1") == [("x", D("100.00"), D(1), True)]


def test_without_the_rule_a_print_at_the_price_fills_nobody():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "2", limit="100.00"))
    assert sold(venue, "100.00", "100") == []


class Turn:
    """When a buyer of one contract has had his turn, reckoned from the tape and the touch alone."""

    def __init__(self, limit, ahead):
        self.limit, self.ahead, self.had = limit, ahead, False

    def on_touch(self, bid, ask):
        self.had |= ask <= self.limit
        self.ahead = 0 if bid < self.limit else self.ahead

    def on_sale(self, price, quantity):
        if price == self.limit:
            self.had |= quantity > self.ahead
            self.ahead = max(0, self.ahead - quantity)
        self.had |= price < self.limit


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded book of shared/data")
def test_orders_in_a_recorded_market_fill_when_their_turn_has_come():
    """One buyer after another joins the bid of a recorded market, each until he is served."""
    rows = pl.read_parquet(RECORDED / "ETH-USD-PERP.parquet").filter(pl.col("kind").is_in([2, 3]))
    rows = rows.sort("recv_ns", maintain_order=True).select("recv_ns", "kind", "side", "price", "qty")
    coin = Instrument.on_decimal_grid(
        "ETH/USD", 2, 0, minimum_quantity=D(1), minimum_cost=D(0), max_leverage=5
    )
    venue = Exchange({coin.symbol: coin}, fees=FEES, latency_ns=0, rules=QUEUED)
    venue.open_account("a", D(10) ** 9)
    touch, turn, served, at_the_price = {}, None, 0, 0
    for ts, kind, side, price, size in rows.iter_rows():
        exact, quantity = Decimal(f"{price:.2f}"), D(int(size))
        if kind == 3:
            touch[side] = exact, quantity
            if len(touch) < 2 or touch[1][0] >= touch[-1][0]:
                continue
            (bid, here), (ask, there) = touch[1], touch[-1]
            reports = venue.on_quote(Quote("ETH/USD", ts, bid, ask, here, there))
            if turn:
                turn.on_touch(bid, ask)
        else:
            reports = venue.on_trade(Trade("ETH/USD", ts, exact, quantity, BUY if side > 0 else SELL, 1))
            if turn and side < 0:
                turn.on_sale(exact, quantity)
        fills = [report for report in reports if isinstance(report, Fill)]
        if turn:
            assert bool(fills) is turn.had, (ts, exact, turn.limit, turn.ahead)
        if turn and turn.had:
            served, at_the_price, turn = served + 1, at_the_price + (kind == 2 and exact == turn.limit), None
        if turn is None and len(touch) == 2 and touch[1][0] < touch[-1][0] and kind == 3:
            turn = Turn(bid, here)
            venue.submit(order(f"x{served}", BUY, "1", limit=str(bid), instrument="ETH/USD"), ts)
            venue.advance(ts)
    assert served > 20
    assert at_the_price >= 5
