"""1,000 instruments and all timeframes close at 00:00 UTC: last bar in -> last intent out and journalled."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from benchmarks.rows import Found, median, p99
from benchmarks.setup import (
    TWINS,
    closes,
    desk_setup,
    final,
    midnight,
    needed,
    specs_of,
    started,
    warmed,
    whole,
)
from benchmarks.synthetic import bars_at, instruments, quotes_at
from core.clock import LiveClock
from core.events import BarsClosed, Prediction, Quotes, RequestOpinion
from core.market import TIMEFRAMES, Timeframe
from core.orders import SubmitOrder
from inference.ensemble import Ensemble
from inference.pipeline import OpinionSource
from risk.policy import RiskPolicy
from trader.desk import Desk
from trader.journal import Journal

INSTRUMENTS = 1_000
ROUNDS = 30
EAGER = RiskPolicy(
    min_confidence=0.0,
    min_expected_value=-0.05,
    max_open_positions=200,
    max_leverage=5.0,
    max_position_notional=0.02,
    max_trades_per_day=2_000,
)
WORKER = ("waiting", "features in", "models", "blend")
"""Names of Prediction.stages."""
T = TypeVar("T")


class Decided(NamedTuple):
    """All rounds of one size: milliseconds in all and by stage, and what came out of a round."""

    ms: list[float]
    stages: dict[str, list[float]]
    opinions: int
    ready: float
    orders: int

    def profile(self) -> dict[str, float]:
        """Give each stage's median in ms."""
        return {name: round(median(found), 2) for name, found in self.stages.items()}


class Stopwatch:
    """Laps by name, in ms."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}

    def lap(self, name: str, work: Callable[[], T]) -> T:
        began = perf_counter_ns()
        answer = work()
        self.laps[name] = self.laps.get(name, 0.0) + (perf_counter_ns() - began) / 1e6
        return answer


def measure() -> Found:
    shipped = whole()
    sorts = {"shipped " + " ".join(shipped): shipped, TWINS: final()}
    found = {name: decisions(sort) for name, sort in sorts.items()}
    worst = max(p99(one.ms) for one in found.values())
    return Found({"decide.p99_ms": worst}, "; ".join(told(name, one) for name, one in found.items()))


def told(name: str, found: Decided) -> str:
    """Put one ensemble's figures into words."""
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in found.profile().items())
    return (
        f"{name} on {INSTRUMENTS} instruments x {len(TIMEFRAMES)} timeframes, {len(found.ms)} rounds: "
        f"slowest {p99(found.ms):.0f}, median {median(found.ms):.0f} ms; a round has {found.opinions} "
        f"opinions, {found.ready:.0%} ready, and {found.orders} orders; medians by stage, ms: {stages}; "
        f"without the hop to the predictor's thread"
    )


def decisions(ensembles: Mapping[str, Ensemble], count: int = INSTRUMENTS, rounds: int = ROUNDS) -> Decided:
    """Let whole days pass and measure every midnight after the first."""
    return asyncio.run(_decisions(ensembles, count, rounds))


async def _decisions(ensembles: Mapping[str, Ensemble], count: int, rounds: int) -> Decided:
    listed = instruments(count)
    names = tuple(one.symbol for one in listed)
    setup = desk_setup(ensembles, listed, EAGER)
    first = midnight(400)
    source = warmed(ensembles, count, first)
    rng = np.random.default_rng(4)
    found = Decided([], {}, 0, 0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        journal = await Journal.open(Path(folder) / "journal.db", after=None, clock=LiveClock())
        try:
            for number in range(rounds + 1):
                ts = first + (number + 1) * Timeframe.D1.ns
                for bars in closes(_between(ensembles), names, ts, rng):
                    if bars[0].ts_close != ts:
                        source.on_bars(bars)
                desk = started(setup, ts)
                desk.on_event(Quotes(ts, quotes_at(names, ts)))
                bars = tuple(bar for t in TIMEFRAMES for bar in bars_at(names, t, ts - t.ns, rng))
                laps, answers, orders = await _decide(desk, source, journal, BarsClosed(ts, ts, bars))
                if number:  # the first round warms up
                    found = _with(found, laps, answers, orders)
        finally:
            await journal.close()  # its thread would keep a failed process alive
    return found


def _between(ensembles: Mapping[str, Ensemble]) -> dict[Timeframe, int]:
    """Give the bars that keep every timeframe whole over a day; 1m starts over and is warm again."""
    return {
        timeframe: min(bars, Timeframe.D1.ns // timeframe.ns)
        for timeframe, bars in needed(specs_of(ensembles.values())).items()
    }


async def _decide(
    desk: Desk, source: OpinionSource, journal: Journal, event: BarsClosed
) -> tuple[dict[str, float], list[Prediction], int]:
    """Do what the daemon does with a set of closes; give ms by stage, the answers, and orders."""
    watch = Stopwatch()
    by_timeframe = {t: tuple(bar for bar in event.bars if bar.timeframe is t) for t in TIMEFRAMES}
    began = perf_counter_ns()
    said = watch.lap("engine on bars", partial(desk.on_event, event))
    watch.lap("journal in", partial(journal.append, event, said, desk.labels))
    for timeframe, bars in by_timeframe.items():
        watch.lap(f"features {timeframe.value}", partial(source.on_bars, bars))
    answers, orders = [], 0
    for request in [command for command in said if isinstance(command, RequestOpinion)]:
        answer = msgspec.structs.replace(watch.lap("answer", partial(source.answer, request)), ts=event.ts)
        commands = watch.lap("risk and engine", partial(desk.on_event, answer))
        watch.lap("journal in", partial(journal.append, answer, commands, desk.labels))
        answers.append(answer)
        orders += sum(isinstance(command, SubmitOrder) for command in commands)
    before = perf_counter_ns()
    await journal.commit()
    ended = perf_counter_ns()
    watch.laps["journal commit"] = (ended - before) / 1e6
    for answer in answers:
        for name, ns in zip(WORKER, answer.stages, strict=False):
            watch.laps[f"answer: {name}"] = watch.laps.get(f"answer: {name}", 0.0) + ns / 1e6
    return {"all": (ended - began) / 1e6, **watch.laps}, answers, orders


def _with(found: Decided, laps: dict[str, float], answers: list[Prediction], orders: int) -> Decided:
    opinions = [opinion for answer in answers for opinion in answer.opinions]
    found.ms.append(laps["all"])
    for name, ms in laps.items():
        if name != "all":
            found.stages.setdefault(name, []).append(ms)
    ready = sum(opinion.ready for opinion in opinions) / max(len(opinions), 1)
    return found._replace(opinions=len(opinions), ready=ready, orders=orders)
