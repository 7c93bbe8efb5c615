"""What is wrong with the data of each instrument, by name; nothing wrong = fit for entries.

Must not know how a fault is found or repaired, nor what is done about it. Owned by feeds.live,
which tells its sink what changed; the engine refuses entries while anything is said here.
"""

import enum
from collections.abc import Iterable

from core.clock import MINUTE
from core.events import InstrumentQuality


class Verdict(enum.StrEnum):
    """One thing that is wrong."""

    DOWN = "down"  # its connection is down, or its trades are not followed
    GAP = "gap"  # trades were missed and are being fetched
    STALE = "stale"  # a channel was silent while others told of trades
    CROSSED = "crossed"  # the best bid was not below the best ask
    BOOK = "book"  # the book failed its checksum, or did not come
    DEGRADED = "degraded"  # the book failed so often that it is left alone for long
    REFUSED = "refused"  # the venue does not serve a channel of it
    OUTLIER = "outlier"  # a price far from the one before
    MISMATCH = "mismatch"  # a bar was not the venue's own
    LATE = "late"  # a trade came after its bar had closed
    TIME = "time"  # a trade from the future, or from too far in the past


STOOD_IN = frozenset({Verdict.CROSSED, Verdict.BOOK, Verdict.STALE})
"""Lifted by the next good best bid and ask of any source."""
TOP = STOOD_IN | {Verdict.DEGRADED}
"""Lifted by one of the source that the instrument deserves."""
BARS = frozenset({Verdict.GAP, Verdict.MISMATCH, Verdict.LATE, Verdict.TIME})
"""Lifted once bars are whole again: by true trades, or by history fetched anew."""
PASSING = {Verdict.OUTLIER: 5 * MINUTE}
"""Lifted by time alone, market ns."""


class QualityBoard:
    """Verdicts of many instruments. `counts` says how often each was passed."""

    def __init__(self) -> None:
        self.counts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self._since: dict[str, dict[Verdict, int]] = {}
        self._changed: dict[str, None] = {}

    def find(self, instrument: str, verdict: Verdict, now: int) -> None:
        """Pass a verdict, or renew it."""
        known = self._since.setdefault(instrument, {})
        if verdict not in known:
            self.counts[verdict] += 1
            self._changed[instrument] = None
        known[verdict] = now

    def lift(self, instrument: str, verdicts: Iterable[Verdict]) -> None:
        """Take verdicts back."""
        known = self._since.get(instrument)
        if not known:
            return
        for verdict in verdicts:
            if known.pop(verdict, None) is not None:
                self._changed[instrument] = None

    def on_time(self, now: int) -> None:
        """Take back what has passed."""
        for instrument, known in self._since.items():
            over = [v for v, since in known.items() if v in PASSING and now - since >= PASSING[v]]
            if over:
                self.lift(instrument, over)

    def verdicts(self, instrument: str) -> tuple[str, ...]:
        """Give what is wrong with an instrument, in a fixed order."""
        known = self._since.get(instrument, {})
        return tuple(verdict.value for verdict in Verdict if verdict in known)

    def changes(self) -> tuple[InstrumentQuality, ...]:
        """Give, once, every instrument whose verdicts changed since the last call."""
        if not self._changed:
            return ()
        changed, self._changed = self._changed, {}
        return tuple(InstrumentQuality(name, self.verdicts(name)) for name in changed)
