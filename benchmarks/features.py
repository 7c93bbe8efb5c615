"""One step of a feature frame for 1,000 instruments, and the fold over one instrument's history."""

import numpy as np

from benchmarks.rows import Found, durations, median
from benchmarks.synthetic import START, bars_at, history, symbols
from core.market import Timeframe
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import SPECS

INSTRUMENTS = 1_000
FOLD_BARS = 300_000
NAME = "entry_15m"


def measure() -> Found:
    spec = SPECS[NAME]
    step_us = _step(FeatureFrame([spec], symbols(INSTRUMENTS)), spec.decision) * 1e6
    histories = {block.timeframe: history(block.timeframe, FOLD_BARS) for block in spec.blocks}
    total = sum(len(one.ts_open) for one in histories.values())
    seconds = median(durations(lambda: fold(spec, histories), rounds=5))
    columns = len(spec.names)
    return Found(
        {"features.step_us_1000": step_us, "features.fold_bars_per_s": total / seconds},
        f"{NAME}, {columns} columns; step = bars of one timeframe in, median of 200; "
        f"fold = all {len(spec.blocks)} timeframes and the joined float32 matrix, {total:,} bars, one core",
    )


def _step(frame: FeatureFrame, timeframe: Timeframe) -> float:
    rng = np.random.default_rng(1)
    ticks = iter(range(1_000_000))
    names = symbols(INSTRUMENTS)
    ready = [bars_at(names, timeframe, START + k * timeframe.ns, rng) for k in range(220)]
    return median(durations(lambda: frame.on_bars(ready[next(ticks)]), rounds=200, warm_up=20))
