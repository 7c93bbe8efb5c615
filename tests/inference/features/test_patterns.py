"""Patterns against TA-Lib where the rules agree; hand-drawn bars and mirrors where they cannot."""

import numpy as np
import pytest
import talib

from inference.features.patterns import FAMILY
from tests.inference.features.walk import (
    History,
    assert_keeps_promises,
    column,
    flat,
    fold_family,
    recorded,
    silent_after,
)

PAIRS = ("BTC-USDT", "DOGE-USDT")
WARM = 20  # TA-Lib begins each pattern at a bar of its own


@pytest.fixture(scope="module", params=PAIRS)
def market(request):
    history = recorded(request.param, 20_000)
    return history, fold_family(FAMILY, history)[0]


def prices(history: History) -> tuple[np.ndarray, ...]:
    return history.open, history.high, history.low, history.close


SAME = {
    "doji": lambda p: talib.CDLDOJI(*p),
    "hammer": lambda p: talib.CDLHAMMER(*p) + talib.CDLHANGINGMAN(*p),
    "engulfing": lambda p: talib.CDLENGULFING(*p),
    "harami": lambda p: talib.CDLHARAMI(*p),
    "marubozu": lambda p: talib.CDLMARUBOZU(*p),
}


@pytest.mark.parametrize("name", SAME)
def test_pattern_is_ta_libs_bar_for_bar(market, name):
    history, out = market
    expected = np.sign(SAME[name](prices(history))) * (history.high > history.low)
    assert np.count_nonzero(expected) > 100
    np.testing.assert_array_equal(column(FAMILY, out, name)[WARM:], expected[WARM:])


# TA-Lib asks these for a gap between bodies, which a market without a close hardly ever shows.
GAPPED = {
    "shooting_star": lambda p: talib.CDLSHOOTINGSTAR(*p) + talib.CDLINVERTEDHAMMER(*p),
    "star": lambda p: talib.CDLMORNINGSTAR(*p, penetration=0.3) + talib.CDLEVENINGSTAR(*p, penetration=0.3),
}


@pytest.mark.parametrize("name", GAPPED)
def test_pattern_with_a_gap_is_found_too_and_more_without_one(market, name):
    history, out = market
    expected, found = np.sign(GAPPED[name](prices(history)))[WARM:], column(FAMILY, out, name)[WARM:]
    shown = expected != 0
    np.testing.assert_array_equal(found[shown], expected[shown])
    assert 3 * np.count_nonzero(shown) < np.count_nonzero(found) < 0.1 * found.size


def test_soldiers_are_ta_libs(market):
    history, out = market  # TA-Lib's crows ask for more than the mirror image, which is tested below
    found = column(FAMILY, out, "soldiers")[WARM:]
    expected = talib.CDL3WHITESOLDIERS(*prices(history))[WARM:] > 0
    assert np.count_nonzero(expected) > 10
    np.testing.assert_array_equal(found > 0, expected)


def test_flags_turn_with_the_prices_upside_down(market):
    history, out = market
    upside = 2 * history.high.max()
    mirrored = np.stack(
        [upside - history.open, upside - history.low, upside - history.high, upside - history.close]
    )
    other = fold_family(FAMILY, history._replace(bars=np.vstack([mirrored, history.bars[4:]])))[0]
    moved = history.close != history.open  # a bar that did not move counts as rising both ways
    still = np.convolve(~moved, np.ones(3), "full")[: moved.size] == 0
    for name in ("body", "engulfing", "harami", "star", "soldiers", "marubozu"):
        ours, theirs = column(FAMILY, out, name)[still], column(FAMILY, other, name)[still]
        assert (np.abs(ours + theirs) > 1e-6).sum() <= 2, name  # prices near a limit round the other way


def drawn(*last: tuple[float, float, float, float]) -> dict[str, float]:
    """Give the columns of the last of some bars that follow twelve ordinary ones around 100."""
    ordinary = [(100.0, 101.5, 98.5, 101.0), (101.0, 101.5, 98.5, 100.0)] * 7
    bars = np.array([*ordinary, *last]).T
    history = flat(bars.shape[1])
    history.bars[:4] = bars
    return dict(zip(FAMILY.columns, fold_family(FAMILY, history)[0][:, -1], strict=True))


@pytest.mark.parametrize(
    "last, expected",
    [
        ([(100.0, 104.0, 98.0, 103.0)], {"body": 0.5, "upper_wick": 1 / 6, "lower_wick": 1 / 3}),
        ([(100.0, 101.0, 99.0, 100.1)], {"doji": 1, "inside_bar": 1}),
        ([(100.0, 103.0, 97.0, 103.0)], {"inside_bar": -1, "engulfing": 1}),
        ([(98.7, 99.3, 96.0, 99.2)], {"hammer": 1, "shooting_star": 0}),
        ([(101.4, 101.9, 99.0, 101.8)], {"hammer": -1}),
        ([(101.3, 104.0, 101.2, 101.6)], {"shooting_star": -1, "hammer": 0}),
        ([(101.5, 101.6, 99.0, 99.0)], {"engulfing": 0}),
        ([(99.9, 101.6, 99.8, 101.5)], {"engulfing": 1, "star": 0}),
        ([(100.0, 104.0, 100.0, 104.0)], {"marubozu": 1, "soldiers": 0}),
        ([(104.0, 104.0, 100.0, 100.0)], {"marubozu": -1}),
        ([(100.0, 104.0, 100.0, 104.0), (103.0, 103.5, 101.0, 102.5)], {"harami": -1}),
        (
            [(104.0, 104.2, 100.0, 100.2), (100.2, 100.6, 99.8, 100.0), (100.0, 103.5, 99.9, 103.0)],
            {"star": 1, "soldiers": 0},
        ),
        (
            [(100.0, 102.0, 99.0, 102.0), (101.0, 103.5, 100.5, 103.5), (102.5, 105.5, 102.0, 105.5)],
            {"soldiers": 1},
        ),
    ],
)
def test_drawn_bars_show_what_they_were_drawn_for(last, expected):
    found = drawn(*last)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_bars_without_a_range_show_no_pattern():
    out = fold_family(FAMILY, silent_after(recorded(count=400), 200))[0]
    assert (out[:, 200:] == 0.0).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_family_keeps_what_every_family_promises(pair):
    history = recorded(pair, 1_200)
    assert_keeps_promises(FAMILY, history)
    other = fold_family(FAMILY, history.times(3.7))[0]
    np.testing.assert_array_equal(other[3:], fold_family(FAMILY, history)[0][3:])
