"""Statistics of many columns over millions of rows, in fixed memory: blocks of rows go by once.

Must not know bars, features or files. Called by trader.column_report. All sums are taken about the first
block's mean, in its deviation, so that nothing is lost to large numbers.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLE_ROWS = 20_000
"""Quartiles are those of every n-th row, at most this many."""
UNIT_ROOT_T = -2.86
"""5 % point of the t of Dickey and Fuller (1979), constant, many rows: above it a walk is not ruled out."""
SHIFT_LIMIT = 0.5
"""Halves whose means lie further apart than this share of the spread are worth a look."""


class Column(msgspec.Struct, frozen=True):
    """One column's figures; None where too few values or no spread allow one.

    `shift` is the mean of the later half minus that of the earlier, in standard deviations. `dickey_fuller`
    is the t of the last value in a regression of the change, with a constant and no lags.
    """

    name: str
    nan_share: float
    mean: float | None
    std: float | None
    iqr: float | None
    autocorrelation: float | None
    dickey_fuller: float | None
    shift: float | None
    constant: bool

    @property
    def hints(self) -> tuple[str, ...]:
        """Name what a reader should look at."""
        walk = self.dickey_fuller is not None and self.dickey_fuller > UNIT_ROOT_T
        moved = self.shift is not None and abs(self.shift) > SHIFT_LIMIT
        named = (("constant", self.constant), ("unit root", walk), ("mean moved", moved))
        return tuple(name for name, found in named if found)


class Pair(msgspec.Struct, frozen=True):
    """Two columns and their linear correlation over the rows where both have a value."""

    first: str
    second: str
    correlation: float


class Statistics:
    """Takes blocks [n, columns] in order of time; `rows` is how many will come in all."""

    def __init__(self, names: tuple[str, ...], rows: int) -> None:
        width = len(names)
        self._names, self._rows = names, rows
        self._stride = max(1, math.ceil(rows / SAMPLE_ROWS))
        self._seen = 0
        self._counted = np.zeros(width, np.int64)
        self._center, self._scale = np.zeros(width), np.ones(width)
        self._last = np.full((1, width), np.nan)
        self._low, self._high = np.full(width, np.inf), np.full(width, -np.inf)
        self._halves = np.zeros((2, 2, width))  # earlier and later: count, sum
        self._steps = np.zeros((6, width))  # of x before and x now: n, x, y, xx, xy, yy
        self._products = np.zeros((4, width, width))  # both there: n, sum of a, sum of aa, sum of ab
        self._sample: list[Floats] = []

    def add(self, block: NDArray[np.floating], counted: NDArray[np.bool_] | None = None) -> None:
        """Take the next rows in; what is not finite is missing, what is not `counted` never was."""
        counts = np.isfinite(block) if counted is None else np.isfinite(block) & counted
        x = np.where(counts, block, np.nan).astype(np.float64)
        self._counted += len(x) if counted is None else counted.sum(axis=0)
        self._sample.append(
            x[-self._seen % self._stride :: self._stride].copy()
        )  # a view would keep all of x
        present = ~np.isnan(x)
        if not self._seen:
            self._settle(x, present)
        self._low = np.fmin(self._low, np.fmin.reduce(x, axis=0, initial=np.inf))
        self._high = np.fmax(self._high, np.fmax.reduce(x, axis=0, initial=-np.inf))
        x = (x - self._center) / self._scale
        self._add_halves(np.nan_to_num(x), present)
        self._add_steps(np.vstack([self._last, x]))
        self._add_products(np.nan_to_num(x), present.astype(np.float64))
        self._last = x[-1:].copy()
        self._seen += len(x)

    def columns(self) -> list[Column]:
        """Give every column's figures, in order."""
        sample = np.vstack(self._sample)
        return [self._column(k, sample[:, k]) for k in range(len(self._names))]

    def pairs(self, limit: float) -> list[Pair]:
        """Give the pairs whose |correlation| is above `limit`, strongest first."""
        n, a, aa, ab = self._products
        with np.errstate(invalid="ignore", divide="ignore"):
            cross = ab - a * a.T / n
            spread = aa - a * a / n
            found = cross / np.sqrt(spread * spread.T)
        usable = (n > 2) & (np.minimum(spread, spread.T) > 1e-12 * n)
        found = np.where(usable, found, 0.0)
        rows, others = np.nonzero(np.triu(np.abs(found) > limit, 1))
        pairs = [
            Pair(self._names[i], self._names[j], round(float(found[i, j]), 4))
            for i, j in zip(rows.tolist(), others.tolist(), strict=True)
        ]
        return sorted(pairs, key=lambda pair: -abs(pair.correlation))

    def _settle(self, x: Floats, present: NDArray[np.bool_]) -> None:
        count = np.maximum(present.sum(axis=0), 1)
        self._center = np.nansum(x, axis=0) / count
        squares = np.nansum((x - self._center) ** 2, axis=0)
        deviation = np.sqrt(squares / count)
        self._scale = np.where(deviation > 0.0, deviation, 1.0)

    def _add_halves(self, x: Floats, present: NDArray[np.bool_]) -> None:
        cut = min(max(self._rows // 2 - self._seen, 0), len(x))
        for half, part in enumerate((slice(0, cut), slice(cut, None))):
            self._halves[half, 0] += present[part].sum(axis=0)
            self._halves[half, 1] += x[part].sum(axis=0)

    def _add_steps(self, x: Floats) -> None:
        both = ~np.isnan(x[:-1]) & ~np.isnan(x[1:])
        before, now = np.where(both, x[:-1], 0.0), np.where(both, x[1:], 0.0)
        for row, values in enumerate((both, before, now, before * before, before * now, now * now)):
            self._steps[row] += values.sum(axis=0)

    def _add_products(self, x: Floats, present: Floats) -> None:
        if present.all():
            for row, sums in enumerate((float(len(x)), x.sum(axis=0), (x * x).sum(axis=0))):
                self._products[row] += np.reshape(sums, (-1, 1))
            self._products[3] += x.T @ x
            return
        pairs = ((present, present), (x, present), (x * x, present), (x, x))
        for row, (left, right) in enumerate(pairs):
            self._products[row] += left.T @ right

    def _column(self, k: int, sample: Floats) -> Column:
        n = self._products[0, k, k]
        missing = 1.0 - float(n) / max(int(self._counted[k]), 1)
        bare = Column(self._names[k], missing, None, None, None, None, None, None, constant=False)
        if not n:
            return bare
        center, scale = self._center[k], self._scale[k]
        mean = self._products[1, k, k] / n
        variance = max(self._products[2, k, k] / n - mean * mean, 0.0)
        low, high = np.nanpercentile(sample, (25, 75)) if np.isfinite(sample).any() else (np.nan, np.nan)
        told = msgspec.structs.replace(
            bare,
            mean=float(center + mean * scale),
            std=float(math.sqrt(variance) * scale),
            iqr=float(high - low) if math.isfinite(high - low) else None,
            constant=bool(self._high[k] == self._low[k]),
        )
        return told if told.constant or not variance else self._moving(k, told, math.sqrt(variance))

    def _moving(self, k: int, told: Column, deviation: float) -> Column:
        counts, sums = self._halves[:, 0, k], self._halves[:, 1, k]
        shift = (sums[1] / counts[1] - sums[0] / counts[0]) / deviation if counts.all() else None
        autocorrelation, t = _steps(*self._steps[:, k].tolist())
        return msgspec.structs.replace(
            told,
            autocorrelation=autocorrelation,
            dickey_fuller=t,
            shift=None if shift is None else float(shift),
        )


def _steps(
    n: float, x: float, y: float, xx: float, xy: float, yy: float
) -> tuple[float | None, float | None]:
    """Give lag-1 autocorrelation and the t of Dickey and Fuller from sums over neighbours (x before y)."""
    if n < 10:
        return None, None
    s_xx, s_yy, s_xy = xx - x * x / n, yy - y * y / n, xy - x * y / n
    if s_xx <= 1e-12 * n or s_yy <= 1e-12 * n:
        return None, None
    slope = s_xy / s_xx
    rest = s_yy - slope * s_xy
    t = (slope - 1.0) / math.sqrt(rest / (n - 2) / s_xx) if rest > 1e-12 * n else None
    return s_xy / math.sqrt(s_xx * s_yy), t
