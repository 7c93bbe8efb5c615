"""Kernels compile when told to, into the cache they are told, and never by an import or later."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference import warm
from inference.features.catalogue import FAMILIES

ROOT = Path(__file__).parents[2]
COUNT = """
import importlib, pkgutil
import inference.warm, inference.features
for module in pkgutil.iter_modules(inference.features.__path__):
    importlib.import_module(f"inference.features.{module.name}")
import gc
from numba.core.dispatcher import Dispatcher
kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
own = [one for one in kernels if one.py_func.__module__.startswith("inference.")]
called = lambda: {one.py_func.__qualname__ + one.py_func.__module__: len(one.signatures) for one in own}
print(sum(called().values()))
"""
ONE = """
from inference.features.catalogue import layout
inference.warm._walk(layout(("atr",)))()
print(sum(sum(one.stats.cache_misses.values()) for one in own) > 0)
print(sum(sum(one.stats.cache_hits.values()) for one in own) > 0)
"""
ALL = """
inference.warm.main()
after = called()
"""
# What trading and training do, over another timeframe, several instruments, holes and histories.
USE = """
import numpy as np
from core.market import Bar, Timeframe
from inference.features.catalogue import COLUMNS
from inference.features.cross import CROSS
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, Cross, FeatureSpec, Outside
M1, H1 = Timeframe.M1, Timeframe.H1
spec = FeatureSpec(
    "use", M1,
    (Block(M1, COLUMNS), Block(H1, ("rsi", "missing"), window=3), Block(M1, ("rsi",), of="BTC")),
    cross=tuple(Cross(name, (M1, H1)[: terms.most]) for name, terms in CROSS.items()),
    known=(Outside("funding", ("rate",), 1.0),),
)
pairs = ("BTC/USD", "ETH/USD")
bars = [
    Bar(pair, frame, k * frame.ns, 1.0, 1.5, 0.5, 1.0 + k % 3 / 10, float(k), 1.0, 1)
    for frame, count in ((M1, 9_000), (H1, 150)) for pair in pairs for k in range(count)
    if k not in (40, 90, 91, 92)
]
class Series:
    def __init__(self, pair, frame):
        own = [bar for bar in bars if bar.instrument == pair and bar.timeframe is frame]
        self.ts_open = np.array([bar.ts_open for bar in own])
        for name in ("open", "high", "low", "close", "volume"):
            setattr(self, name, np.array([getattr(bar, name) for bar in own]))
series = {pair: {frame: Series(pair, frame) for frame in (M1, H1)} for pair in pairs}
fold(spec, series["ETH/USD"], {"BTC": series["BTC/USD"]}).tensors(np.arange(5))
frame = FeatureFrame([spec], pairs)
frame.on_bars(bars[:500])
frame.warm(bars)
frame.inputs(spec, pairs, 9_000 * M1.ns)
again = FeatureFrame([spec], pairs)
again.restore(frame.save())
again.on_bars([Bar("ETH/USD", M1, 9_001 * M1.ns, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)])
from decimal import Decimal
from core.market import Quote
from inference.features.book import BookColumns
books, sides = BookColumns(pairs), [(Decimal(9), Decimal(1))] * 10
books.on_tops(0, [])
books.on_tops(M1.ns, [Quote(pair, M1.ns, Decimal(9), Decimal(10), Decimal(1), Decimal(2)) for pair in pairs])
books.on_depths({pairs[1]: (sides, sides)})
print([name for name, count in called().items() if count != after[name]])
"""


def run(code: str, folder: Path, **environment: str) -> list[str]:
    whole = {"PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, env=whole, cwd=folder, check=True, capture_output=True, text=True)
    return answer.stdout.splitlines()


@pytest.mark.e2e
def test_installed_kernels_are_compiled_once_into_the_directory_named(tmp_path):
    installed, cache = tmp_path / "site-packages", tmp_path / "cache"
    for package in ("core", "inference"):
        shutil.copytree(ROOT / package, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    there = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(installed)}
    assert run(COUNT + ONE, tmp_path, **there) == ["0", "True", "False"]
    assert run(COUNT + ONE, tmp_path, **there) == ["0", "False", "True"]
    assert list(cache.rglob("*.nbi"))
    assert not list(installed.rglob("*.nb?"))


@pytest.mark.e2e
def test_nothing_is_compiled_after_the_warm_up(tmp_path):
    imported, *progress, done, later = run(COUNT + ALL + USE, tmp_path, PYTHONPATH=str(ROOT))
    count = len(FAMILIES) + 3
    assert imported == "0"
    assert [line.rpartition(":")[0] for line in progress] == [
        f"kernel {number} of {count}" for number in range(1, count + 1)
    ]
    assert done == "feature kernels compiled"
    assert later == "[]"


def test_progress_names_each_kernel_in_turn():
    told = []
    warm.warm(lambda *one: told.append(one))
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    assert {count for _, count, _ in told} == {len(told)}
    assert [name for _, _, name in told] == [
        *(family.name for family in FAMILIES),
        "cross",
        "windows",
        "book",
    ]
