"""Resident memory of a daemon with 1,000 instruments; growth needs days and is not here.

Must not import what a daemon's image lacks. Called by benchmarks.__main__.
"""

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import cast

from benchmarks.rows import Found

INSTRUMENTS = 1_000
NOT_INSTALLED = ("coverage", "scipy")
"""What numba takes up where it finds it: 26 MB. requirements/daemon.lock has neither, so no daemon does."""


def measure() -> Found:
    leave_out(NOT_INSTALLED)
    setup = importlib.import_module("benchmarks.setup")
    parts = importlib.import_module("benchmarks.memory_parts")
    ensembles = {**setup.shipped_ensembles(), **setup.final()}
    found = parts.held(ensembles, INSTRUMENTS)
    grown = ", ".join(f"{name} {mb:.0f}" for name, mb in found.grown().items())
    return Found(
        {"memory.rss_mb": parts.rss_mb(), "memory.slope_mb_per_day": None},
        f"parts of a daemon with {INSTRUMENTS} instruments, {', '.join(ensembles)} ({setup.TWINS}) and 7 "
        f"timeframes in one process, ccxt's Kraken loaded, without {' and '.join(NOT_INSTALLED)}, which no "
        f"daemon has; MB by part: {grown}; no sockets, no page; slope: a soak run is not built yet",
    )


def leave_out(packages: Iterable[str]) -> None:
    """Let packages be not installed for this process; those that are loaded already stay."""
    for name in packages:
        sys.modules.setdefault(name, cast("ModuleType", None))
