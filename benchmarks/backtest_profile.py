"""Where the time of a backtest goes, as a page: parts of the program, then single functions.

Must not know what is run. Called by `python -m benchmarks.backtest --profile`. Time inside the
interpreter's own functions counts for whoever called them.
"""

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trader.backtest.result import BacktestResult

ROOT = Path(__file__).parents[1]
COMMAND = "python -m benchmarks.backtest --profile"
LIBRARIES = "libraries (polars, numpy, hashlib)"
PARTS = {
    "venue": "exchange",
    "execution": "order manager",
    "risk": "risk",
    "trader/engine.py": "engine and desk",
    "trader/desk.py": "engine and desk",
    "core": "engine and desk",
    "trader/backtest/quotes.py": "quotes of moving bars",
    "trader/backtest/ledger.py": "ledger",
    "trader/backtest/books.py": "ledger",
    "trader/backtest/world.py": "queue of events",
    "trader/backtest/sparse.py": "choice of instants",
    "trader/backtest/panel.py": "choice of instants",
    "trader/backtest": "opinions and cache",
    "inference": "loading and proving models",
    "feeds": "reading bars",
    "trader": "configuration",
}
"""Parts by the longest beginning of a file's path."""
_FUNCTIONS = 20


def profiled(plain: BacktestResult, busy_s: float, work: Callable[[], object]) -> str:
    """Give the page about `work`, of which `plain` and its processor time were measured undisturbed."""
    profile = cProfile.Profile()
    profile.runcall(work)
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # typeshed hides it
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (file, line, name), (_, calls, own, _, callers) in stats.items():
        part = _part(file)
        if part:
            parts[part] += own
            functions[f"`{_local(file)}:{line}` {name} | {calls:,}"] += own
            continue
        for (caller, *_), (_, _, share, _) in callers.items():
            parts[_part(caller) or LIBRARIES] += share
    whole = sum(parts.values())
    return "\n".join(
        [
            "# Where a warm backtest spends its time",
            "",
            (
                f"`{COMMAND}` prints this page. Without the profiler the run takes {plain.seconds:.2f} s, of "
                f"which the processor was at work for {busy_s:.2f} s, model's proof and all: "
                f"{plain.bars:,} bars, {plain.bars_per_s:,.0f} a second, {plain.orders:,} orders, "
                f"{plain.active_bars:,} bars with anything open. The profiler makes many small calls look "
                "dearer than they are; shares tell more than seconds."
            ),
            "",
            "| part | share | seconds under the profiler |",
            "|---|---:|---:|",
            *(f"| {part} | {own / whole:.1%} | {own:.2f} |" for part, own in parts.most_common()),
            "",
            "| function | calls | own seconds |",
            "|---|---:|---:|",
            *(f"| {text} | {own:.2f} |" for text, own in functions.most_common(_FUNCTIONS)),
        ]
    )


def _local(file: str) -> str:
    return Path(file).relative_to(ROOT).as_posix() if Path(file).is_relative_to(ROOT) else ""


def _part(file: str) -> str:
    local = _local(file)
    if not local or local.startswith(".venv"):
        return ""
    fitting = [beginning for beginning in PARTS if local.startswith(beginning)]
    return PARTS[max(fitting, key=len)] if fitting else ""
