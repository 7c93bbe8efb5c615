"""Kill -9 a download again and again, and insist that the lake ends as if nothing had happened.

    python -m tests.feeds.fetch_kills --kills 50 --seed 1

Must not know how it resumes. Each run is killed when a random request arrives, or a random moment
after its answer, when the child may be merging or writing its cursor. Prints one line of JSON; exits
1 when any byte of the lake differs from that of a download that was left alone.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from threading import Timer

from tests.feeds.fake_trades import Print, TradesServer
from tests.feeds.history_server import listening

ROOT = Path(__file__).parents[2]
SINCE = 1_717_113_600_000_000_000
UNTIL = SINCE + 3 * 86_400 * 10**9
PAGE, PAGES, FLUSH = 50, 40, 120


def tape(random):
    """Old rows without ids, then numbered ones; bursts at one instant; the end of a month."""
    ts, made = SINCE, []
    for number in range(PAGE * PAGES):
        ts += random.choice([0, 0, 10**6, 10**9, 200 * 10**9])
        # Old rows may look alike but never share their ns: no cursor could cut between them.
        ts += 1 if number < PAGE * 10 else 0
        trade_id = number + 1 if number >= PAGE * 10 else 0
        made.append(Print(ts, trade_id, price=f"{random.randint(1, 3)}.5", quantity="0.1"))
    return [one for one in made if one.ts < UNTIL]


async def child(url, lake):
    """Download; this is what gets killed."""
    from core.clock import LiveClock
    from feeds.history import Cursors, Download, Fetched
    from feeds.history_http import Http
    from feeds.history_pace import Manners, Polite
    from feeds.kraken_trades import KrakenTrades
    from feeds.shards import Shards

    clock = LiveClock()
    polite = Polite(clock, random=Random(1), manners=Manners(pause_s=0.0, jitter_s=0.004))
    async with Http() as get:
        source = KrakenTrades(
            "BTC/USD",
            "XBTUSD",
            since=SINCE,
            until=UNTIL,
            get=get,
            polite=polite,
            shards=Shards(lake),
            url=url,
            count=PAGE,
        )
        result = Fetched(series=source.name, since=SINCE, until=UNTIL, reached=SINCE)
        await Download(Cursors(lake), polite, clock, flush_rows=FLUSH).run(source, result)
        assert result.gaps == []


def run_once(url, lake, victim):
    command = [sys.executable, "-m", "tests.feeds.fetch_kills", "--child", url, "--lake", str(lake)]
    process = subprocess.Popen(command, cwd=ROOT)
    victim.append(process)
    code = process.wait(timeout=60)
    victim.clear()
    return code


def bytes_of(lake):
    return {
        str(path.relative_to(lake)): path.read_bytes()
        for path in sorted(lake.rglob("*"))
        if path.suffix in {".parquet", ".json"}
    }


def killed(kills, seed, home):
    """Download with kills and once without; gives figures, raises AssertionError where they differ."""
    random = Random(seed)
    truth = tape(random)
    server, victim, plan = TradesServer(truth), [], {"in": None}

    def serve(path, query, headers):
        found, last = server.page(query["since"], int(query["count"]))
        if plan["in"] is not None:
            plan["in"] -= 1
            if plan["in"] == 0:
                plan["in"] = None
                Timer(random.choice([0.0, random.uniform(0, 0.02)]), kill).start()
        return {"error": [], "result": {"XXBTZUSD": [one.cells() for one in found], "last": last}}

    def kill():
        for process in tuple(victim):
            process.send_signal(signal.SIGKILL)

    done = 0
    with listening(serve) as url:
        assert run_once(url, home / "alone", victim) == 0
        while done < kills:
            plan["in"] = random.randint(1, 8)
            if run_once(url, home / "killed", victim) == 0:
                # It reached the end before all kills were spent: begin anew in the same lake.
                for cursor in (home / "killed").rglob("*.json"):
                    cursor.unlink()
                continue
            done += 1
        plan["in"] = None
        assert run_once(url, home / "killed", victim) == 0
    same = bytes_of(home / "alone") == bytes_of(home / "killed")
    assert same, f"expected the bytes of a download that was left alone (seed {seed})"
    return {"kills": done, "trades": len(truth), "requests": len(server.asked), "seed": seed}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", metavar="URL")
    parser.add_argument("--lake", type=Path)
    options = parser.parse_args()
    if options.child:
        asyncio.run(child(options.child, options.lake))
        return 0
    with tempfile.TemporaryDirectory() as home:
        sys.stdout.write(json.dumps(killed(options.kills, options.seed, Path(home))) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as wrong:
        sys.stderr.write(f"fetch_kills: {wrong}\n")
        sys.exit(1)
