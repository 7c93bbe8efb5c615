"""Own one-minute bars against the venue's: from its candle channel, and from REST by sample.

Must not know sockets or what a mismatch leads to. Owned by feeds.live, which feeds both sides and
asks for verdicts; a minute is judged one minute later, when the venue's candle is final.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from core.clock import MINUTE
from core.market import Bar
from venue import wire
from venue.wire_market import CandleRow

VOLUME_TOLERANCE = 1e-6
"""Volumes are sums of floats here and of decimals there; and some venues round them."""


class Mismatch(NamedTuple):
    """A bar that is not the venue's."""

    instrument: str
    ts_open: int
    detail: str


class Witness:
    """The last candles of each instrument, and own bars that wait for theirs to be final."""

    def __init__(self) -> None:
        self._candles: dict[str, dict[int, CandleRow]] = {}
        self._waiting: dict[str, Bar] = {}
        self.compared = 0

    def on_candles(self, rows: Iterable[CandleRow]) -> None:
        """Take the venue's running candles."""
        for row in rows:
            try:
                opened = wire.timestamp_ns(row.interval_begin)
            except ValueError:
                continue
            known = self._candles.setdefault(row.symbol, {})
            known[opened] = row
            if len(known) > 3:
                del known[min(known)]

    def forget(self, instrument: str) -> None:
        """Judge nothing of an instrument until its next minute: a channel of it was down."""
        self._waiting.pop(instrument, None)
        self._candles.pop(instrument, None)

    def on_bars(self, bars: Iterable[Bar]) -> list[Mismatch]:
        """Take own minutes that just closed; gives what is wrong with the ones before them."""
        found = []
        for bar in bars:
            before = self._waiting.get(bar.instrument)
            self._waiting[bar.instrument] = bar
            candle = self._candles.get(bar.instrument, {}).get(before.ts_open) if before else None
            if before is None or candle is None or before.ts_close != bar.ts_open:
                continue  # a quiet minute has no candle, and a candle that is missing proves nothing
            self.compared += 1
            if detail := differs(before, candle):
                found.append(Mismatch(bar.instrument, before.ts_open, detail))
        return found

    def on_served(self, own: Iterable[Bar], served: Mapping[int, Bar]) -> list[Mismatch]:
        """Compare own minutes with the ones of REST, by open time; those that it lacks prove nothing."""
        found = []
        for bar in own:
            other = served.get(bar.ts_open)
            if other is not None:
                self.compared += 1
                if detail := differs(bar, other):
                    found.append(Mismatch(bar.instrument, bar.ts_open, detail))
        return found


def differs(own: Bar, other: CandleRow | Bar) -> str:
    """Name the first figure that differs; empty if the bars are the same."""
    if own.trades != other.trades:
        return f"expected {other.trades} trades, found {own.trades}"
    if own.trades == 0:
        return ""
    for name in ("open", "high", "low", "close"):
        mine, theirs = getattr(own, name), float(getattr(other, name))
        if mine != theirs:
            return f"expected {name} {theirs}, found {mine}"
    volume = float(other.volume)
    if abs(own.volume - volume) > VOLUME_TOLERANCE * max(own.volume, volume):
        return f"expected volume {volume}, found {own.volume}"
    return ""


def sample(instruments: Iterable[str], turn: int) -> str | None:
    """Give the instrument whose turn it is; each comes once in a round."""
    names = sorted(instruments)
    return names[turn % len(names)] if names else None


MINUTES_COMPARED = 10 * MINUTE
"""How far back a sample looks."""
