"""Import a synthetic archive of trades and measure the memory: python -m benchmarks.big_archive --gb 3.

Writes the archive as a stream into a temporary folder, imports it in a child process whose resident
memory is sampled, compares what the lake holds with what was written, prints one JSON object.
Exit 1 when the peak above idle is over the limit or a row is lost.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

PAIRS = {
    "XBTUSD": ("BTC/USD", 0.4),
    "ETHUSD": ("ETH/USD", 0.3),
    "SOLEUR": ("SOL/EUR", 0.2),
    "XDGUSD": ("DOGE/USD", 0.1),
}
START, MONTHS = 1_483_228_800, 96  # 2017 to 2024
BYTES_PER_ROW = 28.0
BUSY_MONTH_ROWS = 3_000_000
LIMIT_MB = 300.0
BLOCK = 250_000
CHILD = """
import sys
from pathlib import Path
from feeds.archive import Wanted, import_archive
from feeds.archive_names import PairNames
print("idle", flush=True)
sys.stdin.readline()
report = import_archive(Path(sys.argv[1]), Path(sys.argv[2]), Wanted(PairNames(), bars=sys.argv[3] == "bars"))
print(sum(one.rows for one in report.members), sum(one.added for one in report.members), flush=True)
sys.stdin.readline()
"""


def write_archive(path: Path, size: float, seed: int) -> tuple[dict[str, tuple[int, int]], int]:
    """Give rows and sum of the seconds for each instrument, and the bytes before compression."""
    random = np.random.default_rng(seed)
    told, written = {}, 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for altname, (instrument, share) in PAIRS.items():
            rows, seconds, at = 0, 0, float(START)
            wanted = int(size * share / BYTES_PER_ROW)
            busy = min(BUSY_MONTH_ROWS, wanted // 2) if altname == "XBTUSD" else 0
            step = MONTHS * 30.4 * 86_400 / max(1, wanted - busy)
            with archive.open(f"TimeAndSales/{altname}.csv", "w", force_zip64=True) as file:
                while rows < wanted:
                    crowded = wanted // 2 <= rows < wanted // 2 + busy
                    gap = 28 * 86_400 / busy if crowded else step
                    count = min(BLOCK, wanted - rows)
                    ts = (at + np.cumsum(random.exponential(gap, count))).astype(np.int64)
                    price = np.round(30_000 + np.cumsum(random.normal(0, 0.5, count)), 1)
                    table = pl.DataFrame(
                        {"ts": ts, "price": price, "qty": np.round(random.exponential(0.3, count), 6)}
                    )
                    text = table.write_csv(include_header=False).encode()
                    file.write(text)
                    at, rows, seconds, written = (
                        float(ts[-1]),
                        rows + count,
                        seconds + int(ts.sum()),
                        written + len(text),
                    )
            told[instrument] = (rows, seconds)
    return told, written


def held(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for instrument, _ in PAIRS.values():
        files = sorted((root / "trades" / "kraken" / instrument.replace("/", "-")).glob("*.parquet"))
        counts = [
            pl.scan_parquet(file).select(pl.len(), (pl.col("ts") // 10**9).sum()).collect().row(0)
            for file in files
        ]
        found[instrument] = (sum(rows for rows, _ in counts), sum(seconds for _, seconds in counts))
    return found


def resident_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def imported(archive: Path, root: Path, *, bars: bool) -> dict[str, float]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(archive), str(root), "bars" if bars else "trades"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    idle = resident_mb(child.pid, "VmRSS")
    began = time.monotonic()
    child.stdin.write("go\n")
    child.stdin.flush()
    rows, added = map(int, child.stdout.readline().split())
    took = time.monotonic() - began
    # The kernel's own high-water mark misses nothing between two samples.
    peak = resident_mb(child.pid, "VmHWM")
    child.communicate("done\n")
    return {
        "idle_mb": round(idle, 1),
        "peak_mb": round(peak, 1),
        "above_idle_mb": round(peak - idle, 1),
        "import_s": round(took, 1),
        "rows": rows,
        "added": added,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gb", type=float, default=3.0, help="size before compression, in 1e9 bytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bars", action="store_true", help="make bars, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="big-archive-") as folder:
        archive, root = Path(folder) / "Kraken_Trading_History.zip", Path(folder) / "lake"
        told, written = write_archive(archive, options.gb * 1e9, options.seed)
        figures = imported(archive, root, bars=options.bars)
        found = held(root)
        lake_bytes = sum(path.stat().st_size for path in root.rglob("*.parquet"))
        zipped = archive.stat().st_size
    report = {
        "command": f"python -m benchmarks.big_archive --gb {options.gb:g} --seed {options.seed}"
        + (" --bars" if options.bars else ""),
        "uncompressed_gb": round(written / 1e9, 3),
        "zip_gb": round(zipped / 1e9, 3),
        "lake_gb": round(lake_bytes / 1e9, 3),
        "rows_written": sum(rows for rows, _ in told.values()),
        **figures,
        "rows_per_s": round(figures["rows"] / max(figures["import_s"], 0.1)),
        "rows_and_seconds_equal": found == told,
        "limit_above_idle_mb": LIMIT_MB,
        "pass": found == told and figures["above_idle_mb"] <= LIMIT_MB,
    }
    print(json.dumps(report, indent=2))
    return 0 if report["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
