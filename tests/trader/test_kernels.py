"""Kernels are ready before anything trades, and people learn when that takes a minute."""

from pathlib import Path

from structlog.testing import capture_logs

from core.clock import ManualClock
from inference.features import kernel
from trader import kernels
from trader.config import load
from trader.doctor import examine

DEMO = Path(__file__).parents[2] / "configs" / "two-traders.toml"


async def test_a_cold_cache_is_filled_before_anything_trades_and_only_once(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    with capture_logs() as said:
        await kernels.prepare(ManualClock(1))
        await kernels.prepare(ManualClock(1))
    first, *steps, last = said
    assert (first["event"], first["folder"]) == ("kernels_compiling", str(tmp_path))
    assert [(line["event"], line["number"]) for line in steps] == [
        ("kernel_compiling", number) for number in range(1, steps[0]["of"] + 1)
    ]
    assert (last["event"], last["cold"]) == ("kernels_ready", True)


async def test_a_cache_that_is_not_known_to_be_whole_is_looked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    (tmp_path / "some.nbi").touch()
    with capture_logs() as said:
        await kernels.prepare(ManualClock(1))
    assert [(line["event"], line["cold"]) for line in said] == [("kernels_ready", False)]
    await kernels.prepare(ManualClock(1))
    assert kernels.cached() == 1


def test_the_doctor_says_whether_the_next_start_compiles(tmp_path, monkeypatch):
    config = load([DEMO], {}, {"journal.directory": str(tmp_path), "dashboard.port": 0})
    (tmp_path / "one.nbi").touch()
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    (warm,) = [f for f in examine(config, {}, ManualClock(1)) if f.check == "kernels"]
    assert (warm.note, str(kernel.CACHE.parent) in warm.detail) == (False, True)
    (tmp_path / "one.nbi").unlink()
    (cold,) = [f for f in examine(config, {}, ManualClock(1)) if f.check == "kernels"]
    assert (cold.note, cold.exit_code) == (True, 0)
    assert cold.detail == "none compiled for this version; the next start takes a minute for it"
