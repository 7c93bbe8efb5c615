"""Download a month of a busy pair without pauses, and show that memory does not grow with it.

    python -m tests.feeds.fetch_volume --trades 2000000

Must not know how. What the host would serve is made page by page. Prints one line of JSON: trades a
second without the pauses, and the resident memory after a tenth and at the end.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from core.clock import LiveClock
from feeds.history import Cursors, Download, Fetched
from feeds.history_http import Answer
from feeds.history_pace import Manners, Polite
from feeds.kraken_trades import KrakenTrades
from feeds.shards import Shards

SINCE = 1_717_200_000 * 10**9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=2_000_000)
    trades = parser.parse_args().trades
    step = 29 * 86_400 * 10**9 // trades
    memory = []

    async def get(url, params=None, headers=None):
        first = (int(params["since"]) - SINCE) // step + 1
        numbers = range(first, min(first + int(params["count"]), trades))
        rows = [
            [
                f"{60_000 + n % 991}.5",
                f"0.{n % 9999:08d}1",
                (SINCE + n * step) / 1e9,
                "bs"[n % 2],
                "m",
                "",
                n + 1,
            ]
            for n in numbers
        ]
        if len(memory) == 0 and first * 10 >= trades:
            memory.append(resident())
        last = SINCE + numbers[-1] * step if rows else params["since"]
        return Answer(
            200, json.dumps({"error": [], "result": {"XXBTZUSD": rows, "last": str(last)}}).encode()
        )

    async def download(lake):
        clock = LiveClock()
        polite = Polite(clock, random=Random(1), manners=Manners(pause_s=0.0, jitter_s=0.0))
        until = SINCE + 30 * 86_400 * 10**9
        source = KrakenTrades(
            "BTC/USD", "XBTUSD", since=SINCE, until=until, get=get, polite=polite, shards=Shards(lake)
        )
        result = Fetched(series=source.name, since=SINCE, until=until, reached=SINCE)
        await Download(Cursors(lake), polite, clock).run(source, result)
        return result

    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        result = asyncio.run(download(Path(home)))
        seconds = time.monotonic() - began
        size = sum(path.stat().st_size for path in Path(home).rglob("*.parquet"))
    report = {
        "trades": result.added,
        "trades_per_s": round(result.added / seconds),
        "resident_mb_at_a_tenth": memory[0],
        "resident_mb_at_the_end": resident(),
        "bytes": size,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if result.added == trades else 1


def resident():
    """Give the resident memory in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
