"""Resident memory of a daemon's parts with 1,000 instruments; growth needs days and is not here."""

import importlib
import os
from pathlib import Path

from benchmarks.rows import Found
from benchmarks.setup import desk_setup, midnight, shipped, started, warmed
from benchmarks.synthetic import instruments, quotes_at, symbols
from core.events import Quotes
from feeds.bars import BarBuilder
from risk.policy import RiskPolicy
from trader.state import ReadModel

INSTRUMENTS = 1_000


def measure() -> Found:
    importlib.import_module("ccxt.async_support")
    importlib.import_module("trader.live")
    imports = _rss_mb()
    artifacts, listed, ts = shipped(), instruments(INSTRUMENTS), midnight(400)
    source = warmed(artifacts, INSTRUMENTS, ts)
    setup = desk_setup(artifacts, listed, RiskPolicy())
    desk, model, builder = started(setup, ts), ReadModel(setup), BarBuilder()
    for symbol in symbols(INSTRUMENTS):
        builder.add(symbol, ts)
    quotes = Quotes(ts, quotes_at(symbols(INSTRUMENTS), ts))
    model.on_step(1, quotes, desk.on_event(quotes))
    kept = (source, desk, model, builder)
    return Found(
        {"memory.rss_mb": _rss_mb(), "memory.slope_mb_per_day": None},
        f"{len(kept)} parts of a daemon with {INSTRUMENTS} instruments and {len(artifacts)} models in one "
        f"process, ccxt loaded ({imports:.0f} MB after imports); no sockets, no page; "
        f"slope: a soak run is not built yet",
    )


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
