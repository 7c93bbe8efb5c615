"""All figures of kept answers: tables, trades and comparisons, for one page.

Must not know Markdown or pictures. Called by training.measure.report. Models are those whose answers lie in
the folders; a shipped model has a hash, a study of another market has none.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from core.errors import DataError
from core.market import Timeframe
from inference.card import Interval
from trader.backtest.parallel import each
from training import bootstrap
from training.measure import tables, traded
from training.measure.carded import Carded, carded
from training.measure.figures import reliability
from training.measure.sharpe import Floats, sharpe_apart
from training.measure.tables import Compared, Multiplicity, Row
from training.measure.traded import Outcome, Traded
from training.members.catalogue import NETWORKS
from training.members.kept import TEST, Kept, load

NETWORK, TREES, LINEAR, NAIVE = "network", "trees", "logistic", "persistence"
FAMILIES = (NETWORK, TREES, LINEAR, NAIVE)
TREE_VOICES = ("lightgbm", "xgboost", "boosted")
LINEAR_VOICES = ("logistic",)
NAIVE_VOICES = ("persistence",)
OTHER = "other"
"""A model over other models' answers, or of open positions."""
ENDS = ("gross", "kraken")
"""The cheapest and the dearest schedule."""
FLOOR = 0.8
"""The Sharpe ratio that a trial was hoped to pass."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One kept model: what it was asked, of what, and how often its test span was looked at."""

    name: str
    own: str
    family: str
    kind: str
    target: str
    spec: str
    decision: str
    venue: str
    source: str
    instruments: tuple[str, ...]
    voices: tuple[str, ...]
    trials: int
    model_hash: str
    data_hash: str


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A reliability curve: (mean chance, share that came, rows) of each bin."""

    model: str
    voice: str
    points: list[tuple[float, float, int]]


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """Net Sharpe ratio of a model less that of another one, over the days that both traded."""

    first: str
    second: str
    schedule: str
    days: int
    sharpe: Interval


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the page."""

    models: tuple[Model, ...]
    rows: tuple[Row, ...]
    traded: tuple[Traded, ...]
    compared: tuple[Compared, ...]
    against_hour: tuple[Against, ...]
    curves: tuple[Curve, ...]
    multiplicity: Multiplicity
    bootstrap: str
    not_measured: tuple[str, ...]
    cards: tuple[Carded, ...] = ()
    """Models without kept answers, as their cards have them."""


class Options(NamedTuple):
    """How to measure: where bars and the desk lie, how many processes, which seed."""

    lake: Path
    desk: Path
    workers: int = 1
    seed: int = 1
    runs: Path | None = None
    """Where runs are kept and found again; None = nowhere."""
    shipped: Path | None = None
    """The folder of models whose cards are told where no answers were kept."""
    quick: bool = False
    """Trade baselines without fees and at Kraken's base tier alone."""


def read(folders: Sequence[Path], models: Sequence[str] = ()) -> list[Kept]:
    """Read all kept answers of the folders, by name; DataError where there are none or two of one name."""
    found: dict[str, Kept] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.npz")):
            kept = load(file)
            if kept.subject.name in found:
                raise DataError(f"{file}: expected one model of each name; found {kept.subject.name} again")
            found[kept.subject.name] = kept
    if absent := [name for name in models if name not in found]:
        raise DataError(f"expected kept answers of {', '.join(absent)}; found {', '.join(found) or 'none'}")
    chosen = [kept for name, kept in found.items() if not models or name in models]
    if not chosen:
        raise DataError(f"expected kept answers (*.npz) in {', '.join(map(str, folders))}; found none")
    return sorted(chosen, key=_order)


def figures(
    kepts: Sequence[Kept],
    options: Options,
    *,
    not_measured: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
) -> Figures:
    """Measure and trade every voice; `on_done` is told how many backtests are done, of how many."""
    jobs = [_job(kept, voice, options) for kept in kepts if traded.trades_of(kept) for voice in kept.voices]
    done = [0]

    def count(_: traded.Job) -> None:
        done[0] += 1
        if on_done is not None:
            on_done(done[0], len(jobs))

    outcomes = each(traded.work, jobs, workers=options.workers, on_done=count)
    rows = [row for kept in kepts for row in tables.measured(kept, seed=options.seed)]
    return Figures(
        models=tuple(map(model, kepts)),
        rows=tuple(rows),
        traded=tuple(one.traded for one in outcomes),
        compared=tuple(
            tables.compared(kept, kept.subject.model, voice, seed=options.seed)
            for kept in kepts
            for voice in kept.voices
            if voice != kept.subject.model
        )
        + tuple(_beside_trees(kepts, options.seed)),
        against_hour=tuple(_against_hour(kepts, outcomes, options.seed)),
        curves=tuple(_curves(kepts)),
        multiplicity=tables.multiplicity(rows),
        bootstrap=bootstrap.NAME,
        not_measured=tuple(not_measured),
        cards=carded(options.shipped, {kept.subject.name for kept in kepts}),
    )


def _job(kept: Kept, voice: str, options: Options) -> traded.Job:
    whole = traded.job(kept, voice, options.lake, options.desk, seed=options.seed, runs=options.runs)
    return whole._replace(schedules=ENDS) if options.quick and voice != kept.subject.model else whole


def model(kept: Kept) -> Model:
    """Say what a kept model is."""
    subject = kept.subject
    return Model(
        name=subject.name,
        own=subject.model,
        family=family(kept, subject.model),
        kind=subject.kind,
        target=subject.target,
        spec=subject.spec,
        decision=subject.decision,
        venue=subject.venue,
        source=subject.source,
        instruments=subject.instruments,
        voices=tuple(sorted(kept.voices)),
        trials=subject.trials,
        model_hash=subject.model_hash,
        data_hash=subject.data_hash,
    )


def family(kept: Kept, voice: str) -> str:
    """Give the family of a voice: network, trees, logistic, persistence, or other."""
    known = ((TREES, TREE_VOICES), (LINEAR, LINEAR_VOICES), (NAIVE, NAIVE_VOICES))
    for name, voices in known:
        if voice in voices:
            return name
    stacked = voice.startswith(("stack", "blend"))
    if voice != kept.subject.model or stacked or kept.subject.kind in ("meta", "manager"):
        return OTHER
    return NETWORK if voice in NETWORKS else TREES


def _beside_trees(kepts: Sequence[Kept], seed: int) -> Iterator[Compared]:
    """Hold every network against the shipped trees that decide at the same closes of the same market."""
    for kept in kepts:
        if family(kept, kept.subject.model) != NETWORK or kept.subject.kind != "entry":
            continue
        for other in kepts:
            same = _market(kept) == _market(other) and other.subject.model_hash
            if same and family(other, other.subject.model) == TREES:
                found = tables.against(kept, other, seed=seed)
                if found is not None:
                    yield found


def _market(kept: Kept) -> tuple[str, ...]:
    subject = kept.subject
    return subject.venue, subject.decision, subject.target, *subject.classes


def _against_hour(kepts: Sequence[Kept], outcomes: Sequence[Outcome], seed: int) -> list[Against]:
    """Hold every shipped model's own voice against the hourly trees, at no fee and at Kraken's."""
    own = {
        one.traded.model: one
        for one in outcomes
        for kept in kepts
        if one.traded.model == kept.subject.name and one.traded.voice == kept.subject.model and one.returns
    }
    hour = next((name for name in ("entry-1h", "net-1h") if name in own), None)
    if hour is None:
        return []
    found = []
    venue = own[hour].traded.venue
    for name, one in own.items():
        if name == hour or one.traded.venue != venue:
            continue
        for schedule in ENDS:
            if schedule in one.returns and schedule in own[hour].returns:
                a, b = _shared(one, own[hour], schedule)
                if len(a) >= bootstrap.LEAST_DAYS:
                    drawn = bootstrap.day_weights(len(a), seed)
                    found.append(
                        Against(
                            first=name,
                            second=hour,
                            schedule=schedule,
                            days=len(a),
                            sharpe=sharpe_apart(a, b, drawn),
                        )
                    )
    return found


def _shared(one: Outcome, other: Outcome, schedule: str) -> tuple[Floats, Floats]:
    first = max(one.first, other.first)
    a, b = one.returns[schedule][first - one.first :], other.returns[schedule][first - other.first :]
    days = min(len(a), len(b))
    return a[:days], b[:days]


def _curves(kepts: Sequence[Kept]) -> list[Curve]:
    found = []
    for kept in kepts:
        voice = kept.subject.model
        rows = kept.only(
            np.flatnonzero((kept.fold == TEST) & (kept.kind >= 0) & np.isfinite(kept.p).all(axis=1))
        )
        if len(rows) >= tables.FEWEST_ROWS:
            found.append(
                Curve(
                    model=kept.subject.name,
                    voice=voice,
                    points=reliability(rows.p.astype(np.float64), rows.kind),
                )
            )
    return found


def _is_study(kept: Kept) -> bool:
    return not kept.subject.model_hash and family(kept, kept.subject.model) != OTHER


def _order(kept: Kept) -> tuple[object, ...]:
    subject = kept.subject
    return (_is_study(kept), subject.venue, Timeframe(subject.decision).ns, subject.name)
