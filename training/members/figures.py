"""The threshold and the card's figures of a model, from answers to rows that it has not seen.

Must not know makers or files. Called by training.members.recipe; the arithmetic is that of
training.evaluate, training.thresholds and training.bootstrap.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.clock import DAY
from inference.card import BinaryMetrics, Kind, Metrics
from training import bootstrap
from training.evaluate import Unseen, area, evaluate, log_loss, mean
from training.panel.panel import Floats, Ints, Kinds, Panel
from training.thresholds import edge, tune
from training.trades import SCHEDULES, Outcomes, threshold_for

NORMAL, HIGH = 0, 1
FEES = SCHEDULES[-1]
"""A threshold is chosen under the dearest schedule that the card shows."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows with their classes; which were answered out of fold, which lie in the test span."""

    panel: Panel
    kind: Kinds
    past: Ints
    test: Ints
    taught: Kinds
    """Classes of the rows that the final model learned from."""
    seed: int


class Chosen(NamedTuple):
    """The |p_up - p_down| to act on, the |momentum| of the same turnover, and that share of the rows."""

    edge: float = 0.0
    momentum: float = 0.0
    share: float = 0.0


def threshold(kind: Kind, judged: Judged, p: Floats) -> Chosen:
    """Choose on the answers out of fold alone: by net utility's lower bound, pulled to a turnover."""
    if kind is not Kind.ENTRY:
        return Chosen()
    score = edge(p[judged.past])
    tuned = tune(
        outcomes(judged.panel.only(judged.past)), p[judged.past], FEES, seed=judged.seed, scored=edge
    )
    share = float(np.mean(np.abs(score) >= tuned.threshold))
    return Chosen(tuned.threshold, threshold_for(judged.panel.momentum[judged.past], share), share)


def entry(judged: Judged, p: Floats, chosen: Chosen) -> Metrics:
    """Measure a model of down, hold and up on the test span."""
    unseen = judged.panel.only(judged.test)
    return evaluate(
        Unseen(
            outcomes=outcomes(unseen),
            kind=judged.kind[judged.test],
            both=unseen.paid.both,
            p=p[judged.test],
            momentum=unseen.momentum,
            shares=np.bincount(judged.taught, minlength=3) / len(judged.taught),
            edge_threshold=chosen.edge,
            momentum_threshold=chosen.momentum,
            traded_share=chosen.share,
            seed=judged.seed,
        )
    )


def binary(judged: Judged, p: Floats, rival: str, rivals: Floats) -> BinaryMetrics:
    """Measure a model of two classes on the test span, beside the chances of the simple forecast `rival`."""
    p, rivals, kind = p[judged.test], rivals[judged.test], judged.kind[judged.test]
    days = judged.panel.ts[judged.test] // DAY
    days = days - days.min()
    weights = bootstrap.day_weights(int(days.max()) + 1, judged.seed)
    share, high = float(judged.taught.mean()), kind == HIGH
    loss, base = log_loss(p, kind), log_loss(np.array([[1.0 - share, share]]), kind)
    return BinaryMetrics(
        share=float(high.mean()),
        accuracy=mean((p.argmax(axis=1) == kind).astype(np.float64), days, weights),
        accuracy_base=float(np.mean(kind == (HIGH if share > 0.5 else NORMAL))),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        log_loss_gain=mean(base - loss, days, weights),
        auc=area(p[:, HIGH], high, days, weights),
        rival=f"{rival} on the same rows",
        log_loss_rival=float(log_loss(rivals, kind).mean()),
        auc_rival=area(rivals[:, HIGH], high, days, weights),
        bootstrap=bootstrap.NAME,
    )


def outcomes(panel: Panel) -> Outcomes:
    """Give what each row would have led to."""
    paid = panel.paid
    return Outcomes(panel.instrument, panel.ts, paid.ts_end, paid.long_return, paid.short_return)
