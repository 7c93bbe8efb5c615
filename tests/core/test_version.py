"""The version number: one place, a form that every reader can parse."""

import re

from core.version import VERSION


def test_the_version_is_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
