"""Models run on live features: what is due at a close, batched over instruments, on two cores.

Must not know how answers become opinions. Called by inference.sitting through its protocol Models.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.errors import InternalError
from inference.artifact import RUNTIME_ERRORS, Artifact
from inference.card_check import POSITION
from inference.crew import Crew, Job
from inference.features.frame import FeatureFrame, Inputs
from inference.members import Answers, Due
from inference.predictor import Predictor

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

CHUNK = 32
"""Rows per call of a session: a thousand at once leave the second-level cache and cost a third more; 128
take as long as 32 and some 20 MB more."""
HELPERS = 1
"""Threads beside the predictor's own. The daemon's loop stays under 5 ms beside two, not beside three."""


class Continuation(NamedTuple):
    """What a manager said of open positions: `p` [n, 2] in the order of its classes where `ready`."""

    p: Matrix
    ready: Flags
    reason: list[str]


class Runner:
    """One session for each model, over one frame. `spent` is ns since it was last read: features, models."""

    def __init__(self, frame: FeatureFrame, monotonic: Callable[[], int]) -> None:
        self.predictors: dict[str, Predictor] = {}
        self._frame = frame
        self._crew = Crew(HELPERS)
        self._monotonic = monotonic
        self._spent = [0, 0]

    def spent(self) -> tuple[int, int]:
        """Give the ns that features and models took since this was asked last."""
        features, models = self._spent
        self._spent = [0, 0]
        return features, models

    def answers(self, due: Sequence[Due]) -> list[Answers]:
        """Run each member on the rows that are due, as of the close beside them."""
        began = self._monotonic()
        every = self._frame.instruments
        keys = [(one.member.artifact.spec.name, one.ts_close, one.rows.tobytes()) for one in due]
        asked = dict(zip(keys, due, strict=True))
        inputs = {key: self._inputs(one) for key, one in asked.items()}
        found = [inputs[key] for key in keys]
        outside = [
            one.member.range.outside(fed.tensors, len(every)) for one, fed in zip(due, found, strict=True)
        ]
        between = self._monotonic()
        p, failed = self._run([(one.member.artifact, fed) for one, fed in zip(due, found, strict=True)])
        self._note(began, between)
        return [
            Answers(
                p[k],
                one.ready & (not failed[k]),
                [failed[k]] * len(every) if failed[k] else one.reason,
                outside[k],
                one.atr,
                one.volatility,
                one.close,
                one.age_s,
                failed[k],
            )
            for k, one in enumerate(found)
        ]

    def _inputs(self, due: Due) -> Inputs:
        """Give a row for every instrument; those that are not due are empty and not ready."""
        spec, every, rows = due.member.artifact.spec, self._frame.instruments, due.rows
        if len(rows) == len(every):
            return self._frame.inputs(spec, every, due.ts_close)
        some = self._frame.inputs(spec, [every[row] for row in rows], due.ts_close)

        def spread(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
            whole = np.zeros((len(every), *part.shape[1:]), part.dtype)
            whole[rows] = part
            return whole

        reason = [""] * len(every)
        for row, text in zip(rows.tolist(), some.reason, strict=True):
            reason[row] = text
        return Inputs(
            {name: spread(tensor) for name, tensor in some.tensors.items()},
            spread(some.ready),
            reason,
            *map(spread, (some.atr, some.volatility, some.close, some.age_s)),
        )

    def take(
        self, model: Artifact, ts_close: int, rows: Ints, given: Mapping[str, Matrix]
    ) -> tuple[Matrix, Flags]:
        """Give a meta-model's probabilities [n, 2] and which rows are ready."""
        found = self._beside(model, ts_close, [self._frame.instruments[row] for row in rows], given)
        return found.p, found.ready

    def manage(
        self, model: Artifact, ts_close: int, instruments: Sequence[str], position: Matrix
    ) -> Continuation:
        """Give a manager's probabilities [n, 2] for positions [n, columns] (card.POSITION_COLUMNS)."""
        return self._beside(model, ts_close, instruments, {POSITION: position})

    def _beside(
        self, model: Artifact, ts_close: int, instruments: Sequence[str], given: Mapping[str, Matrix]
    ) -> Continuation:
        """Run a model on features and on tensors that are not features."""
        began = self._monotonic()
        count = len(instruments)
        if any(len(tensor) != count for tensor in given.values()):
            raise InternalError(
                f"expected {count} rows beside the features; found {[*map(len, given.values())]}"
            )
        tensors, ready, reason = dict(given), np.ones(count, np.bool_), [""] * count
        if not model.card.inputs.keys() <= given.keys():
            found = self._frame.inputs(model.spec, instruments, ts_close)
            tensors, ready, reason = tensors | found.tensors, found.ready, found.reason
        between = self._monotonic()
        p: Matrix = np.zeros((count, len(model.card.classes)), np.float32)
        p[ready] = self.predictors[model.model_hash].predict({name: x[ready] for name, x in tensors.items()})
        self._note(began, between)
        return Continuation(p, ready, reason)

    def _run(self, work: Sequence[tuple[Artifact, Inputs]]) -> tuple[list[Matrix], list[str]]:
        """Run models on their ready rows, dearest first: networks in chunks on both threads, trees whole.

        Gives the answers, and for each model that failed what it said: the others are not to suffer.
        """
        failed = [""] * len(work)
        results: list[Matrix] = []
        shared: list[tuple[int, Job]] = []
        for number, (model, inputs) in enumerate(work):
            p: Matrix = np.zeros((len(inputs.ready), len(model.card.classes)), np.float32)
            results.append(p)
            rows = np.flatnonzero(inputs.ready)
            windows = any(len(shape) > 1 for shape in model.card.inputs.values())
            chunk = CHUNK if windows else max(len(rows), 1)
            for first in range(0, len(rows), chunk):
                job = partial(self._chunk, model, inputs, rows[first : first + chunk], p)
                shared.append((windows * len(model.model), partial(_guarded, job, failed, number)))
        jobs: list[Job] = [job for _, job in sorted(shared, key=lambda one: -one[0])]
        if any(cost for cost, _ in shared):
            self._crew.run(jobs)
        else:
            for one in jobs:
                one()
        return results, failed

    def _chunk(self, model: Artifact, inputs: Inputs, rows: Ints, p: Matrix) -> None:
        at = slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] + 1 == len(rows) else rows
        fed = {name: inputs.tensors[name][at] for name in model.card.inputs}
        p[at] = self.predictors[model.model_hash].predict(fed)

    def _note(self, began: int, between: int) -> None:
        self._spent[0] += between - began
        self._spent[1] += self._monotonic() - between


def _guarded(job: Job, failed: list[str], number: int) -> None:
    """Do a job; note what onnxruntime refused."""
    try:
        job()
    except RUNTIME_ERRORS as refused:
        failed[number] = f"sanity: the model failed: {' '.join(str(refused).split())}"
