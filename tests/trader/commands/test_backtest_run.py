"""`trader backtest run`: folders that can be read, one for each schedule and pair, every trial counted."""

import json
import os
from pathlib import Path

import pytest

from core.errors import UsageError
from core.text import parse_iso
from tests.run_records import day, record, trip
from trader import cli
from trader.backtest.record import ModelUsed, load
from trader.commands.backtest_run import Done, Wanted, alone, carry_out, jobs, run_name, told
from trader.config import load as load_config
from trader.evaluation import trials
from trader.evaluation.write import write_report
from venue.exchange_fees import SCHEDULES

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "configs" / "two-traders.toml"
SPAN = ("--from", "2024-06-03", "--to", "2024-06-05")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run two days of two pairs under one schedule by the command itself."""
    root = tmp_path_factory.mktemp("run")
    words = ["backtest", "run", "-c", DEMO, *SPAN, "--schedule", "vip9", "--out", root / "run"]
    words += ["--set", 'universe.instruments=["BTC/USDT", "XRP/USDT"]', "--no-pictures"]
    words += ["--cache", root / "cache", "--trials", root / "trials.jsonl"]
    before = os.environ.get("PWD")
    assert cli.run([*map(str, words)]) == 0
    assert os.environ.get("PWD") == before
    return root


def wanted(root, **more):
    config = load_config([DEMO], {}, {"universe.instruments": ["BTC/USDT", "XRP/USDT"]})
    common = {"start": parse_iso("2024-06-03"), "end": parse_iso("2024-06-05"), "command": "x", "bare": True}
    places = {"lake": ROOT / "configs/market", "out": root / "more", "trials": root / "t.jsonl"}
    return Wanted(config=config, cache=root / "cache", **common, **places, **more)


def test_the_folder_has_the_record_and_its_pages(ran):
    record = load(ran / "run")
    assert record.card.schedule == "vip9"
    assert record.card.command == (
        "trader backtest run --config two-traders.toml --from 2024-06-03 --to 2024-06-05 "
        """--set 'universe.instruments=["BTC/USDT", "XRP/USDT"]' --schedule vip9"""
    )
    assert record.trips
    told = json.loads((ran / "run" / "metrics.json").read_text())
    assert told["pooled"]["trips"]["trades"] == len(record.trips)
    # The equity of the curve, the trips and the page are one sum.
    equity = record.curve.group_by("account").last()["equity"].sum()
    assert equity == pytest.approx(float(sum(record.card.cash.values()) + sum(t.net for t in record.trips)))
    assert told["pooled"]["returns"]["total"] == pytest.approx(equity / 20_000 - 1)
    assert (ran / "run" / "report.html").exists()
    assert str(ROOT) not in (ran / "run" / "run.json").read_text()


def test_every_run_is_a_trial_once(ran):
    ledger = trials.read(ran / "trials.jsonl")
    assert [one.schedule for one in ledger.trials] == ["vip9"]
    assert not trials.record_trial(load(ran / "run"), ran / "trials.jsonl")


def test_json_says_what_the_lines_say(tmp_path):
    models = (ModelUsed("swing", "entry", "e" * 64, "15m", day(4)),)
    half = record([trip("900", opened=5), trip("-500", opened=6 * 24)], models=models)
    written = write_report(half, tmp_path, pictures=False)
    found = told(Done("half", tmp_path, Figures(), half, written, trials=1), signals=False)
    assert found["verdict"].startswith("Out of sample: lost ")
    assert (found["figures"]["name"], found["figures"]["trips"]["trades"]) == ("out of sample", 1)
    assert [part["name"] for part in found["evidence"]] == ["in sample", "out of sample"]


class Figures:
    """The engine's own figures, none of which are looked at here."""

    def report(self, *, signals):
        return {"signals": []} if signals else {}


def test_a_pair_alone_has_all_the_cash_whoever_works_beside_it(ran):
    (btc, xrp) = carry_out(wanted(ran, schedule="vip9", each_pair=True), _nobody_watches)
    assert (btc.name, xrp.name) == ("BTC-USDT", "XRP-USDT")
    record = load(ran / "more" / "XRP-USDT")
    assert record.card.instruments == ("XRP/USDT",)
    assert record.card.cash == load(ran / "run").card.cash
    assert {trip.instrument for trip in record.trips} == {"XRP/USDT"}
    assert btc.written is None
    assert not (ran / "more" / "XRP-USDT" / "report.html").exists()


def _nobody_watches(_what, _total):
    from contextlib import nullcontext

    return nullcontext()


def test_all_asks_for_every_schedule_and_pair(ran):
    found = list(jobs(wanted(ran, schedule="all", each_pair=True)))
    assert [job.name for job in found] == [
        f"{schedule}/{pair}" for schedule in SCHEDULES for pair in ("BTC-USDT", "XRP-USDT")
    ]
    assert found[0].command == "x --schedule gross --each-pair"
    assert {job.config.exchange.schedule for job in found} == set(SCHEDULES)
    assert found[0].config.traders[0].policy.taker_fee == 0.0


def test_a_pair_that_nobody_trades_is_refused(ran):
    with pytest.raises(UsageError, match="expected a trader of ETH/USDT; found none"):
        alone(wanted(ran).config, "ETH/USDT")


def test_a_folder_is_named_by_what_was_run(ran):
    config = wanted(ran).config
    name = run_name("demo", config, day(0), day(31))
    assert name == f"demo-20240101-20240131-{config.hash[:8]}"


def test_an_unknown_schedule_is_one_line(capsys):
    assert cli.run(["backtest", "run", "-c", str(DEMO), *SPAN, "--schedule", "free"]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("trader: expected a fee schedule of gross, vip9, vip4, legacy16, kraken; found 'free'\n")
