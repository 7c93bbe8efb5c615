"""From closed bars to opinions: features stepped once, models run on what is ready, votes blended.

Must not know orders, money or time of day. Called by inference.predictor's thread live; the answer
depends on the bars and books given and the requests answered so far and on nothing else (`monotonic` is
only for saying where the time went).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.errors import InternalError, ModelError
from core.events import Prediction, RequestOpinion
from core.market import Bar, Depths, Quote
from inference.council import Council
from inference.ensemble import Ensemble
from inference.ensemble_card import Role
from inference.features.book import BookColumns
from inference.features.frame import FeatureFrame
from inference.opinions import opinions_of
from inference.predictor import Predictor
from inference.runner import Continuation, Runner
from inference.saved import STATE, State, decode, encode, fitting, kept
from inference.sitting import Verdicts

Decide = Callable[[str, int, npt.NDArray[np.int64]], Verdicts]


class OpinionSource:
    """Answers for every trader; they share one frame, and with one model a session and its record."""

    def __init__(
        self,
        ensembles: Mapping[str, Ensemble],
        instruments: Sequence[str],
        monotonic: Callable[[], int] = lambda: 0,
    ) -> None:
        self._ensembles = dict(ensembles)
        self._row = {instrument: row for row, instrument in enumerate(instruments)}
        members = [member for ensemble in ensembles.values() for member in ensemble.members]
        specs = {member.artifact.spec.name: member.artifact.spec for member in members}
        self._frame = FeatureFrame(tuple(specs.values()), instruments)
        self._books = BookColumns(instruments)
        self._runner = Runner(self._frame, monotonic)
        self._runner.predictors = {m.artifact.model_hash: Predictor(m.artifact) for m in members}
        self._council = Council(ensembles, instruments, self._runner)
        self._monotonic = monotonic

    @property
    def counts(self) -> Counter[str]:
        """How often each gate refused, by the first word of its reason; `conflict` counts split votes."""
        return self._council.counts

    @property
    def frame(self) -> FeatureFrame:
        """The features, for whoever watches over them on the thread that steps them."""
        return self._frame

    def save(self) -> bytes:
        """Give everything that a restart needs to go on: features, votes, records."""
        return encode(State(STATE, self._frame.instruments, kept(self._council.seats), self._frame.save()))

    def restore(self, raw: bytes) -> tuple[str, ...]:
        """Go on from what `save` gave; gives the instruments whose features it knew.

        DataError if it does not fit. Members that sit here no longer are passed over, new ones start anew.
        """
        state = decode(raw)
        members = fitting(state, self._council.seats, self._row)
        found = self._frame.restore(state.frame).instruments
        for member, arrays in members:
            member.restore(arrays)
        return found

    @property
    def ensembles(self) -> Mapping[str, Ensemble]:
        """What each trader trades on now."""
        return self._ensembles

    def warm(self, bars: Sequence[Bar]) -> None:
        """Start the instruments and timeframes found in `bars` over from this history."""
        self._frame.warm(bars)
        self._council.on_history(bars)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Fold in all bars that closed at one instant, once, smallest timeframe first."""
        self._frame.on_bars(bars)
        self._council.on_close(bars)

    def on_tops(self, ts: int, quotes: Iterable[Quote], books: Depths) -> None:
        """Sample the newest quotes, and of some instruments bids and asks; `ts` in ns, once a minute.

        Opinions about closes up to `ts` carry it. It is not kept over a restart.
        """
        self._books.on_tops(ts, quotes)
        self._books.on_depths(books)

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give one opinion per instrument asked for, in that order; `ts` and latency are left at 0.

        InternalError for a trader that has no model or a timeframe that its model does not decide at.
        """
        return self._answer(request, self._council.decide)

    def peek(self, request: RequestOpinion) -> Prediction:
        """Answer as `answer` would now, and change nothing that a later answer depends on."""
        return self._answer(request, self._council.peek)

    def chances(self, trader: str, tensors: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Give the probabilities of a trader's only voter for given rows of its inputs; changes nothing.

        InternalError for an unknown trader, an ensemble of several voters, a missing tensor or another
        shape.
        """
        voters = self._of(trader).of(Role.VOTE)
        if len(voters) != 1:
            raise InternalError(
                f"{trader}: expected a single model for given rows; found {len(voters)} voters"
            )
        return self._runner.predictors[voters[0].artifact.model_hash].predict(tensors)

    def manage(
        self, trader: str, ts_close: int, instruments: Sequence[str], position: npt.NDArray[np.float32]
    ) -> Continuation:
        """Ask the trader's manager about open positions [n, columns] (card.POSITION_COLUMNS).

        InternalError for a trader whose ensemble has none.
        """
        managers = self._of(trader).of(Role.MANAGER)
        if not managers:
            raise InternalError(f"{trader}: expected an ensemble with a manager; found none")
        return self._runner.manage(managers[0].artifact, ts_close, instruments, position)

    def swap(self, ensembles: Mapping[str, Ensemble]) -> None:
        """Answer for these traders with other ensembles from now on, all or none.

        To be called between requests, on the thread that answers them; members that sit already keep
        their votes and record. ModelError in one line, with nothing changed, for a trader that is
        unknown, a spec that is not kept here, or golden rows that come out differently.
        """
        fresh: dict[str, Predictor] = {}
        for trader, ensemble in ensembles.items():
            for member in ensemble.members:
                model = member.artifact
                if trader not in self._ensembles or model.spec not in self._frame.specs:
                    known = ", ".join(sorted(spec.name for spec in self._frame.specs))
                    raise ModelError(
                        f"{trader}: expected a model on features that are kept ({known}); "
                        f"found {model.spec.name}, which needs a restart"
                    )
                if model.model_hash not in self._runner.predictors | fresh:
                    fresh[model.model_hash] = Predictor(model)
                    fresh[model.model_hash].prove()
        self._ensembles |= ensembles
        for trader, ensemble in ensembles.items():
            self._council.seat(trader, ensemble)
        used = {m.artifact.model_hash for e in self._ensembles.values() for m in e.members}
        known_by_now = self._runner.predictors | fresh
        self._runner.predictors = {key: one for key, one in known_by_now.items() if key in used}

    def _of(self, trader: str) -> Ensemble:
        ensemble = self._ensembles.get(trader)
        if ensemble is None:
            raise InternalError(f"expected a trader of {sorted(self._ensembles)}; found {trader!r}")
        return ensemble

    def _answer(self, request: RequestOpinion, decide: Decide) -> Prediction:
        ensemble = self._of(request.trader)
        if request.timeframe is not ensemble.decision:
            raise InternalError(
                f"{request.trader}: expected requests at {ensemble.decision.value}; "
                f"found {request.timeframe.value}"
            )
        began = self._monotonic()
        known = [self._row[instrument] for instrument in request.instruments if instrument in self._row]
        verdicts = decide(request.trader, request.ts_close, np.array(known, np.int64))
        opinions = opinions_of(request.instruments, self._row, verdicts, self._books.since(request.ts_close))
        features, models = self._runner.spent()
        return Prediction(
            ts=0,
            prediction_id=request.prediction_id,
            trader=request.trader,
            ts_close=request.ts_close,
            timeframe=request.timeframe,
            model_hash=ensemble.model_hash,
            opinions=opinions,
            members=self._council.names(request.trader),
            filters=self._council.filters(request.trader),
            stages=(0, features, models, self._monotonic() - began - features - models),
        )
