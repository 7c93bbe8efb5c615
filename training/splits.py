"""Cutting time: training, validation and test spans without a shared instant.

Must not know features, models or instruments: every instrument is cut at the same instants, for
they move together and one would tell the other's future. Called by training.recipe and training.regime.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError
from core.text import iso

Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spans:
    """Row masks. `early` + `validation` choose the threshold, `train` fits the final model.

    `purged` counts rows before the test span whose label (or the embargo after it) reaches into it.
    """

    early: Mask
    validation: Mask
    train: Mask
    test: Mask
    validation_start: int
    test_start: int
    purged: int


def cut(
    ts: Times,
    ts_end: Times,
    *,
    test_start: int,
    embargo: int,
    train_start: int | None = None,
    validation_start: int | None = None,
    test_end: int | None = None,
) -> Spans:
    """Cut rows decided at `ts` whose labels were known at `ts_end`; validation is the last fifth.

    Rows before `train_start` or from `test_end` on are in no span. DataError if a span would be empty.
    """
    begun = np.ones(len(ts), np.bool_) if train_start is None else ts >= train_start
    before = ts[begun & (ts < test_start)]
    if not len(before):
        raise DataError(f"expected rows before the test span at {iso(test_start)}; found none")
    if validation_start is None:
        start = int(before.min())
        validation_start = start + (test_start - start) * 4 // 5
        validation_start -= validation_start % DAY
    train = begun & (ts_end <= test_start - embargo)
    tested = ts >= test_start
    spans = Spans(
        early=begun & (ts_end <= validation_start - embargo),
        validation=(ts >= validation_start) & train,
        train=train,
        test=tested if test_end is None else tested & (ts < test_end),
        validation_start=validation_start,
        test_start=test_start,
        purged=int(np.sum(begun & (ts < test_start) & ~train)),
    )
    for name in ("early", "validation", "test"):
        if not getattr(spans, name).any():
            raise DataError(f"expected rows in the {name} span around {iso(test_start)}; found none")
    return spans


def default_test_start(ts: Times) -> int:
    """Give midnight UTC three fifths into the rows."""
    start, end = int(ts.min()), int(ts.max())
    at = start + (end - start) * 3 // 5
    return at - at % DAY
