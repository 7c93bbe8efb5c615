"""Walks a history through a family of columns, all at once and bar by bar; says what must agree.

`fold_family` is the way of training, `live_family` the way of trading: a plan of single bars, here with a
neighbour on each side, so that a kernel that touches another instrument's row is caught.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.market import Timeframe
from inference.features.family import (
    CLOSE,
    COUNT,
    DELTA,
    FIRST,
    HIGH,
    INPUTS,
    LOW,
    OPEN,
    ROW,
    SCALES,
    STOP,
    TARGET,
    VOLUME,
    Family,
)
from inference.features.scale import FAMILY as SCALE

MARKET = Path(__file__).parents[3] / "configs" / "market" / "ohlcv" / "binance"
GAP_LIMIT = 2


class History(NamedTuple):
    """One instrument's bars as kernels take them: ts_open [N] int64, bars [INPUTS, N] float64."""

    ts_open: np.ndarray
    bars: np.ndarray
    length: int

    @property
    def open(self) -> np.ndarray:
        return self.bars[OPEN]

    @property
    def high(self) -> np.ndarray:
        return self.bars[HIGH]

    @property
    def low(self) -> np.ndarray:
        return self.bars[LOW]

    @property
    def close(self) -> np.ndarray:
        return self.bars[CLOSE]

    @property
    def volume(self) -> np.ndarray:
        return self.bars[VOLUME]

    def part(self, which: slice | np.ndarray) -> "History":
        """Give some of the bars: a slice, or a mask that tears holes."""
        return History(self.ts_open[which].copy(), self.bars[:, which].copy(), self.length)

    def times(self, price: float = 1.0, volume: float = 1.0) -> "History":
        """Give the same bars in other units."""
        bars = self.bars.copy()
        bars[: CLOSE + 1] *= price
        bars[VOLUME : DELTA + 1] *= volume
        return self._replace(bars=bars)


# ---- histories ----


def recorded(pair: str = "BTC-USDT", count: int = 3_000) -> History:
    """Give recorded five-minute bars; what of the volume was bought is made up, with every 7th unknown."""
    table = pl.read_parquet(MARKET / pair / "5m.parquet").head(count)
    names = ("open", "high", "low", "close", "volume")
    bars = np.vstack([*(table[name].cast(pl.Float64).to_numpy() for name in names), np.zeros(len(table))])
    bars[DELTA] = bars[VOLUME] * np.random.default_rng(7).uniform(-1, 1, len(table))
    bars[DELTA, ::7] = np.nan
    return History(table["ts"].to_numpy() * 1_000_000, bars, Timeframe.M5.ns)


def flat(count: int, price: float = 100.0, volume: float = 5.0) -> History:
    """Give a market that never moves."""
    bars = np.full((INPUTS, count), price)
    bars[VOLUME] = volume
    bars[DELTA] = 0.0
    return History(np.arange(count) * Timeframe.M5.ns, bars, Timeframe.M5.ns)


def silent_after(history: History, at: int) -> History:
    """Give a history in which nobody trades from bar `at` on: four equal prices, no volume."""
    bars = history.bars.copy()
    bars[: CLOSE + 1, at:] = bars[CLOSE, at - 1]
    bars[VOLUME:, at:] = 0.0
    return history._replace(bars=bars)


def jumping(history: History, at: int, factor: float = 1_000.0) -> History:
    """Give a history whose prices are `factor` times as high from bar `at` on."""
    bars = history.bars.copy()
    bars[: CLOSE + 1, at:] *= factor
    return history._replace(bars=bars)


@st.composite
def histories(draw, longest: int = 80) -> History:
    """Draw a market: moves, none as often as not, wicks, volume, and holes in time of up to four bars."""
    count = draw(st.integers(1, longest))
    move = draw(
        arrays(float, count, elements=st.sampled_from([0.0, 0.0, 0.0, 1e-4, -1e-4, 3e-3, -2e-3, 0.7]))
    )
    wick = draw(arrays(float, (2, count), elements=st.sampled_from([0.0, 0.0, 1e-3, 0.3])))
    held = draw(arrays(np.int64, count, elements=st.sampled_from([1, 1, 1, 1, 1, 2, 3, 4, 5])))
    volume = draw(arrays(float, count, elements=st.sampled_from([0.0, 1.0, 1e9])))
    close = draw(st.sampled_from([1e-7, 1.0, 1e5])) * np.exp(np.cumsum(move))
    before = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(before, close) * (1 + wick[0]), np.minimum(before, close) * (1 - wick[1])
    values = np.vstack([before, high, low, close, volume, volume * np.sign(move)])
    return History(np.cumsum(held) * Timeframe.M5.ns, values, Timeframe.M5.ns)


# ---- walks ----


def stretches(history: History, gap_limit: int = GAP_LIMIT) -> np.ndarray:
    """Give the first bar of each stretch without a hole of more than `gap_limit` bars."""
    torn = np.diff(history.ts_open) > (gap_limit + 1) * history.length
    return np.concatenate(([0], np.flatnonzero(torn) + 1))


def counts_of(history: History, gap_limit: int = GAP_LIMIT) -> np.ndarray:
    """Give for each bar how many of its stretch were seen, itself among them: 1, 2, 3, …"""
    starts = stretches(history, gap_limit)
    begun = np.zeros(len(history.ts_open), np.int64)
    begun[starts] = starts
    return np.arange(1, len(history.ts_open) + 1) - np.maximum.accumulate(begun)


def scales_of(history: History, gap_limit: int = GAP_LIMIT) -> np.ndarray:
    """Give the scales [SCALES, N] of a history."""
    scales = np.full((SCALES, len(history.ts_open)), np.nan)
    _fold(SCALE, history, scales, gap_limit)
    return scales


def fold_family(
    family: Family, history: History, gap_limit: int = GAP_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """Walk all bars in one call, one line of the plan per stretch; give out [C, N] and counts [N]."""
    scales = scales_of(history, gap_limit)
    return _fold(family, history, scales, gap_limit), counts_of(history, gap_limit)


def _fold(family: Family, history: History, scales: np.ndarray, gap_limit: int) -> np.ndarray:
    starts = stretches(history, gap_limit)
    state = np.zeros((len(starts), family.slots))
    plan = np.zeros((len(starts), 5), np.int64)
    plan[:, ROW] = np.arange(len(starts))
    plan[:, FIRST] = plan[:, TARGET] = starts
    plan[:, STOP] = [*starts[1:], len(history.ts_open)]
    out = np.full((len(family.columns), len(history.ts_open)), np.nan)
    family.advance(state, plan, history.ts_open, history.bars, history.length, scales, out)
    return out


def live_family(
    family: Family, history: History, gap_limit: int = GAP_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """Walk bar by bar, as trading does; give out [C, N] and counts [N]."""
    total, counts = len(history.ts_open), counts_of(history, gap_limit)
    states = [np.zeros((3, some.slots)) for some in (SCALE, family)]
    plan = np.zeros((3, 5), np.int64)
    plan[:, ROW] = 2, 1, 0
    plan[:, FIRST] = plan[:, TARGET] = 0, 1, 2
    plan[:, STOP] = 1, 2, 3
    out = np.full((len(family.columns), total), np.nan)
    for t in range(total):
        plan[:, COUNT] = counts[t] - 1
        if counts[t] == 1:
            for state in states:
                state[:] = 0.0
        seen = np.array([(t * 7) % total, t, (t * 3) % total])  # the neighbours' bars are others
        bars, ts_open = np.ascontiguousarray(history.bars[:, seen]), history.ts_open[[t, t, t]]
        scales = np.full((SCALES, 3), np.nan)
        for some, state in zip((SCALE, family), states, strict=True):
            row = np.full((len(some.columns), 3), np.nan)
            some.advance(state, plan, ts_open, bars, history.length, scales, row)
        out[:, t] = row[:, 1]
    return out, counts


# ---- what every family promises ----


def column(family: Family, out: np.ndarray, name: str) -> np.ndarray:
    """Give one column of `out` by name."""
    return out[family.columns.index(name)]


def assert_live_is_fold(family: Family, history: History) -> None:
    """Both walks agree to the bit in every column, holes and all."""
    folded, live = fold_family(family, history)[0], live_family(family, history)[0]
    for name, ours, theirs in zip(family.columns, folded, live, strict=True):
        unlike = (ours.view(np.int64) != theirs.view(np.int64)) & ~(np.isnan(ours) & np.isnan(theirs))
        bad = np.flatnonzero(unlike)
        assert bad.size == 0, (
            f"{family.name}.{name}: bar {bad[0]} folded {ours[bad[0]]} live {theirs[bad[0]]}"
        )


def assert_forgets_its_start(family: Family, history: History, first: int) -> None:
    """From any first bar, each column is the same to 1e-9 after its declared warm-up."""
    whole, late = fold_family(family, history)[0], fold_family(family, history.part(slice(first, None)))[0]
    for name, before, after in zip(family.columns, whole, late, strict=True):
        warm = family.warm_up[name] - 1
        assert warm < after.size, f"{family.name}.{name}: expected over {warm} bars; found {after.size}"
        np.testing.assert_allclose(
            after[warm:], before[first + warm :], rtol=1e-9, atol=1e-9, err_msg=f"{family.name}.{name}"
        )


def assert_scale_free(family: Family, history: History) -> None:
    """No column but a hidden price level depends on the units of price and volume (powers of two)."""
    plain, other = fold_family(family, history)[0], fold_family(family, history.times(1 / 1024, 4096))[0]
    for name, ours, theirs in zip(family.columns, plain, other, strict=True):
        if not name.startswith("level_"):
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{family.name}.{name}")


def assert_finite(family: Family, history: History, limit: float = 1e6) -> None:
    """Every column is a finite number of modest size from the first bar on (NaN where delta is unknown)."""
    out = fold_family(family, history)[0]
    known = np.isfinite(history.bars[DELTA])
    for name, values in zip(family.columns, out, strict=True):
        if not name.startswith("level_"):
            seen = values[known] if family.needs else values
            bad = np.flatnonzero(~(np.abs(seen) <= limit))
            assert bad.size == 0, f"{family.name}.{name}: {seen[bad[0]]} at bar {bad[0]}"


def assert_keeps_promises(family: Family, history: History) -> None:
    """Insist on all of the above over 1,200 bars, of which a short and a longer stretch are torn out."""
    torn = np.ones(1_200, bool)
    torn[[400, 401, 700, 701, 702]] = False
    assert_live_is_fold(family, history.part(torn))
    assert_scale_free(family, history)
    assert_finite(family, silent_after(history, 600))
    for first in (1, 17, 333):
        assert_forgets_its_start(family, history, first)
