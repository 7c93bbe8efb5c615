"""A run judged: what its months, folds, pairs and regimes add up to, its baselines, its words."""

from decimal import Decimal

import msgspec
import numpy as np
import polars as pl
import pytest

from core.clock import DAY
from tests.run_records import CHECKS, PAIRS, START, card, day, folds, random_record, record, trip
from trader.backtest.record import Check, ModelUsed
from trader.evaluation.assessment import judge
from trader.evaluation.baselines import flat, hold
from trader.evaluation.market import Market
from trader.evaluation.regimes import UNKNOWN
from trader.evaluation.words import Told, made, out_of_sample, percent, verdict


def market(days=10, before=100, **closes):
    """Give daily closes: by default every pair stays at 100 until the run and gains 1 % of that a day."""
    ends = START - before * DAY + np.arange(1, before + days + 1) * DAY
    path = np.concatenate((np.full(before, 100.0), 100.0 + np.arange(1, days + 1)))
    lines = {name: closes.get(name.partition("/")[0], path) for name in PAIRS}
    return Market(ends, lines, pl.DataFrame())


@pytest.fixture(scope="module")
def judged():
    return judge(random_record(days=120, trades=240, folds=folds(4, 30), checks=CHECKS), market(120))


def test_every_table_parts_the_whole(judged):
    figures = judged.figures
    whole = figures.pooled.trips
    assert whole.trades > 200
    for parts in (figures.months, figures.pairs, figures.accounts, figures.regimes, figures.folds):
        assert sum(part.trips.trades for part in parts) == whole.trades
        assert sum((part.trips.net for part in parts), Decimal(0)) == whole.net
    for parts in (figures.months, figures.regimes, figures.folds):
        assert sum(part.returns.days for part in parts) == figures.pooled.returns.days == 120
        compounded = np.prod([1.0 + part.returns.total for part in parts]) - 1.0
        assert compounded == pytest.approx(figures.pooled.returns.total)


def test_the_whole_is_the_records_own_money(judged):
    figures = judged.figures
    assert figures.pooled.returns.total == pytest.approx(float(figures.pooled.trips.net) / 10000)
    assert figures.stress.levels[1].net == figures.pooled.trips.net
    assert figures.turnover_per_day == pytest.approx(float(figures.pooled.trips.turnover) / 10000 / 120)


def test_months_and_folds_have_their_names_and_days(judged):
    figures = judged.figures
    assert [m.name for m in figures.months] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert [m.returns.days for m in figures.months] == [31, 29, 31, 29]
    assert [(f.number, f.returns.days, f.tuned) for f in figures.folds][2] == (2, 30, {"threshold": 0.42})
    assert figures.monthly.months == 4
    assert figures.monthly.worst == min(m.returns.total for m in figures.months)


def test_no_figure_is_nan_or_infinite(judged):
    text = msgspec.json.encode(judged.figures)
    assert b"NaN" not in text
    assert b"Infinity" not in text
    pooled = msgspec.json.decode(text)["pooled"]["returns"]
    assert None not in pooled.values()


def test_hold_by_hand():
    found = hold(card(10), market(10))
    # 100 to 110, with 40 bps of notional on the way in and on the way out.
    assert found.figures.returns.total == pytest.approx(1.1 * 0.996 * 0.996 - 1)
    assert found.figures.fee_bps == pytest.approx(40)
    assert found.equity[0] == 10000
    assert found.equity[1] == pytest.approx(10000 * 1.01 * 0.996)


def test_what_is_listed_later_stays_cash_until_then():
    late = np.concatenate((np.full(105, np.nan), np.full(5, 7.0)))
    found = hold(card(10, instruments=PAIRS[:2]), market(10, ETH=late))
    assert found.equity[-1] == pytest.approx(5000 * (1.1 + 1.0) * 0.996**2)
    assert found.equity[3] == pytest.approx(5000 * (1.03 * 0.996 + 1.0))


def test_flat_is_flat():
    assert flat(card(10)).returns.total == 0.0
    assert flat(card(10)).returns.sharpe is None


def test_a_market_that_is_not_at_hand_leaves_its_figures_out():
    figures = judge(record([trip("10")])).figures
    assert (figures.hold, figures.regimes) == (None, ())
    assert "holding" not in figures.verdict


def test_days_without_a_past_are_of_unknown_kind():
    names = judge(record([trip("1")], days=5), market(5, before=3)).day_regimes
    assert names == [UNKNOWN] * 5


@pytest.mark.parametrize(
    "trips, said",
    [
        ([], "Did not trade in 10 days; holding made 9.1 %."),
        (
            [trip("-1230", fees="400")],
            (
                "Lost 12.3 % in 10 days after fees; holding made 9.1 %. "
                "The same trades lost 8.3 % before fees, which took 4.0 % of the money."
            ),
        ),
        (
            [trip("250", fees="100", margin="50")],
            (
                "Made 2.5 % in 10 days after fees; holding made 9.1 %. "
                "The same trades made 4.0 % before fees, which took 1.5 % of the money."
            ),
        ),
        (
            [trip("-300", fees="400")],
            (
                "Lost 3.0 % in 10 days after fees; holding made 9.1 %. "
                "The same trades made 1.0 % before fees, which took 4.0 % of the money."
            ),
        ),
        (
            [trip("300")],
            (
                "Made 3.0 % in 10 days after fees; holding made 9.1 %. "
                "No fee was charged: a real account pays one."
            ),
        ),
    ],
)
def test_the_verdict_says_it_plainly(trips, said):
    assert judge(record(trips), market()).figures.verdict == said


def test_words_for_small_figures():
    assert made(0.0001) == "made nothing"
    assert made(None) == "made nothing"
    assert (percent(0.5), percent(0.0003), percent(12.0)) == ("50.0 %", "0.030 %", "1,200.0 %")


def models(until):
    return (ModelUsed("swing", "entry-15m", "e" * 64, "15m", until),)


def test_out_of_sample_begins_where_training_ended():
    assert out_of_sample(card(10, models=models(0))) == ((START, day(10)),)
    assert out_of_sample(card(10, models=models(day(4)))) == ((day(4), day(10)),)
    assert out_of_sample(card(10, models=models(day(40)))) == ()
    assert out_of_sample(card(60, folds=folds(2, 30), models=models(day(40)))) == (
        (day(0), day(30)),
        (day(30), day(60)),
    )


def test_a_verdict_speaks_of_the_days_that_no_model_has_seen():
    trips = [trip("1000", fees="100", opened=5), trip("-550", fees="110", opened=6 * 24 + 5)]
    figures = judge(record(trips, models=models(day(4) - 1)), market()).figures
    # 11000 at the end of the fourth day; holding went from 104 to 110, with 40 bps in and out.
    assert figures.verdict == (
        "Out of sample: lost 5.0 % in 6 days after fees; holding made 4.9 %. "
        "The same trades lost 4.0 % before fees, which took 1.0 % of the money."
    )
    inside, outside = figures.evidence
    assert (inside.name, inside.returns.days, inside.trips.net) == ("in sample", 4, Decimal(1000))
    assert (outside.name, outside.returns.days, outside.trips.net) == ("out of sample", 6, Decimal(-550))
    assert outside.returns.total == pytest.approx(-0.05)
    assert figures.pooled.returns.total == pytest.approx(0.045)
    # Everything else speaks of the same six days, which began with 11000.
    assert figures.headline is outside
    assert figures.stress.levels[1].net == figures.pairs[0].trips.net == Decimal(-550)
    assert figures.stress.levels[1].total_return == pytest.approx(-0.05)
    assert figures.pairs[0].returns.total == pytest.approx(-0.05)
    assert figures.accounts[0].drawdown.depth == pytest.approx(0.05)
    assert figures.hold.returns.days == figures.flat.returns.days == 6
    assert [(r.name, r.returns.days, r.trips.trades) for r in figures.regimes] == [
        ("high volatility", 6, 1)  # a market that had not moved for a hundred days
    ]
    assert sum(end.trades for end in figures.ended) == 1
    assert [m.trips.trades for m in figures.months] == [2]


def test_a_verdict_on_seen_days_says_so():
    figures = judge(record([trip("1000", fees="100")], models=models(day(40)))).figures
    assert figures.verdict.startswith("In sample: made 10.0 % in 10 days after fees.")
    assert figures.evidence == ()


def test_what_stands_against_a_run_is_said_first():
    figures = judge(record([trip("1", ended_by="end")], models=models(day(40)), showcase=True)).figures
    assert figures.warnings == (
        "In sample: entry-15m was trained on all of these days. These figures prove nothing.",
        "Showcase thresholds: entries that are expected to lose money after fees were allowed.",
        "Few trades (1): luck alone explains figures of this kind.",
        "A short span (10 days): one kind of market, and a wide error around every figure.",
        "1 trade still open at the end, valued at the last mark.",
    )
    part = judge(record([trip("1")], models=models(day(4)))).figures.warnings[0]
    assert part == (
        "In sample: entry-15m was trained on 4 of these 10 days, up to 2024-01-05. Only what follows counts."
    )
    failed = Check("future_permuted", False, "BTC/USDT differs at 2024-01-03")
    assert judge(record(checks=(failed,))).figures.warnings[0] == (
        "Check failed: future_permuted. BTC/USDT differs at 2024-01-03"
    )


def test_trades_and_days_in_sample_do_not_make_a_run_long():
    trips = [trip("5", opened=24 * n + 1) for n in range(200)]
    figures = judge(record(trips, days=200, models=models(day(180)))).figures
    assert figures.warnings[1:] == (
        "Few trades (20): luck alone explains figures of this kind.",
        "A short span (20 days): one kind of market, and a wide error around every figure.",
    )


def test_a_long_run_out_of_sample_has_nothing_against_it():
    assert judge(random_record()).figures.warnings == ()


def test_a_verdict_needs_no_cash_to_speak_of():
    figures = judge(record()).figures
    assert verdict(Told(figures.pooled.returns, 0, None, None)) == "Did not trade in 10 days."
