import math

import pytest

from core.market import Timeframe
from tests.training.targets.paths import FLAT, told
from training.labels import DOWN, HOLD, UP
from training.panel.panel import UNKNOWN
from training.targets.moves import Direction, LargeMove, Magnitude, Move, Trend

M15 = Timeframe.M15


def ends_at(close: float, *, opens: float = 100.0) -> list:
    """Two decision bars of three source bars each: in at `opens`, out at `close`."""
    return [(opens, 130, 70, 100), *[FLAT] * 4, (100, 130, 70, close), FLAT]


def test_move_is_from_the_next_open_to_the_last_close_in_percent():
    asked = Move("move_2", M15, 2)
    assert told(asked, ends_at(103.0)) == (UNKNOWN, pytest.approx(3.0), 6)
    assert told(asked, ends_at(103.0, opens=206.0)) == (UNKNOWN, pytest.approx(-50.0), 6)
    assert asked.classes == ()
    assert asked.horizon_ns == 2 * M15.ns


@pytest.mark.parametrize(
    "close, kind",
    [(100.51, UP), (100.49, HOLD), (100.0, HOLD), (99.51, HOLD), (99.49, DOWN)],
)
def test_direction_is_beyond_the_band_or_hold(close, kind):
    asked = Direction("direction_2", M15, 2, epsilon_pct=0.5)
    assert told(asked, ends_at(close)) == (kind, pytest.approx(close - 100.0), 6)
    assert asked.classes == ("down", "hold", "up")


@pytest.mark.parametrize("moved, kind", [(3.0, HOLD), (3.1, UP), (-3.0, HOLD), (-3.1, DOWN)])
def test_trend_is_beyond_a_band_of_atrs_that_grows_with_the_root_of_the_bars(moved, kind):
    # ATR 4 and 9 bars: 0.25 x 4 x 3 = 3.
    rows = [*[FLAT] * 26, (100, 130, 70, 100.0 + moved)]
    asked = Trend("trend_9", M15, 9, band_atr=0.25)
    assert told(asked, rows, atr=4.0) == (kind, pytest.approx(moved / 4.0 / 3.0), 27)


def test_magnitude_is_the_size_of_the_move_in_atrs():
    asked = Magnitude("magnitude", M15, 2)
    assert told(asked, ends_at(92.0), atr=5.0) == (UNKNOWN, pytest.approx(1.6), 6)
    assert math.isnan(told(asked, ends_at(92.0), atr=0.0)[1])


@pytest.mark.parametrize("close, kind", [(102.1, 1), (97.9, 1), (101.9, 0)])
def test_a_large_move_is_one_either_way(close, kind):
    asked = LargeMove("large_move", M15, 2, epsilon_pct=2.0)
    assert told(asked, ends_at(close)) == (kind, pytest.approx(abs(close - 100.0)), 6)
    assert asked.classes == ("usual", "large")
