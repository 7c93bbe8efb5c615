"""What may be asked of the future: a target, and the classes that its values fall into.

Must not know features' columns, models or files. Implemented by the modules beside this one, called by
training.panel.build. A target reads the future on purpose, so nothing that it gives may reach a feature.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from feeds.lake import BarArrays
from training.panel.panel import UNKNOWN, Floats, Followed, Ints, Kinds


class Target(Protocol):
    """One question. `classes` names its answers in order; none = a number is asked for.

    `horizon_ns` is the longest that an answer may take to be known, for purging and embargo.
    """

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def horizon_ns(self) -> int: ...

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        """Answer for decisions at `ts_close` (ns, ascending) with their `atr`, on the finest `bars`."""

    def bounds(self, values: Floats) -> tuple[float, ...]:
        """Give from training rows' values the bounds between classes; () where nothing is fitted."""


def kinds(followed: Followed, bounds: Sequence[float]) -> Kinds:
    """Give the classes: the target's own without bounds, else how many bounds each value is above."""
    if not bounds:
        return followed.kind
    known = np.isfinite(followed.value)
    found = np.searchsorted(np.asarray(bounds), np.where(known, followed.value, 0.0), side="left")
    return np.where(known, found, UNKNOWN).astype(np.int8)


def unknown(count: int) -> npt.NDArray[np.int8]:
    """Give `count` rows of which nothing is known."""
    return np.full(count, UNKNOWN, np.int8)
