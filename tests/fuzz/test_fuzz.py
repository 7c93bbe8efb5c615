"""Damaged messages in the suite: few, and the same ones on every machine; `./run fuzz` feeds more."""

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import SYMBOLS, load
from tests.fuzz.harness import SLOW_MS, fuzz
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS, Private, Public, Target

CASES = 20_000
MOST_HELD = 5_000
CORPUS = load(shared=False)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", TARGETS, ids=lambda kind: kind.name)
def test_damaged_messages_crash_nothing_and_leave_nothing_behind(kind):
    outcome = fuzz(kind, CORPUS, n=CASES // len(TARGETS) + 1, seed=7)
    assert outcome.ok, "\n".join(outcome.examples)
    assert outcome.slowest_ms < SLOW_MS
    assert outcome.held < MOST_HELD


def test_cases_are_a_function_of_the_seed():
    def cases(seed):
        rng = Random(seed)
        return [mutate(rng, rng.choice(CORPUS.frames), CORPUS.frames) for _ in range(200)]

    assert cases(1) == cases(1) != cases(2)


class Fragile(Target):
    """Breaks on what a harness must see: an error, and a long thought."""

    name = "fragile"

    def feed(self, case):
        if case.startswith(b"{"):
            return
        if len(case) % 2:
            raise KeyError(case[:10])
        until = time.thread_time() + 1.5 * SLOW_MS / 1000
        while time.thread_time() < until:
            pass


def test_harness_sees_what_crashes_and_what_is_slow():
    outcome = fuzz(Fragile, CORPUS, n=30, seed=1)
    assert not outcome.ok
    assert outcome.crashes > 0
    assert outcome.slow > 0
    assert "KeyError" in "".join(outcome.examples)


# ---- frames of the right shape, with values that need not be right ----

numbers = (
    st.integers()
    | st.floats()
    | st.decimals().map(str)
    | st.sampled_from(["NaN", "1e999999999", 10**30, 5e-324, -0.0])
)
prices = st.decimals(min_value=1, max_value=10**6, places=1, allow_nan=False).map(float) | numbers
quantities = st.decimals(min_value=0, max_value=10**6, places=4, allow_nan=False).map(float) | numbers
stamps = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.text(max_size=30)
symbols = st.sampled_from([*SYMBOLS, "ADA/USD", ""]) | st.text(max_size=8)
sides = st.sampled_from(["buy", "sell"]) | st.text(max_size=3)
levels = st.lists(st.fixed_dictionaries({"price": prices, "qty": quantities}), max_size=12)
ids = st.integers(min_value=0, max_value=50) | st.integers()
orders = st.sampled_from(["O1", "O2", "O3"])
ROWS = {
    "trade": st.fixed_dictionaries(
        {
            "symbol": symbols,
            "side": sides,
            "price": prices,
            "qty": quantities,
            "trade_id": ids,
            "timestamp": stamps,
        }
    ),
    "book": st.fixed_dictionaries(
        {"symbol": symbols, "bids": levels, "asks": levels, "checksum": ids, "timestamp": stamps}
    ),
    "ticker": st.fixed_dictionaries(
        {"symbol": symbols},
        optional={"bid": prices, "ask": prices, "bid_qty": quantities, "timestamp": stamps},
    ),
    "executions": st.fixed_dictionaries(
        {
            "order_id": orders,
            "exec_type": st.sampled_from(["pending_new", "new", "trade", "filled", "canceled", "odd"]),
        },
        optional={
            "cl_ord_id": st.sampled_from(["SMaa1", "stranger"]),
            "symbol": symbols,
            "side": sides,
            "order_type": st.sampled_from(["limit", "stop-loss"]),
            "order_qty": quantities,
            "cum_qty": quantities,
            "limit_price": prices,
            "exec_id": orders,
            "last_qty": quantities,
            "last_price": prices,
            "timestamp": stamps,
            "triggers": st.fixed_dictionaries({}, optional={"price": prices, "actual_price": prices}),
            "fees": st.lists(st.fixed_dictionaries({"asset": st.just("USD"), "qty": quantities}), max_size=2),
        },
    ),
    "balances": st.fixed_dictionaries({"asset": st.sampled_from(["USD", "BTC"]), "balance": numbers}),
}


@st.composite
def frames(draw):
    channel = draw(st.sampled_from(sorted(ROWS)))
    frame = {
        "channel": channel,
        "type": draw(st.sampled_from(["snapshot", "update"])),
        "data": draw(st.lists(ROWS[channel], max_size=3)),
        "sequence": draw(st.integers(min_value=1, max_value=5)),
    }
    return json.dumps(frame).encode()


@settings(max_examples=150, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=6))
def test_well_shaped_frames_of_any_values_end_in_usable_events(sequence):
    for kind in (Public, Private):
        target = kind(CORPUS, Random(1))
        for frame in sequence:
            target.feed(frame)


@pytest.mark.e2e
def test_the_command_prints_one_document():
    command = [sys.executable, "-m", "tests.fuzz", "--n", "70", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert (found["n"], found["crashes"], found["over_100_ms"]) == (70, 0, 0)
    assert {one["target"] for one in found["targets"]} == {kind.name for kind in TARGETS}
    wrong = subprocess.run(
        [*command, "--target", "none"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert wrong.returncode == 2
    assert "expected one of wire.decode" in wrong.stderr
