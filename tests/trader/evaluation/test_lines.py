"""A record filled forward: hours, days, fees and pairs by hand."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run_records import PAIRS, card, day, record, trip
from trader.backtest.record import RunRecord
from trader.evaluation.assessment import judge
from trader.evaluation.daily import daily_returns
from trader.evaluation.lines import lines


def test_two_trades_by_hand():
    made = record(
        [
            trip("100", fees="5", opened=2, closed=4),
            trip("-40", fees="5", margin="1", opened=25, closed=30, instrument="ETH/USDT"),
        ],
        days=3,
    )
    seen = lines(made)
    assert len(seen.hours) == 73
    assert seen.equity[[0, 3, 4, 29, 30, 72]].tolist() == [10000, 10000, 10100, 10100, 10060, 10060]
    assert seen.fees[[3, 4, 30]].tolist() == [0, 5, 11]
    assert seen.daily.tolist() == [10000, 10100, 10060, 10060]
    assert seen.returns == pytest.approx([0.01, 10060 / 10100 - 1, 0.0])
    assert seen.pairs["BTC/USDT"].tolist() == [0, 100, 100, 100]
    assert seen.pairs["ETH/USDT"].tolist() == [0, 0, -40, -40]
    assert seen.pair_fees["ETH/USDT"].tolist() == [0, 0, 6, 6]
    assert seen.pairs["SOL/USDT"].tolist() == [0, 0, 0, 0]


def test_exposure_is_a_share_of_equity_whatever_its_sign():
    curve = pl.DataFrame(
        {
            "ts": [day(0, 12), day(1)],
            "account": ["main"] * 2,
            "equity": [10000.0] * 2,
            "exposure": [5000.0, 0.0],
            "fees": [0.0] * 2,
        }
    )
    seen = lines(RunRecord(card(2), (), curve, record().pairs))
    assert seen.exposure_share == pytest.approx(12 / 48 * 0.5)  # 12 of 48 hours end with half invested
    assert seen.time_in_market == pytest.approx(12 / 48)


def test_ruin_returns_nothing_more():
    curve = pl.DataFrame(
        {
            "ts": [day(1), day(2)],
            "account": ["main"] * 2,
            "equity": [-5.0, -9.0],
            "exposure": [0.0] * 2,
            "fees": [0.0] * 2,
        }
    )
    assert lines(RunRecord(card(3), (), curve, record().pairs)).returns.tolist() == [-1.0, 0.0, 0.0]


def test_an_answer_to_the_last_close_belongs_to_the_last_day():
    late = record(
        [trip("50", fees="5", opened=30, closed=40), trip("-7", fees="7", opened=72, closed=72)], days=3
    )
    curve = late.curve.with_columns(ts=pl.when(pl.col("ts") == day(3)).then(day(3, 1)).otherwise("ts"))
    made = RunRecord(late.card, late.trips, curve, late.pairs)
    assert lines(made).equity[-1] == 10043
    assert daily_returns(made)[-1] == pytest.approx(-7 / 10050)
    figures = judge(made).figures
    assert figures.pooled.trips.trades == 2
    assert figures.months[-1].trips.net == Decimal(43)


NETS = st.lists(
    st.tuples(
        st.integers(0, 200), st.integers(1, 30), st.decimals(-50, 50, places=2), st.sampled_from(PAIRS)
    ),
    max_size=25,
)


@given(NETS)
def test_the_end_is_cash_and_all_trips_and_pairs_part_it(rows):
    trips = [
        trip(str(net), fees="1", opened=opened, closed=opened + hold, instrument=pair)
        for opened, hold, net, pair in rows
    ]
    seen = lines(record(trips, days=10))
    net = sum((t.net for t in trips), Decimal(0))
    assert seen.equity[-1] == pytest.approx(float(10000 + net))
    assert sum(line[-1] for line in seen.pairs.values()) == pytest.approx(float(net))
    assert seen.fees[-1] == pytest.approx(len(trips))
    assert 10000 * np.prod(1.0 + seen.returns) == pytest.approx(seen.daily[-1])
