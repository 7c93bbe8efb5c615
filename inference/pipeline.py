"""From closed bars to opinions: features stepped once, models run on what is ready.

Must not know orders, money or time of day. Called by inference.predictor's thread live and by the
backtest directly; the answer depends on the bars given so far and on nothing else.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.errors import InternalError, ModelError
from core.events import Prediction, RequestOpinion
from core.market import Bar
from core.signal import Opinion
from inference.artifact import Artifact
from inference.features.frame import FeatureFrame, Inputs
from inference.predictor import Predictor

UNKNOWN = "not among the instruments that features are kept for"
NOT_FINITE = "model output is not finite"


class OpinionSource:
    """Answers for every trader; they share one frame, and with one model a session."""

    def __init__(self, artifacts: Mapping[str, Artifact], instruments: Sequence[str]) -> None:
        self._artifacts = dict(artifacts)
        by_hash = {artifact.model_hash: artifact for artifact in artifacts.values()}
        self._predictors = {key: Predictor(artifact) for key, artifact in by_hash.items()}
        self._instruments = frozenset(instruments)
        self._specs = {artifact.spec.name: artifact.spec for artifact in artifacts.values()}
        self._frame = FeatureFrame(tuple(self._specs.values()), instruments)

    @property
    def frame(self) -> FeatureFrame:
        """The features, for whoever watches over them on the thread that steps them."""
        return self._frame

    def save(self) -> bytes:
        """Give everything that a restart needs to go on."""
        return self._frame.save()

    def restore(self, raw: bytes) -> tuple[str, ...]:
        """Go on from what `save` gave; gives the instruments that it knew. DataError if it does not fit."""
        return self._frame.restore(raw).instruments

    def warm(self, bars: Sequence[Bar]) -> None:
        """Start the instruments and timeframes found in `bars` over from this history."""
        self._frame.warm(bars)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Fold in all bars that closed at one instant, once, smallest timeframe first."""
        self._frame.on_bars(bars)

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give one opinion per instrument asked for, in that order; `ts` and latency are left at 0.

        InternalError for a trader that has no model or a timeframe that its model does not decide at.
        """
        artifact = self._artifacts.get(request.trader)
        if artifact is None:
            raise InternalError(f"expected a trader of {sorted(self._artifacts)}; found {request.trader!r}")
        if request.timeframe is not artifact.decision:
            raise InternalError(
                f"{request.trader}: expected requests at {artifact.decision.value}; "
                f"found {request.timeframe.value}"
            )
        known = [instrument for instrument in request.instruments if instrument in self._instruments]
        found = self._frame.inputs(artifact.spec, known, request.ts_close)
        tensors = {name: tensor[found.ready] for name, tensor in found.tensors.items()}
        chances = np.zeros((len(known), 3), np.float32)
        chances[found.ready] = self._predictors[artifact.model_hash].predict(tensors)
        opinions = dict(zip(known, _opinions(known, found, chances), strict=True))
        return Prediction(
            ts=0,
            prediction_id=request.prediction_id,
            trader=request.trader,
            ts_close=request.ts_close,
            timeframe=request.timeframe,
            model_hash=artifact.model_hash,
            opinions=tuple(opinions.get(name) or _silent(name, UNKNOWN) for name in request.instruments),
        )

    def swap(self, artifacts: Mapping[str, Artifact]) -> None:
        """Answer for these traders with other models from now on, all or none.

        ModelError for a trader that is unknown or a spec that no frame is kept for. Requests that were
        answered already keep the old hash.
        """
        for trader, artifact in artifacts.items():
            if trader not in self._artifacts or self._specs.get(artifact.spec.name) != artifact.spec:
                known = ", ".join(sorted(self._specs))
                raise ModelError(
                    f"{trader}: expected a model on features that are kept ({known}); "
                    f"found {artifact.spec.name}, which needs a restart"
                )
        predictors = {a.model_hash: Predictor(a) for a in artifacts.values()}
        self._artifacts |= artifacts
        used = {artifact.model_hash for artifact in self._artifacts.values()}
        self._predictors = {h: p for h, p in (self._predictors | predictors).items() if h in used}

    def peek(self, request: RequestOpinion) -> Prediction:
        """Answer as `answer` would now, and change nothing that a later answer depends on."""
        return self.answer(request)

    def chances(self, trader: str, tensors: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Give a trader's model's probabilities for given rows of its inputs; changes nothing.

        InternalError for an unknown trader, a missing tensor or another shape.
        """
        artifact = self._artifacts.get(trader)
        if artifact is None:
            raise InternalError(f"expected a trader of {sorted(self._artifacts)}; found {trader!r}")
        return self._predictors[artifact.model_hash].predict(tensors)


def _opinions(instruments: Sequence[str], found: Inputs, chances: npt.NDArray[np.float32]) -> list[Opinion]:
    usable: npt.NDArray[np.bool_] = found.ready & np.isfinite(chances).all(axis=1)
    scales = np.stack([found.atr, found.volatility, found.close], axis=1)
    rows = np.hstack([chances, scales]).tolist()
    return [
        Opinion(instrument, True, *rows[row])
        if usable[row]
        else _silent(instrument, found.reason[row] or NOT_FINITE)
        for row, instrument in enumerate(instruments)
    ]


def _silent(instrument: str, reason: str) -> Opinion:
    return Opinion(instrument, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, reason)
