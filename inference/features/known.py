"""Series from outside the market's bars, such as funding or open interest: what was known, and when.

Must not know what a number means. Called by frame and fold. A value counts from `known_at`, the time at
which it could be had and not the one that it is about, until it is too old; what is not known is 0 with
a mask of 0, and holds up no decision.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.clock import SECOND
from core.errors import DataError
from inference.features.kernel import Floats, Ints, Matrix

KEPT = 8
"""Values kept live: a decision may be asked for a little after newer ones have come."""
MASK = "known"
"""The last column of each series: 1 where the others are known."""
NEVER = -(2**62)


class KnownSeries(NamedTuple):
    """An instrument's history: `known_at` [T] in ns, rising, and `values` [T, columns]."""

    known_at: Ints
    values: Floats


def as_of(series: KnownSeries, ts_close: Ints, max_age_s: float, columns: int) -> Matrix:
    """Give the newest values known at decision times, and the mask: [T, columns + 1]."""
    if series.values.shape != (len(series.known_at), columns):
        raise DataError(f"known series: expected {columns} columns a time; found shape {series.values.shape}")
    if np.any(np.diff(series.known_at) <= 0):
        raise DataError("known series: expected rising times of knowledge; found one that does not rise")
    at = np.searchsorted(series.known_at, ts_close, side="right") - 1
    joined: Matrix = np.zeros((len(ts_close), columns + 1), np.float32)
    there = at >= 0
    there[there] &= ts_close[there] - series.known_at[at[there]] <= max_age_s * SECOND
    there[there] &= np.isfinite(series.values[at[there]]).all(axis=1)
    joined[there, :columns] = series.values[at[there]]
    joined[there, columns] = 1.0
    return joined


class Known:
    """The newest values of one series for all instruments: known_at [n, KEPT], values [n, KEPT, columns]."""

    def __init__(self, columns: int, instruments: int) -> None:
        self.columns = columns
        self.known_at = np.full((instruments, KEPT), NEVER, np.int64)
        self.values = np.zeros((instruments, KEPT, columns))

    def learn(self, row: int, known_at: int, values: tuple[float, ...]) -> None:
        """Take in a value; one that is not newer than the newest is ignored."""
        if known_at <= self.known_at[row, -1]:
            return
        self.known_at[row, :-1] = self.known_at[row, 1:].copy()
        self.values[row, :-1] = self.values[row, 1:].copy()
        self.known_at[row, -1] = known_at
        self.values[row, -1] = values

    def at(self, rows: Ints, ts_close: int, max_age_s: float) -> Matrix:
        """Give what `as_of` would for each of the rows."""
        joined: Matrix = np.zeros((len(rows), self.columns + 1), np.float32)
        when = np.array([ts_close], np.int64)
        for k, row in enumerate(rows):
            first = int(np.searchsorted(self.known_at[row], NEVER, side="right"))
            series = KnownSeries(self.known_at[row, first:], self.values[row, first:])
            joined[k] = as_of(series, when, max_age_s, self.columns)[0]
        return joined

    def cells(self) -> list[NDArray[Any]]:
        """Give views of all that lasts, each [instrument, ...]."""
        return [self.known_at, self.values]
