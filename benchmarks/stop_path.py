"""Quote in -> exit command handed to the journal, while inference for 1,000 pairs runs beside it."""

import asyncio
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from time import perf_counter_ns

import numpy as np

from benchmarks.rows import Found, median, p99
from benchmarks.setup import TWINS, desk_setup, final, midnight, started, warmed
from benchmarks.synthetic import bars_at, instruments, quotes_at, symbols
from core.clock import SECOND, LiveClock
from core.events import Fill, OrderUpdate, Prediction, Quotes, RequestOpinion
from core.market import TIMEFRAMES, Quote
from core.orders import OrderState, Purpose, SubmitOrder
from core.signal import Opinion
from inference.ensemble import Ensemble
from risk.policy import RiskPolicy
from trader.desk import Desk
from trader.journal import Journal

PAIRS = 1_000
ROUNDS = 300
SWITCH_S = 0.0005
POLICY = RiskPolicy(
    min_confidence=0.0,
    min_expected_value=-0.05,
    max_position_notional=0.5,
    max_drawdown=0.01,
    max_daily_loss=0.01,
)


def measure() -> Found:
    ensembles = final()
    ts = midnight(400)
    held = _with_position(ensembles, ts)
    sys.setswitchinterval(SWITCH_S)
    quiet = asyncio.run(_rounds(held, ts))
    stop, answered = Event(), [0]
    worker = Thread(target=_infer, args=(ensembles, ts, stop, answered))
    worker.start()
    try:
        while not answered[0]:
            stop.wait(0.05)
        busy = asyncio.run(_rounds(held, ts))
    finally:
        stop.set()
        worker.join()
    return Found(
        {"stop_path.p99_ms": p99(busy)},
        f"drawdown breaker on one position, {ROUNDS} rounds: median {median(busy):.2f}, slowest "
        f"{max(busy):.2f} ms (p99 {p99(quiet):.2f} ms without inference); {answered[0]} answers of {PAIRS} "
        f"opinions meanwhile, one after the other, by {TWINS} on up to 5 timeframes; "
        f"thread switch interval {SWITCH_S * 1e3:g} ms",
    )


def _with_position(ensembles: dict[str, Ensemble], ts: int) -> bytes:
    """Give the snapshot of a desk that holds one protected position."""
    listed = instruments(1)
    symbol = listed[0].symbol
    desk = started(desk_setup(ensembles, listed, POLICY), ts)
    desk.on_event(Quotes(ts, quotes_at((symbol,), ts)))
    (name, model) = next(iter(ensembles.items()))
    opinion = Opinion(symbol, True, 0.05, 0.05, 0.9, 1.0, 0.01, 100.0)
    orders = [
        command
        for command in desk.on_event(
            Prediction(ts, "p", name, ts, model.decision, model.model_hash, (opinion,))
        )
        if isinstance(command, SubmitOrder)
    ]
    entry = next(order for order in orders if order.purpose is Purpose.ENTRY)
    for order in orders:
        desk.on_event(OrderUpdate(ts, name, order.cl_ord_id, OrderState.WORKING, order_id=order.cl_ord_id))
    price, bought = Decimal("100.01"), entry.quantity
    desk.on_event(
        Fill(
            ts,
            name,
            "x",
            entry.cl_ord_id,
            "o",
            symbol,
            entry.side,
            price,
            entry.quantity,
            Decimal(1),
            False,
            ts,
        )
    )
    desk.on_event(OrderUpdate(ts, name, entry.cl_ord_id, OrderState.FILLED, filled=bought))
    return desk.snapshot()


async def _rounds(held: bytes, ts: int) -> list[float]:
    symbol = symbols(1)[0]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        journal = await Journal.open(Path(folder) / "journal.db", after=None, clock=LiveClock())
        size = Decimal(1000)
        for number in range(ROUNDS):
            desk = Desk.restore(held)
            later = ts + (number + 1) * SECOND
            crash = Quotes(later, (Quote(symbol, later, Decimal("60.00"), Decimal("60.02"), size, size),))
            await asyncio.sleep(0.002)
            began = perf_counter_ns()
            commands = desk.on_event(crash)
            journal.append(crash, commands, desk.labels)
            found.append((perf_counter_ns() - began) / 1e6)
            assert any(isinstance(c, SubmitOrder) and c.purpose is Purpose.EXIT for c in commands), commands
            await journal.commit()
        await journal.close()
    return found


def _infer(ensembles: dict[str, Ensemble], ts: int, stop: Event, answered: list[int]) -> None:
    """Let one quarter of an hour follow the other without a pause, whatever closes in each."""
    source = warmed(ensembles, PAIRS, ts)
    rng = np.random.default_rng(5)
    (name, model) = next(iter(ensembles.items()))
    slow = [one for one in TIMEFRAMES if one.ns >= model.decision.ns]
    while not stop.is_set():
        ts += model.decision.ns
        for one in slow:
            if ts % one.ns == 0:
                source.on_bars(bars_at(symbols(PAIRS), one, ts - one.ns, rng))
        source.answer(RequestOpinion(name, f"p{answered[0]}", model.decision, ts, symbols(PAIRS)))
        answered[0] += 1
