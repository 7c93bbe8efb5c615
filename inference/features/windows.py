"""Kernels that copy columns to where models read them: rows, windows, rings. All float32.

Must not know what a column means. Called by live, series, frame and fold. A slot without a bar is a row
of zeros whose `missing` is 1. The innermost loops walk views that begin at 0: an index that could be
negative is looked at twice each time, and no longer copied in vectors.
"""

import math

from inference.features.admit import PRESENT, absent
from inference.features.family import CLOSE, FIRST, ROW, TARGET
from inference.features.kernel import Flags, Floats, Ints, Matrix, kernel

ABSENT = 1.0
"""What `missing`, row 0 of every `out`, says of a slot without a bar; a bar's own share is less."""


@kernel
def spread(out: Floats, picked: Ints, count: int, matrix: Matrix, first: int) -> None:
    """Turn the first `count` slots of `out` [width, M] into rows matrix[first:] of the picked columns."""
    # A turn of a few rows at a time stays in the nearest cache.
    for tile in range(0, count, 64):
        size = min(64, count - tile)
        rows = matrix[first + tile : first + tile + size]
        for j in range(picked.size):
            column = out[picked[j], tile : tile + size]
            for t in range(size):
                rows[t, j] = column[t]
        for t in range(size):
            if out[0, tile + t] == ABSENT:
                for j in range(picked.size):
                    rows[t, j] = ABSENT if picked[j] == 0 else 0.0


@kernel
def mark_present(slots: Ints, gone: Ints, first: int, stop: int, origin: int, out: Floats) -> None:
    """Fill row 0 of `out` for the bars [first, stop) whose chunk begins at slot `origin`."""
    for t in range(first, stop):
        if slots[t] >= origin:
            out[0, slots[t] - origin] = gone[t] / 60


@kernel
def note(plan: Ints, marks: Ints, bars: Floats, out: Floats, close: Floats) -> None:
    """Write what is the frame's own of each plan line's bar: `missing` to row 0 of `out`, and its close."""
    for line in range(plan.shape[0]):
        row = plan[line, ROW]
        out[0, row] = absent(marks[PRESENT, row]) / 60
        close[row] = bars[CLOSE, plan[line, FIRST]]


@kernel
def finite_since(matrix: Matrix, since: Ints) -> None:
    """Count, for each slot, how many in a row up to it are finite in all columns."""
    run = 0
    for t in range(matrix.shape[0]):
        values = matrix[t]
        finite = True
        for j in range(values.size):
            finite &= math.isfinite(values[j])
        run = run + 1 if finite else 0
        since[t] = run


@kernel
def align(ts_close: Ints, ts_open: Ints, slots: Ints, length: int, bar: Ints) -> None:
    """Find, for each decision time, the last bar that can have closed by then; -1 where it is absent.

    Bars without a slot do not exist: of two with one time, the later may be the one that counts.
    """
    k = 0
    for t in range(ts_close.size):
        expected = ts_close[t] - ts_close[t] % length - length
        while k < ts_open.size and (slots[k] < 0 or ts_open[k] < expected):
            k += 1
        bar[t] = k if k < ts_open.size and ts_open[k] == expected else -1


@kernel
def fit(
    bar: Ints, slots: Ints, counts: Ints, gone: Ints, terms: Ints, run: Ints, at: Ints, ready: Flags
) -> None:
    """Give the slot of each decision's bar, -1 where it is absent; `ready` falls where it may not be used.

    That is where it has not `warm_up` bars behind it, more than `gap_limit` absent, or where the last
    `window` slots are not all finite (`run`, see finite_since). The slot is `lag` before that of the bar;
    terms = (warm_up, gap_limit, window, lag).
    """
    warm_up, gap_limit, window, lag = terms[0], terms[1], terms[2], terms[3]
    for t in range(bar.size):
        k = bar[t]
        slot = slots[k] - lag if k >= 0 else -1
        if slot < 0:
            at[t] = -1
            ready[t] = False
            continue
        at[t] = slot
        ready[t] &= counts[k] >= warm_up and gone[k] <= gap_limit and run[slot] >= window


@kernel
def gather(matrix: Matrix, at: Ints, x: Matrix, start: int) -> None:
    """Copy rows `at` of a matrix into x[:, start:]; zeros where there is none."""
    for t in range(at.size):
        target = x[t, start : start + matrix.shape[1]]
        if at[t] < 0:
            target[:] = 0.0
            continue
        source = matrix[at[t]]
        for j in range(source.size):
            target[j] = source[j]


@kernel
def gather_exact(matrix: Floats, bar: Ints, slots: Ints, out: Floats) -> None:
    """Copy columns [C, slots] at each decision's bar into out [C, T]; zeros where it is absent."""
    for j in range(matrix.shape[0]):
        for t in range(bar.size):
            out[j, t] = matrix[j, slots[bar[t]]] if bar[t] >= 0 else 0.0


@kernel
def gather_windows(matrix: Matrix, at: Ints, windows: Matrix) -> None:
    """Copy the rows up to `at`, the newest last, into windows [n, W, C]; zeros where there are none."""
    size = windows.shape[1]
    for t in range(at.size):
        for w in range(size):
            slot = at[t] - size + 1 + w
            target = windows[t, w]
            if slot < 0:
                target[:] = 0.0
                continue
            source = matrix[slot]
            for j in range(source.size):
                target[j] = source[j]


@kernel
def pick(out: Floats, rows: Ints, picked: Ints, x: Matrix, start: int) -> None:
    """Copy the picked columns of instruments `rows` into x[:, start:]; zeros for row -1."""
    for k in range(rows.size):
        for j in range(picked.size):
            x[k, start + j] = out[picked[j], rows[k]] if rows[k] >= 0 else 0.0


@kernel
def push(ring: Matrix, slot: Ints, plan: Ints, holes: Ints, out: Floats, picked: Ints) -> None:
    """Put the newest bar of each plan line into its ring [n, R, C]; slot [n] is where it lies.

    A start over leaves an empty ring; slots of a hole are absent.
    """
    size = ring.shape[1]
    for line in range(plan.shape[0]):
        row = plan[line, ROW]
        if holes[line] < 0:
            ring[row] = 0.0
        for _ in range(max(holes[line], 0)):
            slot[row] = (slot[row] + 1) % size
            for j in range(picked.size):
                ring[row, slot[row], j] = ABSENT if picked[j] == 0 else 0.0
        slot[row] = (slot[row] + 1) % size
        for j in range(picked.size):
            ring[row, slot[row], j] = out[picked[j], plan[line, TARGET]]


@kernel
def unroll(ring: Matrix, slot: Ints, rows: Ints, lag: int, windows: Matrix, finite: Flags) -> None:
    """Copy the last W slots but `lag` of rings [n, R, C] into windows [k, W, C]; zeros for row -1.

    `finite` falls where a value is not.
    """
    size = windows.shape[1]
    for k in range(rows.size):
        row = rows[k]
        if row < 0:
            windows[k] = 0.0
            continue
        for w in range(size):
            source = ring[row, (slot[row] - lag - size + 1 + w) % ring.shape[1]]
            target = windows[k, w]
            whole = True
            for j in range(source.size):
                target[j] = source[j]
                whole &= math.isfinite(source[j])
            finite[k] &= whole
