"""Minutes written by hand, and answers of an entry model that nobody had to train."""

import numpy as np

from core.clock import MINUTE
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import BarArrays
from training.members.kept import TEST, Kept, Subject

START = parse_iso("2024-01-01T00:00:00Z")


def minutes(rows, name="A/USD", ts_open=None) -> BarArrays:
    """Give bars of rows (open, high, low, close)."""
    opened, high, low, close = np.array(rows, np.float64).T.copy()
    count = len(rows)
    ts = START + np.arange(count, dtype=np.int64) * MINUTE if ts_open is None else ts_open
    ones = np.ones(count)
    return BarArrays(name, Timeframe.M1, ts, opened, high, low, close, ones, close, np.ones(count, np.int32))


def wandering(count: int, seed: int, name="A/USD") -> BarArrays:
    """Give a random walk with wicks."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, count)))
    opened = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 2e-4, count))
    high = np.maximum(opened, close) * np.exp(rng.exponential(3e-4, count))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(3e-4, count))
    return minutes(np.column_stack([opened, high, low, close]), name)


def answers(series, ts, side, *, test_start, atr=0.3, instrument=None) -> Kept:
    """Give an entry model that says `side` (-1, 0, 1) at `ts` with chances of its own."""
    ts, side = np.asarray(ts, np.int64), np.asarray(side)
    owner = np.zeros(len(ts), np.int32) if instrument is None else np.asarray(instrument, np.int32)
    p = np.full((len(ts), 3), 1 / 3)
    p[side > 0] = (0.2, 0.2, 0.6)
    p[side < 0] = (0.6, 0.2, 0.2)
    subject = Subject(
        name="made", model="made", kind="entry", target="barrier", spec="entry_15m", decision="15m",
        venue="made", source="1m", instruments=tuple(bars.instrument for bars in series),
        classes=("down", "hold", "up"), barrier_atr=3.0, horizon_bars=24, seed=1, data_hash="",
        test_start=test_start, test_end=int(ts.max()),
    )  # fmt: skip
    nothing = np.zeros(len(ts))
    fold = np.where(ts >= test_start, TEST, 1).astype(np.int8)
    return Kept(
        subject, owner, ts, ts + MINUTE, fold,
        np.zeros(len(ts), np.int8), nothing, np.full(len(ts), atr), nothing, nothing, nothing, nothing,
        voices={"made": p.astype(np.float32)},
    )  # fmt: skip
