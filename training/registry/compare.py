"""Two versions side by side: what they are, what they were made of, what their cards say they are worth.

Must not know which is in force. Called by training.registry.cli. Figures come from the cards alone, so
two cards of different spans are shown, but their figures are not to be set against each other.
"""

from pathlib import Path
from typing import NamedTuple

from inference import ensemble
from inference.card import BinaryMetrics, Card, Interval
from training.registry import shelf

Row = tuple[str, str, str]


class Compared(NamedTuple):
    """Rows (what, first, second); `comparable` is empty or says why figures cannot be compared."""

    rows: tuple[Row, ...]
    comparable: str


def compare(first: Path, second: Path) -> Compared:
    """Compare two models or ensembles; ModelError for one that does not prove."""
    cards = shelf.card_of(first), shelf.card_of(second)
    one, two = (
        _of_card(card) if card else _of_ensemble(folder)
        for card, folder in zip(cards, (first, second), strict=True)
    )
    told = dict.fromkeys([*one, *two])
    rows = tuple((what, one.get(what, "-"), two.get(what, "-")) for what in told)
    return Compared(rows, _reason(*cards))


def _reason(first: Card | None, second: Card | None) -> str:
    if first is None or second is None:
        return "an ensemble's card carries no figures: compare backtests of both (trader backtest run)"
    differing = [
        what
        for what, one, other in (
            ("kind", first.kind, second.kind),
            ("label", first.label, second.label),
            ("data", first.data.sha256, second.data.sha256),
            ("test span", first.split.test_start, second.split.test_start),
            ("test rows", first.split.test_rows, second.split.test_rows),
        )
        if one != other
    ]
    return f"different {', '.join(differing)}" if differing else ""


def _of_card(card: Card) -> dict[str, str]:
    metrics, split = card.metrics, card.split
    found = {
        "version": card.version,
        "hash": card.model_hash[: shelf.DIGITS],
        "kind": card.kind.value,
        "features": f"{card.features.name} {card.features.hash[:8]}",
        "label": f"{card.label.decision}, {card.label.horizon_bars} bars, {card.label.barrier_atr:g} ATR",
        "data": f"{card.data.venue} {card.data.timeframe} {card.data.sha256[:8]}",
        "test span": f"{split.test_start[:10]} to {split.test_end[:10]}, {split.test_rows} rows",
        "trials": str(card.trials),
        "log loss": f"{metrics.log_loss:.5f}",
        "log loss of the base rate": f"{metrics.log_loss_base:.5f}",
        "log-loss gain": _shown(metrics.log_loss_gain, 5),
        "AUC": _shown(metrics.auc, 4),
    }
    if not isinstance(metrics, BinaryMetrics):
        found["trades"] = str(metrics.trades)
        found |= {f"bps a trade, {one.schedule}": _shown(one.model, 1) for one in metrics.expectancy}
    return found


def _of_ensemble(folder: Path) -> dict[str, str]:
    card = ensemble.load(folder).card
    label = card.label
    found = {
        "version": card.version,
        "hash": card.model_hash[: shelf.DIGITS],
        "kind": "ensemble",
        "label": f"{label.decision}, {label.horizon_bars} bars, {label.barrier_atr:g} ATR",
    }
    return found | {f"{one.role.value} {one.name}": one.model_hash[: shelf.DIGITS] for one in card.members}


def _shown(figure: Interval, decimals: int) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{decimals}f}"
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"
