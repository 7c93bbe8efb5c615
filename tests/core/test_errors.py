"""The tree of errors: its drawing is the truth, and the codes are those of sysexits."""

import inspect
import os
import re

import pytest

from core import errors
from core.errors import EXIT_RISK_HALT, Fatal, Recoverable, SeamarkError

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SeamarkError)]
NAMES = {
    "UsageError": os.EX_USAGE,
    "DataError": os.EX_DATAERR,
    "VenueUnavailable": os.EX_UNAVAILABLE,
    "InternalError": os.EX_SOFTWARE,
    "JournalError": os.EX_IOERR,
    "TemporaryError": os.EX_TEMPFAIL,
    "NotPermitted": os.EX_NOPERM,
    "ConfigError": os.EX_CONFIG,
}


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_either_retried_or_fatal(kind):
    assert kind is SeamarkError or (issubclass(kind, Recoverable) ^ issubclass(kind, Fatal))
    assert 64 <= kind.exit_code <= 78
    assert kind.exit_code != EXIT_RISK_HALT


@pytest.mark.parametrize("name", NAMES)
def test_exit_codes_are_those_of_sysexits(name):
    assert getattr(errors, name).exit_code == NAMES[name]


def test_the_drawing_shows_every_error_and_its_code():
    drawn = dict(re.findall(r"[|`]-- (\w+) +(\d+)?", errors.__doc__))
    assert set(drawn) | {"SeamarkError"} == {kind.__name__ for kind in TREE}
    codes = {name: int(code) for name, code in drawn.items() if code}
    assert codes == {name: getattr(errors, name).exit_code for name in codes}
    assert set(NAMES) <= set(codes)
