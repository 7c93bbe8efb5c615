import multiprocessing
import os
import signal
import threading
import time

import pytest

from core.errors import DataError, InternalError
from trader.backtest.parallel import each


def square(number: int) -> int:
    return number * number


def lame(number: int) -> int:
    if number == 3:
        raise DataError("row 7\nis torn")
    return number


def odd(number: int) -> int:
    raise KeyError(number)


def dies(number: int) -> int:
    os._exit(number)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs_whoever_works(workers):
    done = []
    assert each(square, range(7), workers=workers, on_done=done.append) == [0, 1, 4, 9, 16, 25, 36]
    assert sorted(done) == list(range(7))
    assert multiprocessing.active_children() == []


@pytest.fixture
def interruptible():
    """A suite that runs in the background of a shell was started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_another_thread_was_given_ends_the_workers(interruptible):
    def interrupt():
        time.sleep(1.0)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    others = set(multiprocessing.active_children())
    began = time.monotonic()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        each(time.sleep, [60, 60], workers=2)
    thread.join()
    assert time.monotonic() - began < 30.0
    assert set(multiprocessing.active_children()) <= others


@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_carries_the_name_of_its_job(workers):
    with pytest.raises(DataError, match=r"^fold 3: row 7 is torn$"):
        each(lame, [3, 3], workers=workers, name=lambda job: f"fold {job}")
    assert multiprocessing.active_children() == []


def test_an_error_that_is_not_ours_is_called_internal():
    with pytest.raises(InternalError, match=r"^5: expected a result; found KeyError: 5$"):
        each(odd, [5, 5], workers=1)


def test_a_worker_that_dies_is_said_to_have_died():
    with pytest.raises(InternalError, match="a worker process died"):
        each(dies, [9, 9], workers=2)


def test_an_interrupt_ends_the_workers():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each(square, range(50), workers=2, on_done=stop)
    assert multiprocessing.active_children() == []
