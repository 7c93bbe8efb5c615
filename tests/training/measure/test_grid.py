"""Studies of other markets: kept answers, a vault that stays shut, and refusals that are lines."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from core.clock import DAY
from core.errors import ConfigError, UsageError
from core.market import Timeframe
from core.text import iso, parse_iso
from training.measure import grid
from training.measure.cli import app
from training.measure.grid import Grid, Study
from training.measure.report import LEFT
from training.members.kept import TEST, load

MARKET = Path("configs/market")
TEST_START, VAULT = parse_iso("2024-03-01"), parse_iso("2024-03-11")


def study(name: str = "made", **changed: object) -> Study:
    told = {
        "name": name,
        "venue": "binance",
        "source": Timeframe.M5,
        "spec": "entry_5m",
        "network": "none",
        "instruments": ("BTC/USDT",),
        "start": "2024-02-01",
        "test_start": iso(TEST_START)[:10],
        "vault_start": iso(VAULT)[:10],
        "max_rows": 800,
    } | changed
    return Study(**told)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    late = study("late", test_start=iso(VAULT + DAY)[:10])
    plan = Grid(study=(study(), late), left_out=("tapes: not asked of",))
    lines = grid.work_off(plan, MARKET, folder, workers=1)
    assert lines[0].startswith("late (entry_5m): expected bars on both sides of")
    assert lines[1:] == ("tapes: not asked of",)
    return folder


def test_answers_are_kept_of_every_voice_and_stop_at_the_vault(work):
    kept = load(work / "made.npz")
    assert sorted(kept.voices) == ["lightgbm", "logistic", "persistence"]
    assert (kept.subject.model, kept.subject.model_hash) == ("lightgbm", "")
    tested = kept.only(kept.fold == TEST)
    assert len(tested) > 2_000
    assert tested.ts.min() >= TEST_START
    assert kept.ts_end.max() <= VAULT
    assert set(kept.fold.tolist()) == {0, 1, 2}
    assert np.isfinite(tested.p).all()


def test_what_stood_in_the_way_is_written_down(work):
    lines = (work / LEFT).read_text().splitlines()
    assert len(lines) == 2
    assert not (work / "late.npz").exists()


def test_without_a_day_the_vault_is_the_newest_three_months():
    one = study(vault_start="")
    assert iso(grid.shut_from(one, MARKET))[:10] == "2024-04-01"
    bars = grid.bars_of(msgspec.structs.replace(one, test_start="2024-03-01"), MARKET)
    assert iso(int(bars[0].ts_close[-1]))[:10] == "2024-04-01"


def test_what_a_grid_does_not_know_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"study: expected one of made; found 'other'"):
        grid.work_off(Grid(study=(study(),)), MARKET, tmp_path, workers=1, only=("other",))
    with pytest.raises(UsageError, match=r"study made: expected a spec of .*; found 'entry_7m'"):
        study(spec="entry_7m")
    file = tmp_path / "grid.toml"
    file.write_text("[[study]]\nname = 'x'\ncolour = 'red'\n")
    with pytest.raises(ConfigError, match=r"grid\.toml: .*colour"):
        grid.read(file)
    with pytest.raises(ConfigError, match=r"expected a grid of studies"):
        grid.read(tmp_path / "absent.toml")


def test_the_shipped_grid_names_every_venue_beside_the_models_own():
    plan = grid.read(Path("configs/train/grid.toml"))
    assert {one.venue for one in plan.study} == {"binance", "binance-perp", "kraken", "bitfinex"}
    assert len({one.name for one in plan.study}) == len(plan.study) == 10
    assert plan.left_out


@pytest.mark.parametrize("command", ["report", "compare", "grid"])
def test_commands_show_how_they_are_used(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"training {command}" in shown.output


def test_two_cards_are_shown_on_the_command_line():
    told = ["compare", "configs/models/entry-5m", "configs/models/entry-1h", "--json"]
    shown = CliRunner().invoke(app, told)
    assert shown.exit_code == 0
    assert msgspec.json.decode(shown.output)["rows"] == 0
