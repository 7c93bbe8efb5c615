"""What a family of columns is: a kernel that walks bars, and what it must be given.

Must not know any column's formula. Families live one to a file; `catalogue` lists them, the frame and
the fold drive them. Live and offline call the same compiled kernel: live, `plan` has one line per
instrument with one bar each; offline, one line per stretch of history without a hole. What is kept
between calls is in `state` alone, so a saved and restored state goes on to the last bit.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from inference.features.kernel import Floats, Ints

# Rows of `bars` [INPUTS, N]: float64, one column per bar. DELTA is bought minus sold volume, NaN where
# the source does not know it.
OPEN, HIGH, LOW, CLOSE, VOLUME, DELTA = range(6)
INPUTS = 6

# Columns of `plan` [K, 5], int64: which state row; bars [first, stop) of the input arrays; how many bars
# that row has seen before (0 = start over, the state row is zero); where in `out` the first one goes.
ROW, FIRST, STOP, COUNT, TARGET = range(5)

# Rows of `scales` [SCALES, M], indexed as `out` is: made by the scale family for all others.
ATR, RETURN, RANGE, BEFORE = range(4)  # price; log return; true range in price; previous close
SCALES = 4

Advance = Callable[[Floats, Ints, Ints, Floats, int, Floats, Floats], None]
"""advance(state [n, slots], plan [K, 5], ts_open [N], bars [INPUTS, N], length, scales, out [C, M]).

`length` is the timeframe's in ns. For each line of `plan`, bar t goes to column `TARGET + t - FIRST` of
`out` and `scales`. Every value written is finite for sane bars, or NaN where it cannot be known (mask).
"""


class Family(NamedTuple):
    """One file's columns. `warm_up` is how many bars each remembers of its start, to within 1e-9."""

    name: str
    columns: tuple[str, ...]
    slots: int
    warm_up: Mapping[str, int]
    advance: Advance
    needs: str = ""
    """What besides prices and volume it reads: "" or "flow"; such columns need a tape."""
    days: int = 0
    """Days of bars (and an hour) that its columns need besides, whatever the timeframe."""
