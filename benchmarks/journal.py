"""From a decision to its bytes on a socket: engine step, FULL commit, write."""

import asyncio
import socket
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns

from benchmarks.rows import Found, median, p99
from benchmarks.synthetic import START
from core.clock import SECOND, LiveClock
from core.events import Prediction, Timer
from core.market import Timeframe
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from trader.journal import Journal
from trader.records import NOBODY

STEPS = 400
WARM_UP = 20
PAUSE_S = 0.005


def measure() -> Found:
    alone, busy = asyncio.run(_measure(1)), asyncio.run(_measure(8))
    return Found(
        {"journal.p99_ms": p99(alone)},
        f"one step with a stop and an entry, {STEPS} rounds, median {median(alone):.2f} ms; in bursts of 8: "
        f"median {median(busy):.2f}, p99 {p99(busy):.2f} ms; WAL, synchronous=FULL, the tape's fsync; "
        f"files in {tempfile.gettempdir()}",
    )


async def _measure(burst: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        journal = await Journal.open(Path(folder) / "journal.db", after=None, clock=LiveClock())
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        found: list[float] = []
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(journal.run())
            reader = group.create_task(asyncio.to_thread(_drain, theirs))
            for number in range(STEPS // burst):
                await _burst(journal, ours, number * burst, burst, found)
            writer.cancel()
            ours.close()
            await reader
        theirs.close()
        await journal.close()
    return found[WARM_UP:]


async def _burst(journal: Journal, wire: socket.socket, first: int, burst: int, found: list[float]) -> None:
    done = asyncio.Event()
    left = burst
    for number in range(first, first + burst):
        began = perf_counter_ns()

        def release(began: int = began) -> None:
            nonlocal left
            wire.send(b"x" * 300)
            found.append((perf_counter_ns() - began) / 1e6)
            left -= 1
            if not left:
                done.set()

        journal.append(Timer(START + number * SECOND), (), NOBODY)
        journal.append(_decision(number), _orders(number), NOBODY, release)
    await done.wait()
    await asyncio.sleep(PAUSE_S)


def _drain(wire: socket.socket) -> None:
    while wire.recv(65_536):
        pass


def _decision(number: int) -> Prediction:
    return Prediction(START + number * SECOND, f"p{number}", "bench", START, Timeframe.M5, "0" * 64, ())


def _orders(number: int) -> tuple[SubmitOrder, SubmitOrder]:
    def order(purpose: Purpose, kind: OrderType, side: Side) -> SubmitOrder:
        return SubmitOrder(
            account="bench",
            trader="bench",
            cl_ord_id=f"SM{purpose[:2].upper()}{number:09}",
            instrument="BTC/USDT",
            side=side,
            quantity=Decimal("0.01"),
            order_type=kind,
            purpose=purpose,
            time_in_force=TimeInForce.IOC,
            deadline=START,
            limit_price=Decimal("60000.1"),
        )

    stop = order(Purpose.STOP, OrderType.STOP_LOSS, Side.SELL)
    return stop, order(Purpose.ENTRY, OrderType.LIMIT, Side.BUY)
