"""Whether the best of many trials beats a benchmark by more than the best of many would anyway.

Must not know runs or files. Called by training.significance.judge. Hansen's test for superior predictive
ability (2005), as `arch` has it, and steps of it after Romano and Wolf (2005), over the daily returns of
all trials at once: the bootstrap draws the same days for all, so their correlation is in it.

Columns are divided by their standard deviation first. `arch` 8.0 estimates variances, but its statistic and
critical values do not use them: a wild trial would then decide for all, and a test shows that. Fixed positive
scales leave the test valid; they decide how much each trial may say.
"""

import numpy as np
import numpy.typing as npt
from arch.bootstrap import SPA

Floats = npt.NDArray[np.float64]

REPLICATES = 1_000
SIZE = 0.05


def superior_p(apart: Floats, *, block_days: int, seed: int, replicates: int = REPLICATES) -> float | None:
    """Give the consistent p-value that no trial beats the benchmark; None if nothing ever differs.

    `apart` are returns minus the benchmark's, [days, N].
    """
    scaled, _ = _scaled(apart)
    if not scaled.shape[1]:
        return None
    test = SPA(np.zeros(len(scaled)), -scaled, block_size=block_days, reps=replicates, seed=seed)
    test.compute()
    # Of so many replicates the observed data are one: luck is never quite excluded.
    return float((test.pvalues["consistent"] * replicates + 1) / (replicates + 1))


def superior_trials(
    apart: Floats, *, block_days: int, seed: int, replicates: int = REPLICATES
) -> frozenset[int]:
    """Name the columns that beat the benchmark, with 5 % for one mistake in all of them together."""
    scaled, left = _scaled(apart)
    named: set[int] = set()
    # The steps are taken here: StepM of `arch` 8.0 fails where the last of them leaves no trial over.
    while len(left):
        test = SPA(np.zeros(len(scaled)), -scaled, block_size=block_days, reps=replicates, seed=seed)
        test.compute()
        better = [int(column) for column in test.better_models(SIZE)]
        if not better:
            break
        named.update(left[better].tolist())
        scaled, left = np.delete(scaled, better, axis=1), np.delete(left, better)
    return frozenset(named)


def _scaled(apart: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    moving = np.flatnonzero(np.ptp(apart, axis=0) > 0.0)
    kept = apart[:, moving]
    return kept / kept.std(axis=0), moving
