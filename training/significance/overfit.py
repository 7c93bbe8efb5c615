"""How often the best of the past is below the middle of the future: the probability of overfitting.

Must not know runs or files. Called by training.significance.judge. Bailey, Borwein, Lopez de Prado and Zhu,
The Probability of Backtest Overfitting (2017): days are cut into blocks, every half of the blocks chooses a
winner, the other half ranks it.

`purgedcv` has the same and is the judge of this one in the tests. It calls a Python function for each
trial of each half; here sums over blocks are added up for all halves at once, which is what lets twenty draws
of fifty strategies be judged in a test.
"""

from itertools import combinations

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import DataError

Floats = npt.NDArray[np.float64]

BLOCKS = 8
"""Seventy halves; twelve blocks would be 924 and say the same with more digits."""


class Overfit(msgspec.Struct, frozen=True):
    """What halves say about each other.

    `pbo` is the share of halves whose winner ended below the median; `slope` that of its later Sharpe ratio
    on its earlier one: 1 would be skill, 0 luck, below 0 worse.
    """

    pbo: float
    slope: float | None
    halves: int
    blocks: int


def overfitting(matrix: Floats, blocks: int = BLOCKS) -> Overfit | None:
    """Judge trials [N, days] of the same days; None for fewer than two trials or than two days a block.

    A trial that never moves in a half has a Sharpe ratio of zero there. DataError for odd `blocks`.
    """
    if blocks % 2 or blocks < 2:
        raise DataError(f"overfitting: expected an even number of blocks; found {blocks}")
    trials, days = matrix.shape
    if trials < 2 or days < 2 * blocks:
        return None
    cuts = np.array_split(np.arange(days), blocks)
    # Days are centred first: the squares of small returns around a mean would lose digits.
    middle = matrix.mean(axis=1, keepdims=True)
    apart = matrix - middle
    sums = np.stack([apart[:, cut].sum(axis=1) for cut in cuts])  # [blocks, N]
    squares = np.stack([(apart[:, cut] ** 2).sum(axis=1) for cut in cuts])
    lows = np.stack([matrix[:, cut].min(axis=1) for cut in cuts])
    highs = np.stack([matrix[:, cut].max(axis=1) for cut in cuts])
    lengths = np.array([len(cut) for cut in cuts])
    held_out = np.array(list(combinations(range(blocks), blocks // 2)))
    outside = np.zeros((len(held_out), blocks), np.bool_)
    np.put_along_axis(outside, held_out, values=True, axis=1)

    def sharpes(chosen: npt.NDArray[np.bool_]) -> Floats:
        """Give the Sharpe ratio of every trial in every half, [halves, N]."""
        count = (chosen @ lengths)[:, None]
        mean = chosen @ sums / count
        variance = (chosen @ squares - count * mean**2) / (count - 1)
        span = np.stack([highs[row].max(axis=0) - lows[row].min(axis=0) for row in chosen])
        moves = (span > 0.0) & (variance > 0.0)
        out = np.zeros_like(mean)
        return np.divide(mean + middle[:, 0], np.sqrt(np.where(moves, variance, 1.0)), out=out, where=moves)

    earlier, later = sharpes(~outside), sharpes(outside)
    every = np.arange(len(held_out))
    winner = earlier.argmax(axis=1)
    won = later[every, winner]
    below = (later < won[:, None]).sum(axis=1)
    equal = (later == won[:, None]).sum(axis=1)
    rank = (below + (equal + 1) / 2) / (trials + 1)
    before = earlier[every, winner]
    varies = float(before.var())
    slope = float(np.mean((before - before.mean()) * (won - won.mean())) / varies) if varies > 0.0 else None
    return Overfit(float(np.mean(rank < 0.5)), slope, len(held_out), blocks)
