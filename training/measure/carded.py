"""Models of which no answers were kept: what their own cards say of the test span.

Must not know how cards are made. Called by training.measure.report; shown by training.measure.page beside the
others, since a regime is asked once, of all pairs together, against a rival that its recipe names.
"""

from collections.abc import Collection
from pathlib import Path

import msgspec

from inference import artifact
from inference.card import BinaryMetrics, Interval


class Carded(msgspec.Struct, frozen=True, kw_only=True):
    """A model of two classes as its card has it; `share` is how often the second class came."""

    name: str
    kind: str
    decision: str
    venue: str
    pairs: int
    says: str
    rule: str
    start: str
    end: str
    rows: int
    trials: int
    share: float
    gain: Interval
    auc: Interval
    rival: str
    auc_rival: Interval
    log_loss: float
    log_loss_base: float
    log_loss_rival: float


def carded(shipped: Path | None, known: Collection[str]) -> tuple[Carded, ...]:
    """Read the cards of two classes in a folder of models, but for those that are known already."""
    if shipped is None:
        return ()
    found = []
    for folder in sorted(path.parent for path in shipped.glob("*/card.json")):
        card = artifact.load(folder).card
        metrics = card.metrics
        if card.name in known or not isinstance(metrics, BinaryMetrics):
            continue
        found.append(
            Carded(
                name=card.name,
                kind=card.kind.value,
                decision=card.label.decision,
                venue=card.data.venue,
                pairs=len(card.data.instruments),
                says=card.classes[1],
                rule=card.label.rule,
                start=card.split.test_start[:10],
                end=card.split.test_end[:10],
                rows=card.split.test_rows,
                trials=card.trials,
                share=metrics.share,
                gain=metrics.log_loss_gain,
                auc=metrics.auc,
                rival=metrics.rival,
                auc_rival=metrics.auc_rival,
                log_loss=metrics.log_loss,
                log_loss_base=metrics.log_loss_base,
                log_loss_rival=metrics.log_loss_rival,
            )
        )
    return tuple(found)
