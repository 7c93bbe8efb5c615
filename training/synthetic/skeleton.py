"""A pattern without its noise: straight legs between turning points.

Must not know prices, clocks or what patterns there are. Called by training.synthetic.shapes (which
lists the legs) and training.synthetic.draw (which walks them).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Leg(NamedTuple):
    """A straight way to the next turning point.

    `share` is its part of the pattern's time (all legs together are the whole), `level` where it ends, in
    heights of the pattern. `heat` multiplies the noise on the way, `busy` the volume.
    """

    share: float
    level: float
    heat: float = 1.0
    busy: float = 1.0


class Skeleton(NamedTuple):
    """Legs from level `start`. Noise of a `pinned` one comes back to each turning point; else it wanders."""

    start: float
    legs: tuple[Leg, ...]
    pinned: bool = True

    def mirrored(self) -> "Skeleton":
        """Give the same pattern upside down."""
        turned = tuple(leg._replace(level=-leg.level) for leg in self.legs)
        return Skeleton(-self.start, turned, self.pinned)

    def knots(self, minutes: int) -> Ints:
        """Give the minutes [legs + 1] at which legs begin and end: 0 first, `minutes` last, ascending."""
        shares = np.cumsum([0.0, *(leg.share for leg in self.legs)])
        found: Ints = np.round(shares / shares[-1] * minutes).astype(np.int64)
        return found

    def path(self, minutes: int) -> Floats:
        """Give the levels [minutes + 1] at the edges of minutes, less the first one."""
        levels = np.array([self.start, *(leg.level for leg in self.legs)])
        return np.interp(np.arange(minutes + 1), self.knots(minutes), levels) - self.start

    def spread(self, minutes: int) -> tuple[Floats, Floats]:
        """Give heat and volume's multiplier of each minute, [minutes] each."""
        lengths = np.diff(self.knots(minutes))
        heat = np.repeat([leg.heat for leg in self.legs], lengths)
        busy = np.repeat([leg.busy for leg in self.legs], lengths)
        return heat.astype(np.float64), busy.astype(np.float64)
