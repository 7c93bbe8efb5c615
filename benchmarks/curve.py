"""What one more instrument costs: python -m benchmarks.curve [--json] [--out docs/results].

Decision, feature step and resident memory at several sizes, each in a process of its own, with the
untrained twins on 7 timeframes; then a straight line through each. Writes cost-curve.md and .svg.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.curve_plot import Panel, svg
from benchmarks.decide import decisions
from benchmarks.features import WHOLE, stepped
from benchmarks.memory_parts import held, rss_mb
from benchmarks.rows import median
from benchmarks.setup import final

SIZES = (10, 30, 100, 300, 1_000, 2_000)
ROUNDS = 8
SIZE = "--in-this-process"
FIGURES = {
    "decide_fastest_ms": "decision, fastest ms",
    "decide_ms": "decision, median ms",
    "decide_slowest_ms": "decision, slowest ms",
    "step_us": "feature step, fastest us",
    "rss_mb": "resident memory, MB",
}


class Line(NamedTuple):
    """Least squares through (instruments, figure)."""

    intercept: float
    slope: float
    r2: float


def measured(count: int) -> dict[str, float]:
    """Measure one size in this process; memory first, for rounds leave garbage behind."""
    ensembles = final()
    parts = held(ensembles, count)
    rss = rss_mb()
    del parts
    found = decisions(ensembles, count, ROUNDS)
    return {
        "instruments": count,
        "decide_fastest_ms": min(found.ms),
        "decide_ms": median(found.ms),
        "decide_slowest_ms": max(found.ms),
        "step_us": min(stepped(WHOLE, count)) * 1e6,
        "rss_mb": rss,
        **{f"stage: {name}": ms for name, ms in found.profile().items()},
    }


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a straight line; R2 = 1 when every point lies on it."""
    slope, intercept = np.polyfit(x, y, 1)
    rest = np.asarray(y) - (intercept + slope * np.asarray(x))
    spread = float(np.sum((np.asarray(y) - np.mean(y)) ** 2))
    return Line(float(intercept), float(slope), 1.0 - float(np.sum(rest**2)) / spread if spread else 1.0)


def fits(rows: Sequence[dict[str, float]]) -> dict[str, Line]:
    """Fit every figure."""
    sizes = [row["instruments"] for row in rows]
    return {name: line(sizes, [row[name] for row in rows]) for name in FIGURES}


def markdown(rows: Sequence[dict[str, float]]) -> str:
    """Give the page: table, lines, stages."""
    text = [
        "# What one more instrument costs",
        "",
        "`python -m benchmarks.curve --out docs/results`",
        "",
        "Untrained twins of the final networks on 7 timeframes that close together at 00:00 UTC; one trader",
        f"on all instruments, journal included. {ROUNDS} midnights a size, each size in its own process,",
        f"{os.cpu_count()} cores. Step: all columns of the catalogue, one timeframe, Bar structs in.",
        "Other work shared the machine: the fastest of each is nearest to what it costs. A step keeps",
        "24 kB of state per instrument: where that leaves the last-level cache, it costs more than the line.",
        "",
        "| instruments | " + " | ".join(FIGURES.values()) + " |",
        "|---:|" + "---:|" * len(FIGURES),
    ]
    text += [
        f"| {row['instruments']:,.0f} | " + " | ".join(f"{row[name]:,.1f}" for name in FIGURES) + " |"
        for row in rows
    ]
    text += [
        "",
        "Straight lines through these points:",
        "",
        "| figure | at none | per 1,000 more | R² |",
        "|---|---:|---:|---:|",
    ]
    text += [
        f"| {FIGURES[name]} | {one.intercept:,.1f} | {1_000 * one.slope:,.1f} | {one.r2:.4f} |"
        for name, one in fits(rows).items()
    ]
    stages = [name for name in rows[-1] if name.startswith("stage: ")]
    text += [
        "",
        "Where a decision's time goes, medians in ms:",
        "",
        "| stage | " + " | ".join(f"{row['instruments']:,.0f}" for row in rows) + " |",
    ]
    text += ["|---|" + "---:|" * len(rows)]
    text += [
        f"| {name.removeprefix('stage: ')} | "
        + " | ".join(f"{row.get(name, 0.0):.1f}" for row in rows)
        + " |"
        for name in stages
    ]
    return "\n".join([*text, "", "![cost by number of instruments](cost-curve.svg)", ""])


def write(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write the page and its picture."""
    found = fits(rows)
    sizes = [row["instruments"] for row in rows]
    panels = [
        Panel(FIGURES[name], sizes, [row[name] for row in rows], found[name].intercept, found[name].slope)
        for name in ("decide_fastest_ms", "step_us", "rss_mb")
    ]
    (folder / "cost-curve.md").write_text(markdown(rows), "utf-8")
    (folder / "cost-curve.svg").write_text(svg(panels), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="write cost-curve.md and cost-curve.svg there"
    )
    parser.add_argument(
        "--sizes", metavar="N", type=int, nargs="+", default=SIZES, help="numbers of instruments"
    )
    parser.add_argument(SIZE, type=int, dest="size", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size:
        print(json.dumps(measured(options.size)))
        return 0
    rows = [_apart(size) for size in options.sizes]
    if options.out:
        write(options.out, rows)
    lines = {name: found._asdict() for name, found in fits(rows).items()}
    print(json.dumps({"rows": rows, "lines": lines}, indent=2) if options.json else markdown(rows))
    return 0


def _apart(size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.curve", SIZE, str(size)]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
