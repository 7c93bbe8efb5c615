"""Kept answers through the real engine: the same trades as `run`, fees that bite, thresholds from before."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import DAY
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import Lake
from tests.training.measure.by_hand import kept_of
from trader.backtest.run import run, span_opinions, trade
from trader.backtest.source import GridLake, Recorded, series_of
from trader.models import load_models, terms_of
from training import cli
from training.measure import answers, traded
from training.members.kept import TEST, load
from training.thresholds import tune
from training.trades import SCHEDULES
from training.walkforward.desk import acting, desk

MARKET, MODEL = Path("configs/market"), Path("configs/models/entry-5m")
DESK = Path("configs/walkforward/desk.toml")
PAIRS = ("BTC/USDT", "SOL/USDT")
START, END = parse_iso("2024-06-01"), parse_iso("2024-06-04")


@pytest.fixture(scope="module")
def told():
    """What somebody says who knows half of what is to come: real hours, answers made from their labels."""
    hour, rng = Timeframe.H1.ns, np.random.default_rng(1)
    first = parse_iso("2024-03-01")
    columns = []
    for number, pair in enumerate(PAIRS):
        bars = Lake(MARKET).read("binance", pair, Timeframe.M5, start=first, end=first + 90 * DAY)
        at = np.arange(287, len(bars) - 400, 24)
        ahead = bars.open[at + 25] / bars.open[at + 1] - 1.0
        columns.append((np.full(len(at), number), bars.ts_close[at], bars.close[at], ahead))
    instrument, ts, close, ahead = (np.concatenate(part) for part in zip(*columns, strict=True))
    kind = np.where(ahead > 0.003, 2, np.where(ahead < -0.003, 0, 1))
    odds = rng.normal(0.0, 0.5, (len(ts), 3)) + 1.5 * np.eye(3)[kind]
    p = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    kept = kept_of(
        kind,
        {"seer": p, "mute": np.full_like(p, np.nan)},
        ts=ts,
        instrument=instrument,
        moved=ahead,
        fold=np.where(ts < first + 45 * DAY, 1, TEST),
        decision="1h",
        source="5m",
        instruments=PAIRS,
        horizon_bars=2,
    )
    assert (kept.ts % hour == 0).all()
    return replace(
        kept, close=close, atr=0.004 * close, ts_end=ts + 2 * hour, volatility=np.full(len(ts), 40.0)
    )


@pytest.fixture(scope="module")
def outcome(told):
    return traded.work(traded.job(told, "seer", MARKET, DESK))


def test_tables_are_traded_as_the_backtest_trades_them():
    config = acting(desk(DESK, "binance", PAIRS, MODEL), "vip4", 0.36)
    opinions = span_opinions(config, MARKET, START, END)
    whole = run(config, MARKET, START, END, opinions=opinions)
    lake = GridLake(MARKET, config)
    recorded = Recorded(lake, series_of(lake, config), START, END, keep=True)
    terms = {name: terms_of(model) for name, model in load_models(config).items()}
    alone = trade(config, recorded, opinions, terms, start=START, end=END)
    assert len(whole.trips) > 5
    assert (alone.trips, alone.curve, alone.pairs) == (whole.trips, whole.curve, whole.pairs)


def test_a_seer_earns_before_fees_and_pays_them(outcome):
    by_name = {run.schedule: run for run in outcome.traded.fees}
    assert [run.schedule for run in outcome.traded.fees] == list(traded.NAMES)
    assert by_name["gross"].sharpe.low > 0.0
    assert by_name["gross"].sharpe.value > by_name["gross"].random.high
    assert by_name["gross"].fees_bps == pytest.approx(0.0)
    costs = [run.fees_bps for run in outcome.traded.fees]
    assert costs == sorted(costs)
    assert by_name["gross"].sharpe.value > by_name["vip9"].sharpe.value > by_name["kraken"].sharpe.value
    assert outcome.traded.days == len(outcome.returns["gross"])


def test_pairs_add_up_to_the_whole(outcome):
    run = outcome.traded.fees[0]
    assert [pair.instrument for pair in run.pairs] == list(PAIRS)
    assert sum(pair.trades for pair in run.pairs) == run.trades > 30
    assert np.prod(1.0 + outcome.returns["gross"]) - 1.0 == pytest.approx(run.total)


def test_the_threshold_knows_the_time_before_and_nothing_else(told, outcome):
    early = told.only(told.fold != TEST)
    for fees, at in zip(SCHEDULES, outcome.traded.fees, strict=True):
        assert at.tuned == tune(traded.outcomes(early), traded.sides(early, "seer"), fees, seed=1)
    other = replace(told, long_return=np.where(told.fold == TEST, -told.long_return, told.long_return))
    again = traded.work(traded.job(other, "seer", MARKET, DESK)._replace(schedules=("kraken",)))
    assert again.traded.fees[0] == outcome.traded.fees[-1]


def test_no_threshold_rests_on_what_ends_within_the_test_span(told):
    start = int(told.ts[told.fold == TEST].min())
    crossing = replace(told, ts_end=np.where(told.fold == TEST, told.ts_end, told.ts_end + DAY))
    rows = traded.before(crossing)
    assert int(rows.ts_end.max()) <= start < int(crossing.ts_end[crossing.fold != TEST].max())
    assert len(traded.before(told)) == int((told.fold != TEST).sum())


def test_who_cannot_be_traded_says_why(told):
    mute = traded.work(traded.job(told, "mute", MARKET, DESK))
    assert mute.traded.why_not == "no rows of the test span"
    late = traded.work(traded.job(told.only(told.fold == TEST), "seer", MARKET, DESK))
    assert late.traded.why_not == "no out-of-fold rows to set a threshold by"
    assert late.returns == {}


def test_stops_are_walked_on_the_coarsest_bars_that_are_fine_enough(told):
    assert traded.walked_on(Lake(MARKET), told, list(PAIRS)) is Timeframe.M5
    # Bars that end before the answers do would be traded to their end, and the rest of the span stood still.
    late = replace(told, ts=told.ts + 300 * DAY, subject=msgspec.structs.replace(told.subject, source="1h"))
    assert traded.walked_on(Lake(MARKET), late, list(PAIRS)) is Timeframe.H1
    at_five = replace(told, subject=kept_of([0], {"a": np.ones((1, 3))}, decision="5m").subject)
    assert traded.walked_on(Lake(MARKET), at_five, list(PAIRS)) is Timeframe.M5


def test_a_finished_model_is_asked_about_rows_after_its_training_alone():
    kept = answers.answers(MODEL, MARKET, vault_start=parse_iso("2024-05-15"), settle_days=7)
    assert kept.subject.instruments == (
        "AVAX/USDT",
        "BTC/USDT",
        "DOGE/USDT",
        "ETH/USDT",
        "SOL/USDT",
        "XRP/USDT",
    )
    trained = parse_iso("2024-05-01")
    assert kept.ts.min() > trained
    assert kept.ts_end.max() <= parse_iso("2024-05-15")
    assert set(kept.fold.tolist()) == {answers.SETTLED, TEST}
    assert kept.ts[kept.fold == TEST].min() > kept.subject.test_start >= trained + 7 * DAY
    assert np.allclose(kept.p.sum(axis=1), 1.0, atol=1e-5)


def test_evaluate_asks_a_finished_model_about_bars_after_its_training(tmp_path, capsys):
    file = tmp_path / "asked.npz"
    words = ["evaluate", str(MODEL), "--data", str(MARKET), "--vault-start", "2024-07-05"]
    assert cli.run([*words, "--settle-days", "7", "--keep", str(file), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    kept = load(file)
    (whole,) = [row for row in rows if (row["instrument"], row["span"]) == ("all", "test")]
    assert whole["scores"]["rows"] == int((kept.fold == TEST).sum()) > 1000
    assert {row["instrument"] for row in rows} == {"all", *kept.subject.instruments}
    # The bars that come along end in July: with three months shut nothing after the training is left.
    assert cli.run(words[:4]) == 65
    assert "expected rows after the training of entry-5m" in capsys.readouterr().err
    assert cli.run([*words[:2], "--keep", str(file)]) == 64
