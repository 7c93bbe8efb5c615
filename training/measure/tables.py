"""The tables of one model: every voice on the same rows, over all instruments, by instrument, by fold.

Must not know money or pages. Called by training.measure.report and by tests. Rows of the test span are told
by instrument; folds of the walk-forward before it over all instruments, one after the other.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from core.text import iso
from inference.card import Interval
from training import bootstrap
from training.measure.figures import (
    Days,
    Flags,
    Floats,
    Ints,
    Said,
    Scores,
    apart,
    area_sums,
    days,
    gain_sums,
    scores,
)
from training.members.kept import TEST, Kept

ALL = "all"
TESTED = "test"
FEWEST_ROWS = 50
"""An instrument or fold with fewer rows is not told: nothing could be said of it."""
ONE_SIDED = 0.025
"""How often a row without skill has a 95 % interval that lies above chance."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One voice on some rows. `span` is `test` or `fold N`, `instrument` a symbol or `all`."""

    model: str
    kind: str
    target: str
    decision: str
    venue: str
    source: str
    classes: tuple[str, ...]
    voice: str
    instrument: str
    span: str
    start: str
    end: str
    scores: Scores


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Voice `first` less voice `second` on the same rows: areas under the curve and gains in nats."""

    model: str
    first: str
    second: str
    rows: int
    auc: Interval
    gain: Interval


class Multiplicity(msgspec.Struct, frozen=True, kw_only=True):
    """How many of so many rows look better than chance, and how many would without any skill.

    `above` have an AUC whose interval lies above 0.5, `below` one that lies below; `by_chance` is what
    either count would be on average if none had skill and the intervals were right.
    """

    rows: int
    above: int
    below: int
    by_chance: float


def measured(kept: Kept, *, seed: int = 1) -> tuple[Row, ...]:
    """Measure every voice of a model: the test span over all and by instrument, and fold by fold."""
    return tuple(_rows(kept, seed))


def compared(kept: Kept, first: str, second: str, *, seed: int = 1) -> Compared:
    """Compare two voices on the rows of the test span of which both speak."""
    both = kept.only((kept.fold == TEST) & _spoke(kept, first) & _spoke(kept, second) & (kept.kind >= 0))
    none = Interval(None, None, None)
    if not len(both):
        return Compared(model=kept.subject.name, first=first, second=second, rows=0, auc=none, gain=none)
    drawn, base = days(both.ts, seed), before(kept)
    one, other = (said(both, voice, base) for voice in (first, second))
    auc = apart(area_sums(one, drawn), area_sums(other, drawn), bootstrap.binned_auc, drawn.weights)
    gain = apart(gain_sums(one, drawn), gain_sums(other, drawn), bootstrap.ratio, drawn.weights)
    return Compared(model=kept.subject.name, first=first, second=second, rows=len(both), auc=auc, gain=gain)


def common(one: Kept, voice: str, other: Kept, rival: str) -> tuple[Ints, Ints]:
    """Give the positions in each of the rows of the test span that both speak of, in one order."""
    keys = []
    names = sorted({*one.subject.instruments, *other.subject.instruments})
    for kept, name in ((one, voice), (other, rival)):
        usable = (kept.fold == TEST) & (kept.kind >= 0) & np.isfinite(kept.voices[name]).all(axis=1)
        rows = np.flatnonzero(usable)
        code = np.array([names.index(i) for i in kept.subject.instruments])[kept.instrument[rows]]
        pairs = np.empty(len(rows), dtype=[("ts", np.int64), ("instrument", np.int64)])
        pairs["ts"], pairs["instrument"] = kept.ts[rows], code
        keys.append((rows, pairs))
    _, first, second = np.intersect1d(keys[0][1], keys[1][1], assume_unique=True, return_indices=True)
    return keys[0][0][first], keys[1][0][second]


def against(one: Kept, other: Kept, *, seed: int = 1) -> Compared | None:
    """Compare two models' own voices on the rows that both have, None where they were asked other things."""
    at, there = common(one, one.subject.model, other, other.subject.model)
    mine, theirs = one.only(at), other.only(there)
    if len(mine) < FEWEST_ROWS or not np.array_equal(mine.kind, theirs.kind):
        return None
    drawn, base = days(mine.ts, seed), before(one)
    a, b = said(mine, one.subject.model, base), said(theirs, other.subject.model, base)
    return Compared(
        model=one.subject.name,
        first=one.subject.model,
        second=other.subject.name,
        rows=len(mine),
        auc=apart(area_sums(a, drawn), area_sums(b, drawn), bootstrap.binned_auc, drawn.weights),
        gain=apart(gain_sums(a, drawn), gain_sums(b, drawn), bootstrap.ratio, drawn.weights),
    )


def said(kept: Kept, voice: str, base: Floats) -> Said:
    """Give what a voice said of rows, as figures are made from it."""
    classes = kept.subject.classes
    sides = [classes.index(side) if {"down", "up"} <= set(classes) else None for side in ("down", "up")]
    return Said(
        ts=kept.ts,
        kind=kept.kind,
        p=kept.voices[voice].astype(np.float64),
        moved=kept.long_return,
        base=base,
        down=sides[0],
        up=sides[1],
    )


def before(kept: Kept) -> Floats:
    """Give the classes' shares [K] in the folds before the test span; those of the rows where none is."""
    early = kept.kind[(kept.fold != TEST) & (kept.kind >= 0)]
    rows = early if len(early) else kept.kind[kept.kind >= 0]
    return np.asarray(np.bincount(rows, minlength=len(kept.subject.classes)) / len(rows), np.float64)


def multiplicity(rows: Sequence[Row]) -> Multiplicity:
    """Count the rows by instrument of the test span that look better than chance."""
    told = [row.scores.auc for row in rows if row.span == TESTED and row.instrument != ALL]
    known = [(one.low, one.high) for one in told if one.low is not None and one.high is not None]
    return Multiplicity(
        rows=len(known),
        above=sum(low > 0.5 for low, _ in known),
        below=sum(high < 0.5 for _, high in known),
        by_chance=ONE_SIDED * len(known),
    )


def _rows(kept: Kept, seed: int) -> Iterator[Row]:
    base = before(kept)
    for voice in sorted(kept.voices, key=lambda name: (name != kept.subject.model, name)):
        known = kept.only(_spoke(kept, voice) & (kept.kind >= 0))
        tested = known.only(known.fold == TEST)
        if len(tested) >= FEWEST_ROWS:
            drawn = days(tested.ts, seed)
            yield _row(tested, voice, base, drawn, instrument=ALL, span=TESTED)
            for number, instrument in enumerate(kept.subject.instruments):
                own = tested.only(tested.instrument == number)
                if len(own) >= FEWEST_ROWS:
                    yield _row(own, voice, base, drawn, instrument=instrument, span=TESTED)
        for fold in np.unique(known.fold[known.fold != TEST]).tolist():
            part = known.only(known.fold == fold)
            if len(part) >= FEWEST_ROWS:
                own_base = np.bincount(part.kind, minlength=len(base)) / len(part)
                yield _row(part, voice, own_base, days(part.ts, seed), instrument=ALL, span=f"fold {fold}")


def _row(kept: Kept, voice: str, base: Floats, drawn: Days, *, instrument: str, span: str) -> Row:
    subject = kept.subject
    return Row(
        model=subject.name,
        kind=subject.kind,
        target=subject.target,
        decision=subject.decision,
        venue=subject.venue,
        source=subject.source,
        classes=subject.classes,
        voice=voice,
        instrument=instrument,
        span=span,
        start=iso(int(kept.ts.min()))[:10],
        end=iso(int(kept.ts.max()))[:10],
        scores=scores(said(kept, voice, base), drawn),
    )


def _spoke(kept: Kept, voice: str) -> Flags:
    return np.asarray(np.isfinite(kept.voices[voice]).all(axis=1), np.bool_)
