"""How to run many small networks for 1,000 instruments on two cores: python -m benchmarks.runtime [--json].

Tries layouts, recurrent layers, chunk sizes, threads and session options on the untrained twins; each
figure is the smallest of several rounds, since other work on the machine only ever adds to it.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.rows import p99
from benchmarks.twin_graph import Graph
from benchmarks.twins import BEST, BUDGET_MFLOP, Shape, Twin, twins

ROWS = 1_000
ROUNDS = 7
CHUNKS = (32, 64, 128, 256, 512, 1_000)
RECURRENT = ("GRU", "LSTM")
SWITCH_S = 0.0005
Feeds = dict[str, NDArray[np.float32]]


class Settings(NamedTuple):
    """Options of a session; the defaults are what the daemon uses."""

    threads: int = 1
    level: str = "ORT_ENABLE_ALL"
    spinning: bool = True
    arena: bool = True


DEFAULT = Settings()


def session(model: bytes, settings: Settings = DEFAULT) -> Any:
    """Open a model with these options."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, settings.level)
    options.enable_cpu_mem_arena = settings.arena
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(settings.spinning)))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Loaded(NamedTuple):
    """A member with its session and its inputs, whole and dear ones first."""

    twin: Twin
    session: Any
    feeds: Feeds

    def chunks(self, size: int) -> list[Feeds]:
        return [{name: x[at : at + size] for name, x in self.feeds.items()} for at in range(0, ROWS, size)]


def loaded(shape: Shape = BEST, settings: Settings = DEFAULT) -> list[Loaded]:
    """Open all members, the dearest first, so that two threads end together."""
    ordered = sorted(twins(shape), key=lambda twin: -twin.mflop)
    return [Loaded(twin, session(twin.model, settings), twin.feeds(ROWS)) for twin in ordered]


def fastest_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Give the smallest of some rounds, after one that does not count."""
    work()
    found = []
    for _ in range(rounds):
        began = perf_counter_ns()
        work()
        found.append((perf_counter_ns() - began) / 1e6)
    return min(found)


def run_all(members: Sequence[Loaded], size: int) -> None:
    for member in members:
        for part in member.chunks(size):
            member.session.run(None, part)


def run_shared(members: Sequence[Loaded], size: int, pool: ThreadPoolExecutor) -> None:
    """Let two threads take (member, chunk) from one list until it is empty."""
    work = [(member, part) for member in members for part in member.chunks(size)]
    list(pool.map(lambda pair: pair[0].session.run(None, pair[1]), work))


def run_members(members: Sequence[Loaded], size: int, pool: ThreadPoolExecutor) -> None:
    """Let two threads take whole members."""
    list(pool.map(lambda member: run_all([member], size), members))


async def lateness_ms(work: Callable[[], object], seconds: float = 2.0) -> list[float]:
    """Give by how much an event loop's 1 ms timers are late while a thread repeats `work`."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    found = []
    until = perf_counter() + seconds
    try:
        while perf_counter() < until:
            due = perf_counter() + 0.001
            await asyncio.sleep(0.001)
            found.append((perf_counter() - due) * 1e3)
    finally:
        stop.set()
        thread.join()
    return found


# ---- the tables ----


def by_shape() -> dict[str, dict[str, float]]:
    """Give ms for 1,000 instruments of one 15m hybrid, per layout and recurrent layer, chunks of 128."""
    found: dict[str, dict[str, float]] = {}
    for layout in Graph.LAYOUTS:
        for name in RECURRENT:
            twin = twins(Shape(layout, name, BEST.units))[0]
            member = Loaded(twin, session(twin.model), twin.feeds(ROWS))
            found.setdefault(layout, {})[name] = fastest_ms(partial(run_all, [member], 128))
    return found


def by_chunk(members: list[Loaded], pool: ThreadPoolExecutor) -> dict[str, dict[str, float]]:
    """Give ms for all members per chunk size: one thread, and two threads in three ways."""
    two = loaded(settings=Settings(threads=2))
    idle = loaded(settings=Settings(threads=2, spinning=False))
    return {
        str(size): {
            "one thread": fastest_ms(partial(run_all, members, size)),
            "two inside each operator": fastest_ms(partial(run_all, two, size)),
            "two inside, no spinning": fastest_ms(partial(run_all, idle, size)),
            "two, a member each": fastest_ms(partial(run_members, members, size, pool)),
            "two, a chunk each": fastest_ms(partial(run_shared, members, size, pool)),
        }
        for size in CHUNKS
    }


def by_option() -> dict[str, float]:
    """Give ms for all members on one thread, chunks of 128, per session option."""
    tried = {
        "as the daemon": DEFAULT,
        "no spinning": Settings(spinning=False),
        "no arena": Settings(arena=False),
        "no optimisation": Settings(level="ORT_DISABLE_ALL"),
        "basic": Settings(level="ORT_ENABLE_BASIC"),
        "extended": Settings(level="ORT_ENABLE_EXTENDED"),
    }
    return {
        name: fastest_ms(partial(run_all, loaded(settings=settings), 128)) for name, settings in tried.items()
    }


def by_loop(members: list[Loaded], pool: ThreadPoolExecutor) -> dict[str, float]:
    """Give the p99 lateness in ms of an event loop beside inference that never pauses."""
    sys.setswitchinterval(SWITCH_S)
    spin = loaded(settings=Settings(threads=2))
    tried: dict[str, Callable[[], object]] = {
        "nothing": partial(threading.Event().wait, 0.01),
        "one thread": partial(run_all, members, 128),
        "two inside each operator": partial(run_all, spin, 128),
        "two, a chunk each": partial(run_shared, members, 128, pool),
    }
    return {name: p99(asyncio.run(lateness_ms(work))) for name, work in tried.items()}


def measured() -> dict[str, Any]:
    """Give every table, with what it was measured on."""
    members = loaded()
    total = sum(member.twin.mflop for member in members)
    with ThreadPoolExecutor(2) as pool:
        return {
            "cores": os.cpu_count(),
            "rows": ROWS,
            "rounds": ROUNDS,
            "mflop": round(total, 3),
            "mflop_budget": BUDGET_MFLOP,
            "members_ms": {
                one.twin.name: {
                    "mflop": one.twin.mflop,
                    "weights": one.twin.weights,
                    "ms": fastest_ms(partial(run_all, [one], 128)),
                }
                for one in members
            },
            "hybrid_ms": by_shape(),
            "all_ms": by_chunk(members, pool),
            "option_ms": by_option(),
            "loop_p99_ms": by_loop(members, pool),
        }


def lines(found: dict[str, Any]) -> list[str]:
    """Give the tables as text."""
    text = [f"{found['cores']} cores; {found['rows']} instruments; smallest of {found['rounds']} rounds, ms"]
    text.append(
        f"all members together {found['mflop']:g} MFLOP an instrument (budget {found['mflop_budget']:g})"
    )
    for name, one in found["members_ms"].items():
        text.append(f"  {name:<12} {one['mflop']:7.3f} MFLOP {one['weights']:>7} weights {one['ms']:8.2f} ms")
    for key in ("hybrid_ms", "all_ms"):
        table = found[key]
        heads = list(next(iter(table.values())))
        text.append(f"{key:<12}" + "".join(f"{head:>26}" for head in heads))
        text += [
            f"  {row:<10}" + "".join(f"{value:>26.1f}" for value in cells.values())
            for row, cells in table.items()
        ]
    for key in ("option_ms", "loop_p99_ms"):
        text.append(key)
        text += [f"  {name:<26} {value:8.2f}" for name, value in found[key].items()]
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    found = measured()
    print(json.dumps(found, indent=2) if parser.parse_args().json else "\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
