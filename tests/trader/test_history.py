"""History between the feed and the features: what is missing at the venue must not end the daemon."""

from collections.abc import Sequence
from types import SimpleNamespace

from core.clock import MINUTE, ManualClock
from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from feeds.bars import BarBuilder, quiet
from trader import history
from trader.history import HistoryGate

LISTED, DELISTED = "BTC/USDT", "OLD/USDT"
NOW = 100 * MINUTE


class InstantClock(ManualClock):
    """Every wait for the venue is over at once."""

    def wall_seconds(self, market_ns: int) -> float:
        return -history.SERVED_S


class Venue:
    async def ohlc(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        return [quiet(symbol, timeframe, NOW - timeframe.ns, 1.0)]


class Source:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def warm(self, bars: Sequence[Bar]) -> None:
        raise NotImplementedError

    def on_bars(self, bars: Sequence[Bar]) -> None:
        self.seen += [bar.instrument for bar in bars]

    def answer(self, request: RequestOpinion) -> Prediction:
        raise NotImplementedError


async def test_an_instrument_that_the_venue_refuses_to_stream_is_left_out():
    source, builder = Source(), BarBuilder()
    builder.add(LISTED, NOW)
    parts = SimpleNamespace(
        rest=Venue(),
        clock=InstantClock(NOW),
        builder=builder,
        source=source,
        symbols=(LISTED, DELISTED),
        timeframes={Timeframe.M1},
        read_model=SimpleNamespace(on_history=list),
        budget_ns=1,
        learn_history=lambda groups: [source.on_bars(bars) for _, bars in groups],
    )
    gate = HistoryGate(parts, deliver=print)  # type: ignore[arg-type]
    await gate._warm_up()
    assert gate.warm
    gate.stop()
    assert set(source.seen) == {LISTED, DELISTED}
