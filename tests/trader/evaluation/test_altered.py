from pathlib import Path

import numpy as np
import pytest

from core.clock import DAY, HOUR
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import Lake, Series, aggregate
from trader.evaluation.altered import early, permuted, truncated, write

MARKET = Path(__file__).parents[3] / "configs" / "market"
SERIES = [Series("binance", pair, Timeframe.M5) for pair in ("BTC/USDT", "DOGE/USDT")]
START = parse_iso("2024-06-03")
END = START + 4 * DAY
AT = START + 2 * DAY + 7 * HOUR
COLUMNS = ("ts_open", "open", "high", "low", "close", "vwap", "volume", "trades")


def read(one=SERIES[0]):
    return Lake(MARKET).read(*one, start=START, end=END)


def test_a_copy_that_changes_nothing_is_read_as_what_it_was_made_of(tmp_path):
    write(Lake(MARKET), SERIES, tmp_path, lambda bars: bars, start=START, end=END)
    for one in SERIES:
        again = Lake(tmp_path).read(*one)
        for name in COLUMNS:
            assert np.array_equal(getattr(again, name), getattr(read(one), name)), name


def test_a_permuted_future_leaves_the_past_and_the_shape_of_every_bar():
    bars = read()
    other = permuted(AT, 7)(bars)
    first = int(np.searchsorted(bars.ts_open, AT))
    for name in COLUMNS:
        assert np.array_equal(getattr(other, name)[:first], getattr(bars, name)[:first])
    assert np.array_equal(other.ts_open, bars.ts_open)
    assert (other.close[first:] != bars.close[first:]).mean() > 0.9
    steps = [np.sort(np.diff(np.log(one.close[first - 1 :]))) for one in (bars, other)]
    assert steps[1] == pytest.approx(steps[0], abs=1e-12)
    assert other.close[-1] == pytest.approx(bars.close[-1])
    assert np.array_equal(np.sort(other.volume[first:]), np.sort(bars.volume[first:]))
    for one in (bars, other):
        assert (one.low <= np.minimum(one.open, one.close)).all()
        assert (one.high >= np.maximum(one.open, one.close)).all()


def test_the_order_follows_from_seed_and_instrument_alone():
    doge = read(SERIES[1])
    assert np.array_equal(permuted(AT, 7)(read()).close, permuted(AT, 7)(read()).close)
    assert not np.array_equal(permuted(AT, 7)(read()).close, permuted(AT, 8)(read()).close)
    volumes = [np.argsort(permuted(AT, 7)(bars).volume[-500:]) for bars in (read(), doge)]
    assert not np.array_equal(*volumes)


@pytest.mark.parametrize("at", [START - DAY, END + DAY])
def test_without_a_past_or_a_future_nothing_changes_places(at):
    assert np.array_equal(permuted(at, 1)(read()).close, read().close)


def test_a_truncated_market_has_no_bar_that_closes_later():
    assert truncated(AT)(read()).ts_close[-1] == AT


def test_a_bar_named_too_soon_is_what_a_right_closed_resample_of_openings_holds():
    """Hours (t - 1h, t] by opening time hold the bar that opens at t: each closes where that bar does."""
    bars = read()
    hours = aggregate(early(bars), Timeframe.H1)
    at = np.searchsorted(bars.ts_open, hours.ts_close)
    assert np.array_equal(hours.close[:-1], bars.close[at[:-1]])
    honest = aggregate(bars, Timeframe.H1)
    assert not np.array_equal(hours.close[1:-1], honest.close[1:-1])
