"""Figures of probabilities against what came: per class, in nats, calibrated or not, ranked, each over days.

Must not know models, files or money. Called by training.measure.tables. All intervals come from one drawing
of whole days (training.bootstrap), so figures of the same rows are resampled together and can be subtracted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from inference.card import Interval
from training import bootstrap
from training.evaluate import BINS, log_loss

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.int8]

CALIBRATION_BINS = 15
"""Of equal mass: as many rows in each, so that a model that is never sure is not judged on a handful."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How good chances were on some rows; tuples go by class. None = not defined on these rows.

    `shares` are how often each class came, `base` the shares that the base rate says (known before, if there
    was a before). `effective` is how many independent rows would leave the log-loss as unsure as these do.
    `auc` ranks up against down, or the last class against the rest; `ic` is Spearman's rank correlation of
    p_up - p_down with the return over the label. `ece` is defined by `calibration_error`.
    """

    rows: int
    days: int
    effective: float | None
    shares: tuple[float, ...]
    base: tuple[float, ...]
    accuracy: float
    accuracy_base: float
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    macro_f1: Interval
    macro_f1_base: float
    log_loss: float
    log_loss_base: float
    gain: Interval
    ece: float
    brier: float
    brier_base: float
    auc: Interval
    auc_rest: tuple[float | None, ...]
    ic: Interval


class Days(NamedTuple):
    """Days drawn with replacement: `first` counts since 1970, `weights` [replicates, days]."""

    first: int
    weights: Floats

    def of(self, ts: Ints) -> Ints:
        """Give the number of the day [n] of instants `ts` (ns)."""
        # A decision at midnight belongs to the day that it ends, as its bar does.
        return (ts - 1) // DAY - self.first


def days(ts: Ints, seed: int) -> Days:
    """Draw the days that instants `ts` (ns) span."""
    first, last = (int(ts.min()) - 1) // DAY, (int(ts.max()) - 1) // DAY
    return Days(first, bootstrap.day_weights(last - first + 1, seed))


@dataclass(frozen=True, eq=False)
class Said:
    """Rows with chances `p` [n, K] of classes that came as `kind` [n] at `ts` [n] (ns).

    `moved` [n] is the return over the label, before fees, as a fraction; `base` [K] the base rate's shares.
    `down` and `up` are the columns of a side, None where the classes are no sides.
    """

    ts: Ints
    kind: Kinds
    p: Floats
    moved: Floats
    base: Floats
    down: int | None = None
    up: int | None = None

    @property
    def edge(self) -> Floats:
        """What rows are ranked by [n]: p_up - p_down, or the chance of the last class."""
        if self.up is None or self.down is None:
            return self.p[:, -1]
        return self.p[:, self.up] - self.p[:, self.down]

    def ranked(self) -> tuple[Flags, Flags]:
        """Give which rows the AUC is over, and which of all rows are positive."""
        if self.up is None or self.down is None:
            return np.ones(len(self.kind), np.bool_), self.kind == self.p.shape[1] - 1
        return (self.kind == self.up) | (self.kind == self.down), self.kind == self.up


def scores(said: Said, drawn: Days) -> Scores:
    """Measure everything."""
    classes = said.p.shape[1]
    day, count = drawn.of(said.ts), drawn.weights.shape[1]
    named = said.p.argmax(axis=1)
    table = confusion(said.kind, named, classes)
    precision, recall, f1 = per_class(table)
    loss = log_loss(said.p, said.kind)
    base = log_loss(said.base[None, :], said.kind)
    always = np.full(len(said.kind), int(said.base.argmax()))
    over, _ = said.ranked()
    return Scores(
        rows=len(said.kind),
        days=len(np.unique(day)),
        effective=effective(loss, day, drawn.weights),
        shares=tuple((np.bincount(said.kind, minlength=classes) / len(said.kind)).tolist()),
        base=tuple(said.base.tolist()),
        accuracy=float(np.mean(named == said.kind)),
        accuracy_base=float(np.mean(always == said.kind)),
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=bootstrap.interval(
            _confusions(said.kind, named, day, classes=classes, count=count), macro_f1, drawn.weights
        ),
        macro_f1_base=float(macro_f1(confusion(said.kind, always, classes).reshape(1, -1))[0]),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        gain=bootstrap.interval(_sums(day, count, base - loss), bootstrap.ratio, drawn.weights),
        ece=calibration_error(said.p, said.kind),
        brier=brier(said.p, said.kind),
        brier_base=brier(np.broadcast_to(said.base, said.p.shape), said.kind),
        auc=bootstrap.interval(area_sums(said, drawn), bootstrap.binned_auc, drawn.weights)
        if over.any()
        else Interval(None, None, None),
        auc_rest=tuple(area(said.p[:, k], said.kind == k) for k in range(classes)),
        ic=_ic(said, day, drawn.weights),
    )


def confusion(kind: Kinds, named: npt.NDArray[np.integer], classes: int) -> Floats:
    """Count rows [K, K]: what came by row, what was named by column."""
    flat = np.bincount(kind.astype(np.int64) * classes + named, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.float64)


def per_class(
    table: Floats,
) -> tuple[tuple[float | None, ...], tuple[float | None, ...], tuple[float | None, ...]]:
    """Give precision, recall and F1 of each class; None for a class that was never named, or never came."""
    hit, named, came = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return _parts(hit, named), _parts(hit, came), _parts(2 * hit, named + came)


def macro_f1(tables: Floats) -> Floats:
    """Give the plain mean [n] of the classes' F1 of tables [n, K * K].

    A class that neither came nor was named counts 0, as scikit-learn has it.
    """
    classes = int(tables.shape[1] ** 0.5)
    square = tables.reshape(-1, classes, classes)
    hit = np.diagonal(square, axis1=1, axis2=2)
    of = square.sum(axis=1) + square.sum(axis=2)
    f1 = np.divide(2 * hit, of, out=np.zeros_like(hit), where=of > 0)
    mean: Floats = f1.mean(axis=1)
    return mean


def calibration_error(p: Floats, kind: Kinds, bins: int = CALIBRATION_BINS) -> float:
    """Give the expected calibration error: how far what was said lies from how often it came.

    Of two classes what is said is the chance of the second one, of more the chance of the likeliest. Rows are
    sorted by it (ties in their order) and cut into `bins` of equal mass, and each bin's |mean chance - share
    that came| counts by its rows (Guo et al. 2017, eq. 3, there with bins of equal width).
    """
    said, came = _spoken(p, kind)
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(said[part].sum() - came[part].sum()) for part in parts) / len(order))


def reliability(p: Floats, kind: Kinds, bins: int = CALIBRATION_BINS) -> list[tuple[float, float, int]]:
    """Give each bin's mean chance, share that came and rows: the curve behind `calibration_error`."""
    said, came = _spoken(p, kind)
    parts = np.array_split(np.argsort(said, kind="stable"), min(bins, len(said)))
    return [(float(said[part].mean()), float(came[part].mean()), len(part)) for part in parts]


def brier(p: Floats, kind: Kinds) -> float:
    """Give the mean squared distance of chances [n, K] from what came, summed over classes (Brier 1950)."""
    apart = np.array(p, np.float64)
    apart[np.arange(len(kind)), kind] -= 1.0
    return float((apart**2).sum(axis=1).mean())


def area(score: Floats, positive: Flags) -> float | None:
    """Give the area under the ROC curve without an interval, None with one class only."""
    found = float(bootstrap.binned_auc(_histogram(score, positive, np.zeros(len(score), np.int64), 1))[0])
    return found if np.isfinite(found) else None


def area_sums(said: Said, drawn: Days) -> Floats:
    """Give what bootstrap.binned_auc needs of each day."""
    over, positive = said.ranked()
    return _histogram(said.edge[over], positive[over], drawn.of(said.ts[over]), drawn.weights.shape[1])


def effective(values: Floats, day: Ints, weights: Floats) -> float | None:
    """Give how many independent values would leave their mean as unsure as these do, at most all of them.

    Their variance over the variance of the mean when whole days are drawn (Kish's design effect): labels that
    overlap, and pairs that move together, are counted once. None below ten days.
    """
    if weights.shape[1] < bootstrap.LEAST_DAYS or len(values) < 2:
        return None
    drawn = bootstrap.ratio(weights @ _sums(day, weights.shape[1], values))
    unsure, spread = float(np.nanvar(drawn)), float(values.var())
    return min(float(len(values)), spread / unsure) if unsure > 0.0 and spread > 0.0 else None


def apart(first: Floats, second: Floats, statistic: Callable[[Floats], Floats], weights: Floats) -> Interval:
    """Give a statistic of `first` less that of `second`, both daily sums [days, k] of the same rows."""
    width = first.shape[1]

    def difference(sums: Floats) -> Floats:
        found: Floats = statistic(sums[:, :width]) - statistic(sums[:, width:])
        return found

    return bootstrap.interval(np.concatenate([first, second], axis=1), difference, weights)


def gain_sums(said: Said, drawn: Days) -> Floats:
    """Give what bootstrap.ratio needs of each day for the gain over the base rate."""
    gain = log_loss(said.base[None, :], said.kind) - log_loss(said.p, said.kind)
    return _sums(drawn.of(said.ts), drawn.weights.shape[1], gain)


def correlation(sums: Floats) -> Floats:
    """Give Pearson's correlation [n] of sums [n, 6]: count, x, y, xx, yy, xy."""
    n, x, y, xx, yy, xy = sums.T
    out = np.full(len(sums), np.nan)
    spread = (n * xx - x**2) * (n * yy - y**2)
    good = spread > 1e-9 * np.maximum(1.0, (n * xx) * (n * yy))
    out[good] = (n * xy - x * y)[good] / np.sqrt(spread[good])
    return out


def ranks(values: Floats) -> Floats:
    """Give ranks from 0 to 1 [n], ties sharing the middle."""
    found, place, many = np.unique(values, return_inverse=True, return_counts=True)
    del found
    last = np.cumsum(many)
    middle = (last - many + last - 1) / 2.0
    return np.asarray(middle[place] / max(len(values) - 1, 1), np.float64)


def _ic(said: Said, day: Ints, weights: Floats) -> Interval:
    """Rank once, over all rows: a replicate draws days, not ranks anew."""
    if said.up is None or not len(said.kind):
        return Interval(None, None, None)
    x, y = ranks(said.edge), ranks(said.moved)
    products = (np.ones(len(x)), x, y, x * x, y * y, x * y)
    sums = np.column_stack([np.bincount(day, one, weights.shape[1]) for one in products]).astype(np.float64)
    return bootstrap.interval(sums, correlation, weights)


def _spoken(p: Floats, kind: Kinds) -> tuple[Floats, Flags]:
    if p.shape[1] == 2:
        return p[:, 1], kind == 1
    return p.max(axis=1), p.argmax(axis=1) == kind


def _sums(day: Ints, count: int, values: Floats) -> Floats:
    return np.column_stack([np.bincount(day, values, count), np.bincount(day, minlength=count)])


def _confusions(
    kind: Kinds, named: npt.NDArray[np.integer], day: Ints, *, classes: int, count: int
) -> Floats:
    cells = classes * classes
    flat = np.bincount(day * cells + kind.astype(np.int64) * classes + named, minlength=count * cells)
    return flat.reshape(count, cells).astype(np.float64)


def _histogram(score: Floats, positive: Flags, day: Ints, count: int) -> Floats:
    """Count rows per day, class and bin [count, 2 * BINS]; bins hold equal parts of the rows."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, BINS + 1)[1:-1])) if len(score) else score
    place = np.searchsorted(edges, score, side="right") + BINS * positive
    flat = np.bincount(day * 2 * BINS + place, minlength=count * 2 * BINS)
    return flat.reshape(count, 2 * BINS).astype(np.float64)


def _parts(over: Floats, under: Floats) -> tuple[float | None, ...]:
    pairs: Sequence[tuple[float, float]] = list(zip(over.tolist(), under.tolist(), strict=True))
    return tuple(top / bottom if bottom > 0 else None for top, bottom in pairs)
