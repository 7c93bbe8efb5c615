"""Where a decision's time goes, stage by stage, from the end of a bar to an order that left.

Must not know what is decided. Called by the live shell; tells the read model and the metrics.
Only the first stage reads market time (a bar's end is one); the others are monotonic.
"""

from collections.abc import Callable
from typing import Protocol

from core.clock import SECOND, Clock
from core.events import Prediction
from trader.state_opinions import MODEL_STAGES

KEPT_CLOSES = 256


class Listener(Protocol):
    """Who takes durations in ns; the read model and the telemetry."""

    def on_stage(self, stage: str, ns: int) -> None: ...


class StageClock:
    """Reads the clock at the borders of the stages that `trader.state_opinions.STAGES` names."""

    def __init__(self, clock: Clock, *listeners: Listener) -> None:
        self._clock = clock
        self._listeners = listeners
        self._closed_at: dict[int, int] = {}
        self.now = clock.monotonic

    def on_bars(self, ts_close: int) -> None:
        """Note that the bars of a closing instant are here: `close` ends and `door` begins."""
        late_s = self._clock.wall_seconds(self._clock.now() - ts_close)
        self.tell("close", round(late_s * SECOND))
        self._closed_at[ts_close] = self.now()
        if len(self._closed_at) > KEPT_CLOSES:
            del self._closed_at[next(iter(self._closed_at))]

    def on_request(self, ts_close: int) -> None:
        """Note that the desk asks for opinions about a closing instant."""
        taken = self.since_close(ts_close)
        if taken is not None:
            self.tell("door", taken)

    def on_prediction(self, prediction: Prediction, judged_ns: int) -> None:
        """Take what a prediction tells of itself, and how long the desk took to judge it."""
        for stage, ns in zip(MODEL_STAGES, prediction.stages, strict=False):
            self.tell(stage, ns)
        self.tell("risk", judged_ns)

    def since_close(self, ts_close: int) -> int | None:
        """Give the time since the bars of a closing instant were here; None for an old one."""
        began = self._closed_at.get(ts_close)
        return None if began is None else self.now() - began

    def watch(self, stage: str) -> Callable[[], None]:
        """Begin a stage now; what it gives ends it when called."""
        began = self.now()
        return lambda: self.tell(stage, self.now() - began)

    def tell(self, stage: str, ns: int) -> None:
        """Pass a duration on."""
        for listener in self._listeners:
            listener.on_stage(stage, ns)
