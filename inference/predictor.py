"""Running a model: rows to probabilities, on the caller's thread or on a worker of its own.

Must not know features, instruments or traders. `Predictor` is called by inference.pipeline,
`PredictorThread` by the live shell, which hands bars and requests over and gets predictions back.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND, Clock
from core.errors import InternalError
from core.events import Prediction, RequestOpinion, unanswered
from core.market import Bar, Depths, Quote
from core.text import iso
from inference.artifact import Artifact, Tensors, open_session

CAPACITY = 1024
"""Bar sets and requests that may wait: an hour's worth of closes on a thread that hangs."""
STUCK_S = 10
"""One piece of work that takes longer hangs; keeping the state of a thousand pairs takes one second."""
SPARE = 4
"""Pieces of idle work that may wait."""


class Predictor:
    """One model in memory. Calls from several threads are allowed; each uses its caller's core."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self._inputs = artifact.card.inputs
        self._classes = len(artifact.card.classes)
        self._session: Any = open_session(artifact.model)

    def predict(self, tensors: Tensors) -> npt.NDArray[np.float32]:
        """Give calibrated probabilities [n, classes] in the card's order for n rows of each input.

        Tensors that the model does not read are ignored. InternalError for a missing one or a shape
        that is not [n, *shape on the card].
        """
        rows = {len(tensors[name]) for name in self._inputs if name in tensors}
        found = {name: tensors[name].shape[1:] for name in self._inputs if name in tensors}
        if len(rows) != 1 or found != self._inputs:
            raise InternalError(f"expected rows of {self._inputs}; found {found} in {sorted(rows)} rows")
        if rows == {0}:
            return np.empty((0, self._classes), np.float32)
        return self._artifact.run(self._session, tensors)

    def prove(self) -> None:
        """Run the golden rows again, on this session; ModelError if they come out differently."""
        self._artifact.prove(self._session)


class Source(Protocol):
    """What turns bars into predictions; inference.pipeline.OpinionSource is the real one."""

    def warm(self, bars: Sequence[Bar]) -> None: ...

    def on_bars(self, bars: Sequence[Bar]) -> None: ...

    def on_tops(self, ts: int, quotes: Sequence[Quote], books: Depths) -> None: ...

    def answer(self, request: RequestOpinion) -> Prediction: ...


class PredictorThread:
    """A source on a daemon thread of its own, from construction to `stop`.

    Bars and requests are worked off in the order in which they came. `deliver` is called on the
    worker, exactly once per request unless `stop` came first: with the opinions, or with `error`
    when there are none. `ts` is 0, the receiver stamps it.
    """

    def __init__(
        self, source: Source, *, budget_ns: int, clock: Clock, deliver: Callable[[Prediction], None]
    ) -> None:
        self._source = source
        self._budget_ns = budget_ns
        self._clock = clock
        self._deliver = deliver
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(CAPACITY)
        self._idle: queue.Queue[Callable[[], None]] = queue.Queue(SPARE)
        self._stopping = threading.Event()
        self._broken = ""
        self._busy_since = 0  # 0 = waits for work
        self._stepped = 0  # ns spent on bars and books since the last answer
        self.lost = 0
        """Bar sets and histories that found the queue full."""
        self._thread = threading.Thread(target=self._run, name="predictor", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> str:
        """Say what went wrong with the features for good; empty = nothing."""
        return self._broken

    @property
    def trouble(self) -> str:
        """Say why no usable answer is to be expected; empty = nothing is known to be wrong."""
        since = self._busy_since
        busy_s = (self._clock.monotonic() - since) / SECOND if since else 0.0
        if self._broken:
            return self._broken
        if not (self._thread.is_alive() or self._stopping.is_set()):
            return "the models' thread has ended"
        return f"the models have been at one thing for {busy_s:.0f} s" if busy_s > STUCK_S else ""

    def warm(self, bars: tuple[Bar, ...]) -> bool:
        """Queue a history that replaces what is known of its instruments; never blocks, False if lost."""
        return self._put(partial(self._fold, partial(self._source.warm, bars), "history"))

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> bool:
        """Queue the bars that closed at `ts_close`; never blocks.

        False if they are lost: features would go on over the hole, so their history has to be fetched.
        """
        return self._put(partial(self._fold, partial(self._source.on_bars, bars), iso(ts_close)))

    def on_tops(self, ts: int, quotes: tuple[Quote, ...], books: Depths) -> None:
        """Queue a sample of order books; never blocks. With a full queue that close has none."""
        self.do(partial(self._fold, partial(self._source.on_tops, ts, quotes, books), "order books"))

    def request(self, request: RequestOpinion) -> None:
        """Queue a request; never blocks. With a full queue the error is delivered here and now."""
        since = self._clock.monotonic()
        try:
            self._queue.put_nowait(partial(self._answer, request, since))
        except queue.Full:
            self._tell(
                unanswered(request, f"expected room for a request; found {CAPACITY} things waiting"), since
            )

    def do(self, work: Callable[[], None]) -> bool:
        """Queue the caller's own work between bars and requests, in order; it must not raise.

        Never blocks; False when there is no room, and then it is never done.
        """
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            return False
        return True

    def when_idle(self, work: Callable[[], None]) -> bool:
        """Queue the caller's own work behind everything that waits, and what comes meanwhile.

        As `do`, but at most SPARE of these wait.
        """
        try:
            self._idle.put_nowait(work)
        except queue.Full:
            return False
        self.do(_nothing)  # wakes the worker; a full queue keeps it awake anyway
        return True

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the worker after what it is doing now; what waits is dropped. False if it hangs."""
        self._stopping.set()
        with suppress(queue.Full):  # a full queue wakes the worker as well
            self._queue.put_nowait(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, work: Callable[[], None]) -> bool:
        held = self.do(work)
        self.lost += not held
        return held

    def _run(self) -> None:
        while (work := self._queue.get()) is not None and not self._stopping.is_set():
            self._busy_since = self._clock.monotonic()
            work()
            if self._queue.empty():
                with suppress(queue.Empty):
                    idle = self._idle.get_nowait()
                    self._busy_since = self._clock.monotonic()
                    idle()
                    self.do(_nothing)  # there may be more of it
            self._busy_since = 0

    def _fold(self, step: Callable[[], None], what: str) -> None:
        began = self._clock.monotonic()
        try:
            step()
        except Exception as error:  # noqa: BLE001 - edge of a thread: told with every later answer
            # Half of it may have been folded in, so nothing that follows can be believed.
            self._broken = self._broken or f"features failed at {what}: {_words(error)}"
        self._stepped += self._clock.monotonic() - began

    def _answer(self, request: RequestOpinion, since: int) -> None:
        waited, stepped = self._clock.monotonic() - since, self._stepped
        self._stepped = 0
        if self._broken:
            self._tell(unanswered(request, self._broken), since)
            return
        try:
            prediction = self._source.answer(request)
            if prediction.stages:
                _, features, *rest = prediction.stages
                stages = (max(0, waited - stepped), features + stepped, *rest)
                prediction = msgspec.structs.replace(prediction, stages=stages)
        except Exception as error:  # noqa: BLE001 - edge of a thread: the answer tells it
            prediction = unanswered(request, _words(error))
        self._tell(prediction, since)

    def _tell(self, prediction: Prediction, since: int) -> None:
        latency = self._clock.monotonic() - since
        self._deliver(msgspec.structs.replace(prediction, latency_ns=latency, late=latency > self._budget_ns))


def _nothing() -> None:
    """Wake the worker."""


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
