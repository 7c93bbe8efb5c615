"""Purged and embargoed cross-validation by event times, through purgedcv.

Must not know features, models or files. Called by training.cross.validate, where rows lie on both sides
of a test span; the walk-forward itself has training rows on one side only (training.splits).

A row is an event [decision, label end]. Rows of all instruments that were decided at one instant go the same
way, for they move together: the library splits the instants, each with its latest label end.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from purgedcv import CombinatorialPurgedCV, PurgedKFold

from core.errors import UsageError
from training.splits import Times

Rows = npt.NDArray[np.int64]
TOUCH = 1
"""ns added to a label's end: an event that ends at the very instant at which a test begins touches it."""


def k_fold(ts: Times, ts_end: Times, *, splits: int, embargo: int) -> Iterator[tuple[Rows, Rows]]:
    """Give (training rows, test rows) of `splits` contiguous test spans; UsageError for fewer instants."""
    instants, place, ends = _instants(ts, ts_end)
    _require(splits, len(instants))
    cv = PurgedKFold(
        splits, prediction_times=_times(instants), evaluation_times=_times(ends), embargo=_delta(embargo)
    )
    yield from _mapped(cv.split(np.empty((len(instants), 0))), place, len(instants))


def combinatorial(
    ts: Times, ts_end: Times, *, groups: int, tested: int, embargo: int
) -> Iterator[tuple[Rows, Rows]]:
    """Give (training rows, test rows) for every choice of `tested` out of `groups` contiguous spans.

    Lopez de Prado, Advances in Financial Machine Learning (2018), section 12.4.
    """
    instants, place, ends = _instants(ts, ts_end)
    _require(groups, len(instants))
    if not 1 <= tested < groups:
        raise UsageError(f"combinatorial: expected 1 to {groups - 1} test groups; found {tested}")
    cv = CombinatorialPurgedCV(
        groups,
        tested,
        prediction_times=_times(instants),
        evaluation_times=_times(ends),
        embargo=_delta(embargo),
    )
    yield from _mapped(cv.split(np.empty((len(instants), 0))), place, len(instants))


def _instants(ts: Times, ts_end: Times) -> tuple[Times, Rows, Times]:
    """Give the instants in order, each row's place among them, and each instant's latest label end."""
    instants, place = np.unique(ts, return_inverse=True)
    ends = instants.copy()
    np.maximum.at(ends, place, ts_end)
    return instants, place, ends + TOUCH


def _mapped(splits: Iterator[tuple[Rows, Rows]], place: Rows, count: int) -> Iterator[tuple[Rows, Rows]]:
    for train, test in splits:
        sides = np.zeros(count, np.int8)
        sides[train], sides[test] = 1, 2
        of_row = sides[place]
        yield np.flatnonzero(of_row == 1), np.flatnonzero(of_row == 2)


def _require(splits: int, instants: int) -> None:
    if not 2 <= splits <= instants:
        raise UsageError(f"cross-validation: expected 2 to {instants} splits of the instants; found {splits}")


def _times(ns: Times) -> npt.NDArray[np.datetime64]:
    return ns.astype("datetime64[ns]")


def _delta(ns: int) -> np.timedelta64:
    return np.timedelta64(ns, "ns")
