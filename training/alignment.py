"""How far back features reach, and whether they are older than the decision that reads them.

Must not know labels or models. Called by training.walkforward for every fold, and for embargoes. The check
looks into the very rows that were read: the fold of features says for each row which slot of which
timeframe it reads; here the slots are turned back into bars and their closes held against the decision.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays
from inference.features.fold import Folded
from inference.features.series import new_marks, numbered, table
from inference.features.spec import Block, FeatureSpec


class Alignment(msgspec.Struct, frozen=True):
    """Counts over the rows looked at: `sources` are looked-up bars, `latest_ns` their closes' latest lead.

    `latest_ns` is the largest close minus decision time: 0 means that the newest bar read closed at the
    very decision, a positive number would be a look ahead.
    """

    rows: int = 0
    sources: int = 0
    latest_ns: int | None = None

    def __add__(self, other: "Alignment") -> "Alignment":
        known = [one for one in (self.latest_ns, other.latest_ns) if one is not None]
        return Alignment(self.rows + other.rows, self.sources + other.sources, max(known) if known else None)


def look_back_ns(spec: FeatureSpec) -> int:
    """Give how far back a row's features reach, by the warm-up of the longest block, in ns."""
    return max(block.warm_up * block.timeframe.ns for block in spec.needed)


def embargo_ns(spec: FeatureSpec, horizon_ns: int) -> int:
    """Give the time after a test span in which no training row may be decided.

    The longer of label horizon and feature look-back: a row decided later neither has a label that began
    in the test span nor features that were made of its bars.
    """
    return max(horizon_ns, look_back_ns(spec))


def align(
    folded: Folded, histories: Mapping[str, Mapping[Timeframe, BarArrays]], instrument: str
) -> Alignment:
    """Look up the newest bar of every block of every row that is ready.

    `histories` gives the bars that were folded: the instrument's own by "", those of others by base.
    DataError names the first row that reads a bar which had not closed, or a slot without a bar.
    """
    rows = np.flatnonzero(folded.ready)
    found = Alignment(len(rows))
    for block, _, at in folded.placed:
        closes = _closes(histories[block.of][block.timeframe], block)
        slots = at[rows]
        ahead = closes[slots] - folded.ts_close[rows]
        wrong = np.flatnonzero((slots < 0) | (ahead > 0))
        if len(wrong):
            row = rows[wrong[0]]
            raise DataError(
                f"{instrument}: expected features of bars closed by {iso(int(folded.ts_close[row]))}; found "
                f"block {block.name} with one that closes at {iso(int(closes[at[row]]))}"
            )
        latest = int(ahead.max()) if len(ahead) else None
        found += Alignment(0, len(rows), latest)
    return found


def _closes(bars: BarArrays, block: Block) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Give the close of the bar in each slot; a slot without one is as late as can be."""
    at = numbered(table(bars), block.timeframe, new_marks(1))
    closes = np.full(at.total + 1, np.iinfo(np.int64).max // 2, np.int64)
    kept = at.slots >= 0
    closes[at.slots[kept]] = bars.ts_open[kept] + block.timeframe.ns
    return closes
