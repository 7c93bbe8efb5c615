"""The look-ahead checks on recorded bars: honest pipelines pass, each way of cheating is caught by name."""

from pathlib import Path

import pytest

from core.clock import DAY
from core.errors import UsageError
from core.market import Timeframe
from core.text import parse_iso
from tests.trader.evaluation.pipelines import (
    Pipeline,
    centred,
    coin,
    fitted_on_all,
    momentum,
    next_close,
    right_closed,
)
from trader.config import load
from trader.evaluation.canary import eager
from trader.evaluation.checks import NAMES, look_ahead
from trader.models import load_models

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
START = parse_iso("2024-06-03")
END = START + 11 * DAY
PAIRS = ("SOL/USDT",)
SEEN = ("future_permuted", "truncation")


@pytest.fixture(scope="module")
def config():
    return eager(load([ROOT / "configs" / "paper.toml"], {}, {"universe.instruments": list(PAIRS)}))


@pytest.fixture(scope="module")
def pipeline(config):
    (model,) = load_models(config).values()
    (trader,) = config.traders

    def make(side):
        return Pipeline(model.model_hash, model.decision, PAIRS, side, trader=trader.name)

    return make


def checked(config, opine, only=NAMES, **options):
    found = look_ahead(config, MARKET, START, END, opine=opine, only=only, instants=1, **options)
    assert [check.name for check in found] == [name for name in NAMES if name in only]
    return {check.name: check for check in found}


@pytest.fixture(scope="module")
def honest(config, pipeline):
    told = []
    return checked(config, pipeline(momentum), say=told.append), told


def test_an_honest_pipeline_passes_every_check(honest):
    found, told = honest
    assert all(check.passed for check in found.values()), found
    assert told == list(NAMES)
    assert found["truncation"].figures["opinions"] > 100
    assert found["future_permuted"].figures["orders"] > 20


def test_the_cheats_of_known_kind_are_caught_on_this_market(honest):
    found, _ = honest
    assert found["leak_canary"].found == (
        "opinions read from the bar after them are caught by: delay_one_bar, future_permuted"
    )
    assert found["leak_canary"].figures["gross_bps"] > 10
    assert found["leak_canary"].figures["gross_bps_low"] > 0
    said = found["right_closed_resample"].found
    assert "are caught by: future_permuted (hourly: SOL/USDT at 2024-06-" in said


def test_noise_passes(config, pipeline):
    found = checked(config, pipeline(coin), ("delay_one_bar", "truncation", "right_closed_resample"))
    assert all(check.passed for check in found.values()), found
    # The side is a coin's, the scales that come with it are a bar's.
    assert "atr " in found["right_closed_resample"].found


@pytest.mark.parametrize(
    "side, caught",
    [
        (next_close, {"delay_one_bar", *SEEN}),
        (centred, {*SEEN}),
        (fitted_on_all, {*SEEN}),
    ],
)
def test_a_pipeline_that_sees_the_future_is_caught_by_name(config, pipeline, side, caught):
    found = checked(config, pipeline(side), caught)
    assert not any(check.passed for check in found.values()), found
    for name in SEEN:
        assert "/USDT at 2024-06-" in found[name].found
        assert "becomes" in found[name].found


def test_bars_named_too_soon_are_caught(config, pipeline):
    found = checked(config, right_closed(pipeline(momentum)), SEEN)
    assert not any(check.passed for check in found.values()), found


def test_verdicts_repeat(config, pipeline, honest):
    again = checked(config, pipeline(momentum), ("truncation", "right_closed_resample"))
    assert again.items() <= honest[0].items()


def test_too_few_days_to_catch_a_cheat_by_its_profit_are_said_to_be_too_few(config, pipeline):
    (check,) = look_ahead(
        config, MARKET, START, START + 3 * DAY, opine=pipeline(momentum), only=["leak_canary"], instants=1
    )
    assert not check.passed
    assert "caught by: future_permuted; not by delay_one_bar: " in check.found
    assert "are too few to tell (30 on 10)" in check.found


def test_only_the_newest_days_are_altered(config, pipeline):
    found = look_ahead(config, MARKET, START, END, opine=pipeline(momentum), only=["truncation"], days=3)
    assert found[0].figures["opinions"] < 3 * 24


def test_a_pipeline_without_opinions_has_nothing_to_check(config, pipeline):
    silent = pipeline(momentum)
    silent.speaks = False
    found = checked(config, silent)
    assert {check.found for check in found.values()} == {
        "no usable opinion from 2024-06-03T00:00:00.000000Z to 2024-06-14T00:00:00.000000Z: nothing to check"
    }


def test_too_short_a_span_is_refused(config):
    with pytest.raises(UsageError, match="checks: expected 3 days or more; found 2"):
        look_ahead(config, MARKET, START, START + 2 * DAY)


def test_decisions_are_made_hourly_here(pipeline):
    """The spans above are sized for it."""
    assert pipeline(momentum).decision is Timeframe.H1
