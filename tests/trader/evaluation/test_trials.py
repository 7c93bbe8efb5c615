from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.clock import DAY
from core.errors import DataError
from tests.evaluation_runs import START, run_of
from trader.evaluation.trials import read, record_trial, trial_of

RETURNS = [0.01, -0.02, 0.005, 0.0, 0.01]


def configured(stop, fee="0.004", policy_fee=0.004):
    policy = {"stop_atr": stop, "taker_fee": policy_fee}
    return {"exchange": {"taker_fee": fee}, "trader": [{"name": "a", "policy": policy}]}


def test_the_same_content_counts_once(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    assert record_trial(run_of(RETURNS), ledger)
    assert not record_trial(run_of(RETURNS), ledger)
    assert len(ledger.read_bytes().splitlines()) == 1


def test_another_schedule_has_a_line_and_counts_once(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    base = run_of(RETURNS, config=configured(2.0))
    free = run_of([r + 0.001 for r in RETURNS], config=configured(2.0, "0", 0.0), schedule="gross")
    other = run_of(RETURNS[::-1], config=configured(3.0))
    for one in (base, free, other):
        assert record_trial(one, ledger)
    found = read(ledger)
    assert len(found.trials) == 3
    family = found.family(trial_of(base))
    assert family.counted == 2
    assert [one.key for one in family.compared] == [trial_of(other).key]


@pytest.mark.parametrize(
    "changes, counted",
    [
        ({"instruments": ("SOL/USDT",)}, 1),
        ({"instruments": ("SOL/USDT", "ETH/USDT")}, 2),
        ({"venue": "kraken"}, 1),
        ({"start": START + 5 * DAY}, 1),
        ({"start": START + 4 * DAY}, 2),
        ({"data_hash": "e" * 64}, 2),
    ],
)
def test_a_family_saw_a_day_of_the_same_instruments(tmp_path, changes, counted):
    ledger = tmp_path / "trials.jsonl"
    record_trial(run_of(RETURNS, **changes), ledger)
    assert read(ledger).family(trial_of(run_of(RETURNS))).counted == counted


def test_a_trial_that_is_not_in_the_ledger_counts_itself(tmp_path):
    assert read(tmp_path / "none.jsonl").family(trial_of(run_of(RETURNS))).counted == 1


def test_returns_come_back_for_the_span_asked_for(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    long = run_of(RETURNS)
    record_trial(long, ledger)
    (trial,) = read(ledger).trials
    assert read(ledger).returns(trial, start=START + DAY, end=START + 3 * DAY) == pytest.approx(RETURNS[1:3])


def test_altered_returns_are_refused(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    record_trial(run_of(RETURNS), ledger)
    (trial,) = read(ledger).trials
    (file,) = (tmp_path / "trials.jsonl.series").iterdir()
    file.write_bytes(np.array([0.5] * 5).tobytes())
    with pytest.raises(DataError, match="expected SHA-256"):
        read(ledger).returns(trial, start=START, end=START + DAY)
    file.unlink()
    with pytest.raises(DataError, match="expected the daily returns"):
        read(ledger).returns(trial, start=START, end=START + DAY)


def test_an_unfinished_last_line_is_named_and_then_written_over(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    record_trial(run_of(RETURNS), ledger)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + whole[:40])
    torn = read(ledger)
    assert len(torn.trials) == 1
    assert torn.torn == f"{ledger}: line 2 is unfinished (40 bytes); left out"
    assert record_trial(run_of(RETURNS[::-1]), ledger)
    mended = read(ledger)
    assert len(mended.trials) == 2
    assert mended.torn is None
    assert ledger.read_bytes().startswith(whole)


def test_a_damaged_line_before_the_last_is_refused_by_number(tmp_path):
    ledger = tmp_path / "trials.jsonl"
    record_trial(run_of(RETURNS), ledger)
    ledger.write_bytes(b'{"key": 1\n' + ledger.read_bytes())
    with pytest.raises(DataError, match=r"trials\.jsonl: line 1: expected a trial"):
        read(ledger)
    with pytest.raises(DataError, match="line 1"):
        record_trial(run_of(RETURNS[::-1]), ledger)


def test_two_writers_lose_and_double_nothing(tmp_path):
    ledger = tmp_path / "trials.jsonl"

    def write(first):
        for number in range(first, first + 10):
            record_trial(run_of(RETURNS, config=configured(float(number % 15))), ledger)

    # The lock belongs to the open file, so threads meet it as processes do.
    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, (0, 10)))
    trials = read(ledger).trials
    assert len(trials) == len({one.key for one in trials}) == 15
