"""From bars to a panel: features as the daemon folds them, and beside them what followed.

Must not know models or how time is cut. Called by the recipes of training.members, training.synthetic and
the guards. An instrument is a job of its own, so the same bars give the same bytes however many processes
work; what was made once is found again by its content, and then nothing is folded.
"""

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DataError, UsageError
from feeds.lake import BarArrays
from inference.features.fold import Folded
from inference.features.spec import FLAT, FeatureSpec
from trader.backtest.parallel import each
from training import columns
from training.dataset import fingerprint, folded_of, momentum, others_of
from training.labels import UNKNOWN, BarrierTerms, label
from training.panel import store
from training.panel.panel import Followed, Ints, Matrix, Paid, Panel, Windows
from training.panel.store import Array
from training.targets.target import Target
from training.targets.weights import uniqueness

_CODE = ("training/panel", "training/targets", "inference/features")
_CODE_FILES = (
    "feeds/lake.py",
    "feeds/lake_rows.py",
    "training/columns.py",
    "training/dataset.py",
    "training/labels.py",
    "training/ranks.py",
    "training/volatility.py",
    "training/volume.py",
)
_LIBRARIES = ("numpy", "numba")
_SAMPLE = 20_000
_SHARED = ("ts", "close", "atr", "volatility", "momentum")
_PAID = ("paid.long_return", "paid.short_return", "paid.ts_end", "paid.both")
_FOLLOWED = ("kind", "value", "ts_end")


@dataclass(frozen=True)
class _Asked:
    """What a panel is made of, and how."""

    series: Sequence[BarArrays]
    spec: FeatureSpec
    targets: tuple[Target, ...]
    terms: BarrierTerms
    workers: int
    on_done: Callable[[str], None] | None


@dataclass(frozen=True)
class _Job:
    """One instrument: its bars, those of others that the specification looks at, and where parts go."""

    bars: BarArrays
    others: Mapping[str, BarArrays]
    spec: FeatureSpec
    targets: tuple[Target, ...]
    terms: BarrierTerms
    folder: Path


def build(
    series: Sequence[BarArrays],
    spec: FeatureSpec,
    targets: Sequence[Target],
    terms: BarrierTerms,
    *,
    cache: Path | None = None,
    workers: int = 1,
    on_done: Callable[[str], None] | None = None,
) -> Panel:
    """Fold the bars, an instrument each, and ask every target what followed each decision.

    A row is a decision whose features are all there, whether or not a target's answer is known. `paid` is
    of the barriers of `terms` (NaN where not known), and `weight` the uniqueness of those labels; of
    another target's, training.targets.weights.uniqueness with its `ts_end`.

    With `cache` the arrays lie in a folder of it, named by bars, specification, targets and code, and are
    mapped into memory read only; without it they are in memory. `on_done` is told of each instrument that
    was folded. DataError for bars that cannot serve, with the instrument's name; UsageError for two targets
    of one name and for terms of another timeframe than the specification decides at.
    """
    _require(spec, targets, terms)
    asked = _Asked(series, spec, tuple(targets), terms, workers, on_done)
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="seamark-panel-") as place:
            folder = Path(place) / "panel"
            return _opened(folder, _made(folder, "", asked), spec, targets, mapped=False)
    key = content(series, spec, targets, terms)
    with store.alone(cache, key) as folder:
        manifest = store.whole(folder, key) or _made(folder, key, asked)
        return _opened(folder, manifest, spec, targets, mapped=True)


def content(
    series: Sequence[BarArrays], spec: FeatureSpec, targets: Sequence[Target], terms: BarrierTerms
) -> str:
    """Give the SHA-256 of all that decides a panel: bars, specification, questions, code, libraries."""
    whole = hashlib.sha256(f"{fingerprint(series)} {spec.hash} {terms!r} {_code()}".encode())
    for bars in series:  # the fingerprint is that of cards, which knows neither
        whole.update(np.ascontiguousarray(bars.vwap).tobytes())
        whole.update(np.ascontiguousarray(bars.trades).tobytes())
    for target in targets:
        whole.update(f"{target!r}\n".encode())
    return whole.hexdigest()


def kept_columns(rows: Panel) -> dict[str, tuple[int, ...]]:
    """Tell which columns of each tensor say something, by position; never none.

    A column goes that is nearly constant or whose |correlation| with an earlier one of its tensor is above
    training.columns.TWIN, judged on the newest bar of at most 20,000 of the rows given, drawn by their
    number alone; they must be training rows alone.
    """
    # Drawn, not every n-th: a step that divides the day would show one hour of it, and its clock stand still.
    drawn = np.random.default_rng(len(rows)).permutation(len(rows))[:_SAMPLE]
    at = np.sort(drawn)
    seen: dict[str, Matrix] = {name: one.newest(at) for name, one in rows.blocks.items()}
    if rows.flat is not None:
        seen[FLAT] = rows.flat[at]
    seen |= {name: tensor[at] for name, tensor in rows.beside.items()}
    return {name: _kept(x) for name, x in seen.items()}


def _kept(x: Matrix) -> tuple[int, ...]:
    names = tuple(map(str, range(x.shape[1])))
    dropped = columns.spare(x, names).dropped
    # A tensor is an input of the graph: it may not vanish, and one dull column does no harm.
    return tuple(k for k, name in enumerate(names) if name not in dropped) or (0,)


def _require(spec: FeatureSpec, targets: Sequence[Target], terms: BarrierTerms) -> None:
    names = [target.name for target in targets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"targets: expected each name once; found {', '.join(twice)} twice")
    if terms.decision is not spec.decision:
        raise UsageError(
            f"terms: expected barriers of {spec.decision.value}, at which {spec.name} decides; "
            f"found {terms.decision.value}"
        )


def _code() -> str:
    root = Path(__file__).parents[2]
    paths = [root / name for name in _CODE_FILES]
    for package in _CODE:
        paths += (path for path in (root / package).rglob("*") if path.suffix in (".py", ".toml"))
    whole = hashlib.sha256(" ".join(map(importlib.metadata.version, _LIBRARIES)).encode())
    for path in sorted(paths):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _made(folder: Path, key: str, asked: _Asked) -> store.Manifest:
    series, spec, terms = asked.series, asked.spec, asked.terms
    with store.fresh(folder) as place:
        jobs = [
            _Job(bars, others_of(bars, series, spec), spec, asked.targets, terms, place / f"part-{number:04}")
            for number, bars in enumerate(series)
        ]
        on_done = asked.on_done
        each(
            _work,
            jobs,
            workers=asked.workers,
            on_done=None if on_done is None else lambda job: on_done(job.bars.instrument),
            name=lambda job: job.bars.instrument,
        )
        _join([job.folder for job in jobs], place, spec, len(asked.targets), terms)
        instruments = tuple(bars.instrument for bars in series)
        return store.seal(place, key, {"instruments": instruments, "data_hash": (fingerprint(series),)})


def _work(job: _Job) -> None:
    """Write one instrument's arrays; slots of windows are counted from its own first."""
    spec, bars = job.spec, job.bars
    folded = folded_of(bars, spec, job.others)
    if not folded.ready.any():
        _require_numbers(folded)
    kept = np.flatnonzero(folded.ready)
    labels = label(bars, folded.ts_close, folded.atr, job.terms)
    unknown = labels.kind == UNKNOWN
    arrays: dict[str, Array] = {
        "ts": folded.ts_close[kept],
        "close": folded.close[kept],
        "atr": folded.atr[kept],
        "volatility": folded.volatility[kept],
        "momentum": momentum(folded.close, folded.atr, job.terms.horizon_bars)[kept],
        "paid.long_return": np.where(unknown, np.nan, labels.long_return)[kept],
        "paid.short_return": np.where(unknown, np.nan, labels.short_return)[kept],
        "paid.ts_end": labels.ts_end[kept],
        "paid.both": labels.both[kept],
    }
    for number, target in enumerate(job.targets):
        found = target.followed(bars, folded.ts_close, folded.atr)
        arrays |= {f"target.{number}.{name}": getattr(found, name)[kept] for name in _FOLLOWED}
    if spec.names:
        arrays["flat"] = folded.flat(kept)
    for number, (_, matrix, at) in enumerate(one for one in folded.placed if one.block.window > 1):
        arrays |= {f"block.{number}.matrix": matrix, f"block.{number}.at": at[kept]}
    store.save(job.folder, arrays)


def _require_numbers(folded: Folded) -> None:
    """Raise DataError for a column because of which not one row is ready."""
    if folded.spec.names:
        columns.require_numbers(folded.x, folded.spec.names, folded.spec.name)
    for block, matrix, _ in folded.placed:
        if block.window > 1:
            names = [f"{block.name}.{column}" for column in block.columns]
            columns.require_numbers(matrix, names, folded.spec.name)


def _join(parts: Sequence[Path], folder: Path, spec: FeatureSpec, targets: int, terms: BarrierTerms) -> None:
    """Put the instruments one after the other, and add what needs all of them: number, slots, weights."""
    counts = [len(store.read(part, "ts", mapped=True)) for part in parts]
    if not sum(counts):
        raise DataError(
            f"feature spec {spec.name}: expected rows after warm-up of any instrument; found none"
        )
    instrument = np.repeat(np.arange(len(parts), dtype=np.int32), counts)
    rows = [*_SHARED, *_PAID, *(["flat"] if spec.names else [])]
    rows += [f"target.{number}.{name}" for number in range(targets) for name in _FOLLOWED]
    for number in range(len(spec.windows)):
        slots = [len(store.read(part, f"block.{number}.matrix", mapped=True)) for part in parts]
        first = np.cumsum([0, *slots[:-1]])
        at: list[Ints] = [
            store.read(part, f"block.{number}.at", mapped=False) + start
            for part, start in zip(parts, first.tolist(), strict=True)
        ]
        store.save(folder, {f"block.{number}.at": np.concatenate(at)})
        rows.append(f"block.{number}.matrix")
    for name in rows:
        store.join(parts, name, folder)
    ts, ts_end = (store.read(folder, name, mapped=False) for name in ("ts", "paid.ts_end"))
    weight = uniqueness(instrument, ts, ts_end, terms.decision.ns)
    store.save(folder, {"instrument": instrument, "weight": weight})
    for part in parts:
        store.drop(part)


def _opened(
    folder: Path, manifest: store.Manifest, spec: FeatureSpec, targets: Sequence[Target], *, mapped: bool
) -> Panel:
    arrays = {name: store.read(folder, name, mapped=mapped) for name in manifest.files}
    return Panel(
        spec=spec,
        instruments=manifest.told["instruments"],
        instrument=arrays["instrument"],
        ts=arrays["ts"],
        close=arrays["close"],
        atr=arrays["atr"],
        volatility=arrays["volatility"],
        momentum=arrays["momentum"],
        weight=arrays["weight"],
        paid=Paid(*(arrays[name] for name in _PAID)),
        followed={
            target.name: Followed(*(arrays[f"target.{number}.{name}"] for name in _FOLLOWED))
            for number, target in enumerate(targets)
        },
        blocks={
            block.name: Windows(
                arrays[f"block.{number}.matrix"], arrays[f"block.{number}.at"], block.window, block.columns
            )
            for number, block in enumerate(spec.windows)
        },
        flat=arrays.get("flat"),
        data_hash=manifest.told["data_hash"][0],
    )
