"""The figures on a card: skill against knowing nothing, money after fees, both with intervals.

Must not know how probabilities were made or fitted. Called by training.recipe with the test span and
with thresholds that were chosen before it; training.regime and training.guard.score use its parts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.clock import DAY, MINUTE
from core.text import iso
from inference.card import Expectancy, Interval, Metrics, Month
from training import bootstrap
from training.labels import DOWN, HOLD, UP
from training.trades import SCHEDULES, FeeSchedule, Outcomes, Trades, take

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int8]

BINS = 200
"""Score bins of the AUC: finer than any difference that the interval could tell apart."""
EDGE_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_TINY = 1e-9


@dataclass(frozen=True)
class Unseen:
    """Rows of the test span with what the model and the naive rival said of them.

    `p` [n, 3]; `momentum` is the past return over one horizon in ATRs; `shares` are the class
    shares of the training rows. Thresholds are |p_up - p_down|, |momentum| and a traded share.
    """

    outcomes: Outcomes
    kind: Kinds
    both: npt.NDArray[np.bool_]
    p: Floats
    momentum: Floats
    shares: Floats
    edge_threshold: float
    momentum_threshold: float
    traded_share: float
    seed: int


def evaluate(test: Unseen) -> Metrics:
    """Measure everything that the card shows."""
    day = test.outcomes.ts // DAY
    days = day - day.min()
    weights = bootstrap.day_weights(int(days.max()) + 1, test.seed)
    edge = test.p[:, UP] - test.p[:, DOWN]
    moved = test.kind != HOLD
    rose = test.kind == UP
    loss, loss_base = log_loss(test.p, test.kind), log_loss(test.shares[None, :], test.kind)
    correct = test.p.argmax(axis=1) == test.kind
    model = take(test.outcomes, edge, test.edge_threshold)
    naive = take(test.outcomes, test.momentum, test.momentum_threshold)
    chance = _random_trades(test)
    return Metrics(
        class_shares=_three(np.bincount(test.kind, minlength=3) / len(test.kind)),
        both_barriers=int(test.both.sum()),
        accuracy=mean(correct.astype(np.float64), days, weights),
        accuracy_base=float(np.mean(test.kind == test.shares.argmax())),
        log_loss=float(loss.mean()),
        log_loss_base=float(loss_base.mean()),
        log_loss_gain=mean(loss_base - loss, days, weights),
        auc=area(edge[moved], rose[moved], days[moved], weights),
        auc_momentum=area(test.momentum[moved], rose[moved], days[moved], weights),
        auc_hold=area(test.p[:, HOLD], ~moved, days, weights),
        edge_quantiles=tuple(float(q) for q in np.quantile(np.abs(edge), EDGE_QUANTILES)),
        trades=len(model.day),
        trades_momentum=len(naive.day),
        mean_hold_minutes=float(model.held.mean() / MINUTE) if len(model.held) else 0.0,
        expectancy=tuple(
            Expectancy(
                schedule=fees.name,
                model=_expectancy(model, fees, int(day.min()), weights),
                momentum=_expectancy(naive, fees, int(day.min()), weights),
                random=_expectancy(chance, fees, int(day.min()), weights),
            )
            for fees in SCHEDULES
        ),
        months=_months(test, edge, loss_base - loss, model),
        bootstrap=bootstrap.NAME,
    )


def log_loss(p: Floats, kind: Kinds) -> Floats:
    """Give each row's loss in nats; `p` [n, K] or [1, K]."""
    chosen = np.broadcast_to(p, (len(kind), p.shape[1]))[np.arange(len(kind)), kind]
    return -np.log(np.maximum(chosen, _TINY))


def auc(score: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Give the area under the ROC curve, NaN with one class only."""
    return float(bootstrap.binned_auc(_histogram(score, positive, np.zeros(len(score), np.int64), 1))[0])


def _random_trades(test: Unseen) -> Trades:
    """Coin flips at the model's turnover: what the fees alone cost."""
    score = np.random.default_rng(test.seed).uniform(-1.0, 1.0, len(test.kind))
    return take(test.outcomes, score, 1.0 - test.traded_share)


def mean(values: Floats, days: npt.NDArray[np.int64], weights: Floats) -> Interval:
    """Give the mean of row values with its interval; `days` count from 0, `weights` as day_weights."""
    count = weights.shape[1]
    sums = np.zeros((count, 2))
    sums[:, 0] = np.bincount(days, values, count)
    sums[:, 1] = np.bincount(days, minlength=count)
    return bootstrap.interval(sums, bootstrap.ratio, weights)


def area(
    score: Floats, positive: npt.NDArray[np.bool_], days: npt.NDArray[np.int64], weights: Floats
) -> Interval:
    """Give the area under the ROC curve with its interval."""
    sums = _histogram(score, positive, days, weights.shape[1])
    return bootstrap.interval(sums, bootstrap.binned_auc, weights)


def _histogram(
    score: Floats, positive: npt.NDArray[np.bool_], days: npt.NDArray[np.int64], count: int
) -> Floats:
    """Count rows per day, class and score bin: [days, 2 * BINS]."""
    if not len(score):
        return np.zeros((count, 2 * BINS))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(edges, score, side="right") + BINS * positive
    flat = np.bincount(days * 2 * BINS + place, minlength=count * 2 * BINS)
    return flat.reshape(count, 2 * BINS).astype(np.float64)


def _expectancy(trades: Trades, fees: FeeSchedule, first_day: int, weights: Floats) -> Interval:
    net = trades.gross_bps - fees.cost_bps(trades.held)
    return mean(net, trades.day - first_day, weights)


def _months(test: Unseen, edge: Floats, gain: Floats, trades: Trades) -> tuple[Month, ...]:
    month_of_row = test.outcomes.ts.astype("datetime64[ns]").astype("datetime64[M]")
    month_of_trade = trades.day.astype("datetime64[D]").astype("datetime64[M]")
    kraken = SCHEDULES[-1]
    out = []
    for month in np.unique(month_of_row):
        rows, taken = month_of_row == month, month_of_trade == month
        moved = rows & (test.kind != HOLD)
        net = trades.gross_bps[taken] - kraken.cost_bps(trades.held[taken])
        ranked = auc(edge[moved], test.kind[moved] == UP)
        out.append(
            Month(
                month=iso(int(month.astype("datetime64[ns]").astype(np.int64)))[:7],
                rows=int(rows.sum()),
                log_loss_gain=float(gain[rows].mean()),
                auc=ranked if np.isfinite(ranked) else 0.5,
                trades=int(taken.sum()),
                gross_bps=float(trades.gross_bps[taken].mean()) if taken.any() else None,
                kraken_bps=float(net.mean()) if taken.any() else None,
            )
        )
    return tuple(out)


def _three(values: Floats) -> tuple[float, float, float]:
    down, hold, up = values.tolist()
    return down, hold, up
