"""The verdict on a run: its daily returns against luck, all that was tried, holding and doing nothing.

Must not know files or the command line. Called by training.significance.runs, noise and tests.

A verdict passes only if all of these hold together, for each alone lets some noise through (the command
`training significance noise` counts how much):

- DSR >= 0.95: the Sharpe ratio is above what luck gives the best of all trials that were counted.
- PBO <= 0.05: in at most one of twenty halves of the days does the winner of the other half end below the
  median. The usual bound of one half only says that choosing is better than chance; a strategy with an edge
  wins nearly all halves, and what wins fewer has at best an edge that this much history cannot show.
  Undefined, and then not asked for, where only one trial was ever made: nobody has chosen.
- SPA p <= 0.05 against each of holding (as much of it as is as volatile as the run), doing nothing, and
  entering at random with the run's own trades; and the stepwise test names this run against each of them,
  not only a rival.
- 20 days or more: of fewer no block of days can be drawn that is not nearly all of them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.errors import DataError
from inference.card import Interval
from trader.evaluation.daily import annual_sharpe
from trader.evaluation.metrics import sharpe_error
from trader.evaluation.significance import Significance
from training.significance import sharpe
from training.significance.intervals import LEAST_DAYS, block_days, intervals
from training.significance.overfit import overfitting
from training.significance.superior import REPLICATES, superior_p, superior_trials

Floats = npt.NDArray[np.float64]

LEAST_DSR, MOST_PBO, MOST_P = 0.95, 0.05, 0.05
IN_SAMPLE = "a model was trained on these very days"
HOLD, FLAT, RANDOM = "hold", "flat", "random"
_NAMES = {HOLD: "holding", FLAT: "doing nothing", RANDOM: "entering at random"}


class Luck(NamedTuple):
    """What the criteria are made of: figures as in trader.evaluation.significance.Significance."""

    psr: float | None
    dsr: float | None
    pbo: float | None
    blocks: int | None
    spa: Mapping[str, float | None]
    superior: bool

    @property
    def deflated(self) -> bool:
        """Whether the deflated Sharpe ratio is high enough."""
        return self.dsr is not None and self.dsr >= LEAST_DSR

    @property
    def chosen_well(self) -> bool:
        """Whether the choice holds in the other half of the days, where there was one."""
        return self.pbo is not None and self.pbo <= MOST_PBO

    @property
    def beats_all(self) -> bool:
        """Whether it beats all benchmarks."""
        low = all(p is not None and p <= MOST_P for p in self.spa.values())
        return low and bool(self.spa) and self.superior


def luck_of(
    mine: Floats,
    others: Floats,
    *,
    counted: int,
    market: Floats | None,
    twin: Floats | None,
    seed: int,
    block: int | None = None,
    replicates: int = REPLICATES,
) -> Luck:
    """Put the daily returns [days] of a run beside those of other trials [N, days].

    `counted` trials count, of which some may not be among the others; `market` are the daily returns of
    holding, `twin` those of random entry. A benchmark that is None has no p-value, so nothing passes.
    """
    if others.ndim != 2 or others.shape[1] != len(mine):
        raise DataError(f"expected trials [N, {len(mine)}]; found {others.shape}")
    matrix = np.vstack((mine, others))
    sharpes = np.array([value for row in matrix if (value := annual_sharpe(row)) is not None])
    halves = overfitting(matrix)
    size = block or block_days(mine)
    benchmarks = {HOLD: _as_volatile(market, mine), FLAT: np.zeros(len(mine)), RANDOM: twin}
    apart = {name: None if b is None else (matrix - b).T for name, b in benchmarks.items()}
    options = {"block_days": size, "seed": seed, "replicates": replicates}
    told = {name: one for name, one in apart.items() if one is not None and len(mine) >= LEAST_DAYS}
    spa = {name: superior_p(told[name], **options) if name in told else None for name in apart}
    # A low p says that some trial beats the benchmark; which, only the steps say.
    superior = all(p is not None and p <= MOST_P for p in spa.values())
    if superior and len(matrix) > 1:
        superior = all(0 in superior_trials(one, **options) for one in told.values())
    return Luck(
        psr=sharpe.probabilistic(mine),
        dsr=sharpe.deflated(mine, sharpes, counted),
        pbo=None if halves is None else halves.pbo,
        blocks=None if halves is None else halves.blocks,
        spa=spa,
        superior=superior,
    )


def judge(
    mine: Floats,
    others: Floats,
    *,
    counted: int,
    market: Floats | None,
    twin: Floats | None,
    trips: int,
    config_hash: str = "",
    schedule: str = "",
    seed: int = 0,
    replicates: int = REPLICATES,
    in_sample: bool = False,
    notes: tuple[str, ...] = (),
) -> Significance:
    """Give the whole verdict on a run; arguments as for `luck_of`. What is `in_sample` never passes."""
    found = luck_of(mine, others, counted=counted, market=market, twin=twin, seed=seed, replicates=replicates)
    matrix = np.vstack((mine, others))
    sharpes = np.array([value for row in matrix if (value := annual_sharpe(row)) is not None])
    effective = sharpe.effective_trials(matrix)
    drawn = intervals(mine, seed=seed, replicates=replicates)
    expected = sharpe.luck(sharpes, counted, len(mine))
    failed = ((IN_SAMPLE,) if in_sample else ()) + _failed(found, counted, len(mine))
    return Significance(
        config_hash=config_hash,
        schedule=schedule,
        days=len(mine),
        trips=trips,
        trials=counted,
        compared=len(matrix),
        effective=effective,
        sharpe=drawn.sharpe,
        sharpe_error=sharpe_error(mine),
        cagr=drawn.cagr,
        mean_daily=drawn.mean_daily,
        max_drawdown=drawn.max_drawdown,
        psr=found.psr,
        dsr=found.dsr,
        dsr_textbook=sharpe.deflated(mine, sharpes, counted, capped=False),
        dsr_effective=sharpe.deflated(mine, sharpes, effective),
        luck=expected,
        pbo=found.pbo,
        pbo_blocks=found.blocks,
        spa=dict(found.spa),
        superior=found.superior,
        min_track_days=sharpe.min_track_days(mine),
        min_backtest_days=sharpe.min_backtest_days(counted, drawn.sharpe.value),
        passed=not failed,
        failed=failed,
        sentence=_sentence(mine, drawn.sharpe, expected, counted, failed),
        notes=notes,
    )


def _failed(found: Luck, counted: int, days: int) -> tuple[str, ...]:
    failed = [f"{days} days, at least {LEAST_DAYS}"] if days < LEAST_DAYS else []
    if not found.deflated:
        failed.append(f"DSR {_shown(found.dsr)}, at least {LEAST_DSR:g}")
    if counted > 1 and not found.chosen_well:
        failed.append(f"PBO {_shown(found.pbo)}, at most {MOST_PBO:g}")
    failed += [
        f"p {_shown(p)} against {_NAMES[name]}, at most {MOST_P:g}"
        for name, p in found.spa.items()
        if p is None or p > MOST_P
    ]
    if not found.superior and not failed:
        failed.append("the stepwise test names another trial, not this one")
    return tuple(failed)


def _as_volatile(market: Floats | None, mine: Floats) -> Floats | None:
    """Give the market held with just so much of the cash that it moves as much as the run does."""
    if market is None or market.std() == 0.0:
        return market
    return np.asarray(market * (mine.std() / market.std()))


def _sentence(mine: Floats, ratio: Interval, expected: float, counted: int, failed: tuple[str, ...]) -> str:
    total = float(np.prod(1.0 + mine)) - 1.0
    result = f"{'Earned' if total > 0.0 else 'Lost'} {abs(total):.1%} in {len(mine)} days after costs"
    if not np.any(mine):
        return f"Nothing was traded in {len(mine)} days, so there is nothing to tell from luck."
    known = "" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    told = f"{result}, {'no Sharpe ratio' if ratio.value is None else f'Sharpe {ratio.value:.2f}{known}'}"
    among = f"the best of {counted} trials shows {expected:.2f} by luck alone" if counted > 1 else "one trial"
    if not failed:
        return f"More than luck explains: {told}; {among}."
    if ratio.high is not None and ratio.high < 0.0:
        return f"It loses, and bad luck does not explain it: {told}."
    return f"Nothing here can be told from luck: {told}; {among}; {', '.join(failed)}."


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
