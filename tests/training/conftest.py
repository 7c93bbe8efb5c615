"""Markets with known answers, written as lakes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

STEP_MS = 5 * 60_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00Z
INNER = 8


def walk(seed: int, bars: int, *, drift: np.ndarray | None = None) -> pl.DataFrame:
    """Make 5m bars of a random walk of INNER ticks a bar; `drift` in tick deviations, per bar."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_normal((bars, INNER)) * 0.0008
    if drift is not None:
        moves += drift[:, None] * 0.0008
    path = 100.0 * np.exp(np.cumsum(moves.ravel())).reshape(bars, INNER)
    opened = np.concatenate([[100.0], path[:-1, -1]])
    inner = np.column_stack([opened, path])
    return pl.DataFrame(
        {
            "ts": START_MS + STEP_MS * np.arange(bars),
            "open": opened,
            "high": inner.max(axis=1),
            "low": inner.min(axis=1),
            "close": path[:, -1],
            "volume": rng.lognormal(3.0, 0.5, bars),
        }
    )


def trending(seed: int, bars: int) -> pl.DataFrame:
    """Make a market whose drift keeps its sign for a hundred bars on average, visible in its trend."""
    rng = np.random.default_rng(seed + 1_000)
    flips = np.where(rng.random(bars) < 0.01, -1.0, 1.0)
    return walk(seed, bars, drift=0.12 * np.cumprod(flips))


def write_lake(root: Path, frames: list[pl.DataFrame]) -> Path:
    for number, frame in enumerate(frames):
        folder = root / "ohlcv" / "made" / f"M{number}-USD"
        folder.mkdir(parents=True)
        frame.write_parquet(folder / "5m.parquet")
    return root


@pytest.fixture(scope="session")
def null_lake(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("null"), [walk(seed, 16_000) for seed in range(6)])


@pytest.fixture(scope="session")
def edge_lake(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("edge"), [trending(seed, 16_000) for seed in range(3)])
