"""The label of entry models, by which the daemon's scoreboard judges them: which barrier comes first.

Must not know features, models or files. Made by training.targets.catalogue; training.labels walks the path.
"""

import msgspec
import numpy as np

from feeds.lake import BarArrays
from inference.card import CLASSES
from training.labels import UNKNOWN, BarrierTerms, label
from training.panel.panel import Floats, Followed, Ints
from training.targets.moves import PERCENT


class Barrier(msgspec.Struct, frozen=True):
    """Lower barrier first, neither (or both within one bar), upper barrier first.

    The value is the result of a long in percent before fees; that of the short is the panel's `paid`.
    """

    name: str
    terms: BarrierTerms

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def horizon_ns(self) -> int:
        return self.terms.horizon_ns

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        found = label(bars, ts_close, atr, self.terms)
        value = np.where(found.kind == UNKNOWN, np.nan, PERCENT * found.long_return)
        return Followed(found.kind, value, found.ts_end)
