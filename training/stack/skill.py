"""How good a voter had shown itself by each instant, from answers that it gave out of sample.

Must not know other voters. Called by training.stack.seating. The record is kept as inference.scoreboard
keeps it: a row counts when its time limit is over, all rows of one close together are one bar's share of a
window, and both sums decay. Two things differ: the outcome is that of the finest bars, and the gain
is over the shares of the voter's out-of-fold rows, for the card's are those of the test span.
"""

import numpy as np

from core.clock import DAY
from core.market import Timeframe
from inference.ensemble_card import Policy
from training.members.kept import TEST, Kept
from training.panel.panel import UNKNOWN, Floats, Ints

_LEAST_P = 0.01


def skill_by_then(kept: Kept, policy: Policy) -> tuple[Ints, Floats]:
    """Give the instants (ns, ascending) at which outcomes were known, and the skill from then on.

    Before the test span was over nobody knew the gain on the card, so what it is shrunk to is 0.
    """
    rows = np.flatnonzero(kept.kind != UNKNOWN)
    if not len(rows):
        return np.empty(0, np.int64), np.empty(0)
    kind, horizon = kept.kind[rows].astype(np.int64), kept.subject.horizon_bars
    before = kept.kind[(kept.fold != TEST) & (kept.kind != UNKNOWN)]
    shares = np.bincount(before, minlength=3) / len(before) if len(before) else np.full(3, 1 / 3)
    base = np.log(np.maximum(shares, _LEAST_P))
    gain = np.log(np.maximum(kept.p[rows, kind].astype(np.float64), _LEAST_P)) - base[kind]
    closes, place = np.unique(kept.ts[rows], return_inverse=True)
    together = np.bincount(place)
    gains = np.bincount(place, gain) / (horizon * together)
    judged = closes + horizon * Timeframe(kept.subject.decision).ns
    fading = np.append(1.0, 0.5 ** (np.diff(judged) / (policy.skill_half_life_days * DAY)))
    total, windows, skill = 0.0, 0.0, np.empty(len(judged))
    for k, (fade, fresh) in enumerate(zip(fading.tolist(), gains.tolist(), strict=True)):
        total, windows = total * fade + fresh, windows * fade + 1.0 / horizon
        skill[k] = total / (policy.skill_prior_windows + windows)
    return judged, skill
