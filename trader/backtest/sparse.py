"""The sparse run: only instants and instruments at which something can happen, to the same end bit for bit.

Must not know models or files. Called by trader.backtest.run. An instrument is looked at while anything is
open on it, and at a close about which risk could act on an opinion. An instant is also lived through when
something happened after the last one, at the first bar of each UTC day and where listings change. In all
other bars nothing is there to be decided: what the desk would be told, it would only remember until the
next bar of the same instrument replaces it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.instrument import Instrument
from risk.screen import PASSES, REFUSED, screen
from trader.backtest.opinion_table import OpinionTable
from trader.backtest.panel import Panel
from trader.backtest.world import World
from trader.setup import TraderSetup

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]


class Seat(NamedTuple):
    """A trader with what it hears."""

    trader: TraderSetup
    table: OpinionTable


def live(
    world: World,
    panels: Iterable[Panel],
    seats: Sequence[Seat],
    *,
    instruments: Mapping[str, Instrument],
    wakes: Sequence[int],
    on_day: Callable[[int], None] | None,
) -> None:
    """Live through panels that follow one another in time; `wakes` are further times (ns) to wake at."""
    for panel in panels:
        watches = [_Watch(panel, seat, instruments) for seat in seats]
        _live(world, panel, watches, _Diary(panel, watches, wakes), on_day)
        refused: Counter[str] = Counter()
        for watch in watches:
            refused.update(watch.unasked())
        world.count(panel.bars, refused)


def _live(
    world: World,
    panel: Panel,
    watches: Sequence["_Watch"],
    diary: "_Diary",
    on_day: Callable[[int], None] | None,
) -> None:
    row = {symbol: place for place, symbol in enumerate(panel.symbols)}
    closes, instant = panel.closes.tolist(), 0
    while True:
        exposed = world.exposed
        if not (exposed or world.restless):
            instant = diary.after(instant)
        if instant >= len(closes):
            return
        rows = sorted({row[symbol] for symbol in exposed}.union(diary.rows(instant)))
        ts_close = closes[instant]
        world.on_bars(ts_close, panel.closed(rows, instant), panel.moved(rows, instant))
        for watch in watches:
            watch.asked[rows, instant] = True
        if on_day is not None and ts_close % DAY == 0:
            on_day(ts_close)
        instant += 1


class _Watch:
    """One trader's screened opinions on a panel, all arrays [N, T].

    `codes` are those of risk.screen, `due` tells where a dense run asks, `asked` where this one did.
    """

    def __init__(self, panel: Panel, seat: Seat, instruments: Mapping[str, Instrument]) -> None:
        trader, table = seat.trader, seat.table
        self.due: Flags = panel.decides(trader.decision)
        self.due &= np.isin(panel.symbols, trader.instruments)[:, None]
        self.asked: Flags = np.zeros(self.due.shape, np.bool_)
        usual = "wrong_model" if table.model_hash != trader.terms.model_hash else "not_ready"
        self.codes: Codes = np.full(self.due.shape, REFUSED.index(usual), np.uint8)
        if usual == "wrong_model" or not len(table.ts_close):
            return
        at = np.minimum(np.searchsorted(panel.closes, table.ts_close), len(panel) - 1)
        rows = np.flatnonzero(panel.closes[at] == table.ts_close)
        gated = table.gated()
        known = {symbol: column for column, symbol in enumerate(table.instruments)}
        for place, symbol in enumerate(panel.symbols):
            if (column := known.get(symbol)) is None:
                continue
            usable = table.usable[rows, column]
            codes = screen(
                table.p[rows, column],
                table.scales[rows, column],
                usable,
                panel.prices(place, at[rows]),
                policy=trader.policy,
                terms=trader.terms,
                off_by=2 * float(instruments[symbol].price_increment),
            )
            codes[~usable & gated[table.reason[rows, column]]] = REFUSED.index("model_gate")
            self.codes[place, at[rows]] = codes

    def could(self) -> Flags:
        """Tell where risk could act."""
        passes: Flags = self.due & (self.codes == PASSES)
        return passes

    def unasked(self) -> Counter[str]:
        """Count the decisions that nobody asked for by the rule that would have refused them."""
        counts = np.bincount(self.codes[self.due & ~self.asked], minlength=len(REFUSED)).tolist()
        return Counter({rule: count for rule, count in zip(REFUSED, counts, strict=True) if count})


class _Diary:
    """When to wake on a panel, and for which instruments."""

    def __init__(self, panel: Panel, watches: Sequence[_Watch], wakes: Sequence[int]) -> None:
        could = np.logical_or.reduce([watch.could() for watch in watches])
        instants, rows = np.nonzero(could.T)
        self._rows: dict[int, list[int]] = {}
        for instant, row in zip(instants.tolist(), rows.tolist(), strict=True):
            self._rows.setdefault(instant, []).append(row)
        days = np.arange(panel.closes[0] // DAY, panel.closes[-1] // DAY + 1) * DAY
        times = np.concatenate([days, np.array(wakes, np.int64)])
        at = np.searchsorted(panel.closes, times)
        self._instants = sorted({*self._rows, *at[at < len(panel)].tolist()})
        self._end = len(panel)

    def after(self, instant: int) -> int:
        """Give the next instant to wake at, from this one on; the panel's length if there is none."""
        place = bisect_left(self._instants, instant)
        return self._instants[place] if place < len(self._instants) else self._end

    def rows(self, instant: int) -> Sequence[int]:
        """Give the instruments about which risk could act."""
        return self._rows.get(instant, ())
