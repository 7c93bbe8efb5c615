"""The decorator of every feature kernel: compiled once, cached for exactly these sources.

Must not know what is computed. Called where kernels are defined. numba notices a change of a kernel's
own file only, not of a function that it calls; hence a cache folder named for the content of them all.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import platformdirs
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Matrix = NDArray[np.float32]

F = TypeVar("F", bound=Callable[..., Any])

_HERE = Path(__file__).parent


def _content() -> str:
    """Give one short hash over every source of this folder."""
    whole = hashlib.sha256()
    for source in sorted(_HERE.glob("*.py")):
        whole.update(source.name.encode())
        whole.update(source.read_bytes())
    return whole.hexdigest()[:16]


def _cache_folder() -> Path:
    """Give where compiled kernels lie: NUMBA_CACHE_DIR, beside the sources, or the user's cache."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        base = Path(named)
    elif os.access(_HERE, os.W_OK):
        base = _HERE / "__pycache__"
    else:
        base = Path(platformdirs.user_cache_dir("seamark"))
    return base / f"kernels-{_content()}"


CACHE = _cache_folder()


def kernel(function: F) -> F:
    """Compile with numba: no fastmath (bits are promised), a division by zero gives inf or NaN."""
    return _compiled(function)


def inlined(function: F) -> F:
    """Compile as `kernel` does, and into each caller: a window's length is a constant there."""
    return _compiled(function, forceinline=True)


def _compiled(function: F, **options: bool) -> F:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)
    try:
        compiled: F = numba.njit(cache=True, error_model="numpy", **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled
