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
FOLD_BARS = 100_000
"""A year of 5m, three of 15m. A series three times as long leaves the caches and is in the notes."""
FOLDS = 15
STEPS = 200
TURNS = 3
NAME = "entry_15m"
WHOLE = FeatureSpec("whole catalogue", Timeframe.M15, (Block(Timeframe.M15, COLUMNS),))


def measure() -> Found:
    spec = SPECS[NAME]
    # In turns, so that a bad second of the machine does not fall on one specification alone.
    turns = [{one.name: median(stepped(one)) * 1e6 for one in (*SPECS.values(), WHOLE)} for _ in range(TURNS)]
    steps = {name: min(turn[name] for turn in turns) for name in turns[0]}
    whole = steps.pop(WHOLE.name)
    slowest = max(steps, key=steps.__getitem__)
    (rate, bars), (rate_long, _) = folded(spec), folded(spec, 3 * FOLD_BARS)
    rate_whole, _ = folded(WHOLE)
    return Found(
        {"features.step_us_1000": steps[slowest], "features.fold_bars_per_s": rate},
        f"step = bars of a decision timeframe in, median of {STEPS}, best of {TURNS} turns, slowest of "
        f"{len(steps)} specifications: {slowest}, {columns(SPECS[slowest])} columns; {NAME}'s "
        f"{columns(spec)} take {steps[NAME]:.0f} us, all "
        f"{len(COLUMNS)} of the catalogue {whole:.0f}; fold = {NAME}, {len(spec.names)} columns of "
        f"{len(spec.timeframes)} timeframes and the joined float32 matrix, {bars:,} bars, one core, median "
        f"of {FOLDS}; {rate_long:,.0f} bars/s over three times as many, {rate_whole:,.0f} with all "
        f"{len(COLUMNS)} columns of one timeframe",
    )


def columns(spec: FeatureSpec) -> int:
    """Count what one timeframe of a specification asks for."""
    return len({name for block in spec.blocks if block.timeframe is spec.decision for name in block.columns})


def stepped(spec: FeatureSpec, instruments: int = INSTRUMENTS) -> list[float]:
    """Give the seconds of steps of the decision timeframe for all instruments, Bar structs in."""
    rng = np.random.default_rng(1)
    frame, timeframe = FeatureFrame([spec], symbols(instruments)), spec.decision
    ticks = range(STEPS + 20)
    ready = iter([bars_at(frame.instruments, timeframe, START + k * timeframe.ns, rng) for k in ticks])
    return durations(lambda: frame.on_bars(next(ready)), rounds=STEPS, warm_up=20)


def folded(spec: FeatureSpec, count: int = FOLD_BARS) -> tuple[float, int]:
    """Give bars a second of a fold of `count` a timeframe with its joined matrix, and how many there were."""
    histories = {timeframe: history(timeframe, count) for timeframe in spec.timeframes}
    bars = sum(len(one.ts_open) for one in histories.values())
    return bars / median(durations(lambda: fold(spec, histories).x, rounds=FOLDS, warm_up=3)), bars
