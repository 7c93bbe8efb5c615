"""The figures of one run, as the demo and the logs report them.

Must not know the engine or the page. A fold of steps with two clock readings; called by the live
shell, read by `trader demo --json`.
"""

from collections.abc import Sequence
from typing import Any

from core.clock import SECOND, Clock
from core.events import Command, Decisions, Event, Fill
from core.orders import SubmitOrder

MILLISECOND = 1_000_000
KEPT = 100_000


class RunSummary:
    """Counts of one process; money and positions come from the desk."""

    def __init__(self, clock: Clock, *, started: int) -> None:
        """Begin at `started`, a monotonic reading taken when the process began."""
        self._clock = clock
        self._started = started
        self._seen: set[str] = set()
        self.first_trade_s: float | None = None
        self.orders = 0
        self.fills = 0
        self.decisions = 0
        self.batches = 0
        self.decision_ns: list[int] = []

    def on_step(self, event: Event, commands: Sequence[Command]) -> None:
        """Count what happened."""
        if isinstance(event, Fill) and event.exec_id not in self._seen:
            self._seen.add(event.exec_id)
            self.fills += 1
            if self.first_trade_s is None:
                self.first_trade_s = round((self._clock.monotonic() - self._started) / SECOND, 2)
        for command in commands:
            if isinstance(command, SubmitOrder):
                self.orders += 1
            elif isinstance(command, Decisions):
                self.batches += 1
                self.decisions += len(command.rows)

    def on_latency(self, ns: int) -> None:
        """Take one measured decision: closing event in, intents out."""
        self.decision_ns.append(ns)
        del self.decision_ns[:-KEPT]

    def figures(self) -> dict[str, Any]:
        """Give the counts; times in ms and s, None where nothing was measured."""
        ordered = sorted(self.decision_ns)
        return {
            "first_trade_s": self.first_trade_s,
            "orders": self.orders,
            "fills": self.fills,
            "decisions": self.decisions,
            "decision_batches": self.batches,
            "decision_ms_p50": _quantile_ms(ordered, 0.50),
            "decision_ms_p99": _quantile_ms(ordered, 0.99),
        }


def _quantile_ms(ordered: list[int], share: float) -> float | None:
    if not ordered:
        return None
    index = min(len(ordered) - 1, int(share * len(ordered)))
    return round(ordered[index] / MILLISECOND, 3)
