"""Cutting time: training, validation and test spans without a shared instant.

Must not know features, models or instruments: every instrument is cut at the same instants, for
they move together and one would tell the other's future. Called by training.recipe.
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


def cut(ts: Times, ts_end: Times, *, test_start: int, embargo: int) -> Spans:
    """Cut rows decided at `ts` whose labels were known at `ts_end`; validation is the last fifth.

    DataError if a span would be empty.
    """
    before = ts[ts < test_start]
    if not len(before):
        raise DataError(f"expected rows before the test span at {iso(test_start)}; found none")
    start = int(before.min())
    validation_start = start + (test_start - start) * 4 // 5
    validation_start -= validation_start % DAY
    train = ts_end <= test_start - embargo
    spans = Spans(
        early=ts_end <= validation_start - embargo,
        validation=(ts >= validation_start) & train,
        train=train,
        test=ts >= test_start,
        validation_start=validation_start,
        test_start=test_start,
        purged=int(np.sum((ts < test_start) & ~train)),
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
