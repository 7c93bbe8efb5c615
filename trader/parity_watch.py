"""The opinion source as the predictor's thread sees it, with a watch over its live features beside it.

Must not know the engine or the loop. Made by trader.assemble; every method runs on the thread that
owns the source, so that what is compared stands still meanwhile.
"""

from collections.abc import Sequence

from core.events import Prediction, RequestOpinion
from core.market import Bar
from inference.features.parity import Mismatch, ParityMonitor
from inference.pipeline import OpinionSource


def spread(ranked: Sequence[str], count: int) -> tuple[str, ...]:
    """Choose instruments from the most to the least liquid, evenly: the quiet ones differ in kind."""
    if count >= len(ranked):
        return tuple(ranked)
    step = (len(ranked) - 1) / max(1, count - 1)
    return tuple(dict.fromkeys(ranked[round(number * step)] for number in range(count)))


class WatchedSource:
    """Passes everything on and lets the monitor hear it; an empty sample watches nothing."""

    def __init__(self, source: OpinionSource, sample: Sequence[str]) -> None:
        self._source = source
        self._frame = source.frame
        self._monitor = ParityMonitor(self._frame, sample)

    @property
    def checked(self) -> int:
        """How many values were compared so far."""
        return self._monitor.checked

    def warm(self, bars: Sequence[Bar]) -> None:
        """Pass a history on."""
        self._source.warm(bars)
        self._monitor.on_history(self._frame, bars)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Pass closed bars on."""
        self._source.on_bars(bars)
        self._monitor.on_bars(bars)

    def answer(self, request: RequestOpinion) -> Prediction:
        """Pass a request on."""
        return self._source.answer(request)

    def check(self) -> list[Mismatch]:
        """Compute the sample again offline; gives the columns that differ."""
        return self._monitor.check(self._frame)
