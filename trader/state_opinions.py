"""Opinions and what became of them, as the page shows them; and how long they took.

Must not know accounts or the market. A part of trader.state, which feeds it and reads it.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from core.clock import SECOND
from core.events import Decision, Decisions, Prediction
from core.market import Timeframe
from core.signal import Opinion

KEPT_LATENCIES = 1024


class OpinionLine(msgspec.Struct, frozen=True):
    """The newest opinion of one trader about one instrument on one timeframe."""

    trader: str
    timeframe: Timeframe
    ts_close: int
    opinion: Opinion


class DecisionLine(msgspec.Struct, frozen=True):
    """The newest decision of one trader about one instrument."""

    trader: str
    timeframe: Timeframe
    ts_close: int
    decision: Decision


class Latencies:
    """The newest durations, for percentiles over a sliding window."""

    def __init__(self) -> None:
        self._kept: deque[int] = deque(maxlen=KEPT_LATENCIES)
        self.count = 0

    def add(self, ns: int) -> None:
        """Take one duration."""
        self._kept.append(ns)
        self.count += 1

    def percentile(self, fraction: float) -> float | None:
        """Give a percentile in ms by the nearest rank, None before the first duration."""
        if not self._kept:
            return None
        ordered = sorted(self._kept)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] / SECOND * 1000

    def view(self) -> dict[str, float | int | None]:
        """Give the figures of the page."""
        return {
            "p50": _rounded(self.percentile(0.5)),
            "p99": _rounded(self.percentile(0.99)),
            "count": self.count,
        }


class OpinionBoard:
    """Fold of Prediction and Decisions."""

    def __init__(self) -> None:
        self.opinions: dict[tuple[str, str, Timeframe], OpinionLine] = {}
        self.decisions: dict[tuple[str, str], DecisionLine] = {}
        self.inference = Latencies()
        self.decision = Latencies()
        self.decided_instruments = 0
        self.late = 0
        self.errors = 0
        self.last_error = ""

    def on_prediction(self, event: Prediction) -> None:
        """Keep the newest opinion per instrument; a failed prediction changes none."""
        self.inference.add(event.latency_ns)
        self.late += event.late
        if event.error:
            self.errors += 1
            self.last_error = event.error
        for opinion in event.opinions:
            key = (event.trader, opinion.instrument, event.timeframe)
            self.opinions[key] = OpinionLine(event.trader, event.timeframe, event.ts_close, opinion)

    def on_decisions(self, command: Decisions) -> None:
        """Keep the newest decision per trader and instrument."""
        for row in command.rows:
            self.decisions[command.trader, row.instrument] = DecisionLine(
                command.trader, command.timeframe, command.ts_close, row
            )

    def on_latency(self, ns: int, instruments: int) -> None:
        """Take the time from the last bar in to the last intent out, over so many instruments."""
        self.decision.add(ns)
        self.decided_instruments = instruments

    def near_misses(self, limit: int) -> Iterable[DecisionLine]:
        """Give decisions with the most confident first, at most `limit`."""
        ordered = sorted(
            self.decisions.values(), key=lambda d: (-d.decision.confidence, d.decision.instrument)
        )
        return ordered[:limit]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
