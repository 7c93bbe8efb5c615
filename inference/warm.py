"""Compile every feature kernel into numba's cache, so that none compiles while trading.

Must not know models. Called at set-up and at image build: `python -m inference.warm`, and by the daemon
before it is ready. The cache lies beside the installed modules, or where NUMBA_CACHE_DIR says.
"""

import sys
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from core.market import Bar, Quote, Timeframe
from inference.features.book import BookColumns
from inference.features.catalogue import FAMILIES, Layout, layout
from inference.features.cross import CROSS
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.series import new_marks, numbered, table, walk
from inference.features.spec import Block, Cross, FeatureSpec

M5, H1 = Timeframe.M5, Timeframe.H1
Progress = Callable[[int, int, str], None]
"""Is told, before each kernel: its number from 1, how many there are, its name."""


class _Columns:
    """A history of two bars."""

    def __init__(self, timeframe: Timeframe) -> None:
        self.ts_open = np.arange(2) * timeframe.ns
        self.open = self.high = self.low = self.close = self.volume = np.ones(2)


def warm(tell: Progress | None = None) -> None:
    """Run each kernel once over the types that trading and training use."""
    steps = [(family.name, _walk(layout(family.columns))) for family in FAMILIES]
    steps += [("cross", _cross), ("windows", _windows), ("book", _book)]
    for number, (name, step) in enumerate(steps, start=1):
        if tell is not None:
            tell(number, len(steps), name)
        step()


def _walk(plan: Layout) -> Callable[[], None]:
    def step() -> None:
        bars = table(_Columns(M5))
        at = numbered(bars, M5, new_marks(1))
        walk(plan, plan.states(1), bars, at, timeframe=M5, sink=lambda _first, _count, _out: None)

    return step


def _cross() -> None:
    for name, terms in CROSS.items():
        cross = Cross(name, (M5, H1)[: terms.most])
        spec = FeatureSpec("warm", M5, (Block(M5, ("atr",)),), cross=(cross,))
        fold(spec, {M5: _Columns(M5), H1: _Columns(H1)})


def _windows() -> None:
    spec = FeatureSpec("warm", M5, (Block(M5, ("atr",)), Block(M5, ("atr", "missing"), window=2)))
    fold(spec, {M5: _Columns(M5)}).tensors(np.arange(2))
    frame = FeatureFrame([spec], ["warm/warm"])
    frame.on_bars([Bar("warm/warm", M5, 0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0)])
    frame.warm([Bar("warm/warm", M5, M5.ns, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0)])
    frame.inputs(spec, ["warm/warm"], 2 * M5.ns)


def _book() -> None:
    books, one = BookColumns(["warm/warm"]), Decimal(1)
    books.on_tops(0, [Quote("warm/warm", 0, one, one, one, one)])
    books.on_depths({"warm/warm": ([(one, one)], [(one, one)])})


def main() -> None:
    """Warm up and say so."""

    def tell(number: int, count: int, name: str) -> None:
        sys.stdout.write(f"kernel {number} of {count}: {name}\n")
        sys.stdout.flush()

    warm(tell)
    sys.stdout.write("feature kernels compiled\n")


if __name__ == "__main__":
    main()
