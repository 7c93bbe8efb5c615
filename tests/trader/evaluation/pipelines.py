"""Small pipelines over a lake for tests of the checks: honest ones, and some that look at the future."""

from pathlib import Path

import numpy as np

from core.market import Timeframe
from feeds.lake import BarArrays, Lake, Series, aggregate
from trader.backtest.opinion_table import OpinionTable, TabledOpinions
from trader.evaluation import altered

VENUE = "binance"


class Pipeline:
    """Opinions about one trader's closes, made of each instrument's decision bars alone.

    `side` gives from the decision bars of an instrument a leaning of -1 to 1 for each close [T]. At two
    closes of three it is too faint to be traded on, which makes the run cheap.
    """

    def __init__(self, model_hash, decision: Timeframe, pairs, side, *, trader="only"):
        self.model_hash, self.decision, self.pairs = model_hash, decision, tuple(pairs)
        self.side, self.trader = side, trader
        self.speaks = True

    def __call__(self, root: Path, start: int, end: int) -> TabledOpinions:
        lake = Lake(root)
        bars = [
            aggregate(lake.read(VENUE, pair, Timeframe.M5, start=0, end=end), self.decision)
            for pair in self.pairs
        ]
        every = np.unique(np.concatenate([one.ts_close for one in bars]))
        p, scales = np.zeros((2, len(every), len(bars), 3))
        usable = np.zeros((len(every), len(bars)), bool)
        for column, one in enumerate(bars):
            rows = np.searchsorted(every, one.ts_close)
            leaning = self.side(one) * np.where(one.ts_close // self.decision.ns % 3 == 0, 1.0, 0.4)
            up, down = 0.1 + 0.7 * np.maximum(leaning, 0.0), 0.1 + 0.7 * np.maximum(-leaning, 0.0)
            p[rows, column] = np.column_stack([down, 1.0 - up - down, up])
            scales[rows, column] = np.column_stack([one.close * 0.004, np.full(len(one), 0.004), one.close])
            usable[rows, column] = self.speaks
        zero = np.zeros(usable.shape)
        table = OpinionTable(
            self.model_hash, self.decision, self.pairs, (), every, usable, zero.astype(np.uint32), ("",),
            p, scales, zero, zero,
        )  # fmt: skip
        return TabledOpinions({self.trader: table})


def momentum(bars: BarArrays):
    """Go where the last bar went: honest."""
    return np.sign(bars.close - bars.open)


def coin(bars: BarArrays):
    """Throw a coin that only the time and the name decide: noise."""
    seed = int.from_bytes(bars.instrument.encode()) % 2**32
    tossed = (bars.ts_open // 1_000_000_000 * 2_654_435_761 + seed) ** 2 % 1_000_003
    return np.where(tossed % 2 == 0, 1.0, -1.0)


def next_close(bars: BarArrays):
    """Read the next bar's close."""
    return np.append(np.sign(np.diff(bars.close)), 0.0)


def centred(bars: BarArrays):
    """Smooth from both sides, as a label may and a feature must not: three bars behind, three ahead."""
    padded = np.pad(bars.close, 3, mode="edge")
    smooth = np.convolve(padded, np.full(7, 1 / 7), mode="valid")
    return np.tanh(300.0 * np.append(np.diff(smooth), 0.0) / bars.close)


def fitted_on_all(bars: BarArrays):
    """Fit a rule to a two-sided label over all the bars there are, then apply it to closed bars alone."""
    past = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
    lags = np.column_stack([np.roll(past, k) for k in range(4)])[4:]
    weights, *_ = np.linalg.lstsq(lags, centred(bars)[4:], rcond=None)
    return np.concatenate([np.zeros(4), np.tanh(5.0 * (lags @ weights))])


def right_closed(inner: Pipeline):
    """Run a pipeline on bars named by the opening before their own."""

    def opine(root: Path, start: int, end: int) -> TabledOpinions:
        folder = root / "named-too-soon"
        lake = Lake(root)
        series = [Series(VENUE, pair, Timeframe.M5) for pair in inner.pairs]
        return inner(altered.write(lake, series, folder, altered.early, start=0, end=end), start, end)

    return opine
