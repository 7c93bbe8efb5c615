"""Two models side by side, and the difference on the rows that both have, with its interval.

Must not know the command line. Called by training.measure.cli. Artifacts are compared by their cards; kept
answers row by row, since only the same rows of the same days tell which of two is better.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from core.errors import DataError, UsageError
from inference import artifact
from inference.card import Card, Interval, Metrics
from training import bootstrap
from training.measure.figures import Scores, apart, area_sums, days, gain_sums, scores
from training.measure.tables import before, common, said
from training.measure.verdicts import shown
from training.members.kept import Kept, load

SUFFIX = ".npz"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: where it was found, and its figures by name."""

    name: str
    figures: dict[str, str]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, and the first less the second on `rows` common rows (0: cards alone were there)."""

    first: Side
    second: Side
    rows: int
    auc: Interval
    gain: Interval
    sentence: str

    def json(self) -> str:
        """Give one line of JSON."""
        return msgspec.json.encode(self).decode() + "\n"

    def text(self) -> str:
        """Give lines for a terminal."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        names = list(dict.fromkeys([*self.first.figures, *self.second.figures]))
        wide = max(map(len, names))
        left = max(len(self.first.name), *(len(text) for text in self.first.figures.values()))
        yield f"{'':{wide}}  {self.first.name:{left}}  {self.second.name}"
        for name in names:
            one, other = (side.figures.get(name, "-") for side in (self.first, self.second))
            yield f"{name:{wide}}  {one:{left}}  {other}"
        yield self.sentence


def side_by_side(first: str, second: str, *, seed: int = 1) -> Compared:
    """Compare two artifact folders by their cards, or two kept answers on the rows that both have.

    DataError where two kept answers share no row, UsageError for one of each sort.
    """
    kept = [SUFFIX in name for name in (first, second)]
    if all(kept):
        return of_kept(*_voiced(first), *_voiced(second), seed=seed)
    if any(kept):
        raise UsageError("compare: expected two artifact folders or two .npz files; found one of each")
    return of_cards(artifact.load(first).card, artifact.load(second).card)


def of_kept(one: Kept, voice: str, other: Kept, rival: str, *, seed: int) -> Compared:
    """Compare two voices on the instants and instruments of the test span that both speak of."""
    at, there = common(one, voice, other, rival)
    mine, theirs = one.only(at), other.only(there)
    names = [f"{kept.subject.name}:{v}" for kept, v in ((one, voice), (other, rival))]
    if not len(mine):
        raise DataError(f"compare: expected rows that {names[0]} and {names[1]} share; found none")
    drawn = days(mine.ts, seed)
    same = one.subject.classes == other.subject.classes and bool(np.array_equal(mine.kind, theirs.kind))
    base = before(one)  # one for both, so that the difference of gains is that of losses
    a, b = said(mine, voice, base), said(theirs, rival, base if same else before(other))
    auc = apart(area_sums(a, drawn), area_sums(b, drawn), bootstrap.binned_auc, drawn.weights)
    gain = apart(gain_sums(a, drawn), gain_sums(b, drawn), bootstrap.ratio, drawn.weights)
    return Compared(
        first=Side(name=names[0], figures=_figures(scores(a, drawn))),
        second=Side(name=names[1], figures=_figures(scores(b, drawn))),
        rows=len(mine),
        auc=auc,
        gain=gain,
        sentence=_sentence(gain, auc, len(mine), same=same),
    )


def of_cards(one: Card, other: Card) -> Compared:
    """Put two cards side by side: their test spans may differ, so nothing is subtracted."""
    none = Interval(None, None, None)
    spans = [(card.split.test_start, card.split.test_end) for card in (one, other)]
    same = "the same test span" if spans[0] == spans[1] else "different test spans"
    return Compared(
        first=Side(name=f"{one.name} {one.model_hash[:12]}", figures=_card(one)),
        second=Side(name=f"{other.name} {other.model_hash[:12]}", figures=_card(other)),
        rows=0,
        auc=none,
        gain=none,
        sentence=f"Cards of {same}: a paired difference needs kept answers (FILE.npz) of both.",
    )


def _voiced(text: str) -> tuple[Kept, str]:
    path, _, voice = text.partition(f"{SUFFIX}:")
    kept = load(Path(path if path.endswith(SUFFIX) else path + SUFFIX))
    voice = voice or kept.subject.model
    if voice not in kept.voices:
        raise UsageError(f"{text}: expected a voice of {', '.join(sorted(kept.voices))}; found {voice!r}")
    return kept, voice


def _figures(found: Scores) -> dict[str, str]:
    return {
        "rows": f"{found.rows:,}",
        "log loss": f"{found.log_loss:.5f}",
        "base rate's": f"{found.log_loss_base:.5f}",
        "gain": shown(found.gain, 5),
        "AUC": shown(found.auc, 4),
        "IC": shown(found.ic, 4),
        "macro F1": shown(found.macro_f1, 4),
        "ECE": f"{found.ece:.4f}",
    }


def _card(card: Card) -> dict[str, str]:
    told = {
        "kind": card.kind.value,
        "decides at": card.label.decision,
        "test span": f"{card.split.test_start[:10]} to {card.split.test_end[:10]}",
        "test rows": f"{card.split.test_rows:,}",
        "trials": f"{card.trials}",
        "log-loss gain": shown(card.metrics.log_loss_gain, 5),
        "AUC": shown(card.metrics.auc, 4),
        "accuracy": shown(card.metrics.accuracy, 4),
    }
    if isinstance(card.metrics, Metrics):
        for row in card.metrics.expectancy:
            told[f"bps a trade, {row.schedule}"] = shown(row.model, 1)
    return told


def _sentence(gain: Interval, auc: Interval, rows: int, *, same: bool) -> str:
    by = f"gain {shown(gain, 5)} nats, AUC {shown(auc, 4)}, on the same {rows:,} rows"
    if not same:
        return f"They are asked different things, so neither is better: {by}."
    if gain.low is not None and gain.low > 0:
        return f"The first is better: {by}."
    if gain.high is not None and gain.high < 0:
        return f"The second is better: {by}."
    return f"They cannot be told apart: {by}."
