"""The same orders on other markets: fitted on the earlier part, tested on the later one, nothing shipped.

Must not know how models learn or how answers are judged. Called by training.measure.cli; the answers that it
keeps are read by training.measure.report. Each study is a job of its own, so that it cannot depend on others.
"""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.clock import DAY
from core.errors import ConfigError, SeamarkError, UsageError
from core.market import Timeframe
from core.text import iso, parse_iso
from feeds.lake import BarArrays, Lake
from inference.card import Kind
from inference.features.spec import SPECS, FeatureSpec
from trader.backtest.parallel import each
from training.alignment import look_back_ns
from training.labels import BarrierTerms
from training.measure.report import LEFT
from training.vault import bars as vault

NONE = "none"


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market at one decision timeframe. Days are ISO dates.

    `start` is the first bar to use (empty = the first there is), `vault_start` what is shut away (empty = the
    newest three months of these series). `network` "none" leaves trees as the model. `every`: only each n-th
    decision before the test span is learned from.
    """

    name: str
    title: str = ""
    venue: str
    source: Timeframe
    spec: str
    instruments: tuple[str, ...] = ()
    start: str = ""
    test_start: str
    vault_start: str = ""
    network: str = "hybrid"
    hyper: dict[str, Any] = msgspec.field(default_factory=dict)
    fit: dict[str, Any] = msgspec.field(default_factory=dict)
    target: str = "barrier"
    barrier_atr: float = 3.0
    horizon_bars: int = 24
    folds: int = 2
    max_rows: int = 12_000
    seed: int = 1

    def __post_init__(self) -> None:
        if self.spec not in SPECS:
            raise UsageError(f"study {self.name}: expected a spec of {', '.join(SPECS)}; found {self.spec!r}")

    def __str__(self) -> str:
        return self.name


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The studies of a file, and sentences about what is left out on purpose."""

    study: tuple[Study, ...]
    left_out: tuple[str, ...] = ()


class Task(NamedTuple):
    """A study, and where things lie."""

    study: Study
    lake: Path
    work: Path

    def __str__(self) -> str:
        return self.study.name


def read(path: Path) -> Grid:
    """Read a grid's TOML; ConfigError in one line for what it does not know."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Grid)
    except OSError as missing:
        raise ConfigError(f"{path}: expected a grid of studies; found: {missing.strerror}") from missing
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise ConfigError(f"{path}: {wrong}") from wrong


def work_off(
    grid: Grid,
    lake: Path,
    work: Path,
    *,
    workers: int,
    only: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[str, ...]:
    """Work the studies off into `work`; give, and write, a line for all that could not be measured.

    A study that its market cannot serve is such a line, not an error. UsageError for an unknown name.
    """
    known = [study.name for study in grid.study]
    if strange := [name for name in only if name not in known]:
        raise UsageError(f"study: expected one of {', '.join(known)}; found {strange[0]!r}")
    tasks = [Task(study, lake, work) for study in grid.study if not only or study.name in only]
    done = [0]

    def count(_: Task) -> None:
        done[0] += 1
        if on_done is not None:
            on_done(done[0], len(tasks))

    work.mkdir(parents=True, exist_ok=True)
    refused = each(craft, tasks, workers=workers, on_done=count)
    lines = (*(line for line in refused if line), *grid.left_out)
    (work / LEFT).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return lines


def craft(task: Task) -> str:
    """Keep the answers of one study; give what stood in the way, empty if nothing did."""
    study = task.study
    try:
        _crafted(task)
    except SeamarkError as refusal:
        return f"{study.name} ({study.title or study.spec}): {' '.join(str(refusal).split())}"
    return ""


def shut_from(study: Study, lake: Path) -> int:
    """Give the instant (ns) from which the study's bars are shut away."""
    if study.vault_start:
        return _day(study.vault_start, study)
    series = vault.series_of(lake, study.venue, study.source, study.instruments)
    return vault.shut(lake, series).start


def bars_of(study: Study, lake: Path) -> list[BarArrays]:
    """Read the bars of a study up to its vault; those that end before the test span are left out."""
    end = shut_from(study, lake)
    test_start = _day(study.test_start, study)
    warm = look_back_ns(SPECS[study.spec]) + DAY
    start = max(0, _day(study.start, study) - warm) if study.start else None
    found = []
    for one in vault.series_of(lake, study.venue, study.source, study.instruments):
        bars = Lake(lake).read(*one, start=start, end=end)
        if len(bars) and bars.ts_open[0] + warm < test_start < bars.ts_open[-1]:
            found.append(bars)
    if not found or test_start >= end:
        raise UsageError(
            f"expected bars on both sides of {iso(test_start)[:10]} before the vault at {iso(end)[:10]}; "
            "found none"
        )
    return found


def _crafted(task: Task) -> None:
    from training.members.boosted import BoostedMaker  # noqa: PLC0415  # the training stack is heavy
    from training.members.logistic import LogisticMaker  # noqa: PLC0415
    from training.members.member import Maker, silent  # noqa: PLC0415
    from training.members.persistence import PersistenceMaker  # noqa: PLC0415
    from training.members.recipe import Order, craft  # noqa: PLC0415
    from training.panel.build import build  # noqa: PLC0415
    from training.targets.catalogue import target  # noqa: PLC0415

    study = task.study
    spec: FeatureSpec = SPECS[study.spec]
    terms = BarrierTerms(spec.decision, study.barrier_atr, study.horizon_bars)
    asked = target(study.target, spec.decision, terms)
    panel = build(bars_of(study, task.lake), spec, [asked], terms)
    baselines: tuple[Maker, ...] = (PersistenceMaker(), LogisticMaker(), BoostedMaker())
    maker: Maker = baselines[-1]
    if study.network == NONE:
        baselines = baselines[:-1]
    else:
        maker = _network(study)
    order = Order(
        name=study.name,
        kind=Kind.ENTRY,
        target=asked,
        maker=maker,
        baselines=baselines,
        terms=terms,
        venue=study.venue,
        source=study.source,
        test_start=_day(study.test_start, study),
        vault_start=shut_from(study, task.lake),
        folds=study.folds,
        seed=study.seed,
        max_rows=study.max_rows,
    )
    craft(order, panel, None, task.work, silent)


def _network(study: Study) -> Any:
    from training.fit.terms import FitTerms  # noqa: PLC0415  # torch is heavy
    from training.members.network import NetworkMaker  # noqa: PLC0415
    from training.networks.hyper import Hyper  # noqa: PLC0415

    try:
        hyper, fit = msgspec.convert(study.hyper, Hyper), msgspec.convert(study.fit, FitTerms)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"study {study.name}: {wrong}") from wrong
    return NetworkMaker(study.network, hyper, fit)


def _day(text: str, study: Study) -> int:
    try:
        return parse_iso(text)
    except ValueError as wrong:
        raise UsageError(f"study {study.name}: expected a date like 2024-05-01; found {text!r}") from wrong
