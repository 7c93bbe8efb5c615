"""One exchange of ccxt without the hundred others, which cost sixty megabytes and a second.

Must not know keys or requests. Called by venue.client on a thread, for an import blocks. Both packages
of ccxt import every exchange from their `__init__`; here they are passed over while one module and
what it is built on are imported. Nothing of this stays behind: whoever imports ccxt later, or did
before, has the whole of it, with the same classes.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple

WHOLE = ("ccxt", "ccxt.async_support")

_one_at_a_time = Lock()


class Alone(NamedTuple):
    """An exchange's class, and the base of all that it raises."""

    exchange: Any
    error: type[Exception]


def alone(name: str) -> Alone:
    """Give the async exchange of that name; ImportError if this ccxt has none."""
    with _one_at_a_time:
        try:
            module = _imported(name)
        except ImportError:  # another version is built otherwise: the whole of it still serves
            module = importlib.import_module(WHOLE[-1])
        errors = importlib.import_module("ccxt.base.errors")
    if not hasattr(module, name):
        raise ImportError(f"expected an exchange that ccxt knows; found {name!r}")
    return Alone(getattr(module, name), errors.BaseError)


def _imported(name: str) -> ModuleType:
    if WHOLE[-1] in sys.modules:
        return sys.modules[WHOLE[-1]]
    with _hollow() as top:
        # What lies below asks the package itself for these.
        vars(top).update(vars(importlib.import_module("ccxt.base.errors")) | vars(top))
        vars(top)["Exchange"] = importlib.import_module("ccxt.base.exchange").Exchange
        return importlib.import_module(f"{WHOLE[-1]}.{name}")


@contextmanager
def _hollow() -> Iterator[ModuleType]:
    """Have packages in place that know where their files lie and have not run; gives the top one."""
    before = {package: sys.modules.get(package) for package in WHOLE}
    try:
        for package in WHOLE:
            spec = importlib.util.find_spec(package)
            if spec is None:
                raise ModuleNotFoundError(f"expected {package} to be installed; found nothing")
            sys.modules[package] = importlib.util.module_from_spec(spec)
        yield sys.modules[WHOLE[0]]
    finally:
        for package, module in before.items():
            if module is None:
                sys.modules.pop(package, None)
            else:
                sys.modules[package] = module
