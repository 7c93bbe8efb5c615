"""Download the six months of five-minute bars of seven instruments from a made-up Binance, and check them.

    python -m tests.e2e.fetch_preset

Must not know how. The pauses between calls are the real ones, so it takes minutes. Prints one line
of JSON; exits 1 where rows are lacking or an indicator is not finite.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.clock import LiveClock
from tests.feeds.fake_binance import FakeBinance
from tests.feeds.history_server import listening
from trader.fetch import PRESETS

NAME = "five-minute-six-months"
ROOT = Path(__file__).parents[2]


def main():
    preset = PRESETS[NAME]
    fake = FakeBinance(preset.instruments, LiveClock().now() // 10**6)
    expected = preset.span // preset.timeframes[0].ns
    with tempfile.TemporaryDirectory() as home, listening(fake.serve) as url:
        log = Path(home) / "download.log"
        command = [sys.executable, "-m", "trader.cli", "data", "fetch", "--preset", NAME, "--url", url]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--lake", str(Path(home) / "lake"), "--log", str(log), "--check", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=False,
        )
        seconds = time.monotonic() - began
        told, lines = json.loads(done.stdout), log.read_text().splitlines()
    check = told["check"]
    report = {
        "seconds": round(seconds, 1),
        "requests": told["requests"],
        "rows": check["rows"],
        "rows_each": sorted({one["rows"] for one in check["series"]}),
        "bytes": check["bytes"],
        "log_lines": len(lines),
        "columns": {one["spec"]: one["columns"] for one in check["features"]},
        "feature_rows": sum(one["rows"] for one in check["features"]),
        "ready": sum(one["ready"] for one in check["features"]),
        "non_finite_share": max(one["non_finite_share"] for one in check["features"]),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    whole = done.returncode == 0 and all(abs(rows - expected) <= 1 for rows in report["rows_each"])
    return 0 if whole and report["non_finite_share"] == 0.0 else 1


if __name__ == "__main__":
    sys.exit(main())
