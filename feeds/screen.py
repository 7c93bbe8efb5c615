"""Which trades can be true: not from the future, not from far past, not against their own order.

Must not know bars or connections; the caller says what time it is. Owned by feeds.live. A refused
trade is counted and never made part of a bar.
"""

import enum
from collections import Counter

from core.clock import SECOND
from core.market import Trade

AHEAD, BEHIND, BACK = 5 * SECOND, 120 * SECOND, 5 * SECOND
"""How far a trade may lie before us, behind us, and behind the last one of its instrument; wall time."""
JUMP = 0.25
"""A price that differs from the one before by more than this fraction is told as an outlier."""


class Fault(enum.StrEnum):
    """Why a trade was refused, or what is odd about one that was not."""

    FUTURE = "trade from the future"
    PAST = "trade from far past"
    BACKWARD = "trade before the last one"
    JUMP = "price far from the last one"


class Screen:
    """Judges trades one by one. `per_second` is market ns in a second of the wall."""

    def __init__(self, per_second: float = SECOND) -> None:
        scale = per_second / SECOND
        self._ahead, self._behind, self._back = (round(x * scale) for x in (AHEAD, BEHIND, BACK))
        self._last: dict[str, tuple[int, float]] = {}
        self.counters: Counter[Fault] = Counter()

    def judge(self, trade: Trade, now: int, *, replayed: bool = False) -> Fault | None:
        """Give what is wrong; only a JUMP is a trade all the same. Replayed ones may be old."""
        ts = trade.ts_event
        known = self._last.get(trade.instrument)
        fault: Fault | None = None
        if ts > now + self._ahead:
            fault = Fault.FUTURE
        elif ts < now - self._behind and not replayed:
            fault = Fault.PAST
        elif known is not None and ts < known[0] - self._back:
            fault = Fault.BACKWARD
        if fault is None:
            price = float(trade.price)
            if known is not None and abs(price - known[1]) > JUMP * known[1]:
                fault = Fault.JUMP
            self._last[trade.instrument] = (ts if known is None else max(ts, known[0]), price)
        if fault is not None:
            self.counters[fault] += 1
        return fault
