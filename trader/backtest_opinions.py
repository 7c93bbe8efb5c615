"""All opinions of a span at once: features folded, models run on whole histories.

Must not know the desk. Called by trader.backtest. The fold equals the live step bit for bit, so
these are the answers that inference.pipeline.OpinionSource would give, some ten times sooner.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from core.signal import Opinion
from feeds.lake import BarArrays
from inference.artifact import INPUT, Artifact
from inference.features.fold import fold
from inference.predictor import Predictor

NOT_READY = "features are not warm, not finite, or miss a bar"
_BATCH = 8_192

Histories = Mapping[str, Mapping[Timeframe, BarArrays]]


class FoldedOpinions:
    """Answers by looking up; one table for each model and instrument."""

    def __init__(self, artifacts: Mapping[str, Artifact], histories: Histories) -> None:
        self._artifacts = artifacts
        self._tables = {
            artifact.model_hash: {symbol: _Table(symbol, artifact, one) for symbol, one in histories.items()}
            for artifact in artifacts.values()
        }

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Know already: every row was made from bars closed by its own time, and no later one."""

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give the opinions about the bars that closed at the request's instant."""
        artifact = self._artifacts[request.trader]
        tables = self._tables[artifact.model_hash]
        return Prediction(
            ts=0,
            prediction_id=request.prediction_id,
            trader=request.trader,
            ts_close=request.ts_close,
            timeframe=request.timeframe,
            model_hash=artifact.model_hash,
            opinions=tuple(tables[symbol].opinion(request.ts_close) for symbol in request.instruments),
        )


class _Table:
    """One model's opinions about one instrument, a row for each close of the decision timeframe."""

    def __init__(self, symbol: str, artifact: Artifact, history: Mapping[Timeframe, BarArrays]) -> None:
        folded = fold(artifact.spec, history)
        chances = _chances(Predictor(artifact), folded.x, folded.ready)
        self._ready: npt.NDArray[np.bool_] = folded.ready & np.isfinite(chances).all(axis=1)
        self._rows = np.column_stack([chances, folded.atr, folded.volatility, folded.close])
        self._index = {ts: row for row, ts in enumerate(folded.ts_close.tolist())}
        self._silent = Opinion(symbol, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, NOT_READY)
        self._symbol = symbol

    def opinion(self, ts_close: int) -> Opinion:
        row = self._index.get(ts_close)
        if row is None or not self._ready[row]:
            return self._silent
        return Opinion(self._symbol, True, *self._rows[row].tolist())


def _chances(
    predictor: Predictor, x: npt.NDArray[np.float32], ready: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Give probabilities [T, 3], zero where the features are not ready."""
    chances = np.zeros((len(x), 3), np.float32)
    rows = np.flatnonzero(ready)
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        chances[batch] = predictor.predict({INPUT: x[batch]})
    return chances
