"""Kill -9 the daemon again and again while it trades, and insist that nothing is lost.

    python -m tests.e2e.kills --kills 20

Must not know how recovery works. Prints one line of JSON; exits 1 at the first thing that is wrong:
a position without a stop, a desk that does not agree with the venue, an order id used twice, a
journal that does not replay.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from core.errors import JournalError
from core.orders import SubmitOrder
from tests.e2e.world import World, until
from trader.journal_read import JournalReader
from trader.records import decode_command
from trader.recovery import verify

SPEED = 120
PATIENCE_S = 25


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = Random(options.seed)
    starts: list[float] = []
    held = 0
    with tempfile.TemporaryDirectory() as home, World(Path(home), {}, speed=SPEED) as world:
        for _ in range(options.kills):
            starts.append(_start(world))
            held += _trade_a_while(world, random)
            world.kill()
            verify(world.journal)  # raises when any step does not replay
        starts.append(_start(world))
        _insist(world.terminate() == 0, "an orderly end")
        verdict = verify(world.journal)
        ids = _order_ids(world.journal)
        _insist(len(set(ids)) == len(ids), "order ids that are never reused")
    report = {
        "kills": options.kills,
        "killed_with_positions": held,
        "start_s_median": round(sorted(starts)[len(starts) // 2], 2),
        "start_s_max": round(max(starts), 2),
        "steps": verdict.steps,
        "sessions": verdict.sessions,
        "orders": len(ids),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def _start(world: World) -> float:
    """Start and wait until the desk agrees with the venue; gives the seconds it took."""
    began = time.monotonic()
    world.start_daemon()
    until(lambda: world.shown()["state"]["state"] != "starting", "a desk that agrees", process=world.daemon)
    state = world.shown()["state"]
    _insist(state["state"] == "running", f"a running desk, not {state}")
    return time.monotonic() - began


def _trade_a_while(world: World, random: Random) -> bool:
    """Let it trade for a random while; tells whether positions are open, all of them guarded."""
    end = time.monotonic() + PATIENCE_S
    until(
        lambda: bool(world.shown()["positions"]) or time.monotonic() > end,
        "time to pass",
        process=world.daemon,
    )
    time.sleep(random.uniform(0, 3))
    # The page is a picture of one instant: a stop is on it at the latest one glance after its fill.
    until(lambda: all(p["stop"] for p in world.shown()["positions"]), "a stop for each position", seconds=2)
    return bool(world.shown()["positions"])


def _order_ids(journal: Path) -> list[str]:
    reader = JournalReader(journal)
    try:
        commands = (decode_command(r.body) for s in reader.steps() for r in s.records if r.idx > 0)
        return [command.cl_ord_id for command in commands if isinstance(command, SubmitOrder)]
    finally:
        reader.close()


def _insist(holds: bool, what: str) -> None:
    if not holds:
        msg = f"expected {what}"
        raise AssertionError(msg)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AssertionError, JournalError) as wrong:
        sys.stderr.write(f"kills: {wrong}\n")
        sys.exit(1)
