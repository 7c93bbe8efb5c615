"""Noise put to the verdict: how much of it passes, and how large an edge has to be to be found.

Must not know the command line. Called by training.significance.cli and by tests. Made strategies on real
closes (training.random_strategies), not the engine; the best of each draw is judged as a run would be.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from trader.evaluation.daily import annual_sharpe
from training.random_strategies import costing, noise, planted, random_twin
from training.significance.closes import Closes, Trades, daily, hold
from training.significance.judge import HOLD, Luck, luck_of
from training.significance.superior import REPLICATES

Floats = npt.NDArray[np.float64]

BLOCK_DAYS = 5
TWIN_DRAWS = 100


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """The best of one draw under one fee; `planted` says whether it is the strategy with the edge."""

    fee: float
    number: int
    sharpe: float
    total: float
    trades: int
    planted: bool
    dsr: float | None
    pbo: float | None
    spa: dict[str, float | None]
    by_dsr: bool
    by_pbo: bool
    by_spa: bool
    """Against all three benchmarks, the stepwise test included."""
    by_hold: bool
    """Against holding alone."""

    @property
    def passes(self) -> bool:
        """Whether all criteria hold together."""
        return self.by_dsr and self.by_pbo and self.by_spa


def draws(
    closes: Closes,
    *,
    fee: float,
    count: int,
    strategies: int,
    seed: int,
    edge: float | None = None,
    replicates: int = REPLICATES,
    told: Callable[[int], None] = lambda _: None,
) -> list[Draw]:
    """Judge the best of `strategies`, `count` times; `fee` a side, as a fraction of notional.

    The same seed draws the same strategies under every fee. With `edge` the first strategy of each draw is
    right with that chance; it is judged if it is the best.
    """
    market = hold(closes)
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        made = [noise(closes, rng) for _ in range(strategies)]
        if edge is not None:
            made[0] = planted(closes, rng, accuracy=edge)
        found.append(
            _judged(closes, [costing(one, fee) for one in made], market, fee, number, seed, edge, replicates)
        )
        told(number)
    return found


def passing(found: Sequence[Draw]) -> Mapping[str, int]:
    """Count the draws that pass each criterion alone, and all together."""
    return {
        "dsr": sum(one.by_dsr for one in found),
        "pbo": sum(one.by_pbo for one in found),
        "spa": sum(one.by_spa for one in found),
        "hold": sum(one.by_hold for one in found),
        "together": sum(one.passes for one in found),
    }


def _judged(
    closes: Closes,
    made: Sequence[Trades],
    market: Floats,
    fee: float,
    number: int,
    seed: int,
    edge: float | None,
    replicates: int,
) -> Draw:
    matrix = np.stack([np.subtract(*daily(one, closes)) for one in made])
    ranked = np.array([_sharpe(row) for row in matrix])
    best = int(ranked.argmax())
    others = np.delete(matrix, best, axis=0)
    trades = made[best]
    rng = np.random.default_rng([seed, number, best])
    twin = np.subtract(*daily(random_twin(trades, trades.instrument, closes, rng, TWIN_DRAWS), closes))
    luck: Luck = luck_of(
        matrix[best],
        others,
        counted=len(made),
        market=market,
        twin=twin,
        seed=seed,
        block=BLOCK_DAYS,
        replicates=replicates,
    )
    against = luck.spa[HOLD]
    return Draw(
        fee=fee,
        number=number,
        sharpe=float(ranked[best]),
        total=float(np.prod(1.0 + matrix[best]) - 1.0),
        trades=len(trades.entry),
        planted=edge is not None and best == 0,
        dsr=luck.dsr,
        pbo=luck.pbo,
        spa=dict(luck.spa),
        by_dsr=luck.deflated,
        by_pbo=luck.chosen_well,
        by_spa=luck.beats_all,
        by_hold=against is not None and against <= 0.05,
    )


def _sharpe(returns: Floats) -> float:
    value = annual_sharpe(returns)
    return -math.inf if value is None else value
