"""All opinions of a span at once: features folded, models run on whole histories, votes blended in order.

Must not know the desk. Called by trader.backtest. The fold equals the live step bit for bit and the
council is the live one, so these are the answers that inference.pipeline.OpinionSource would give to
somebody who asked at every close from the first bar on, some ten times sooner.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import BarArrays
from inference.artifact import Artifact
from inference.card import REGIMES, Kind
from inference.council import Council
from inference.ensemble import Ensemble
from inference.ensemble_card import Role
from inference.features.fold import Folded, fold
from inference.members import Answers, Due, Member
from inference.predictor import Predictor
from inference.sitting import Verdicts
from trader.backtest.opinion_table import NOT_READY, OpinionTable, TabledOpinions
from trader.backtest.solo import Column, is_solo, solo_table

_BATCH = 8_192
_WINDOWED = 128
"""Rows of windows run at once. With 8,192 the layers of a fusion of four timeframes leave every cache: 0.7 GB
and 2.9 times as long as with 128 (the twin `mtf` of benchmarks.twins)."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]
Histories = Mapping[str, Mapping[Timeframe, BarArrays]]


class FoldedOpinions(TabledOpinions):
    """What the council decided at each close, walked in time order, kept as arrays.

    Without `votes` the members' own voices are not kept: no decision reads them, and an ensemble of one
    voter is worked out for all closes at once, unless what it is asked shows in what another one says.
    """

    def __init__(
        self, ensembles: Mapping[str, Ensemble], histories: Histories, *, votes: bool = True
    ) -> None:
        models = _FoldedModels(histories)
        council = Council(ensembles, tuple(histories), models)
        for member in council.members:
            if member.artifact.card.kind in (Kind.ENTRY, *REGIMES):
                models.fold(member)
        super().__init__(_tables(ensembles, council, models, histories, votes=votes))


def entangled(ensembles: Collection[Ensemble]) -> bool:
    """Tell whether what one ensemble is asked can show in what another one says.

    It does where they share a member that speaks more often than one of them decides: its record then
    rests on more of its answers than that one alone would have asked for.
    """
    sharing = Counter(model for one in ensembles for model in {m.artifact.model_hash for m in one.members})
    return any(
        sharing[member.artifact.model_hash] > 1 and one.decision.ns > member.artifact.decision.ns
        for one in ensembles
        for member in one.members
    )


def _tables(
    ensembles: Mapping[str, Ensemble],
    council: Council,
    models: "_FoldedModels",
    histories: Histories,
    *,
    votes: bool,
) -> dict[str, OpinionTable]:
    quick = not (votes or entangled(ensembles.values()))
    solo = {
        trader: solo_table(
            ensemble, tuple(histories), models.column(council.anchor(trader)), models.closes(ensemble)
        )
        for trader, ensemble in ensembles.items()
        if quick and is_solo(ensemble)
    }
    rest = {trader: ensemble for trader, ensemble in ensembles.items() if trader not in solo}
    return solo | _walked(rest, council, models, histories, votes=votes)


def _walked(
    ensembles: Mapping[str, Ensemble],
    council: Council,
    models: "_FoldedModels",
    histories: Histories,
    *,
    votes: bool,
) -> dict[str, OpinionTable]:
    """Let the council sit at every close, as it does live."""
    if not ensembles:
        return {}
    every = np.arange(len(histories))
    paths = {timeframe: _Paths(histories, timeframe) for timeframe in council.judging}
    asked = {trader: models.closes(ensemble) for trader, ensemble in ensembles.items()}
    made = {
        trader: _Minutes(ensemble, council, trader, (tuple(histories), asked[trader]), votes=votes)
        for trader, ensemble in ensembles.items()
    }
    due: dict[int, list[str]] = {}
    for trader, closes in asked.items():
        for ts in closes.tolist():
            due.setdefault(ts, []).append(trader)
    first = min(due, default=0)
    moments = set(due).union(*(path.closes for path in paths.values()))
    # Bars before the first prediction have nothing to judge.
    for ts in sorted(ts for ts in moments if ts >= first):
        for timeframe, path in paths.items():
            if ts in path.closes:
                council.on_bars(timeframe, *path.at(ts))
        for trader in due.get(ts, ()):
            made[trader].note(council.decide(trader, ts, every))
    return {trader: minutes.table() for trader, minutes in made.items()}


class _Minutes:
    """What one ensemble decides, close after close, written into arrays made for all of them."""

    def __init__(
        self,
        ensemble: Ensemble,
        council: Council,
        trader: str,
        axes: tuple[tuple[str, ...], Ints],
        *,
        votes: bool,
    ) -> None:
        instruments, closes = axes
        names, filters = council.names(trader), council.filters(trader)
        shape = (len(closes), len(instruments))
        asked = sum(one.role != Role.MANAGER for one in filters)
        self._codes: dict[str, int] = {"": 0}
        self._row = 0
        self._table = OpinionTable(
            model_hash=ensemble.model_hash,
            decision=ensemble.decision,
            instruments=instruments,
            members=names,
            ts_close=closes,
            usable=np.zeros(shape, np.bool_),
            reason=np.zeros(shape, np.uint32),
            reasons=(),
            p=np.zeros((*shape, 3)),
            scales=np.zeros((*shape, 3)),
            spread=np.zeros(shape),
            age_s=np.zeros(shape),
            votes=np.zeros((*shape, len(names), 5)) if votes else None,
            filters=filters if votes else (),
            found=np.zeros((*shape, asked, 2)) if votes else None,
        )

    def note(self, verdicts: Verdicts) -> None:
        """Write the next close down."""
        table, row, codes = self._table, self._row, self._codes
        table.usable[row] = verdicts.usable
        table.reason[row] = [codes.setdefault(reason, len(codes)) for reason in verdicts.reason]
        table.p[row] = verdicts.p
        table.scales[row] = np.where(verdicts.usable[:, None], verdicts.scales.T, 0.0)
        table.spread[row] = verdicts.spread
        table.age_s[row] = verdicts.age_s
        if table.votes is not None:
            table.votes[row, :, :, :3] = verdicts.vote_p
            table.votes[row, :, :, 3] = verdicts.weights
            table.votes[row, :, :, 4] = verdicts.vote_age_s
        if table.found is not None:
            table.found[row] = verdicts.found
        self._row += 1

    def table(self) -> OpinionTable:
        """Give what was written."""
        return replace(self._table, reasons=tuple(self._codes))


class _Paths:
    """Open, high and low of all instruments, [3, closes, N], NaN where a bar is missing."""

    def __init__(self, histories: Histories, timeframe: Timeframe) -> None:
        series = [history[timeframe] for history in histories.values()]
        every = np.unique(np.concatenate([bars.ts_open for bars in series]))
        self._values = np.full((3, len(every), len(series)), np.nan)
        for row, bars in enumerate(series):
            at = np.searchsorted(every, bars.ts_open)
            self._values[:, at, row] = bars.open, bars.high, bars.low
        self.closes = {ts: place for place, ts in enumerate((every + timeframe.ns).tolist())}

    def at(self, ts_close: int) -> tuple[Ints, int, Floats]:
        """Give rows, instant and bars [3, n] as Council.on_bars takes them."""
        bars = self._values[:, self.closes[ts_close]]
        rows = np.flatnonzero(np.isfinite(bars[0]))
        return rows, ts_close, bars[:, rows]


class _FoldedModels:
    """Models over folded features: the protocol Models of the council."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._reason = [NOT_READY] * len(histories)
        self._tables: dict[Member, Column] = {}
        self._metas: dict[str, tuple[Predictor, list[Folded]]] = {}

    def fold(self, member: Member) -> None:
        """Run a member over everything."""
        decision = member.artifact.spec.decision
        opened = [history[decision].ts_open for history in self._histories.values()]
        every = np.unique(np.concatenate(opened)) + decision.ns
        shape = (len(every), len(opened))
        table = Column(
            member,
            every,
            {ts: place for place, ts in enumerate(every.tolist())},
            np.zeros((*shape, len(member.artifact.card.classes)), np.float32),
            np.zeros(shape, np.bool_),
            np.zeros(shape),
            np.zeros((3, *shape)),
        )
        predictor = Predictor(member.artifact)
        windows = any(len(shape) > 1 for shape in member.artifact.card.inputs.values())
        size = _WINDOWED if windows else _BATCH
        # One pair's features at a time: they are many times larger than what is kept of them.
        for row, one in enumerate(self._fold(member.artifact)):
            at = np.searchsorted(every, one.ts_close)
            table.ready[at, row] = one.ready
            table.scales[:, at, row] = one.atr, one.volatility, one.close
            for first in range(0, len(at), size):
                batch = np.flatnonzero(one.ready[first : first + size]) + first
                tensors = one.tensors(batch)
                table.p[at[batch], row] = predictor.predict(tensors)
                table.outside[at[batch], row] = member.range.outside(tensors, len(batch))
        self._tables[member] = table

    def column(self, member: Member) -> Column:
        """Give a member's answers. A model sits once for each set of limits that it is held to."""
        return self._tables[member]

    def closes(self, ensemble: Ensemble) -> Ints:
        """Give the ensemble's closes, sorted, at which any member has features for any instrument."""
        found: list[Ints] = [np.empty(0, np.int64)]
        hashes = {member.artifact.model_hash for member in ensemble.members}
        for member, table in self._tables.items():
            if member.artifact.model_hash in hashes:
                ready = table.ts_close[table.ready.any(axis=1)]
                steps = range(0, max(member.length, ensemble.decision.ns), ensemble.decision.ns)
                found += [ready + step for step in steps]
        every = np.unique(np.concatenate(found))
        return every[every % ensemble.decision.ns == 0]

    def answers(self, due: Sequence[Due]) -> list[Answers]:
        """Look up each member's answers at the close that it is asked about."""
        return [self._at(self._tables[member], ts_close) for member, ts_close, _ in due]

    def take(
        self, model: Artifact, ts_close: int, rows: Ints, given: Mapping[str, Matrix]
    ) -> tuple[Matrix, Flags]:
        """Give a meta-model's probabilities [n, 2] and which rows are ready."""
        if model.model_hash not in self._metas:
            alone = model.card.inputs.keys() <= given.keys()
            self._metas[model.model_hash] = Predictor(model), [] if alone else list(self._fold(model))
        predictor, folded = self._metas[model.model_hash]
        if not folded:
            return predictor.predict(given), np.ones(len(rows), np.bool_)
        p: Matrix = np.zeros((len(rows), 2), np.float32)
        ready = np.zeros(len(rows), np.bool_)
        for k, row in enumerate(rows.tolist()):
            one = folded[row]
            at = np.searchsorted(one.ts_close, [ts_close])
            if at[0] < len(one.ready) and one.ts_close[at[0]] == ts_close and one.ready[at[0]]:
                beside = {name: x[k : k + 1] for name, x in given.items()}
                p[k] = predictor.predict(one.tensors(at) | beside)[0]
                ready[k] = True
        return p, ready

    def _at(self, table: Column, ts_close: int) -> Answers:
        place, size = table.place.get(ts_close), len(self._reason)
        if place is None:
            nothing = np.zeros((size, table.p.shape[2]), np.float32)
            return Answers(nothing, np.zeros(size, np.bool_), self._reason, *np.zeros((5, size)))
        atr, volatility, close = table.scales[:, place]
        p, ready, outside = table.p[place], table.ready[place], table.outside[place]
        return Answers(p, ready, self._reason, outside, atr, volatility, close, np.zeros(size))

    def _fold(self, model: Artifact) -> Iterator[Folded]:
        for symbol, history in self._histories.items():
            yield fold(model.spec, history, self._references(symbol))

    def _references(self, symbol: str) -> dict[str, Mapping[Timeframe, BarArrays]]:
        """Give the histories of the instruments with the same quote, by their base."""
        quote = symbol.partition("/")[2]
        pairs = ((other.partition("/"), history) for other, history in self._histories.items())
        return {base: history for (base, _, other), history in pairs if other == quote}
