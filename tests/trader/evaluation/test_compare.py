"""Runs side by side: rows, differences by key, and a difference that shows or does not."""

import numpy as np
import pytest

from core.errors import UsageError
from tests.run_records import START, day, random_record, record, trip
from trader.backtest.record import ModelUsed
from trader.evaluation.assessment import judge
from trader.evaluation.compare import common, compare
from trader.evaluation.compare_page import shown, write_comparison


def daily(amounts, **more):
    """Give a run that earns these amounts, one trade a day."""
    return judge(
        record([trip(str(a), opened=24 * n + 1) for n, a in enumerate(amounts)], len(amounts), **more)
    )


def test_figures_stand_side_by_side():
    runs = {"a": daily([10, -5, 20]), "b": daily([1, 1, 1])}
    found = compare(runs)
    values = {row.name: row.values for row in found.rows}
    assert found.names == ("a", "b")
    assert values["Net"] == (25.0, 3.0)
    assert values["Trades"] == (3, 3)
    assert values["Won"] == (pytest.approx(2 / 3), 1.0)
    assert values["Profit factor"] == (6.0, None)
    assert values["Holding returned"] == (None, None)


def test_every_figure_is_written_as_its_kind_is_read():
    found = compare({"a": daily([100, -50]), "b": daily([1, 1])})
    written = {row.name: shown(row, 0).replace("\u2009", " ") for row in found.rows}
    assert written["Return"] == "+0.50 %"
    assert written["Trades"] == "2"
    assert written["Mean hold"] == "60.0 min"
    assert written["A trade's mean"] == "+2 500.0"
    assert written["Holding returned"] == "\u2013"


def test_differences_are_named_by_key():
    config = {
        "exchange": {"taker_fee": 0.002},
        "trader": [{"name": "swing", "policy": {"min_confidence": 0.6}}],
    }
    first, second = daily([1] * 3), daily([1] * 3, config=config, schedule="vip4")
    found = {one.key: one.values for one in compare({"a": first, "b": second}).differences}
    assert found == {
        "schedule": ("kraken", "vip4"),
        "config.exchange.taker_fee": ("0.004", "0.002"),
        "config.trader.swing.policy.min_confidence": ("0.45", "0.6"),
        "config.trader.swing.policy.taker_fee": ("0.004", "\u2013"),
        "config.trader.swing.policy.cooldown_s": ("900.0", "\u2013"),
    }


def test_only_common_days_are_paired():
    long = daily(range(10))
    late = judge(record([trip("7", opened=24 * 6 + 1)], 10, start=day(6), end=day(10)))
    first, second, outside = common(long, late)
    assert outside
    assert len(first) == len(second) == 4
    assert first[0] == pytest.approx(6 / (10000 + 15))
    assert second[0] == pytest.approx(7 / 10000)
    other = judge(record([], 3, start=START - 5 * 86400 * 10**9, end=START))
    assert compare({"a": long, "b": other}).against[0].sentence == "The two have no day in common."


def test_a_difference_that_shows_and_one_that_does_not():
    better = daily([12, 8, 11, 9] * 15)
    worse = daily([-8, -12, -9, -11] * 15)
    noise = daily(np.random.default_rng(5).normal(10, 60, 60).round(2).tolist())
    found = {one.name: one for one in compare({"a": better, "b": worse, "c": noise, "d": better}).against}
    assert found["b"].found.differs
    assert found["b"].sentence.startswith(
        "Over 60 days that no model has seen: a earns 20.0 basis points a day"
    )
    assert "more than b" in found["b"].sentence
    assert not found["c"].found.differs
    assert "cannot be told from luck" in found["c"].sentence
    assert found["d"].sentence.endswith("The two never differ.")


def test_days_in_sample_tell_nothing_apart():
    models = (ModelUsed("swing", "entry", "e" * 64, "15m", day(30)),)
    learnt = daily([12, 8, 11, 9] * 7 + [0.5, -0.5] * 16, models=models)
    found = compare({"a": daily([0.5, -0.5] * 30), "b": learnt})
    assert found.against[0].days == 30
    assert not found.against[0].found.differs
    assert next(row for row in found.rows if row.name == "Return out of sample").values[1] == 0.0
    seen = (ModelUsed("swing", "entry", "e" * 64, "15m", day(90)),)
    told = compare({"a": learnt, "b": daily([1, 2] * 30, models=seen)}).against[0]
    assert told.sentence.startswith("Over 60 days that a model was trained on: ")


def test_every_row_speaks_of_the_days_that_count():
    models = (ModelUsed("swing", "entry", "e" * 64, "15m", day(8)),)
    found = compare({"a": daily([100] * 8 + [-10, -20], models=models), "b": daily([1] * 10)})
    values = {row.name: row.values for row in found.rows}
    assert values["Days"] == (2, 10)
    assert values["Trades"] == (2, 10)
    assert values["Net"] == (-30.0, 10.0)
    assert values["Return"][0] == values["Return out of sample"][0] == pytest.approx(-30 / 10800)


def test_one_run_is_not_a_comparison():
    with pytest.raises(UsageError, match="expected two runs or more"):
        compare({"a": daily([1])})


def test_the_page_holds_both_runs(tmp_path):
    runs = {"a": judge(random_record(40, 60)), "b<i>": judge(random_record(40, 60, seed=8))}
    write_comparison(compare(runs), runs, tmp_path / "deep" / "compare.html")
    text = (tmp_path / "deep" / "compare.html").read_text()
    assert "b&lt;i&gt;" in text
    assert "<i>" not in text[text.index("<body>") : text.index('id="data"')].replace("<i class", "")
    assert "Told apart from a?" in text
    assert len(text) < 5_200_000
