"""Memory that nobody uses any more, given back to the system.

Must not know who used it. Called by trader.upkeep on the models' thread, when nothing waits there.
glibc keeps what is freed below something that is still in use: a state that was written down leaves
more than a hundred megabytes of copies, a close of a thousand instruments thirty of windows. Not after
every close: to get the pages anew costs the next one some ten milliseconds.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress


def give_back() -> bool:
    """Return unused pages; tells whether this C library knows how to."""
    trim = _trim()
    if trim is None:
        return False
    trim(0)
    return True


def _trim() -> Callable[[int], int] | None:
    """Give malloc_trim (glibc since 2.8); musl, macOS and Windows have none."""
    with suppress(AttributeError, OSError, TypeError):
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return found
    return None
