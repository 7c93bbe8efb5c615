"""Whatever the bursts, page sizes and repetitions: the true tape, or a gap that says what is lacking."""

from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LinkLost, VenueError
from feeds.kraken_tape import Tape
from tests.feeds.fake_trades import Print, TradesServer, decoded

START = 1_688_669_597_827_736_900
END = START + 10**15


def run(server, *, position=str(START - 1), last_id=0, until=END, stop_after=10_000):
    """Page to the end; gives rows, gaps and all marks."""
    tape = Tape(position, until=until, last_id=last_id, count=server.count)
    rows, gaps, marks = [], [], []
    for _ in range(stop_after):
        if tape.done:
            return rows, gaps, marks
        found, last = server.page(tape.position)
        piece = tape.take(decoded(found), last)
        rows += piece.rows
        gaps += piece.gaps
        marks.append((piece.mark, len(rows)))
    pytest.fail("the pages never end")


def tape_of(steps, *, first_id=1):
    """Make a tape: each step is how far time moves on (0: the same ns) before the next trade."""
    ts, made = START, []
    for number, step in enumerate(steps):
        ts += step
        made.append(Print(ts, first_id + number if first_id else 0, price=f"{100 + number % 7}"))
    return made


STEPS = st.lists(st.sampled_from([0, 0, 0, 1, 50, 1_000_000]), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, count=st.integers(1, 12), inclusive=st.booleans())
def test_tape_is_whole_or_the_gap_is_named(steps, count, inclusive):
    truth = tape_of(steps)
    rows, gaps, marks = run(TradesServer(truth, count=count, inclusive=inclusive))
    ids = [row.trade_id for row in rows]
    assert ids == sorted(set(ids))
    longest = max(Counter(one.ts for one in truth).values())
    if longest < count:
        assert ids == [one.trade_id for one in truth]
        assert gaps == []
    # What lies behind a burst that ends the record shows only when the next trade comes.
    assert ids[-1] - len(ids) == sum(gap.ids for gap in gaps)
    assert all(gap.after_ts <= gap.before_ts for gap in gaps)
    assert marks[-1][0].reached == END


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, count=st.integers(2, 12), at=st.integers(0, 200), inclusive=st.booleans())
def test_tape_taken_up_at_any_mark_goes_on_without_loss(steps, count, at, inclusive):
    truth = tape_of(steps)
    server = TradesServer(truth, count=count, inclusive=inclusive)
    rows, _, marks = run(server)
    mark, known = marks[at % len(marks)]
    again, _, _ = run(server, position=mark.position, last_id=mark.last_id)
    assert [row.trade_id for row in rows[:known]] + [row.trade_id for row in again] == [
        row.trade_id for row in rows
    ]


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.sampled_from([1, 1, 7, 400]), min_size=1, max_size=60), count=st.integers(2, 12))
def test_old_rows_without_ids_come_once_and_whole_instants_together(steps, count):
    truth = tape_of(steps, first_id=0)
    rows, gaps, marks = run(TradesServer(truth, count=count))
    assert rows == decoded(truth)
    assert gaps == []
    for mark, known in marks[:-1]:
        # Rows that look alike are told apart by counting, so no instant may be cut in two.
        assert {row.ts for row in rows[:known]}.isdisjoint(row.ts for row in rows[known:])
        assert int(mark.position) <= truth[known].ts


@settings(max_examples=50, deadline=None)
@given(steps=STEPS, count=st.integers(2, 12), cut=st.integers(0, 59))
def test_until_ends_the_tape_and_a_later_one_goes_on(steps, count, cut):
    truth = tape_of([step + 1000 for step in steps])
    server = TradesServer(truth, count=count)
    until = truth[cut % len(truth)].ts
    rows, _, marks = run(server, until=until)
    # A row's own time is a float: it may say up to 128 ns less or more than the tape's.
    assert [row.trade_id for row in rows] == [row.trade_id for row in decoded(truth) if row.ts < until]
    mark = marks[-1][0]
    later, gaps, _ = run(server, position=mark.position, last_id=mark.last_id)
    assert [row.trade_id for row in (*rows, *later)] == [one.trade_id for one in truth]
    assert gaps == []


def test_cursor_goes_back_verbatim():
    server = TradesServer(tape_of([0, 1, 1, 1, 1]), count=2)
    run(server)
    assert server.asked[1] == str(START + 1)


def test_page_that_was_served_before_is_no_progress():
    server = TradesServer(tape_of([0, *[1000] * 5]), count=3)
    tape = Tape(str(START - 1), until=END, count=3)
    first, last = server.page(tape.position)
    tape.take(decoded(first), last)
    asked = tape.position
    with pytest.raises(LinkLost, match="page before once more"):
        tape.take(decoded(first), last)
    assert tape.position == asked
    assert [row.trade_id for row in tape.take(decoded(server.page(asked)[0]), str(END)).rows] == [4, 5, 6]


def test_burst_longer_than_a_page_is_a_gap_with_its_count_and_no_loop():
    truth = tape_of([0, *[0] * 2500, 10, 10])
    for inclusive in (False, True):
        rows, (gap,), _ = run(TradesServer(truth, inclusive=inclusive))
        assert (len(rows), gap.ids) == (1002, 1501)


def test_burst_of_a_full_page_at_the_end_of_the_record_is_looked_at_twice():
    truth = tape_of([0, 5, *[0] * 4])
    rows, gaps, _ = run(TradesServer(truth, count=5))
    assert [row.trade_id for row in rows] == [1, 2, 3, 4, 5, 6]
    assert gaps == []


@pytest.mark.parametrize(
    "part,number",
    [
        *(("price", text) for text in ("NaN", "Infinity", "-1", "0", "1e999999999", "1e-999999999")),
        ("quantity", "0"),
        ("time", "-1"),
        ("time", "1e999999999"),
    ],
)
def test_impossible_rows_are_refused(part, number):
    tape = Tape(str(START - 1), until=END)
    (row,) = decoded([Print(START, 1)])
    row = msgspec.structs.replace(row, **{part: Decimal(number)})
    with pytest.raises(VenueError, match="expected positive price"):
        tape.take([row], str(START))


def test_impossible_id_is_refused():
    with pytest.raises(VenueError, match="expected a trade id"):
        Tape(str(START - 1), until=END).take(decoded([Print(START, -5)]), str(START))


def test_cursor_that_is_no_number_is_refused():
    with pytest.raises(VenueError, match="expected nanoseconds"):
        Tape(str(START), until=END).take([], "1688669597.8")
