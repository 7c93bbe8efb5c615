"""Kernels are ready before anything trades, and people learn when that takes a minute."""

from pathlib import Path

from structlog.testing import capture_logs

from core.clock import ManualClock
from inference.features import kernel
from trader import kernels
from trader.config import load
from trader.doctor import examine

DEMO = Path(__file__).parents[2] / "configs" / "demo.toml"


async def test_kernels_are_loaded_and_counted(tmp_path, monkeypatch):
    with capture_logs() as said:
        await kernels.prepare(ManualClock(1))
    assert kernels.cached() > 0
    assert [line["event"] for line in said if not line.get("cold")] == ["kernels_ready"]
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    assert kernels.cached() == 0
    with capture_logs() as said:
        await kernels.prepare(ManualClock(1))
    first, *steps, last = said
    assert (first["event"], first["folder"]) == ("kernels_compiling", str(tmp_path))
    assert [(line["event"], line["number"]) for line in steps] == [
        ("kernel_compiling", number) for number in range(1, steps[0]["of"] + 1)
    ]
    assert (last["event"], last["cold"]) == ("kernels_ready", True)


def test_the_doctor_says_whether_the_next_start_compiles(tmp_path, monkeypatch):
    config = load([DEMO], {}, {"journal.directory": str(tmp_path), "dashboard.port": 0})
    (warm,) = [f for f in examine(config, {}, ManualClock(1)) if f.check == "kernels"]
    assert (warm.note, str(kernel.CACHE.parent) in warm.detail) == (False, True)
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    (cold,) = [f for f in examine(config, {}, ManualClock(1)) if f.check == "kernels"]
    assert (cold.note, cold.exit_code) == (True, 0)
    assert cold.detail == "none compiled for this version; the next start takes a minute for it"
