"""The models of a running daemon besides trading: questions to them, and changing one for another.

Must not know HTTP, signals or the engine. Called by the live shell. Everything that touches the
source runs on its own thread; files are read and proved on another, so that neither the loop nor a
decision waits for a disk.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import Clock
from core.errors import InternalError, TemporaryError, UsageError
from core.events import Prediction, RequestOpinion
from core.market import Timeframe
from inference.pipeline import OpinionSource
from inference.predictor import PredictorThread
from risk.policy import ModelTerms
from trader.control import Question
from trader.models import load_model, terms_of
from trader.setup import DeskSetup, TraderSetup
from trader.state_explain import answered
from trader.worker import Worker

MAX_ROWS = 4096
NOBODY = ""
"""Prediction id of a question: no decision ever belongs to it."""

Rows = Mapping[str, npt.NDArray[np.float32]]


class ModelDesk:
    """Asks and changes the models that trade; `setup` gives the desk as it is configured now."""

    def __init__(
        self,
        source: OpinionSource,
        thread: PredictorThread,
        setup: Callable[[], DeskSetup],
        clock: Clock,
    ) -> None:
        self._source = source
        self._thread = thread
        self._setup = setup
        self._clock = clock
        self._closed: dict[Timeframe, int] = {}
        self.worker = Worker(thread)

    def on_bars(self, ts_close: int) -> None:
        """Note the newest closing instant of each timeframe."""
        for timeframe in Timeframe:
            if timeframe.floor(ts_close) == ts_close:
                self._closed[timeframe] = ts_close

    async def predict(self, question: Question) -> dict[str, Any]:
        """Answer with the newest features, or with the probabilities of rows that were given.

        UsageError for what does not exist or does not fit, TemporaryError while the models are busy.
        """
        trader = self._trader(question.trader)
        if question.rows and question.instruments:
            raise UsageError("expected instruments or rows; found both")
        if self._thread.broken:
            raise TemporaryError(self._thread.broken)
        if question.rows:
            return await self._chances(trader, question.rows)
        return await self._opinions(trader, question.instruments or trader.instruments)

    async def swap(self, models: Mapping[str, Path]) -> dict[str, ModelTerms]:
        """Trade with other models from now on, all or none; gives what risk has to know of each.

        ModelError when one is not sound or does not fit what is running; then nothing has changed.
        """
        proved = {name: await asyncio.to_thread(load_model, path) for name, path in models.items()}
        await self.worker.run(lambda: self._source.swap(proved))
        return {name: terms_of(model) for name, model in proved.items()}

    # ---- inside ----

    def _trader(self, name: str) -> TraderSetup:
        traders = self._setup().traders
        found = next((t for t in traders if t.name == name), None)
        if found is None:
            raise UsageError(f"expected a trader of {', '.join(t.name for t in traders)}; found {name!r}")
        return found

    async def _opinions(self, trader: TraderSetup, instruments: Sequence[str]) -> dict[str, Any]:
        unknown = sorted(set(instruments) - set(trader.instruments))
        if unknown:
            raise UsageError(f"expected instruments of trader {trader.name}; found {unknown[0]!r}")
        now = self._clock.now()
        request = RequestOpinion(
            trader=trader.name,
            prediction_id=NOBODY,
            timeframe=trader.decision,
            ts_close=self._closed.get(trader.decision, trader.decision.floor(now)),
            instruments=tuple(instruments),
        )
        began = self._clock.monotonic()
        prediction: Prediction = await self.worker.run(lambda: self._source.peek(request), idle=True)
        return answered(prediction, ts=now, latency_ns=self._clock.monotonic() - began)

    async def _chances(self, trader: TraderSetup, rows: Mapping[str, Any]) -> dict[str, Any]:
        try:
            chances = await self.worker.run(
                lambda: self._source.chances(trader.name, tensors(rows)), idle=True
            )
        except InternalError as refused:  # live rows fit by construction; these are a person's
            raise UsageError(f"trader {trader.name}: {refused}") from refused
        return {
            "trader": trader.name,
            "model_hash": trader.terms.model_hash,
            "probabilities": [[x if np.isfinite(x) else None for x in row] for row in chances.tolist()],
        }


def tensors(rows: Mapping[str, Any]) -> Rows:
    """Read nested lists of numbers as float32 arrays; UsageError names the one that is ragged or long."""
    made = {}
    for name, values in rows.items():
        try:
            given = np.array(values)
        except ValueError as error:
            raise UsageError(
                f"rows.{name}: expected rows of numbers of one length; found: {error}"
            ) from error
        if given.dtype.kind not in "fiu":  # text would be read as numbers, and null as NaN
            raise UsageError(f"rows.{name}: expected rows of numbers; found {given.dtype}")
        with np.errstate(over="ignore"):
            array = given.astype(np.float32)
        if not np.isfinite(array).all():
            raise UsageError(f"rows.{name}: expected numbers that a float32 holds; found larger ones")
        if array.ndim < 2 or len(array) > MAX_ROWS:
            raise UsageError(f"rows.{name}: expected 1 to {MAX_ROWS} rows; found shape {array.shape}")
        made[name] = array
    return made
