import re
from pathlib import Path

from benchmarks.memory import NOT_INSTALLED

LOCK = Path(__file__).parents[2] / "requirements" / "daemon.lock"


def test_what_the_bench_leaves_out_is_in_no_daemon():
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE))
    assert "numba" in locked
    assert not locked & set(NOT_INSTALLED)
