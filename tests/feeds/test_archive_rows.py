"""Lines are read at once where they are usual and one by one where not, with the same values."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market import Timeframe
from feeds.archive_rows import Tally, bars_layout, parse, trades_layout
from tests.feeds.archives import FIRST, bar_lines, text, trade_lines

TRADES = trades_layout()
BARS = bars_layout(Timeframe.M1)


def read(content: str | bytes, layout=TRADES, chunk: int = 1 << 20):
    tally = Tally()
    body = content.encode() if isinstance(content, str) else content
    parts = list(parse(io.BytesIO(body), layout, tally, chunk))
    rows = np.concatenate(parts) if parts else np.empty(0, layout.dtype)
    assert tally.rows == len(rows)
    return rows.tolist(), tally


def test_trades_are_ns_and_bars_are_ms():
    assert read(f"{FIRST},10.5,0.25\n")[0] == [(FIRST * 10**9, 10.5, 0.25)]
    assert read(f"{FIRST},1,3,0.5,2,9,4\n", BARS)[0] == [(FIRST * 1000, 1, 3, 0.5, 2, 9, 4)]


@pytest.mark.parametrize(
    "stamp,ns",
    [
        (f"{FIRST}", 0),
        (f"{FIRST}.0", 0),
        (f"{FIRST}.1234", 123_400_000),
        (f"{FIRST}.123456789", 123_456_789),
        (f"{FIRST}.1234567899", 123_456_789),
        (f" {FIRST} ", 0),
        ("1.7040672e9", 0),
    ],
)
def test_a_time_in_any_spelling_is_exact(stamp, ns):
    assert read(f"{stamp},10,1\n")[0][0][0] == FIRST * 10**9 + ns


@pytest.mark.parametrize(
    "content",
    [
        "{0},10,1\r\n{0},11,1\r\n",
        "timestamp,price,volume\n{0},10,1\n{0},11,1\n",
        "\ufeff{0},10,1\n{0},11,1\n",
        "{0},10,1\n\n{0},11,1",
        '"{0}","10","1"\n{0}, 11 ,1e0\n',
    ],
    ids=["crlf", "header", "byte order mark", "blank line, no end of line", "quotes and spaces"],
)
def test_harmless_variants_lose_nothing(content):
    rows, tally = read(content.format(FIRST))
    assert [row[1:] for row in rows] == [(10, 1), (11, 1)]
    assert not tally.reasons


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", "time,price,volume\n", "time,price,volume"])
def test_files_without_rows_are_empty(content):
    rows, tally = read(content)
    assert (rows, dict(tally.reasons)) == ([], {})


@pytest.mark.parametrize(
    "line,reason",
    [
        ("{0},10", "expected 3 columns"),
        ("{0},10,1,9", "expected 3 columns"),
        ("now,10,1", "time is not a number"),
        (",10,1", "time is not a number"),
        ("nan,10,1", "time is not a number"),
        ("{0}000,10,1", "time outside 2010 to 2100, in seconds"),
        ("-5,10,1", "time outside 2010 to 2100, in seconds"),
        ("99999999999999999999,10,1", "time outside 2010 to 2100, in seconds"),
        ("{0},ten,1", "a value is not a number"),
        ("{0},,1", "a value is not a number"),
        ("{0},nan,1", "a value is not finite"),
        ("{0},10,inf", "a value is not finite"),
        ("{0},0,1", "price is not above 0"),
        ("{0},10,-1", "volume is below 0"),
        ("\x00\x00\x00", "expected 3 columns"),
        ("PK\x03\x04", "expected 3 columns"),
    ],
)
def test_a_bad_line_is_counted_named_and_left_out(line, reason):
    rows, tally = read(f"{FIRST},9,1\n{line.format(FIRST)}\n{FIRST},11,1\n")
    assert [row[1] for row in rows] == [9, 11]
    assert dict(tally.reasons) == {reason: 1}
    assert tally.first[0].line == 2


def test_bytes_that_are_no_text_are_one_bad_line():
    rows, tally = read(b"\xff\xfe\xfa,1,2\n" + f"{FIRST},11,1\n".encode())
    assert len(rows) == 1
    assert tally.reasons.total() == 1


@pytest.mark.parametrize(
    "line,reason",
    [
        ("{0},1,3,0.5,2,9", "expected 7 columns"),
        ("{1},1,3,0.5,2,9,4", "time is not on the 1m grid"),
        ("{0},1,3,0,2,9,4", "low is not above 0"),
        ("{0},1,3,0.5,4,9,4", "open or close outside low to high"),
        ("{0},1,3,1.5,2,9,4", "open or close outside low to high"),
        ("{0},1,3,0.5,2,-9,4", "volume is below 0"),
        ("{0},1,3,0.5,2,9,0", "a bar without trades"),
        ("{0},1,3,0.5,2,9,4.5", "trades is not a count"),
        ("{0},1,3,0.5,2,9,99999999999", "trades is not a count"),
    ],
)
def test_a_bad_bar_is_counted_by_its_reason(line, reason):
    rows, tally = read(line.format(FIRST, FIRST + 1) + "\n", BARS)
    assert (rows, dict(tally.reasons)) == ([], {reason: 1})


def test_line_numbers_run_on_over_chunks():
    lines = trade_lines(1, 500)
    lines[321] = "broken"
    rows, tally = read("time,price,volume\n" + text(lines), chunk=1000)
    assert len(rows) == 499
    assert tally.first[0] == (323, "expected 3 columns", "broken")


def test_only_the_first_bad_lines_are_told():
    _, tally = read("x\n" * 100)
    assert tally.reasons.total() == 100
    assert [one.line for one in tally.first] == [1, 2, 3, 4, 5]


def test_a_line_without_end_does_not_fill_the_memory():
    chunk = 1 << 12
    _, tally = read(b"1" * (40 * ((1 << 16) + chunk)), chunk=chunk)
    assert 1 <= tally.reasons.total() <= 41
    assert len(tally.first[0].text) == 80


def test_chunks_do_not_show():
    content = text(trade_lines(3, 400))
    whole = read(content)[0]
    for chunk in (64, 777, 4096):
        assert read(content, chunk=chunk)[0] == whole
    assert len(read(text(bar_lines(3, 300, 1)), BARS, 512)[0]) == len(bar_lines(3, 300, 1))


stamps = st.integers(1_300_000_000, 1_900_000_000).map(str) | st.decimals(
    1_300_000_000, 1_900_000_000, places=4
).map(str)
numbers = st.floats(1e-9, 1e9).map(repr)
good = st.tuples(stamps, numbers, numbers).map(",".join)


@given(st.lists(good, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_reading_at_once_and_line_by_line_give_the_same_values(lines):
    at_once, _ = read(text(lines))
    one_by_one, tally = read(text([*lines, "odd"]))
    assert at_once == one_by_one
    assert len(at_once) == len(lines)
    assert tally.reasons.total() == 1


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_no_bytes_break_the_reader(content):
    read(content)
    read(content, BARS, 16)
