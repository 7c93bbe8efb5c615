"""What one model of the mission is: its question, its makers, how time is cut, and what a card must tell.

Must not know rows or how anything is fitted. Filled by training.plan and training.measure, carried out by
training.members.recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import UsageError
from core.market import Timeframe
from inference.card import Kind
from training.labels import BarrierTerms
from training.members.member import Maker
from training.targets.target import Target

KINDS = (Kind.ENTRY, Kind.REGIME, Kind.VOLUME)


@dataclass(frozen=True)
class Order:
    """One model. Times in ns UTC; the panel that comes with it is of the same specification and source.

    `target` is asked, `heads` are further targets by head, for networks that have them. `terms` are the
    barriers of the panel's `paid`. `baselines` are fitted on the same rows; the first is the card's rival.
    Rows from `vault_start` on are not looked at. `folds` fits answer the rows before the test out of
    fold. More than `max_rows` training rows are thinned evenly. More than `max_answers` decisions before the
    test are thinned to every third instant, ninth, and so on: for all instruments alike, so that what a
    slower model keeps, a quicker one of the same timeframe keeps too, and one later each day, so that every
    time of the day is seen.
    """

    name: str
    kind: Kind
    target: Target
    maker: Maker
    baselines: tuple[Maker, ...]
    terms: BarrierTerms
    venue: str
    source: Timeframe
    test_start: int
    test_end: int | None = None
    vault_start: int | None = None
    folds: int = 3
    seed: int = 1
    max_rows: int = 100_000
    max_answers: int = 400_000
    trials: int = 1
    version: str = "1"
    command: str = ""
    rule: str = ""
    """The label in one sentence, for kinds other than entry; by default the target's name and span."""
    heads: Mapping[str, Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"{self.name}: expected a kind of {', '.join(KINDS)}; found {self.kind}")
        if len(self.target.classes) not in (2, 3):
            raise UsageError(
                f"{self.name}: expected a target of two or three classes; "
                f"found {len(self.target.classes)} of {self.target.name}"
            )
        if (self.kind is Kind.ENTRY) is not (len(self.target.classes) == 3):
            raise UsageError(
                f"{self.name}: expected {'three' if self.kind is Kind.ENTRY else 'two'} classes of kind "
                f"{self.kind}; found {len(self.target.classes)} of {self.target.name}"
            )
        if self.kind is not Kind.ENTRY and not self.baselines:
            raise UsageError(f"{self.name}: expected a baseline, the card's rival; found none")
        names = [maker.name for maker in (self.maker, *self.baselines)]
        if len(set(names)) < len(names):
            raise UsageError(f"{self.name}: expected makers of different names; found {', '.join(names)}")

    @property
    def horizon_ns(self) -> int:
        """The longest that any answer takes to be known: the embargo."""
        spans = (
            self.target.horizon_ns,
            self.terms.horizon_ns,
            *(one.horizon_ns for one in self.heads.values()),
        )
        return max(spans)
