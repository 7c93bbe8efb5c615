"""Time as text: what is written reads back, and what venues write is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND
from core.text import iso, parse_iso

MOMENTS = st.integers(0, 4 * 10**18)


@given(MOMENTS)
def test_text_holds_a_moment_to_the_microsecond(ts):
    assert parse_iso(iso(ts)) == ts - ts % 1000
    assert iso(parse_iso(iso(ts))) == iso(ts)


@given(MOMENTS, st.integers(1, 9))
def test_up_to_nine_decimals_are_read_exactly(ts, places):
    kept = ts - ts % 10 ** (9 - places)
    whole, rest = divmod(kept, SECOND)
    head = iso(whole * SECOND).partition(".")[0]
    assert parse_iso(f"{head}.{f'{rest:09d}'[:places]}Z") == kept


@given(MOMENTS, MOMENTS)
def test_text_sorts_as_time_does(one, two):
    assert (iso(one) < iso(two)) is (one // 1000 < two // 1000)


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-03T10:05:00Z",
        "2024-06-03T10:05:00",
        "2024-06-03T12:05:00+02:00",
        "2024-06-03T10:05:00.000+00:00",
        "2024-06-03T10:05:00.Z",
    ],
)
def test_one_moment_has_many_spellings(text):
    assert iso(parse_iso(text)) == "2024-06-03T10:05:00.000000Z"


def test_an_offset_with_decimals_keeps_them():
    assert parse_iso("1970-01-01T01:00:00.25+01:00") == SECOND // 4


@pytest.mark.parametrize("text", ["", "Z", "yesterday", "2024-13-01T00:00:00Z", "2024-06-03T10:05:00.xZ"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_iso(text)
