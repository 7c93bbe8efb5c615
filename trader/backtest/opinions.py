"""All opinions of a span at once: features folded, models run on whole histories, votes blended in order.

Must not know the desk. Called by trader.backtest. The fold equals the live step bit for bit and the
council is the live one, so these are the answers that inference.pipeline.OpinionSource would give to
somebody who asked at every close from the first bar on, some ten times sooner.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from feeds.lake import BarArrays
from inference.artifact import Artifact
from inference.card import REGIMES, Kind
from inference.card_check import VOTES
from inference.council import Council
from inference.ensemble import Ensemble
from inference.features.fold import Folded, fold
from inference.members import Answers, Due, Member
from inference.opinions import opinions_of, silent
from inference.predictor import Predictor
from inference.sitting import Verdicts

NOT_READY = "features are not warm, not finite, or miss a bar"
_BATCH = 8_192

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]
Histories = Mapping[str, Mapping[Timeframe, BarArrays]]


class FoldedOpinions:
    """Answers by looking up what the council decided at each close, in time order."""

    def __init__(self, ensembles: Mapping[str, Ensemble], histories: Histories) -> None:
        self._ensembles = ensembles
        self._row = {symbol: row for row, symbol in enumerate(histories)}
        models = _FoldedModels(histories)
        self._council = Council(ensembles, tuple(histories), models)
        for member in self._council.members:
            if member.artifact.card.kind in (Kind.ENTRY, *REGIMES):
                models.fold(member)
        self._verdicts: dict[str, dict[int, Verdicts]] = {trader: {} for trader in ensembles}
        self._walk(models, histories)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Know already: every row was made from bars closed by its own time, and no later one."""

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give the opinions about the bars that closed at the request's instant."""
        verdicts = self._verdicts[request.trader].get(request.ts_close)
        if verdicts is None:
            opinions = tuple(silent(symbol, NOT_READY) for symbol in request.instruments)
        else:
            rows = [self._row[symbol] for symbol in request.instruments if symbol in self._row]
            opinions = opinions_of(request.instruments, self._row, verdicts.of(rows))
        return Prediction(
            ts=0,
            prediction_id=request.prediction_id,
            trader=request.trader,
            ts_close=request.ts_close,
            timeframe=request.timeframe,
            model_hash=self._ensembles[request.trader].model_hash,
            opinions=opinions,
            members=self._council.names(request.trader),
        )

    def _walk(self, models: "_FoldedModels", histories: Histories) -> None:
        council, every = self._council, np.arange(len(self._row))
        paths = {timeframe: _Paths(histories, timeframe) for timeframe in council.judging}
        asked = {trader: models.closes(ensemble) for trader, ensemble in self._ensembles.items()}
        first = min((min(closes) for closes in asked.values() if closes), default=0)
        moments = set().union(*asked.values(), *(path.closes for path in paths.values()))
        # Bars before the first prediction have nothing to judge.
        for ts in sorted(ts for ts in moments if ts >= first):
            for timeframe, path in paths.items():
                if ts in path.closes:
                    council.on_bars(timeframe, *path.at(ts))
            for trader, closes in asked.items():
                if ts in closes:
                    self._verdicts[trader][ts] = council.decide(trader, ts, every)


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


class _Table(NamedTuple):
    """One member's answers at all its closes, [closes, N, ...]; `place` finds a close."""

    place: Mapping[int, int]
    p: Matrix
    ready: Flags
    outside: Floats
    scales: Floats  # [3, closes, N]: atr, volatility, close


class _FoldedModels:
    """Models over folded features: the protocol Models of the council."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._reason = [NOT_READY] * len(histories)
        self._tables: dict[Member, _Table] = {}
        self._metas: dict[str, tuple[Predictor, list[Folded]]] = {}

    def fold(self, member: Member) -> None:
        """Run a member over everything."""
        folded = self._fold(member.artifact)
        every = np.unique(np.concatenate([one.ts_close for one in folded]))
        shape = (len(every), len(folded))
        table = _Table(
            {ts: place for place, ts in enumerate(every.tolist())},
            np.zeros((*shape, len(member.artifact.card.classes)), np.float32),
            np.zeros(shape, np.bool_),
            np.zeros(shape),
            np.zeros((3, *shape)),
        )
        predictor = Predictor(member.artifact)
        for row, one in enumerate(folded):
            at = np.searchsorted(every, one.ts_close)
            table.ready[at, row] = one.ready
            table.scales[:, at, row] = one.atr, one.volatility, one.close
            for first in range(0, len(at), _BATCH):
                batch = np.flatnonzero(one.ready[first : first + _BATCH]) + first
                tensors = one.tensors(batch)
                table.p[at[batch], row] = predictor.predict(tensors)
                table.outside[at[batch], row] = member.range.outside(tensors, len(batch))
        self._tables[member] = table

    def closes(self, ensemble: Ensemble) -> frozenset[int]:
        """Give the ensemble's closes at which any of its members has features for any instrument."""
        found: set[int] = set()
        hashes = {member.artifact.model_hash for member in ensemble.members}
        for member, table in self._tables.items():
            if member.artifact.model_hash in hashes:
                ready = np.asarray(table.ready.any(axis=1))
                steps = range(0, max(member.length, ensemble.decision.ns), ensemble.decision.ns)
                found.update(ts + step for ts, place in table.place.items() if ready[place] for step in steps)
        return frozenset(ts for ts in found if ts % ensemble.decision.ns == 0)

    def answers(self, due: Sequence[Due]) -> list[Answers]:
        """Look up each member's answers at the close that it is asked about."""
        return [self._at(self._tables[member], ts_close) for member, ts_close, _ in due]

    def take(self, model: Artifact, ts_close: int, rows: Ints, votes: Matrix) -> tuple[Matrix, Flags]:
        """Give a meta-model's probabilities [n, 2] and which rows are ready."""
        if model.model_hash not in self._metas:
            alone = model.card.inputs.keys() <= {VOTES}
            self._metas[model.model_hash] = Predictor(model), [] if alone else self._fold(model)
        predictor, folded = self._metas[model.model_hash]
        if not folded:
            return predictor.predict({VOTES: votes}), np.ones(len(rows), np.bool_)
        p: Matrix = np.zeros((len(rows), 2), np.float32)
        ready = np.zeros(len(rows), np.bool_)
        for k, row in enumerate(rows.tolist()):
            one = folded[row]
            at = np.searchsorted(one.ts_close, [ts_close])
            if at[0] < len(one.ready) and one.ts_close[at[0]] == ts_close and one.ready[at[0]]:
                p[k] = predictor.predict(one.tensors(at) | {VOTES: votes[k : k + 1]})[0]
                ready[k] = True
        return p, ready

    def _at(self, table: _Table, ts_close: int) -> Answers:
        place, size = table.place.get(ts_close), len(self._reason)
        if place is None:
            nothing = np.zeros((size, table.p.shape[2]), np.float32)
            return Answers(nothing, np.zeros(size, np.bool_), self._reason, *np.zeros((5, size)))
        atr, volatility, close = table.scales[:, place]
        p, ready, outside = table.p[place], table.ready[place], table.outside[place]
        return Answers(p, ready, self._reason, outside, atr, volatility, close, np.zeros(size))

    def _fold(self, model: Artifact) -> list[Folded]:
        return [
            fold(model.spec, history, self._references(symbol)) for symbol, history in self._histories.items()
        ]

    def _references(self, symbol: str) -> dict[str, Mapping[Timeframe, BarArrays]]:
        """Give the histories of the instruments with the same quote, by their base."""
        quote = symbol.partition("/")[2]
        pairs = ((other.partition("/"), history) for other, history in self._histories.items())
        return {base: history for (base, _, other), history in pairs if other == quote}
