"""The opinion source as the predictor's thread sees it, with a watch over its live features beside it.

Must not know the engine or the loop. Made by trader.assemble; every method runs on the thread that
owns the source, so that what is compared stands still meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from core.errors import DataError
from core.events import Prediction, RequestOpinion
from core.market import Bar, Depths, Quote, Timeframe
from inference.features.admit import NEVER
from inference.features.parity import Mismatch, ParityMonitor
from inference.pipeline import OpinionSource

Newest = dict[tuple[str, Timeframe], int]


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
        self._warmed: set[str] = set()
        self._failed = False

    @property
    def checked(self) -> int:
        """How many values were compared so far."""
        return self._monitor.checked

    def warm(self, bars: Sequence[Bar]) -> None:
        """Pass a history on; an instrument's first one may be gone on with, a later one replaces.

        What was restored goes on where the history leads past it. A later history is fetched because
        live bars were missing or wrong, and a state that took them in must not outlive them.
        """
        with self._step():
            self._warm(bars)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Pass closed bars on."""
        with self._step():
            self._source.on_bars(bars)
            self._monitor.on_bars(bars)

    def on_tops(self, ts: int, quotes: Sequence[Quote], books: Depths) -> None:
        """Pass a sample of order books on: no column of a model, so nothing to watch."""
        self._source.on_tops(ts, quotes, books)

    def answer(self, request: RequestOpinion) -> Prediction:
        """Pass a request on."""
        return self._source.answer(request)

    def save(self, doubtful: Callable[[], Collection[str]]) -> bytes:
        """Give what a restart goes on from, without those whose repair is still to come.

        `doubtful` is asked now, on this thread: a repair that came while this waited must not be forgotten.
        DataError once a step failed: half of it may be folded in.
        """
        if self._failed:
            raise DataError("features: expected whole steps to keep; found one that failed")
        self._frame.forget(self._warmed.intersection(doubtful()))
        return self._source.save()

    def check(self) -> list[Mismatch]:
        """Compute the sample again offline; gives the columns that differ."""
        return self._monitor.check(self._frame)

    # ---- inside ----

    @contextmanager
    def _step(self) -> Iterator[None]:
        before, self._failed = self._failed, True  # until it is whole
        yield
        self._failed = before

    def _warm(self, bars: Sequence[Bar]) -> None:
        given = {bar.instrument for bar in bars}
        self._frame.forget(given & self._warmed)
        self._warmed |= given
        before = self._newest(given)
        self._source.warm(bars)
        passed_over = self._gone_on(before, bars)
        taken = [bar for bar in bars if bar.ts_open > passed_over.get((bar.instrument, bar.timeframe), NEVER)]
        self._monitor.on_history(self._frame, taken)

    def _newest(self, instruments: Collection[str]) -> Newest:
        """Give the newest bar that the sampled live states know of."""
        sampled = [one for one in self._monitor.sample if one in instruments]
        return {(o, t): self._frame.snapshot(o, t).newest for o in sampled for t in self._frame.timeframes}

    def _gone_on(self, before: Newest, bars: Sequence[Bar]) -> Newest:
        """Give where live states went on instead of starting over with a history, and after which bar.

        What is older came to them live, and the venue rounds the bars of a history otherwise: computing
        with the one what was stepped with the other would find differences that are no fault.
        """
        first: Newest = {}
        for bar in bars:
            key = bar.instrument, bar.timeframe
            first[key] = min(bar.ts_open, first.get(key, bar.ts_open))
        return {
            key: newest
            for key, newest in before.items()
            if key in first and self._frame.snapshot(*key).since < first[key]
        }
