"""Where a walk-forward cuts time: training, tuning and test spans in whole months, for all pairs at once.

Must not know rows, models or instruments. Called by training.walkforward. Nothing here reaches beyond the
end that it is given, which is the vault's start wherever there is a vault.
"""

from typing import Literal

import msgspec
import numpy as np

from core.clock import DAY
from core.errors import UsageError
from core.text import iso

Mode = Literal["walk_forward", "final_fold", "dates"]
MODES: tuple[Mode, ...] = ("walk_forward", "final_fold", "dates")
_MONTH = "datetime64[M]"


class Cutting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to cut. Months are calendar months UTC; a step is as long as a test span.

    `anchored` trains from the first row on, otherwise on the last `train_months`. Mode `dates` takes the
    three instants (ns UTC) instead: training rows from `train_start`, tuning from `tune_start`, test from
    `test_start` to the end; `final_fold` is the newest test span of the walk-forward alone.
    """

    mode: Mode = "walk_forward"
    train_months: int = 12
    test_months: int = 3
    anchored: bool = False
    train_start: int = 0
    tune_start: int = 0
    test_start: int = 0


class Window(msgspec.Struct, frozen=True):
    """One fold, ns UTC: train [train_start, test_start), its tail from `validation_start`, then the test."""

    number: int
    train_start: int
    validation_start: int
    test_start: int
    test_end: int


def windows(cutting: Cutting, start: int, end: int) -> tuple[Window, ...]:
    """Give the folds of rows decided in [start, end), numbered from 1 in time order.

    The first month that is there as a whole is the first to train on, the last whole one the last to test
    on; the newest test span may be shorter than the others. UsageError where not one fold fits.
    """
    if cutting.mode not in MODES:
        raise UsageError(f"mode: expected one of {', '.join(MODES)}; found {cutting.mode!r}")
    if cutting.mode == "dates":
        return (_dated(cutting, start, end),)
    if cutting.train_months < 1 or cutting.test_months < 1:
        raise UsageError(
            "walk-forward: expected at least one month of training and of test; "
            f"found {cutting.train_months} and {cutting.test_months}"
        )
    first, last = month_from(start), month_until(end)
    cuts = range(_number(first) + cutting.train_months, _number(last), cutting.test_months)
    folds = [
        _window(
            number,
            first if cutting.anchored else _ns(cut - cutting.train_months),
            _ns(cut),
            min(_ns(cut + cutting.test_months), last),
        )
        for number, cut in enumerate(cuts, 1)
    ]
    if not folds:
        raise UsageError(
            f"walk-forward: expected more than {cutting.train_months} whole months of rows before "
            f"{iso(end)}; found them from {iso(start)} on"
        )
    return tuple(folds) if cutting.mode == "walk_forward" else tuple(folds[-1:])


def month_from(ts: int) -> int:
    """Give the first start of a month at or after `ts`."""
    found = _ns(_number(ts))
    return found if found == ts else _ns(_number(ts) + 1)


def month_until(ts: int) -> int:
    """Give the last start of a month at or before `ts`."""
    return _ns(_number(ts))


def months_before(ts: int, months: int) -> int:
    """Give the start of the month that lies `months` before the month of `ts`."""
    return _ns(_number(ts) - months)


def _window(number: int, train_start: int, test_start: int, test_end: int) -> Window:
    # The tail that rounds, calibration and threshold are settled on: the last fifth, in whole days.
    tail = train_start + (test_start - train_start) * 4 // 5
    return Window(number, train_start, tail - tail % DAY, test_start, test_end)


def _dated(cutting: Cutting, start: int, end: int) -> Window:
    train, tune, test = cutting.train_start, cutting.tune_start, cutting.test_start
    if not start <= train < tune < test < end or any(ts % DAY for ts in (train, tune, test)):
        raise UsageError(
            f"dates: expected days in the order {iso(start)} <= train < tune < test < {iso(end)}; "
            f"found {iso(train)}, {iso(tune)}, {iso(test)}"
        )
    return Window(1, train, tune, test, end - end % DAY)


def _number(ts: int) -> int:
    """Count months since 1970."""
    return int(np.datetime64(ts, "ns").astype(_MONTH).astype(np.int64))


def _ns(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[ns]").astype(np.int64))
