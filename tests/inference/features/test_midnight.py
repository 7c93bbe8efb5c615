"""At midnight UTC all seven timeframes close together: a decision of then sees the day that just ended."""

import numpy as np
import pytest

from core.market import TIMEFRAMES, Bar, Timeframe
from feeds.lake import BarArrays, aggregate
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, FeatureSpec, check

PAIR = "ETH/USD"
DAYS = 3
START = 20_000 * Timeframe.D1.ns
MIDNIGHT = START + DAYS * Timeframe.D1.ns


@pytest.fixture(scope="module")
def histories() -> dict[Timeframe, BarArrays]:
    """Three days of minutes that move, and all that they add up to."""
    random = np.random.default_rng(8)
    count = DAYS * 1_440
    close = 2_000.0 * np.exp(np.cumsum(random.normal(0, 0.001, count)))
    opened = np.append(2_000.0, close[:-1])
    high, low = np.maximum(opened, close) * 1.0003, np.minimum(opened, close) * 0.9997
    ts_open = START + np.arange(count) * Timeframe.M1.ns
    trades = np.ones(count, np.int32)
    minutes = BarArrays(PAIR, Timeframe.M1, ts_open, opened, high, low, close, np.ones(count), close, trades)
    return {timeframe: aggregate(minutes, timeframe) for timeframe in TIMEFRAMES}


def seven(decision: Timeframe) -> FeatureSpec:
    spec = FeatureSpec("seven", decision, tuple(Block(one, ("body",)) for one in TIMEFRAMES), clock=())
    check(spec)
    return spec


def body(bar: Bar) -> np.float32:
    return np.float32((bar.close - bar.open) / (bar.high - bar.low))


@pytest.mark.parametrize("decision", TIMEFRAMES, ids=lambda one: one.value)
@pytest.mark.parametrize("order", ["shortest first", "longest first", "mixed"])
def test_decision_at_midnight_sees_what_ended_then_whatever_order_the_bars_came_in(
    histories, decision, order
):
    spec = seven(decision)
    bars = [bar for one in histories.values() for bar in one.bars()]
    closing = {bar.timeframe: bar for bar in bars if bar.ts_close == MIDNIGHT}
    assert set(closing) == set(TIMEFRAMES)
    frame = FeatureFrame([spec], (PAIR,))
    frame.warm([bar for bar in bars if bar.ts_close < MIDNIGHT])
    group = list(closing.values())
    if order == "longest first":
        group.reverse()
    elif order == "mixed":
        group = [group[k] for k in np.random.default_rng(4).permutation(len(group))]
    frame.on_bars(group)
    live = frame.inputs(spec, (PAIR,), MIDNIGHT)
    expected = np.array([body(closing[timeframe]) for timeframe in TIMEFRAMES], np.float32)
    assert live.reason == [""]
    assert np.allclose(live.tensors["x"][0], expected, rtol=1e-6, atol=0)
    whole = fold(spec, histories)
    assert whole.ts_close[-1] == MIDNIGHT
    assert np.array_equal(whole.x[-1].view(np.int32), live.tensors["x"][0].view(np.int32))


def test_minute_after_midnight_still_sees_that_day_and_nothing_of_the_next(histories):
    spec = seven(Timeframe.M1)
    whole = fold(spec, histories)
    for minutes in (-1, 0, 1, 59, 60, 1_439):
        ts_close = MIDNIGHT - Timeframe.D1.ns + minutes * Timeframe.M1.ns
        row = int(np.searchsorted(whole.ts_close, ts_close))
        for column, timeframe in enumerate(TIMEFRAMES):
            (bar,) = [bar for bar in histories[timeframe].bars() if bar.ts_close == timeframe.floor(ts_close)]
            assert np.isclose(whole.x[row, column], body(bar), rtol=1e-6), (minutes, timeframe.value)
