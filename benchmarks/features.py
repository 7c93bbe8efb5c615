"""One step of a feature frame for 1,000 instruments, and the fold over one instrument's history."""

import numpy as np

from benchmarks.rows import Found, durations, median
from benchmarks.synthetic import START, bars_at, history, symbols
from core.market import Timeframe
from inference.features.catalogue import COLUMNS
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import SPECS, Block, FeatureSpec

INSTRUMENTS = 1_000
FOLD_BARS = 300_000
NAME = "entry_15m"
WHOLE = FeatureSpec("whole catalogue", Timeframe.M15, (Block(Timeframe.M15, COLUMNS),))


def measure() -> Found:
    spec = SPECS[NAME]
    frames = (FeatureFrame([one], symbols(INSTRUMENTS)) for one in (spec, WHOLE))
    small, whole = (median(stepped(frame)) * 1e6 for frame in frames)
    (rate, bars), (rate_whole, _) = folded(spec), folded(WHOLE)
    return Found(
        {"features.step_us_1000": whole, "features.fold_bars_per_s": rate},
        f"step = 15m bars in, median of 200: all {len(COLUMNS)} columns of the catalogue; {NAME}'s "
        f"{columns(spec)} take {small:.0f} us; fold = {NAME}, {len(spec.names)} columns of "
        f"{len(spec.timeframes)} timeframes and the joined float32 matrix, {bars:,} bars, one core; all "
        f"{len(COLUMNS)} columns of one timeframe {rate_whole:,.0f} bars/s",
    )


def columns(spec: FeatureSpec) -> int:
    """Count what one timeframe of a specification asks for."""
    return len({name for block in spec.blocks if block.timeframe is spec.decision for name in block.columns})


def stepped(frame: FeatureFrame, rounds: int = 200) -> list[float]:
    """Give the seconds of 15m steps, Bar structs in."""
    rng = np.random.default_rng(1)
    names, timeframe = frame.instruments, Timeframe.M15
    ticks = iter(range(1_000_000))
    ready = [bars_at(names, timeframe, START + k * timeframe.ns, rng) for k in range(rounds + 20)]
    return durations(lambda: frame.on_bars(ready[next(ticks)]), rounds=rounds, warm_up=20)


def folded(spec: FeatureSpec) -> tuple[float, int]:
    """Give bars a second of a fold with its joined matrix, and how many there were."""
    histories = {timeframe: history(timeframe, FOLD_BARS) for timeframe in spec.timeframes}
    bars = sum(len(one.ts_open) for one in histories.values())
    return bars / median(durations(lambda: fold(spec, histories).x, rounds=5)), bars
