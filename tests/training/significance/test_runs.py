import json
from pathlib import Path

import numpy as np
import pytest

from core.clock import DAY, HOUR
from core.errors import DataError
from core.market import Timeframe
from tests.evaluation_runs import START, run_of, trip_of
from trader.backtest.record import ModelUsed
from trader.evaluation.daily import daily_returns
from trader.evaluation.significance import load
from trader.evaluation.trials import read, record_trial
from training.cli import run
from training.significance.closes import read_closes
from training.significance.runs import judge_runs, read_runs, trades_of

MARKET = Path(__file__).parents[3] / "configs" / "market"
DAYS = 60


def made(seed, mean=0.0, stop=2.0, **changes):
    returns = np.random.default_rng(seed).normal(mean, 0.01, DAYS)
    trips = [
        trip_of(opened=START + day * DAY, hours=7, side="long" if day % 3 else "short") for day in range(DAYS)
    ]
    policy = {"exchange": {}, "trader": [{"policy": {"stop_atr": stop}}]}
    return run_of(returns, trips=trips, config=policy, **changes)


@pytest.fixture
def folders(tmp_path):
    records = {"noise": made(1, stop=1.0), "edge": made(2, mean=0.01, stop=2.0)}
    for name, record in records.items():
        record.save(tmp_path / name)
    return [tmp_path / name for name in records]


def test_trips_become_trades_on_the_grid():
    record = made(1)
    closes = read_closes(MARKET, venue="binance", timeframe=Timeframe.H1, start=START, end=START + DAYS * DAY)
    trades, groups = trades_of(record, closes)
    assert trades.entry[:2].tolist() == [0, 24]
    assert (trades.exit - trades.entry == 7).all()
    assert trades.side[:4].tolist() == [-1.0, 1.0, 1.0, -1.0]
    assert trades.weight[0] == pytest.approx(2000 / 10_000)
    # Fees of 0.4 % on both sides of an even trade are 0.8 % of what it held.
    assert trades.cost.tolist() == pytest.approx([0.008] * DAYS)
    assert set(groups.tolist()) == {0}
    assert closes.step == HOUR


def test_runs_count_as_trials_of_each_other_and_so_does_the_ledger(folders, tmp_path):
    ledger = tmp_path / "trials.jsonl"
    for seed in range(3, 8):
        record_trial(made(seed, stop=float(seed)), ledger)
    record_trial(made(9, stop=9.0, schedule="gross"), ledger)  # counted, but of other costs
    record_trial(made(10, stop=10.0, venue="kraken"), ledger)  # of another market
    noise, edge = judge_runs(read_runs(folders), read(ledger), MARKET, seed=1)
    assert (noise.trials, noise.compared) == (8, 7)
    assert edge.notes == ("1 trials of other spans or schedules are counted, not compared",)
    assert edge.dsr > 0.95 > noise.dsr
    assert not noise.passed
    assert set(edge.spa) == {"hold", "flat", "random"}
    assert edge.spa["random"] <= 0.05


def seen_until(day):
    return {"models": (ModelUsed("a", "entry", "m" * 64, "5m", START + day * DAY),)}


def test_days_that_a_model_was_trained_on_are_left_out(tmp_path):
    record = made(2, mean=0.01, **seen_until(20))
    record.save(tmp_path / "part")
    (found,) = judge_runs(read_runs([tmp_path / "part"]), read(tmp_path / "none"), MARKET)
    assert (found.days, found.trips) == (DAYS - 20, DAYS - 20)
    assert found.notes == ("20 days on which a model was trained are left out",)
    assert found.mean_daily.value == pytest.approx(daily_returns(record)[20:].mean())


def test_a_run_in_sample_never_passes(tmp_path):
    made(2, mean=0.01, **seen_until(DAYS)).save(tmp_path / "all")
    made(2, mean=0.01).save(tmp_path / "none")
    for name, failed in (("all", ("a model was trained on these very days",)), ("none", ())):
        (found,) = judge_runs(read_runs([tmp_path / name]), read(tmp_path / "no"), MARKET)
        assert found.failed == failed
        assert found.passed is not bool(failed)


def test_the_command_prints_a_table_and_leaves_a_file(folders, tmp_path, capsys):
    arguments = [str(folder) for folder in folders]
    options = ["--lake", str(MARKET), "--trials", str(tmp_path / "none.jsonl")]
    assert run(["significance", *arguments, *options]) == 0
    out = capsys.readouterr().out
    assert "DSR: above luck (0.95)" in out
    assert "noise: Nothing here can be told from luck" in out.replace("\n", " ")
    assert load(folders[0]).trials == 2
    assert run(["significance", *arguments, *options, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], second["run"]) == ("noise", "edge")
    assert first["trials"] == 2


def test_a_folder_that_is_no_run_is_one_line(tmp_path, capsys):
    assert run(["significance", str(tmp_path), "--lake", str(MARKET)]) == DataError.exit_code
    told = capsys.readouterr().err
    assert told.startswith(f"training: {tmp_path}: expected a backtest's folder")
    assert told.count("\n") == 1


def test_noise_as_a_command_writes_the_same_bytes_twice(tmp_path, capsys):
    words = ["significance", "noise", "--lake", str(MARKET), "--draws", "1", "--strategies", "5"]
    words += ["--fees", "0,0.004", "--edges", "0.8", "--instruments", "BTC/USDT,ETH/USDT"]
    written = []
    for name in ("one.md", "two.md"):
        assert run([*words, "--out", str(tmp_path / name)]) == 0
        written.append((tmp_path / name).read_bytes() + (tmp_path / name).with_suffix(".json").read_bytes())
    assert written[0] == written[1]
    assert "| never: noise | 0.40% | 1 | - |" in capsys.readouterr().out
    report = json.loads((tmp_path / "one.json").read_bytes())
    assert [row["edge"] for row in report["rows"]] == [None, None, 0.8, 0.8]
    assert str(MARKET) not in written[0].decode()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--fees", "cheap"], "--fees: expected numbers with commas between; found 'cheap'"),
        (["--edges", "0.3"], "--edges: expected numbers from 0.5 to 1; found 0.3"),
        (["--timeframe", "7m"], "--timeframe: expected one of 1m, 5m, 15m, 30m, 1h, 4h, 1d; found '7m'"),
    ],
)
def test_misuse_of_the_noise_command_is_one_line(words, said, capsys):
    assert run(["significance", "noise", "--lake", str(MARKET), *words]) == 64
    assert capsys.readouterr().err == f"training: {said}\n"


def test_a_run_without_a_trade_is_told_so(tmp_path):
    run_of([0.0] * DAYS).save(tmp_path / "still")
    (found,) = judge_runs(read_runs([tmp_path / "still"]), read(tmp_path / "no"), MARKET)
    assert found.sentence == f"Nothing was traded in {DAYS} days, so there is nothing to tell from luck."
    assert (found.passed, found.trips, found.spa["flat"]) == (False, 0, None)
