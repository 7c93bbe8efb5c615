"""How much each label counts: labels that share their future share their weight.

Must not know features, models or files. Called by training.panel.build and the recipes.
"""

import numpy as np
import numpy.typing as npt

from training.panel.panel import Floats, Ints


def uniqueness(instrument: npt.NDArray[np.int32], ts: Ints, ts_end: Ints, bar_ns: int) -> Floats:
    """Give each label's average uniqueness, scaled to mean 1 over all: what it weighs in training."""
    found = average_uniqueness(instrument, ts, ts_end, bar_ns)
    return found / found.mean() if len(found) else found


def average_uniqueness(instrument: npt.NDArray[np.int32], ts: Ints, ts_end: Ints, bar_ns: int) -> Floats:
    """Give each label's average uniqueness over the bars that it spans, in (0, 1].

    A bar of `bar_ns` on which c labels of one instrument are open gives 1/c to each of them; a label's
    uniqueness is the mean of that over the bars that [ts, ts_end) touches (Lopez de Prado 2018, Advances in
    Financial Machine Learning, sections 4.3 and 4.4). Rows of one instrument need no order. O(rows + bars).
    """
    found = np.ones(len(ts))
    for number in np.unique(instrument).tolist():
        rows = np.flatnonzero(instrument == number)
        origin = int(ts[rows].min()) // bar_ns
        first = ts[rows] // bar_ns - origin
        stop = np.maximum(-(-ts_end[rows] // bar_ns) - origin, first + 1)
        bars = int(stop.max())
        opened = np.bincount(first, minlength=bars + 1) - np.bincount(stop, minlength=bars + 1)
        open_labels = np.cumsum(opened)[:bars]
        shares = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(open_labels, 1))])
        found[rows] = (shares[stop] - shares[first]) / (stop - first)
    return found
