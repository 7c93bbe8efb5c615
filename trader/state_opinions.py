"""Opinions and what became of them, as the page shows them; and how long they took.

Must not know accounts or the market. A part of trader.state, which feeds it and reads it.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.clock import SECOND
from core.events import Decision, Decisions, Prediction
from core.market import Timeframe
from core.signal import Filter, Opinion

KEPT_LATENCIES = 1024
STAGES = ("close", "door", "queue", "features", "models", "blend", "risk", "journal", "order")
"""Where the time goes between the end of a bar and an order that left, in this order."""
MODEL_STAGES = STAGES[2:6]
"""What a prediction tells of itself, as `core.events.Prediction.stages` has it."""


class Asked(msgspec.Struct, frozen=True):
    """What all opinions of one prediction share. `ts` is when the answer came through the door."""

    ts: int
    trader: str
    timeframe: Timeframe
    ts_close: int
    model_hash: str
    members: tuple[str, ...]
    latency_ns: int
    late: bool
    stages: tuple[int, ...]
    filters: tuple[Filter, ...]

    @classmethod
    def of(cls, event: Prediction) -> "Asked":
        """Take over a prediction without its opinions: one that is shown must not keep a thousand."""
        return cls(
            ts=event.ts,
            trader=event.trader,
            timeframe=event.timeframe,
            ts_close=event.ts_close,
            model_hash=event.model_hash,
            members=event.members,
            latency_ns=event.latency_ns,
            late=event.late,
            stages=event.stages,
            filters=event.filters,
        )


class OpinionLine(msgspec.Struct, frozen=True):
    """The newest opinion of one trader about one instrument on one timeframe."""

    asked: Asked
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

    def view(self) -> dict[str, float | int | None]:
        """Give the figures of the page."""
        ordered = sorted(self._kept)
        return {
            "p50": _rounded(_percentile(ordered, 0.5)),
            "p99": _rounded(_percentile(ordered, 0.99)),
            "count": self.count,
        }


class OpinionBoard:
    """Fold of Prediction and Decisions."""

    def __init__(self) -> None:
        self.opinions: dict[tuple[str, str, Timeframe], OpinionLine] = {}
        self.decisions: dict[tuple[str, str], DecisionLine] = {}
        self.inference = Latencies()
        self.decision = Latencies()
        self.stages = {stage: Latencies() for stage in STAGES}
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
        asked = Asked.of(event)
        for opinion in event.opinions:
            self.opinions[event.trader, opinion.instrument, event.timeframe] = OpinionLine(asked, opinion)

    def on_setup(self, decisions: Mapping[str, Timeframe]) -> None:
        """Forget opinions of traders and timeframes that are decided on no more."""
        self.opinions = {key: line for key, line in self.opinions.items() if decisions.get(key[0]) is key[2]}

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

    def on_stage(self, stage: str, ns: int) -> None:
        """Take how long one stage of a decision took."""
        self.stages[stage].add(ns)

    def of(self, instrument: str, trader: str = "") -> list[tuple[OpinionLine, DecisionLine | None]]:
        """Give the newest opinions about an instrument, and what the same bar's decision made of each."""
        found = []
        for (owner, name, _), line in self.opinions.items():
            if name == instrument and trader in {"", owner}:
                found.append((line, self._decided(line.asked, name)))
        return sorted(found, key=lambda pair: (pair[0].asked.trader, pair[0].asked.timeframe.ns))

    def _decided(self, asked: Asked, instrument: str) -> DecisionLine | None:
        line = self.decisions.get((asked.trader, instrument))
        if line is None or (line.timeframe, line.ts_close) != (asked.timeframe, asked.ts_close):
            return None
        return line

    def near_misses(self, limit: int) -> Iterable[DecisionLine]:
        """Give decisions with the most confident first, at most `limit`."""
        ordered = sorted(
            self.decisions.values(), key=lambda d: (-d.decision.confidence, d.decision.instrument)
        )
        return ordered[:limit]


def _percentile(ordered: Sequence[int], fraction: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] / SECOND * 1000


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
