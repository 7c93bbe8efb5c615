"""1,000 instruments and all timeframes close at 00:00 UTC: last bar in -> last intent out."""

from time import perf_counter_ns

import msgspec
import numpy as np

from benchmarks.rows import Found, median, p99
from benchmarks.setup import desk_setup, midnight, shipped, started, warmed
from benchmarks.synthetic import bars_at, instruments, quotes_at
from core.events import BarsClosed, Quotes, RequestOpinion
from core.market import TIMEFRAMES, Timeframe
from core.orders import SubmitOrder
from inference.pipeline import OpinionSource
from risk.policy import RiskPolicy
from trader.desk import Desk

INSTRUMENTS = 1_000
ROUNDS = 20
STEP = Timeframe.H4
EAGER = RiskPolicy(
    min_confidence=0.0,
    min_expected_value=-0.05,
    max_open_positions=200,
    max_leverage=5.0,
    max_position_notional=0.02,
    max_trades_per_day=2_000,
)


def measure() -> Found:
    artifacts = shipped()
    listed = instruments(INSTRUMENTS)
    names = tuple(one.symbol for one in listed)
    first = midnight(400)
    source = warmed(artifacts, INSTRUMENTS, first)
    rng = np.random.default_rng(4)
    setup = desk_setup(artifacts, listed, EAGER)
    found, ready, orders, rows = [], 0, 0, 0
    for number in range(ROUNDS + 1):
        ts = first + number * STEP.ns
        if number:
            _live_through(source, names, ts - STEP.ns, ts, rng)
        desk = started(setup, ts)
        desk.on_event(Quotes(ts, quotes_at(names, ts)))
        bars = tuple(bar for t in TIMEFRAMES for bar in bars_at(names, t, ts - t.ns, rng))
        seconds, answered, submitted = _decide(desk, source, BarsClosed(ts, ts, bars))
        if number:  # the first round warms up
            found.append(seconds * 1e3)
            ready, orders, rows = ready + answered[0], orders + submitted, rows + answered[1]
    return Found(
        {"decide.p99_ms": p99(found)},
        f"{', '.join(m.name for m in artifacts.values())} on {INSTRUMENTS} instruments x {len(TIMEFRAMES)} "
        f"timeframes, {ROUNDS} rounds (p99 = the slowest), median {median(found):.0f} ms; a round has "
        f"{rows // ROUNDS} opinions, {ready / rows:.0%} ready, and {orders // ROUNDS} orders; "
        f"without the hop to the predictor's thread",
    )


def _decide(desk: Desk, source: OpinionSource, event: BarsClosed) -> tuple[float, tuple[int, int], int]:
    began = perf_counter_ns()
    requests = [c for c in desk.on_event(event) if isinstance(c, RequestOpinion)]
    source.on_bars(event.bars)
    commands = []
    answers = []
    for request in requests:
        answers.append(msgspec.structs.replace(source.answer(request), ts=event.ts))
        commands += desk.on_event(answers[-1])
    seconds = (perf_counter_ns() - began) / 1e9
    opinions = [opinion for answer in answers for opinion in answer.opinions]
    ready = sum(opinion.ready for opinion in opinions)
    return seconds, (ready, len(opinions)), sum(isinstance(c, SubmitOrder) for c in commands)


def _live_through(
    source: OpinionSource, names: tuple[str, ...], since: int, until: int, rng: np.random.Generator
) -> None:
    """Feed what closes strictly between two measured instants."""
    for ts in range(since + Timeframe.M5.ns, until, Timeframe.M5.ns):
        due = [t for t in (Timeframe.M5, Timeframe.M15, Timeframe.H1) if ts % t.ns == 0]
        source.on_bars([bar for t in due for bar in bars_at(names, t, ts - t.ns, rng)])
