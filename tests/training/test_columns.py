import json

import numpy as np
import pytest

from core.errors import DataError
from core.market import Timeframe
from inference.features.catalogue import COLUMNS, MISSING, family_of
from inference.features.spec import Block, FeatureSpec
from training import columns
from training.cli import run
from training.labels import BarrierTerms
from training.provenance import Recipe
from training.recipe import train

NAMES = ("15m.a", "15m.b", "15m.c")


def made(rows: int = 4_000) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)


def test_a_column_that_never_moves_is_refused_by_name_and_instrument():
    x, owner = made(), np.repeat(np.int32([0, 1]), 2_000)
    columns.require_variety(x, owner, NAMES, ("BTC/USD", "ETH/USD"))
    x[2_000:, 1] = 0.25
    expected = r"ETH/USD: expected column 15m.b to vary over 2,000 training rows; found 0.25 in all"
    with pytest.raises(DataError, match=expected):
        columns.require_variety(x, owner, NAMES, ("BTC/USD", "ETH/USD"))


def test_a_column_without_numbers_is_refused_by_name_and_instrument():
    x = made(100)
    x[:60, 2] = np.nan
    columns.require_numbers(x, NAMES, "BTC/USD")
    x[50:90, 2] = np.nan
    with pytest.raises(
        DataError, match=r"BTC/USD: expected numbers in column 15m.c; found none in 80% of rows"
    ):
        columns.require_numbers(x, NAMES, "BTC/USD")


def test_spare_columns_are_the_still_ones_and_the_later_of_twins():
    x = made()
    x[:, 2] = -2.0 * x[:, 0] + 0.01 * x[:, 2]
    x[:, 1] = 0.0
    x[:10, 1] = 1.0
    found = columns.spare(x, NAMES)
    assert found.constant == ("15m.b",)
    ((kept, dropped, related),) = found.twins
    assert (kept, dropped) == ("15m.a", "15m.c")
    assert related < -0.99
    assert found.dropped == {"15m.b", "15m.c"}


def test_different_columns_are_all_kept():
    assert columns.spare(made(), NAMES).dropped == set()


def test_a_column_that_needs_a_tape_is_refused_before_any_bar_is_read(tmp_path):
    taped = next(column for column in COLUMNS if column != MISSING and family_of(column).needs)
    spec = FeatureSpec("taped", Timeframe.M5, (Block(Timeframe.M5, ("rsi", taped)),))
    plan = Recipe("m", spec, "guard", Timeframe.M5, BarrierTerms(Timeframe.M5))
    with pytest.raises(DataError, match=f"expected columns made of bars; found 5m.{taped}, which needs flow"):
        train(plan, tmp_path / "nowhere", tmp_path / "out", lambda _: None)


def test_the_command_shows_spare_columns_of_the_training_rows(null_lake, capsys):
    words = ["columns", "--spec", "entry_5m", "--lake", str(null_lake), "--venue", "guard"]
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(found["constant"]) + len(found["twins"])
    assert run([*words[:2], "odd", *words[3:]]) == 64
