"""What a trader would do who knows the path beforehand: the best positions after a stated cost.

Must not know patterns or bars. Called by training.synthetic.generate and .market.
"""

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Actions = npt.NDArray[np.int8]

SHORT, FLAT, LONG = -1, 0, 1
WORDS = ("short", "flat", "long")
"""Of -1, 0 and 1."""


def best_actions(path: Floats, cost: float) -> Actions:
    """Give for each log close [T] the position (-1, 0, 1) to hold from it to the next one.

    Together they have the greatest `net` of all 3^T sequences: found by dynamic programming over the
    three positions (Bellman 1957). Among equals the one that trades less and holds less. The last is 0.
    """
    if len(path) == 0:
        return np.zeros(0, np.int8)
    found: Actions = _best(np.diff(path), cost)
    return np.append(found, np.int8(FLAT))


def net(path: Floats, actions: Actions, cost: float) -> float:
    """Give the sum of log returns of `actions` [T] on log closes `path` [T], less `cost` a unit traded.

    The first position is bought from flat and the last one is sold: both pay.
    """
    earned = float(np.sum(np.diff(path) * actions[:-1]))
    traded = float(np.abs(np.diff(actions.astype(np.int64), prepend=0, append=0)).sum())
    return earned - cost * traded


@numba.njit(cache=True)
def _best(moves, cost):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Give positions [T] over `moves` [T], walking back from the end, where every position is closed."""
    count = len(moves)
    after = np.array([-cost, 0.0, -cost])  # worth of what follows, by the position held before
    choice = np.empty((count, 3), np.int8)
    now = np.empty(3)
    for t in range(count - 1, -1, -1):
        for held in range(3):
            # Staying is asked first, then flat: a tie changes nothing that need not change.
            best, picked = moves[t] * (held - 1) + after[held], held
            for other in (1, 0, 2):
                worth = moves[t] * (other - 1) + after[other] - cost * abs(other - held)
                if worth > best + 1e-15:
                    best, picked = worth, other
            now[held] = best
            choice[t, held] = picked
        after[:] = now
    out = np.empty(count, np.int8)
    held = 1
    for t in range(count):
        held = choice[t, held]
        out[t] = held - 1
    return out
