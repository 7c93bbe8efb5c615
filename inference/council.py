"""All ensembles of a source: who sits where, what members are asked, how they are judged.

Must not know features, how a model runs, or risk. Called by inference.pipeline live and by the
backtest over folded histories: one code, driven by closed bars and requests, so both decide alike.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from core.market import Bar, Timeframe
from core.signal import Filter
from inference.ensemble import Ensemble
from inference.ensemble import Member as Seat
from inference.members import Member
from inference.sitting import Models, Panel, Sitting, Verdicts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Council:
    """All ensembles over a fixed list of instruments; a model in several of them runs and is judged once."""

    def __init__(self, ensembles: Mapping[str, Ensemble], instruments: Sequence[str], models: Models) -> None:
        self._row = {instrument: row for row, instrument in enumerate(instruments)}
        self._models = models
        self._members: dict[tuple[object, ...], Member] = {}
        self._panels: dict[str, Panel] = {}
        self.counts: Counter[str] = Counter()
        """Refusals by the word before the colon, and opinions whose voters lean to different sides."""
        for trader, ensemble in ensembles.items():
            self.seat(trader, ensemble)

    def seat(self, trader: str, ensemble: Ensemble) -> None:
        """Give a trader an ensemble; members that sit already keep their votes and record."""
        self._panels[trader] = Panel(
            ensemble, {seat: self._member(seat, ensemble) for seat in ensemble.members}
        )
        used = {member for panel in self._panels.values() for member in panel.members}
        self._members = {key: member for key, member in self._members.items() if member in used}

    def names(self, trader: str) -> tuple[str, ...]:
        """Give the names of a trader's voters, in the order of Verdicts."""
        return self._panels[trader].names

    def filters(self, trader: str) -> tuple[Filter, ...]:
        """Give those of a trader's members that do not vote; `Verdicts.found` is in their order."""
        return self._panels[trader].filters

    def anchor(self, trader: str) -> Member:
        """Give the voter whose label is that of a trader's ensemble."""
        return self._panels[trader].anchor

    @property
    def members(self) -> tuple[Member, ...]:
        """Every member once."""
        return tuple(self._members.values())

    @property
    def seats(self) -> dict[str, Member]:
        """Every member by a name that says what it is and on which terms it is judged."""
        return {msgspec.json.encode(key).decode(): member for key, member in self._members.items()}

    @property
    def judging(self) -> frozenset[Timeframe]:
        """The timeframes whose bars decide how good members are."""
        return frozenset(member.decision for member in self._members.values() if member.board)

    def on_bars(self, timeframe: Timeframe, rows: Ints, ts_close: int, bars: Floats) -> None:
        """Take in open, high and low [3, n] of the bars of `rows` that closed at `ts_close`."""
        for member in self._members.values():
            if member.decision is timeframe:
                member.on_bars(rows, ts_close, bars)

    def on_close(self, bars: Sequence[Bar]) -> None:
        """Take in closed bars of any timeframes and instruments; those of one timeframe oldest first."""
        judging = self.judging
        groups: dict[tuple[Timeframe, int], list[Bar]] = {}
        for bar in bars:
            if bar.timeframe in judging and bar.instrument in self._row:
                groups.setdefault((bar.timeframe, bar.ts_open), []).append(bar)
        for (timeframe, ts_open), group in groups.items():
            rows = np.array([self._row[bar.instrument] for bar in group], np.int64)
            path = ([bar.open for bar in group], [bar.high for bar in group], [bar.low for bar in group])
            self.on_bars(timeframe, rows, ts_open + timeframe.ns, np.array(path))

    def on_history(self, bars: Sequence[Bar]) -> None:
        """Take in the past of some instruments; where no prediction waits, its newest bars are enough."""
        judging = self.judging
        series: dict[tuple[Timeframe, str], list[Bar]] = {}
        for bar in bars:
            if bar.timeframe in judging and bar.instrument in self._row:
                series.setdefault((bar.timeframe, bar.instrument), []).append(bar)
        for (timeframe, instrument), past in series.items():
            boards = [member.board for member in self.members if member.decision is timeframe]
            waits = any(board.made[:, self._row[instrument]].any() for board in boards if board)
            past.sort(key=lambda bar: bar.ts_open)
            self.on_close(past if waits else past[-1:])

    def decide(self, trader: str, ts_close: int, rows: Ints) -> Verdicts:
        """Give the verdicts about `rows` at a close of the trader's decision timeframe."""
        panel = self._panels[trader]
        self._ask(panel, ts_close, rows)
        return Sitting(panel, ts_close, rows, self.counts).verdicts(self._models)

    def peek(self, trader: str, ts_close: int, rows: Ints) -> Verdicts:
        """Give what `decide` would, and change nothing."""
        panel = self._panels[trader].shadow()
        self._ask(panel, ts_close, rows)
        return Sitting(panel, ts_close, rows, Counter()).verdicts(self._models)

    def _member(self, seat: Seat, ensemble: Ensemble) -> Member:
        policy = ensemble.card.policy
        terms = (policy.skill_half_life_days, policy.sanity)
        key = (seat.artifact.model_hash, terms)
        if key not in self._members:
            self._members[key] = Member(seat.artifact, policy, len(self._row))
        return self._members[key]

    def _ask(self, panel: "Panel", ts_close: int, rows: Ints) -> None:
        waiting = [due for member in panel.asked if (due := member.due(ts_close, rows))]
        if waiting:
            for due, found in zip(waiting, self._models.answers(waiting), strict=True):
                due.member.take(due, found)
