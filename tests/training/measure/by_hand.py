"""Kept answers made by hand: what was said, what came, and when, with nothing else decided."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.clock import DAY, HOUR
from training.members.kept import TEST, Kept, Subject

START = 19_700 * DAY


def kept_of(
    came: Sequence[int],
    voices: Mapping[str, np.ndarray],
    *,
    ts: Sequence[int] | None = None,
    instrument: Sequence[int] | None = None,
    fold: Sequence[int] | None = None,
    moved: Sequence[float] | None = None,
    classes: tuple[str, ...] = ("down", "hold", "up"),
    **subject: object,
) -> Kept:
    """Give one row an hour of one instrument, in the test span, unless told otherwise."""
    n = len(came)
    times = np.asarray(START + np.arange(1, n + 1) * HOUR if ts is None else ts, np.int64)
    returns = np.zeros(n) if moved is None else np.asarray(moved, np.float64)
    told = {
        "name": "made",
        "model": next(iter(voices)),
        "kind": "entry",
        "target": "barrier",
        "spec": "seq_1h",
        "decision": "1h",
        "venue": "binance",
        "source": "5m",
        "instruments": ("BTC/USDT", "ETH/USDT"),
        "classes": classes,
        "barrier_atr": 3.0,
        "horizon_bars": 24,
        "seed": 1,
        "data_hash": "",
        "test_start": START,
        "test_end": int(times.max()),
    } | subject
    return Kept(
        Subject(**told),
        instrument=np.zeros(n, np.int32) if instrument is None else np.asarray(instrument, np.int32),
        ts=times,
        ts_end=times + HOUR,
        fold=np.full(n, TEST, np.int8) if fold is None else np.asarray(fold, np.int8),
        kind=np.asarray(came, np.int8),
        close=np.full(n, 100.0),
        atr=np.ones(n),
        volatility=np.full(n, 10.0),
        momentum=np.zeros(n),
        long_return=returns,
        short_return=-returns,
        voices={name: np.asarray(p, np.float32) for name, p in voices.items()},
    )


def noise(rows: int, seed: int, *, skill: float = 0.0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Give what came [n] and chances [n, K] that lean towards it by `skill`."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(classes, size=rows).astype(np.int8)
    odds = rng.normal(size=(rows, classes)) + skill * np.eye(classes)[kind]
    p = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    return kind, p
