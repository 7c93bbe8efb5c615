"""Made markets with known answers, written as lakes."""

from pathlib import Path

import numpy as np
import pytest

from core.market import Timeframe
from feeds.lake import BarArrays
from training.guard.edge import Edge
from training.guard.lake import write_lake
from training.guard.market import null_market, planted_market

M5 = Timeframe.M5
DAYS = 56


@pytest.fixture(scope="session")
def null_lake(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("null")
    write_lake(root, null_market(6, DAYS, seed=1), M5)
    return root


@pytest.fixture(scope="session")
def edge_lake(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("edge")
    write_lake(root, planted_market(3, DAYS, seed=1, edge=Edge(M5, 0.2)), M5)
    return root


@pytest.fixture(scope="session")
def other_future(tmp_path_factory):
    """Write a lake whose bars are those of the null lake up to `start`, and another market's after it."""

    def write(start: int, pairs: int) -> Path:
        root = tmp_path_factory.mktemp("other")
        known, other = null_market(pairs, DAYS, seed=1), null_market(pairs, DAYS, seed=2)
        write_lake(root, list(map(spliced, known, other, [start] * pairs)), M5)
        return root

    return write


def spliced(before: BarArrays, after: BarArrays, start: int) -> BarArrays:
    cut = int(np.searchsorted(before.ts_open, start))
    lift = before.close[cut - 1] / after.close[cut - 1]
    columns = {
        name: np.r_[getattr(before, name)[:cut], factor * getattr(after, name)[cut:]]
        for names, factor in ((("open", "high", "low", "close", "vwap"), lift), (("volume",), 1.0))
        for name in names
    }
    trades = np.r_[before.trades[:cut], after.trades[cut:]]
    return BarArrays(before.instrument, before.timeframe, before.ts_open, trades=trades, **columns)
