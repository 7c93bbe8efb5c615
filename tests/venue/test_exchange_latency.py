"""How long requests travel: figures of the distribution, and that a draw belongs to its request."""

import math
from statistics import median, stdev

import pytest

from core.events import Fill
from tests.venue.exchange_world import BUY, FEES, SELL, D, order, quote
from venue.exchange import Exchange
from venue.exchange_latency import Latency
from venue.exchange_listing import listed

MS = 1_000_000


def test_without_sigma_every_request_takes_the_median():
    assert {Latency(5 * MS).of(f"c{n}", n) for n in range(50)} == {5 * MS}


def test_the_draws_are_log_normal_around_their_median():
    drawn = [Latency(80 * MS, 0.6, 7).of(f"c{n}", n * MS) for n in range(4_000)]
    assert median(drawn) == pytest.approx(80 * MS, rel=0.04)
    logarithms = [math.log(one / (80 * MS)) for one in drawn]
    assert stdev(logarithms) == pytest.approx(0.6, rel=0.04)
    # Of a normal 15.87 % lie beyond one sigma above.
    assert sum(one > 0.6 for one in logarithms) / 4_000 == pytest.approx(0.1587, abs=0.015)
    assert min(drawn) > 0


def test_a_draw_follows_from_request_time_and_seed_alone():
    latency = Latency(80 * MS, 0.6, 7)
    assert latency.of("c1", 5) == latency.of("c1", 5)
    others = {latency.of("c2", 5), latency.of("c1", 6), Latency(80 * MS, 0.6, 8).of("c1", 5)}
    assert latency.of("c1", 5) not in others
    assert len(others) == 3


def exchange(seed=1):
    venue = Exchange(listed(["BTC/USDT"]), fees=FEES, latency_ns=500 * MS, latency_sigma=1.0, seed=seed)
    for name in ("a", "b"):
        venue.open_account(name, D(10_000))
    return venue


def test_what_others_send_does_not_delay_an_order():
    filled = []
    for noise in (0, 5):
        venue = exchange()
        venue.on_quote(quote())
        for number in range(noise):
            venue.submit(order(f"n{number}", BUY, "0.1", account="b"), 0)
        venue.submit(order("mine", BUY, "1"), 0)
        reports = venue.advance(60_000 * MS)
        filled.append(next(r.ts for r in reports if isinstance(r, Fill) and r.cl_ord_id == "mine"))
    assert filled[0] == filled[1] == Latency(500 * MS, 1.0, 1).of("mine", 0)


def test_who_arrives_later_meets_a_later_quote():
    venue = exchange()
    names = sorted((f"c{n}" for n in range(12)), key=lambda name: Latency(500 * MS, 1.0, 1).of(name, 0))
    venue.on_quote(quote("100.00", "100.02"))
    for name in names:
        venue.submit(order(name, SELL, "0.1"), 0)
    fills = []
    for step in range(1, 200):  # a tick down every 20 ms
        fills += venue.on_quote(quote(str(D(100) - D(step) / 100), "100.02", ts=step * 20 * MS))
    prices = {fill.cl_ord_id: fill.price for fill in fills if isinstance(fill, Fill)}
    assert list(prices) == names[: len(prices)]
    assert sorted(prices.values(), reverse=True) == list(prices.values())
    assert len(set(prices.values())) > 8
