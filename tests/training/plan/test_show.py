"""What a person sees of workers in other processes: their newest line, counted where it counts itself."""

import io
import json

from rich.console import Console

from training.plan.job import LOGS
from training.plan.show import following


def told(work, name: str, phase: str) -> None:
    folder = work / LOGS
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps({"model": name, "phase": phase}) + "\n")


def test_a_terminal_shows_each_model_with_its_newest_phase(tmp_path):
    told(tmp_path, "net", "of an earlier run")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with following(tmp_path, ["net", "trees"], console) as on_done:
        told(tmp_path, "net", "reading bars")
        told(tmp_path, "net", "hybrid: fold 2 of 3")
        on_done("net")
    shown = screen.getvalue()
    assert "hybrid: fold 2 of 3" in shown
    assert "of an earlier run" not in shown
    last = shown.splitlines()[-2:]
    assert any("trees" in line and "waits" in line for line in last), shown


def test_a_line_that_is_not_whole_yet_waits(tmp_path):
    screen = io.StringIO()
    with following(tmp_path, ["net"], Console(file=screen, force_terminal=True, width=120)) as on_done:
        told(tmp_path, "net", "reading bars")
        with (tmp_path / LOGS / "net.jsonl").open("a") as file:
            file.write('{"phase": "fit')
        on_done("net")
    assert "reading bars" in screen.getvalue()


def test_where_nobody_looks_nothing_is_shown(tmp_path):
    screen = io.StringIO()
    with following(tmp_path, ["net"], Console(file=screen, force_terminal=False)) as on_done:
        assert on_done is None
    assert screen.getvalue() == ""


def test_a_log_that_is_begun_anew_is_read_from_its_start(tmp_path):
    told(tmp_path, "net", "a long phase of an earlier check")
    screen = io.StringIO()
    with following(tmp_path, ["net"], Console(file=screen, force_terminal=True, width=120)) as on_done:
        (tmp_path / LOGS / "net.jsonl").unlink()
        told(tmp_path, "net", "begins")
        on_done("net")
    assert "begins" in screen.getvalue()
