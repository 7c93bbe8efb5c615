"""`python -m benchmarks [--json] [--only NAME]`: each bench in a process of its own.

Must not know what any bench does. Called by `./run bench`.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable

from benchmarks.rows import BENCHES, Found

TIMEOUT_S = 900
CHILD = "--in-this-process"


def measured(name: str) -> Found:
    """Run one bench in a fresh process, so that none warms or crowds another."""
    command = [sys.executable, "-m", "benchmarks", "--only", name, CHILD]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return nothing(name, f"did not end within {TIMEOUT_S} s")
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no words"])[-1]
        return nothing(name, f"failed: {last}")
    values, notes = json.loads(child.stdout.splitlines()[-1])
    return Found(values, notes)


def nothing(name: str, why: str) -> Found:
    """Give the keys of a bench without figures."""
    return Found({row.key: None for row in BENCHES[name]}, why)


def table(found: dict[str, Found]) -> Iterable[str]:
    """Give the lines of the table: figure, target, verdict, and a note for each bench."""
    yield f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    yield f"{'figure':<28} {'measured':>14}  {'target':>14}  "
    for name, result in found.items():
        for row in BENCHES[name]:
            value = result.values.get(row.key)
            shown = (
                "null"
                if value is None
                else f"{value:,.4g} {row.unit}"
                if value < 1000
                else f"{value:,.0f} {row.unit}"
            )
            sign = "<=" if row.at_most else ">="
            target = "" if row.target is None else f"{sign} {row.target:,g} {row.unit}"
            yield f"{row.key:<28} {shown:>14}  {target:>14}  {row.meets(value)}"
        yield f"    {result.notes}"


def main() -> int:
    """Print the table, or one JSON object with a value or null for every key."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The figures of merit.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--only", metavar="NAME", choices=BENCHES, action="append", help="repeat for more")
    parser.add_argument(CHILD, action="store_true", dest="child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.only or list(BENCHES)
    if options.child:
        result = importlib.import_module(f"benchmarks.{names[0]}").measure()
        print(json.dumps([result.values, result.notes]))
        return 0
    found = {name: measured(name) for name in names}
    if options.json:
        values = {key: value for result in found.values() for key, value in result.values.items()}
        notes = {name: result.notes for name, result in found.items()}
        print(json.dumps({**values, "cores": os.cpu_count(), "notes": notes}))
    else:
        print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
