"""Feed cases, and write down what crashed, what was slow and what grew."""

import gc
import resource
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from random import Random
from typing import Any

import msgspec

from tests.fuzz.corpus import Corpus
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import Target

SLOW_MS = 100.0
"""CPU time that no case may take; wall time would measure the machine's other work."""
_HANG_S = 20
_KEPT = 5


class Hang(Exception):
    """A case did not end."""


class Outcome(msgspec.Struct):
    """What one target did with its cases."""

    target: str
    n: int = 0
    crashes: int = 0
    slow: int = 0
    slowest_ms: float = 0.0
    seconds: float = 0.0
    growth_mb: float = 0.0
    held: int = 0
    examples: list[str] = []

    @property
    def ok(self) -> bool:
        """Tell whether nothing crashed and nothing was slow."""
        return not self.crashes and not self.slow


def fuzz(
    kind: type[Target], corpus: Corpus, *, n: int, seed: int, told: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Feed `n` mutated seeds to one target, the same ones for the same corpus and seed."""
    rng = Random(f"{kind.name} {seed}")
    target = kind(corpus, Random(f"{kind.name} {seed} state"))
    outcome = Outcome(kind.name, examples=[])
    warm, base = n // 20, _peak_mb()
    with _alarm():
        for number in range(n):
            if number == warm:
                base = _peak_mb()
            case = target.prepared(mutate(rng, rng.choice(target.seeds), target.seeds))
            _one(target, case, outcome)
            if number % 500 == 499:
                told(500)
    told(n % 500)
    outcome.n = n
    outcome.growth_mb = round(_peak_mb() - base, 1)
    outcome.held = target.held()
    outcome.slowest_ms = round(outcome.slowest_ms, 3)
    outcome.seconds = round(outcome.seconds, 3)
    return outcome


def _one(target: Target, case: bytes, outcome: Outcome) -> None:
    signal.setitimer(signal.ITIMER_REAL, _HANG_S)
    began = time.thread_time_ns()
    try:
        target.feed(case)
    except Exception:  # noqa: BLE001  # whatever it is, it is what we look for
        outcome.crashes += 1
        where = " | ".join(line.strip() for line in traceback.format_exc(limit=-3).splitlines()[1:])
        if len(outcome.examples) < _KEPT and not any(where in known for known in outcome.examples):
            outcome.examples.append(f"{case[:400]!r}: {where}")
        target.start()
    took = (time.thread_time_ns() - began) / 1e6
    signal.setitimer(signal.ITIMER_REAL, 0)
    outcome.seconds += took / 1000
    outcome.slowest_ms = max(outcome.slowest_ms, took)
    if took > SLOW_MS:
        outcome.slow += 1
        if len(outcome.examples) < _KEPT:
            outcome.examples.append(f"{took:.0f} ms: {len(case)} bytes, {case[:200]!r}")


@contextmanager
def _alarm() -> Any:
    def ring(*_: object) -> None:
        raise Hang(f"expected an end within {_HANG_S} s, found none")

    former = signal.signal(signal.SIGALRM, ring)
    gc.collect()
    gc.freeze()  # a full collection of everything else in this process is no case's fault
    try:
        yield
    finally:
        gc.unfreeze()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
