"""Opinions that reach the desk some decision bars after they were due.

Must not know models or the desk. Called by trader.backtest.run: a strategy whose profit does not survive
one bar's delay has looked at the future, or lives of a moment that nobody gets.
"""

from collections.abc import Sequence

import msgspec

from core.events import Prediction, RequestOpinion
from core.market import Bar
from inference.opinions import silent
from trader.backtest.opinion_table import NOT_READY, TabledOpinions
from trader.backtest.world import Opinions


def heard_later(opinions: Opinions, bars: int) -> Opinions:
    """Give opinions each of which answers for the close so many decision bars after its own."""
    if isinstance(opinions, TabledOpinions):
        return opinions.later(bars)
    return _Late(opinions, bars)


class _Late:
    """Asks at every close, and answers with what was said that many bars before."""

    def __init__(self, opinions: Opinions, bars: int) -> None:
        self._opinions = opinions
        self._bars = bars
        self._said: dict[tuple[str, int], Prediction] = {}

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in what closed at one instant."""
        self._opinions.on_bars(bars)

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give the earlier opinions as if they were about this close."""
        now = self._opinions.answer(request)
        self._said[request.trader, request.ts_close] = now
        before = self._said.pop((request.trader, request.ts_close - self._bars * request.timeframe.ns), None)
        known = {opinion.instrument: opinion for opinion in before.opinions} if before else {}
        heard = tuple(known.get(name) or silent(name, NOT_READY) for name in request.instruments)
        return msgspec.structs.replace(now, opinions=heard)
