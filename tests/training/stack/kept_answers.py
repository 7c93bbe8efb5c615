"""Answers of made voters about a made market, as training keeps them: noise, or one that knows something."""

import numpy as np

from core.market import Timeframe
from training.members.kept import TEST, Kept, Subject

DAY = 86_400 * 10**9
START = 1_690_848_000 * 10**9  # 2023-08-01
DAYS, BEFORE = 120, 80
PAIRS = ("A/USD", "B/USD", "C/USD")
HORIZON = 24
SHARES = np.array([0.36, 0.28, 0.36])


def outcomes(decision: Timeframe, seed: int, *, days: int = DAYS, step: int = 4):
    """Give instrument, ts and kind of decisions, every `step` bars, independent of everything."""
    count = days * DAY // decision.ns // step
    ts = START + np.arange(1, count + 1) * step * decision.ns
    rng = np.random.default_rng([seed, decision.ns // 10**9])
    instrument = np.repeat(np.arange(len(PAIRS), dtype=np.int32), count)
    kind = rng.choice(3, len(instrument), p=SHARES).astype(np.int8)
    return instrument, np.tile(ts, len(PAIRS)), kind


def opinions(kind, seed: int, *, knows: float = 0.0):
    """Give calibrated chances: the shares, moved by noise, and with `knows` toward what will be."""
    rng = np.random.default_rng(seed)
    scores = np.log(SHARES) + rng.normal(0.0, 0.15, (len(kind), 3))
    scores += knows * np.eye(3)[kind] * (rng.random((len(kind), 1)) < 0.5)
    odds = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def kept(
    name: str, decision: str = "15m", *, seed: int = 1, market: int = 1, knows: float = 0.0, step: int = 8
) -> Kept:
    """Give one voter's answers; those of one `market` and timeframe are about the same rows."""
    timeframe = Timeframe(decision)
    instrument, ts, kind = outcomes(timeframe, market, step=step)
    rows = len(ts)
    test_start = START + BEFORE * DAY
    fold = np.where(ts >= test_start, TEST, 1 + (ts - START) // (BEFORE * DAY // 2)).astype(np.int8)
    move = 0.01 * (kind.astype(np.float64) - 1)
    about = Subject(
        name=name,
        model="m",
        kind="entry",
        target="barrier",
        spec={"15m": "entry_15m", "1h": "entry_1h", "5m": "entry_5m"}[decision],
        decision=decision,
        venue="made",
        source="5m",
        instruments=PAIRS,
        classes=("down", "hold", "up"),
        barrier_atr=3.0,
        horizon_bars=HORIZON,
        seed=1,
        data_hash="0" * 64,
        test_start=test_start,
        test_end=int(ts.max()),
    )
    return Kept(
        about,
        instrument=instrument,
        ts=ts,
        ts_end=ts + 8 * timeframe.ns,
        fold=fold,
        kind=kind,
        close=np.full(rows, 100.0),
        atr=np.full(rows, 0.3),
        volatility=np.full(rows, 0.01),
        momentum=np.zeros(rows),
        long_return=move,
        short_return=-move,
        voices={"m": opinions(kind, seed, knows=knows)},
    )
