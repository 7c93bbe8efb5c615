"""What each maker's models say of looks that they have not seen: of the folds, and of the test span.

Must not know entries, money or files. Called by training.manager.recipe. A position's looks never stand on
both sides of a cut: the embargo is as long as a position may last and its label takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import DataError
from core.text import iso
from inference import calibrate as calibrated
from inference.card import CLASSES_OF, Calibration, Kind
from training import calibrate
from training.manager.rows import CONTINUE, REVERSE, TARGET_NAME, InTrade
from training.members.kept import TEST
from training.members.member import Fitted, Lesson, Maker, Say
from training.members.out_of_fold import cuts_of, folds, thinned
from training.panel.panel import UNKNOWN, Floats, Ints
from training.splits import Spans

CLASSES = len(CLASSES_OF[Kind.MANAGER])
NOBODY = -1
"""The fold of a look that nobody answered."""


class Cutting(msgspec.Struct, frozen=True):
    """How time is cut: `folds` equal ones before `test_start`; times in ns."""

    test_start: int
    folds: int
    embargo: int
    max_rows: int
    seed: int


@dataclass(frozen=True, eq=False)
class Heard:
    """One maker's answers p [looks, 2], not calibrated, NaN where nobody answered; its fold [looks].

    `final` learned on everything before the test span; `calibration` rests on the folds before it.
    """

    name: str
    p: Floats
    fold: npt.NDArray[np.int8]
    final: Fitted
    calibration: Calibration

    @property
    def chances(self) -> Floats:
        """Give calibrated chances [looks, 2]."""
        found = np.full_like(self.p, np.nan)
        known = self.fold != NOBODY
        found[known] = calibrated.apply(self.calibration, self.p[known])
        return found


def lesson_of(looks: InTrade) -> tuple[Lesson, Ints]:
    """Give the looks whose label is known, and where they are."""
    kind = looks.panel.followed[TARGET_NAME].kind
    known = np.flatnonzero(kind != UNKNOWN)
    return Lesson(looks.panel.only(known), kind[known], looks.panel.weight[known]), known


def spans_of(looks: InTrade, cutting: Cutting) -> list[Spans]:
    """Give the spans of the labelled looks for each fold, the test span last."""
    lesson, _ = lesson_of(looks)
    ts, ts_end = lesson.panel.ts, lesson.panel.followed[TARGET_NAME].ts_end
    return list(folds(ts, ts_end, _stops(looks, cutting), embargo=cutting.embargo))


def hear(makers: Sequence[Maker], looks: InTrade, cutting: Cutting, say: Say) -> list[Heard]:
    """Fit every maker on every fold and ask it about all looks up to the next one."""
    lesson, known = lesson_of(looks)
    spans = spans_of(looks, cutting)
    return [_heard(maker, looks, lesson, known, spans, cutting, say) for maker in makers]


def _heard(
    maker: Maker, looks: InTrade, lesson: Lesson, known: Ints, spans: list[Spans], cutting: Cutting, say: Say
) -> Heard:
    p = np.full((len(looks), CLASSES), np.nan)
    fold = np.full(len(looks), NOBODY, np.int8)
    stops = _stops(looks, cutting)
    fitted: list[Fitted] = []
    for number, (span, start, end) in enumerate(zip(spans, stops, [*stops[1:], None], strict=True), 1):
        last = number == len(spans)
        say(f"{maker.name}: fit {number} of {len(spans)}")
        learner = maker.again(fitted) if last else maker
        model = learner.fit(
            lesson.only(thinned(span.train if last else span.early, cutting.max_rows)),
            lesson.only(thinned(span.validation, cutting.max_rows)),
            classes=CLASSES,
            seed=cutting.seed,
        )
        asked = looks.panel.ts >= start
        if end is not None:
            asked &= looks.panel.ts < end
        p[asked] = model.chances(looks.panel.only(asked))
        fold[asked] = TEST if last else number
        fitted.append(model)
    early = known[fold[known] > TEST]
    kind = looks.panel.followed[TARGET_NAME].kind[early]
    return Heard(maker.name, p, fold, fitted[-1], calibrate.fit(p[early], kind, CONTINUE))


def _stops(looks: InTrade, cutting: Cutting) -> tuple[int, ...]:
    start = int(looks.panel.ts.min())
    stops = (*cuts_of(start, cutting.test_start, cutting.folds), cutting.test_start)
    if list(stops) != sorted(set(stops)) or start >= stops[0]:
        raise DataError(
            f"manager: expected open positions over more days than {cutting.folds} folds need before the "
            f"test span at {iso(cutting.test_start)}; found them from {iso(start)}"
        )
    return stops


def judged(looks: InTrade, heard: Sequence[Heard]) -> Ints:
    """Give the looks that everybody answered and whose label is known."""
    _, known = lesson_of(looks)
    return known[np.all([one.fold[known] != NOBODY for one in heard], axis=0)]


assert (REVERSE, CONTINUE) == (0, 1)  # the columns of p, as the card orders them
