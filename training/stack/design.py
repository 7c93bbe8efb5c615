"""What stackers see of a blend and its voters: columns that are turned to the blend's side.

Must not know labels or files. Called by training.stack.meta; the same columns are made inside the graph
(training.stack.graph). A long is to a rising market what a short is to a falling one, so that half as many
things have to be learned. Selections, one subtraction and one product: every machine gives the same bits.
"""

from collections.abc import Sequence

import numpy as np

from inference.card import MEMBER_COLUMNS
from training.panel.panel import Floats, Matrix

_DOWN, _HOLD, _UP, _SPREAD, _AGREEMENT = range(5)
_VOTED = MEMBER_COLUMNS.index("voted")
BLEND = ("with", "hold", "spread", "agreement")
"""The blend's columns: chance of its own side and of hold, spread, agreement."""
LEAST_P = 1e-4
"""Logarithms of probabilities are taken of at least this much."""


def names(voters: Sequence[str]) -> tuple[str, ...]:
    """Name the columns of `taking`."""
    return (
        *BLEND,
        *(f"{voter}.with" for voter in voters),
        *(f"{voter}.hold" for voter in voters),
        *(f"{voter}.voted" for voter in voters),
    )


def taking(votes: Matrix, members: Matrix) -> Matrix:
    """Give [n, 4 + 3 M] of the tensors `votes` and `members`.

    The blend's four; each voter's chance of the blend's side less the blend's, its chance of hold less the
    blend's (both 0 where it did not vote), and whether it voted.
    """
    up = votes[:, _UP] > votes[:, _DOWN]
    side, hold = np.where(up, votes[:, _UP], votes[:, _DOWN]), votes[:, _HOLD]
    each = members.reshape(len(votes), -1, len(MEMBER_COLUMNS))
    voted = each[:, :, _VOTED]
    own = np.where(up[:, None], each[:, :, _UP], each[:, :, _DOWN])
    return np.concatenate(
        [
            np.stack([side, hold, votes[:, _SPREAD], votes[:, _AGREEMENT]], axis=1),
            (own - side[:, None]) * voted,
            (each[:, :, _HOLD] - hold[:, None]) * voted,
            voted,
        ],
        axis=1,
    )


def taking_logs(x: Matrix) -> tuple[Floats, Floats]:
    """Give of `taking` the log chances [n, 1 + M, 2] of not meeting and meeting the barrier, and the rest.

    The first source is the blend, the others are voters less the blend.
    """
    voters = (x.shape[1] - len(BLEND)) // 3
    first = len(BLEND)
    side = x[:, :1].astype(np.float64)
    chance = np.concatenate([side, side + x[:, first : first + voters]], axis=1)
    chance = np.clip(chance, LEAST_P, 1.0 - LEAST_P)
    logs = np.log(np.stack([1.0 - chance, chance], axis=2))
    logs[:, 1:] -= logs[:, :1]
    return logs, x[:, 1 : len(BLEND)].astype(np.float64)


def direction(votes: Matrix, members: Matrix) -> Matrix:
    """Give [n, 5 + 4 M]: the blend, then each voter's three chances less the blend's, and who voted."""
    each = members.reshape(len(votes), -1, len(MEMBER_COLUMNS))
    voted = each[:, :, _VOTED]
    apart = (each[:, :, :_VOTED] - votes[:, None, :3]) * voted[:, :, None]
    return np.concatenate([votes, apart.reshape(len(votes), -1), voted], axis=1)


def direction_logs(x: Matrix) -> tuple[Floats, Floats]:
    """Give of `direction` the log chances [n, 1 + M, 3] as `taking_logs` does, and nothing beside."""
    voters = (x.shape[1] - 5) // 4
    mixed = x[:, None, :3].astype(np.float64)
    apart = x[:, 5 : 5 + 3 * voters].reshape(len(x), voters, 3)
    logs = np.log(np.clip(np.concatenate([mixed, mixed + apart], axis=1), LEAST_P, 1.0))
    logs[:, 1:] -= logs[:, :1]
    return logs, np.empty((len(x), 0))
