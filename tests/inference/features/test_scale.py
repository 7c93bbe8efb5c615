"""The base family against TA-Lib, and the scales that it hands to all others."""

import numpy as np
import pytest
import talib

from inference.features.family import ATR, BEFORE, RANGE, RETURN, SCALES
from inference.features.scale import FAMILY
from tests.inference.features.walk import (
    assert_finite,
    assert_forgets_its_start,
    assert_live_is_fold,
    assert_scale_free,
    column,
    flat,
    fold_family,
    jumping,
    recorded,
    scales_of,
    silent_after,
)


def test_true_range_is_averaged_as_ta_lib_does():
    history = recorded("DOGE-USDT")
    out, _ = fold_family(FAMILY, history)
    natr = talib.NATR(history.high, history.low, history.close, 14) / 100
    moved = talib.MOM(history.close, 1) / talib.ATR(history.high, history.low, history.close, 14)
    assert column(FAMILY, out, "atr")[700:] == pytest.approx(natr[700:], rel=1e-9)
    assert column(FAMILY, out, "return_1")[700:] == pytest.approx(moved[700:], rel=1e-9, abs=1e-9)


def test_scales_are_what_their_names_say():
    history = recorded(count=500)
    scales = np.full((SCALES, 500), np.nan)
    plan = np.array([[0, 0, 500, 0, 0]])
    FAMILY.advance(
        np.zeros((1, FAMILY.slots)), plan, history.ts_open, history.bars, history.length, scales,
        np.empty((2, 500)),
    )  # fmt: skip
    before = np.concatenate([history.close[:1], history.close[:-1]])
    assert np.array_equal(scales[BEFORE], before)
    assert np.array_equal(scales[RANGE], np.maximum(history.high, before) - np.minimum(history.low, before))
    assert scales[RETURN] == pytest.approx(np.log(history.close / before), abs=1e-15)
    assert scales[ATR] == pytest.approx(scales_of(history)[ATR], rel=1e-15)


def test_promises_of_every_family_hold():
    kept = np.ones(900, bool)
    kept[[100, 205, 206]] = False
    kept[400:403] = False
    assert_live_is_fold(FAMILY, recorded(count=900).part(kept))
    assert_forgets_its_start(FAMILY, recorded(), 333)
    assert_scale_free(FAMILY, recorded())
    assert_finite(FAMILY, silent_after(jumping(recorded(count=900), 300), 305))
    assert np.all(fold_family(FAMILY, flat(400))[0] == 0.0)
