"""Compile every feature kernel into numba's cache, so that none compiles while trading.

Must not know models. Called at set-up and at image build: `python -m inference.warm`.
The cache lies beside the installed modules, or where NUMBA_CACHE_DIR says.
"""

import sys

import numpy as np

from core.market import Bar, Timeframe
from inference.features.catalogue import COLUMNS
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, FeatureSpec


class _Columns:
    """A history of two bars."""

    ts_open = np.array([0, Timeframe.M5.ns])
    open = high = low = close = volume = np.ones(2)


def warm() -> None:
    """Run each kernel once over the types that trading and training use."""
    flat = Block(Timeframe.M5, COLUMNS)
    spec = FeatureSpec("warm", Timeframe.M5, (flat, Block(Timeframe.M5, ("rsi",), window=2)))
    fold(spec, {Timeframe.M5: _Columns()}).tensors(np.arange(2))
    frame = FeatureFrame([spec], ["warm/warm"])
    frame.on_bars([Bar("warm/warm", Timeframe.M5, 0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0)])
    frame.inputs(spec, ["warm/warm"], Timeframe.M5.ns)


def main() -> None:
    """Warm up and say so."""
    warm()
    sys.stdout.write("feature kernels compiled\n")


if __name__ == "__main__":
    main()
