"""What a finished model says of recorded bars, kept as training keeps it, to be measured the same way.

Must not know how models are made or judged. Called by training.measure.finished and
tests. Only rows after the model's own training are asked about: it has seen the others.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import iso, parse_iso
from feeds.lake import BarArrays, Lake, aggregate
from inference import artifact
from inference.artifact import Artifact
from inference.card import Kind
from inference.features.fold import fold
from inference.predictor import Predictor
from training.alignment import look_back_ns
from training.dataset import fingerprint
from training.labels import UNKNOWN, BarrierTerms, label
from training.members.kept import TEST, Kept, Subject

SETTLE_DAYS = 90
"""Days after the model's training whose answers set its threshold, and are not traded."""
SETTLED = 1
"""Their fold."""
_BATCH = 8_192


def answers(folder: Path, lake: Path, *, vault_start: int | None, settle_days: int = SETTLE_DAYS) -> Kept:
    """Ask a finished entry model about its own instruments in the lake, after its training, up to the vault.

    The first `settle_days` are fold 1, from which a threshold may be set, the rest is the test span.
    UsageError for a model of another kind, DataError where the lake has no rows after its training.
    """
    model = artifact.load(folder)
    card = model.card
    if card.kind is not Kind.ENTRY:
        raise UsageError(f"{model.name}: expected an entry model; found one of kind {card.kind}")
    source = Timeframe(card.data.timeframe)
    trained = card.trained_until
    warm = max(0, trained - _look_back(model))
    there = {one.instrument for one in Lake(lake).series() if one[::2] == (card.data.venue, source)}
    names = tuple(name for name in card.data.instruments if name in there)
    if not names:
        raise DataError(
            f"{lake}: expected {card.data.venue} {source.value} bars of {', '.join(card.data.instruments)}; "
            "found none"
        )
    read = [Lake(lake).read(card.data.venue, name, source, start=warm, end=vault_start) for name in names]
    series = [bars for bars in read if len(bars) and bars.ts_close[-1] > trained]
    none = f"{lake}: expected rows after the training of {model.name} at {iso(trained)}; found none"
    if not series:
        raise DataError(none)
    terms = BarrierTerms(model.decision, card.label.barrier_atr, card.label.horizon_bars)
    parts = [_one(model, bars, series, terms, number) for number, bars in enumerate(series)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    later = columns[1] > trained
    if not later.any():
        raise DataError(none)
    instrument, ts, ts_end, kind, close, atr, volatility, momentum, long, short, p = (
        column[later] for column in columns
    )
    first = (trained // DAY + 1 + settle_days) * DAY
    subject = Subject(
        name=model.name,
        model=model.name,
        kind=str(card.kind),
        target="barrier",
        spec=model.spec.name,
        decision=model.decision.value,
        venue=card.data.venue,
        source=source.value,
        instruments=tuple(bars.instrument for bars in series),
        classes=card.classes,
        barrier_atr=card.label.barrier_atr,
        horizon_bars=card.label.horizon_bars,
        seed=card.seed,
        data_hash=fingerprint(series),
        test_start=first,
        test_end=int(ts.max()),
        trials=card.trials,
        model_hash=model.model_hash,
        edge_threshold=card.edge_threshold,
    )
    return Kept(
        subject,
        instrument=instrument.astype(np.int32),
        ts=ts,
        ts_end=ts_end,
        fold=np.where(ts > first, TEST, SETTLED).astype(np.int8),
        kind=kind.astype(np.int8),
        close=close,
        atr=atr,
        volatility=volatility,
        momentum=momentum,
        long_return=long,
        short_return=short,
        voices={model.name: p.astype(np.float32)},
    )


def _one(
    model: Artifact, bars: BarArrays, series: list[BarArrays], terms: BarrierTerms, number: int
) -> tuple[npt.NDArray[np.generic], ...]:
    quote = bars.instrument.partition("/")[2]
    others = {
        name: _history(other, model)
        for name in model.spec.bases
        for other in series
        if other.instrument == f"{name}/{quote}"
    }
    folded = fold(model.spec, _history(bars, model), others)
    found = label(bars, folded.ts_close, folded.atr, terms)
    rows = np.flatnonzero(folded.ready & (found.kind != UNKNOWN))
    predictor = Predictor(model)
    p = np.zeros((len(rows), len(model.card.classes)), np.float32)
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        p[first : first + _BATCH] = predictor.predict(folded.tensors(batch))
    back = folded.close[rows] - folded.close[np.maximum(rows - terms.horizon_bars, 0)]
    return (
        np.full(len(rows), number),
        folded.ts_close[rows],
        found.ts_end[rows],
        found.kind[rows],
        folded.close[rows],
        folded.atr[rows],
        folded.volatility[rows],
        back / folded.atr[rows],
        found.long_return[rows],
        found.short_return[rows],
        p,
    )


def _history(bars: BarArrays, model: Artifact) -> dict[Timeframe, BarArrays]:
    return {timeframe: aggregate(bars, timeframe) for timeframe in model.spec.timeframes}


def _look_back(model: Artifact) -> int:
    return (look_back_ns(model.spec) // DAY + 2) * DAY


def vault_start(text: str) -> int | None:
    """Read a day as ns UTC, None of nothing; UsageError for what is none."""
    try:
        return parse_iso(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"vault start: expected a date like 2025-05-01; found {text!r}") from wrong
