import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.crew import Crew

PATIENCE_S = 20.0


@settings(max_examples=20)
@given(st.integers(0, 40), st.integers(0, 3))
def test_every_job_is_done_once(jobs, helpers):
    done: list[int] = []
    Crew(helpers).run([lambda k=k: done.append(k) for k in range(jobs)])
    assert sorted(done) == list(range(jobs))


def test_a_crew_is_used_again():
    crew, done = Crew(1), []
    for _ in range(50):
        crew.run([lambda: done.append(1)] * 4)
    assert len(done) == 200


def test_two_jobs_run_at_the_same_time():
    meeting = threading.Barrier(2)
    Crew(1).run([lambda: meeting.wait(PATIENCE_S)] * 2)  # each waits for the other


def test_failure_is_raised_after_all_have_stopped_and_the_crew_goes_on():
    crew, done = Crew(1), []

    def fail() -> None:
        raise ZeroDivisionError("no scale")

    with pytest.raises(ZeroDivisionError, match="no scale"):
        crew.run([fail, *[lambda: done.append(1)] * 1_000])
    count = len(done)
    crew.run([lambda: done.append(2)])
    assert len(done) == count + 1  # nothing of the failed batch came later


def test_caller_alone_works_in_order():
    done: list[int] = []
    Crew(0).run([lambda k=k: done.append(k) for k in range(9)])
    assert done == list(range(9))
