"""How much a Sharpe ratio is worth: against zero, against the best of all trials, against its length.

Must not know runs, files or other tests. Called by training.significance.judge. The formulas are those of
Bailey and Lopez de Prado as `purgedcv` has them; here they get daily returns, 365 days to a year and None
where a figure is not defined. The Sharpe ratios that come in and go out are annual.
"""

import math

import numpy as np
import numpy.typing as npt
import purgedcv
from scipy import stats

from trader.evaluation.daily import annual_sharpe
from trader.evaluation.metrics import YEAR

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95


def probabilistic(returns: Floats, benchmark: float = 0.0) -> float | None:
    """Give the probability (PSR) that the true Sharpe ratio is above `benchmark`; None if undefined.

    Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012).
    """
    if annual_sharpe(returns) is None:
        return None
    try:
        return purgedcv.probabilistic_sharpe_ratio(returns, benchmark / math.sqrt(YEAR))
    except ValueError:  # the moments leave the range where the formula is real
        return None


def luck(sharpes: Floats, trials: float, days: int, *, capped: bool = True) -> float:
    """Give the Sharpe ratio that the best of `trials` shows on average without any skill.

    `sharpes` are those of the trials that are known, and their spread is what luck has to work with; of fewer
    than two it is that of an estimate over so many `days`. `capped` lets it be no wider than that: trials
    that differ by more than estimates can differ do so because some pay more costs or are truly worse, and
    what makes others worse does not help the best. Without the cap nervous losers would hide any edge.
    `trials` beyond the known ones are taken to differ as estimates do: two that are alike cannot speak for
    a hundred that were counted and are not known.
    """
    estimate = math.sqrt(YEAR / max(days - 1, 1))
    spread = float(np.std(sharpes, ddof=1)) if len(sharpes) > 1 else estimate
    if capped:
        spread = min(spread, estimate)
        if (unknown := trials - len(sharpes)) > 0:
            spread = math.sqrt((len(sharpes) * spread**2 + unknown * estimate**2) / trials)
    return spread * _expected_maximum(trials)


def deflated(returns: Floats, sharpes: Floats, trials: float, *, capped: bool = True) -> float | None:
    """Give the probability (DSR) that the true Sharpe ratio is above what luck gives the best of `trials`.

    Bailey and Lopez de Prado, The Deflated Sharpe Ratio (2014); `capped=False` is their very formula.
    `sharpes` and `capped` as for `luck`.
    """
    return probabilistic(returns, luck(sharpes, trials, len(returns), capped=capped))


def effective_trials(matrix: Floats) -> float:
    """Give the number of independent trials that trials [N, days] are worth: r + (1 - r) N.

    r is their mean correlation (the same paper, appendix). `purgedcv.effective_n_trials` is not used: it
    reads the order in which trials were run, and a ledger has trials of many searches.
    """
    moving = matrix[np.ptp(matrix, axis=1) > 0.0] if len(matrix) else matrix
    count = len(moving)
    if count < 2:
        return float(max(len(matrix), 1))
    related = np.corrcoef(moving)
    mean = float((related.sum() - count) / (count * (count - 1)))
    return min(max(mean, 0.0) + (1.0 - max(mean, 0.0)) * count, float(count))


def min_track_days(returns: Floats) -> int | None:
    """Give the days (MinTRL) after which this Sharpe ratio is above zero with 95 %; None if never."""
    sharpe = annual_sharpe(returns)
    if sharpe is None or sharpe <= 0.0:
        return None
    # As in PSR, which this inverts, the deviation is that of the population.
    ratio = float(returns.mean() / returns.std())
    skew, kurtosis = _moments(returns)
    try:
        days = purgedcv.min_track_record_length(ratio, 0.0, 1.0 - CONFIDENCE, skew, kurtosis)
    except ValueError:
        return None
    return int(days) if math.isfinite(days) else None


def min_backtest_days(trials: int, sharpe: float | None) -> int | None:
    """Give the days (MinBTL) below which the best of so many trials shows this Sharpe ratio by luck."""
    if sharpe is None or sharpe <= 0.0:
        return None
    return math.ceil(purgedcv.minimum_backtest_length(trials, sharpe) * YEAR)


def _expected_maximum(trials: float) -> float:
    """Give the mean of the largest of so many standard normal numbers, by purgedcv for whole counts.

    The effective number of trials is not whole, and between two whole ones the line is straight.
    """
    low = math.floor(max(trials, 1.0))
    ends = [math.sqrt(purgedcv.minimum_backtest_length(whole, 1.0)) for whole in (low, low + 1)]
    return float(ends[0] + (trials - low) * (ends[1] - ends[0])) if trials > 1.0 else 0.0


def _moments(returns: Floats) -> tuple[float, float]:
    """Give skew and kurtosis (3 for normal returns), corrected for bias as purgedcv has them."""
    return float(stats.skew(returns, bias=False)), float(stats.kurtosis(returns, bias=False, fisher=False))
