"""From the lake to rows: features, labels and outcomes of all instruments, at one timeframe's closes.

Must not know models or splits. Called by training.recipe and training.regime. The features come from
the very fold that the daemon steps live; the labels look ahead and stay in their own columns.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import DataError
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.features.fold import Folded, fold
from inference.features.spec import FLAT, FeatureSpec
from training import columns
from training.labels import UNKNOWN, BarrierTerms, label
from training.trades import Outcomes


@dataclass(frozen=True)
class Rows:
    """Decisions that have features and a label, instrument by instrument, each in time order.

    x [n, columns] float32, `kind` 0..2, `momentum` the past return over one horizon in ATRs.
    """

    x: npt.NDArray[np.float32]
    kind: npt.NDArray[np.int8]
    both: npt.NDArray[np.bool_]
    momentum: npt.NDArray[np.float64]
    outcomes: Outcomes

    def __len__(self) -> int:
        return len(self.kind)

    def only(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """Give the rows where `mask` holds."""
        return Rows(
            self.x[mask],
            self.kind[mask],
            self.both[mask],
            self.momentum[mask],
            Outcomes(
                self.outcomes.instrument[mask],
                self.outcomes.ts[mask],
                self.outcomes.ts_end[mask],
                self.outcomes.long_return[mask],
                self.outcomes.short_return[mask],
            ),
        )


def build(
    series: Sequence[BarArrays],
    spec: FeatureSpec,
    terms: BarrierTerms,
    on_fold: Callable[[BarArrays, Folded], None] | None = None,
) -> Iterator[Rows]:
    """Give the rows of each instrument in turn, made from its finest bars; DataError as `folds` says.

    `on_fold` sees the bars and the features of each before its rows are made.
    """
    for number, (bars, folded) in enumerate(zip(series, folds(series, spec), strict=True)):
        if on_fold is not None:
            on_fold(bars, folded)
        labels = label(bars, folded.ts_close, folded.atr, terms)
        kept = np.flatnonzero(folded.ready & (labels.kind != UNKNOWN))
        past = momentum(folded.close, folded.atr, terms.horizon_bars)
        yield Rows(
            folded.tensors(kept)[FLAT],
            labels.kind[kept],
            labels.both[kept],
            past[kept],
            Outcomes(
                np.full(len(kept), number, np.int32),
                folded.ts_close[kept],
                labels.ts_end[kept],
                labels.long_return[kept],
                labels.short_return[kept],
            ),
        )


def folds(series: Sequence[BarArrays], spec: FeatureSpec) -> Iterator[Folded]:
    """Fold each instrument in turn, beside the others that the specification looks at.

    DataError where a column has hardly any numbers, or bars that the specification needs are absent.
    """
    if spec.windows:
        shown = ", ".join(block.name for block in spec.windows)
        raise DataError(f"feature spec {spec.name}: expected single bars for trees; found windows of {shown}")
    for bars in series:
        try:
            folded = folded_of(bars, spec, others_of(bars, series, spec))
        except DataError as lacking:
            raise DataError(f"{bars.instrument}: {lacking}") from lacking
        if not folded.ready.any():
            columns.require_numbers(folded.x, spec.names, bars.instrument)
        yield folded


def folded_of(bars: BarArrays, spec: FeatureSpec, others: Mapping[str, BarArrays]) -> Folded:
    """Fold one instrument beside the `others` by base; DataError as inference.features.fold says."""
    beside = {base: _history(others[base], spec) if base in others else {} for base in spec.bases}
    return fold(spec, _history(bars, spec), beside)


def others_of(bars: BarArrays, series: Sequence[BarArrays], spec: FeatureSpec) -> dict[str, BarArrays]:
    """Give the bars of the instruments with the same quote that the specification looks at, by base."""
    quote = bars.instrument.partition("/")[2]
    wanted = {f"{base}/{quote}": base for base in spec.bases}
    return {wanted[one.instrument]: one for one in series if one.instrument in wanted}


def _history(bars: BarArrays, spec: FeatureSpec) -> dict[Timeframe, BarArrays]:
    return {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes}


def joined(parts: Sequence[Rows]) -> Rows:
    """Give all instruments' rows as one; DataError if there are none."""
    if not any(len(part) for part in parts):
        raise DataError("expected rows after warm-up with a whole horizon of bars behind them; found none")
    outcomes = [part.outcomes for part in parts]
    return Rows(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.both for part in parts]),
        np.concatenate([part.momentum for part in parts]),
        Outcomes(
            np.concatenate([part.instrument for part in outcomes]),
            np.concatenate([part.ts for part in outcomes]),
            np.concatenate([part.ts_end for part in outcomes]),
            np.concatenate([part.long_return for part in outcomes]),
            np.concatenate([part.short_return for part in outcomes]),
        ),
    )


def fingerprint(series: Sequence[BarArrays]) -> str:
    """Give one SHA-256 over the bars used: names, times, prices and volumes, whatever the files."""
    whole = hashlib.sha256()
    for bars in series:
        whole.update(f"{bars.instrument} {bars.timeframe.value} {len(bars)}\n".encode())
        for column in (bars.ts_open, bars.open, bars.high, bars.low, bars.close, bars.volume):
            whole.update(np.ascontiguousarray(column).tobytes())
    return whole.hexdigest()


def momentum(
    close: npt.NDArray[np.float64], atr: npt.NDArray[np.float64], bars: int
) -> npt.NDArray[np.float64]:
    """Give the move of the last so many bars in ATRs [n]; 0 where there are none or no scale."""
    moved = np.zeros(len(close))
    moved[bars:] = close[bars:] - close[:-bars]
    return np.divide(moved, atr, out=np.zeros(len(close)), where=atr > 0)
