"""The parts of a daemon made one after the other, and resident memory after each.

Must not know how many instruments there are. Called by benchmarks.memory.
"""

import gc
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.setup import desk_setup, midnight, started, warmed
from benchmarks.synthetic import instruments, quotes_at, symbols
from core.events import Quotes, RequestOpinion
from feeds.bars import BarBuilder
from inference.ensemble import Ensemble
from risk.policy import RiskPolicy
from trader.heap import give_back
from trader.state import ReadModel
from venue.ccxt_alone import alone


class Held(NamedTuple):
    """Parts that are alive, and resident MB after each was made."""

    parts: tuple[object, ...]
    after_mb: dict[str, float]

    def grown(self) -> dict[str, float]:
        """Give what each part added, MB."""
        levels = list(self.after_mb.items())
        steps = zip([("", 0.0), *levels], levels, strict=False)
        return {name: round(mb - before, 1) for (_, before), (name, mb) in steps}


def held(ensembles: Mapping[str, Ensemble], count: int) -> Held:
    """Make the parts one after the other."""
    after: dict[str, float] = {"interpreter and bench": rss_mb()}
    alone("kraken")
    after["ccxt"] = rss_mb()
    importlib.import_module("trader.live")
    after["daemon's modules"] = rss_mb()
    listed, ts = instruments(count), midnight(400)
    source = warmed(ensembles, count, ts)
    gc.collect()
    after["models, features, kernels"] = rss_mb()
    setup = desk_setup(ensembles, listed, RiskPolicy())
    desk, model, builder = started(setup, ts), ReadModel(setup), BarBuilder()
    for symbol in symbols(count):
        builder.add(symbol, ts)
    quotes = Quotes(ts, quotes_at(symbols(count), ts))
    model.on_step(1, quotes, desk.on_event(quotes))
    after["desk, page's model, bar builder"] = rss_mb()
    for name, one in ensembles.items():
        source.answer(RequestOpinion(name, "1", one.decision, ts, tuple(symbols(count))))
    give_back()
    after["a close answered, and unused memory given back"] = rss_mb()
    return Held((source, desk, model, builder), after)


def rss_mb() -> float:
    """Give this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
