import json
from pathlib import Path

import pytest

from core.market import Timeframe
from feeds.lake import Lake
from training.cli import run
from training.synthetic.catalogue import PATTERNS

DOCS = Path(__file__).parents[3] / "docs"


def test_list_names_every_pattern_with_its_parameters(capsys):
    assert run(["synthetic", "list", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert set(body) == set(PATTERNS)
    assert body["flash_crash"]["params"]["recovery"]["default"] == 0.7
    assert run(["synthetic", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(PATTERNS) + 1
    page = (DOCS / "synthetic.md").read_text(encoding="utf-8")
    assert "\n".join(lines) in page


def test_show_draws_the_same_bytes_each_time(tmp_path, capsys):
    words = "synthetic show --pattern double_top --params height=0.1 --out"
    for folder in ("first", "second"):
        assert run([*words.split(), str(tmp_path / folder), "--json"]) == 0
    files = json.loads(capsys.readouterr().out.splitlines()[0])
    assert [Path(name).name for name in files] == ["double_top.svg"]
    first = (tmp_path / "first" / "double_top.svg").read_bytes()
    assert first == (tmp_path / "second" / "double_top.svg").read_bytes()
    assert first.startswith(b"<?xml")
    assert run([*words.split(), str(tmp_path / "png"), "--kind", "png"]) == 0
    assert (tmp_path / "png" / "double_top.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_shows_every_pattern_in_few_bytes():
    page = (DOCS / "synthetic.md").read_text(encoding="utf-8")
    files = {path.stem: path for path in (DOCS / "images" / "synthetic").glob("*.svg")}
    assert set(files) == set(PATTERNS)
    assert all(f"(images/synthetic/{name}.svg)" in page for name in PATTERNS)
    assert sum(path.stat().st_size for path in files.values()) <= 300 * 1024


def test_write_makes_a_lake_and_tells_the_shares(tmp_path, capsys):
    words = ["synthetic", "write", "--pairs", "1", "--days", "20", "--timeframe", "15m", "--out"]
    assert run([*words, str(tmp_path / "one"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["shares"].values()) == pytest.approx(1.0)
    assert len(Lake(tmp_path / "one").read("synthetic", "S0/USD", Timeframe.M15)) == 20 * 96
    assert (tmp_path / "one" / "actions" / "S0-USD.parquet").is_file()
    assert run([*words, str(tmp_path / "two")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PATTERNS) + 1


@pytest.mark.parametrize(
    "words, expected",
    [
        ("show --out OUT", "--pattern: expected a name, or --all instead; found neither"),
        ("show --all --pattern breakout --out OUT", "found 'breakout' and --all"),
        ("show --pattern spiral --out OUT", "pattern_type: expected one of bull_trend"),
        ("show --pattern breakout --params touches --out OUT", "--params: expected NAME=NUMBER,..."),
        ("show --pattern breakout --params touches=x --out OUT", "found 'touches=x'"),
        ("show --pattern breakout --kind gif --out OUT", "--kind: expected svg or png; found 'gif'"),
        ("write --timeframe 7m --out OUT", "--timeframe: expected one of 1m"),
        ("write --out .", "--out: expected a new or empty folder"),
    ],
)
def test_refusals_are_one_line(words, expected, tmp_path, capsys):
    assert run(["synthetic", *words.replace("OUT", str(tmp_path / "out")).split()]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert expected in line
