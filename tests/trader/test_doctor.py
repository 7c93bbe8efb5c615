import socket
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import ConfigError
from core.text import parse_iso
from trader.config import load
from trader.doctor import Finding, examine, lines, verdict
from trader.statedir import StatePaths

NOW = ManualClock(parse_iso("2026-11-21T00:00:00Z"))
BASE = """
[universe]
instruments = ["BTC/USDT"]
[journal]
directory = "state"
[dashboard]
port = 0
[[account]]
name = "main"
currency = "USDT"
[[trader]]
name = "scalp"
code = "SC"
account = "main"
model = "models/none"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "trader.toml"
    path.write_text(BASE, "utf-8")
    return load([path], {})


def found(findings: list[Finding], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


def test_a_missing_model_is_found_and_gives_its_code(config):
    findings = examine(config, {}, NOW)
    bad = found(findings, "model scalp")
    assert bad.exit_code == 65
    assert "models/none" in bad.detail
    assert verdict(findings) == 65


def test_what_is_fine_has_no_code(config):
    findings = examine(config, {}, NOW)
    assert {f.check: f.exit_code for f in findings if not f.check.startswith("model")} == dict.fromkeys(
        ["python", "packages", "kernels", "clock", "systemd", "chromium", "configuration", "state", "port"], 0
    )


def test_a_bad_configuration_is_one_finding(config):
    findings = examine(ConfigError("trader.toml: a.b: unknown key"), {}, NOW)
    assert found(findings, "configuration").exit_code == 78
    assert verdict(findings) == 78
    assert not any(f.check == "port" for f in findings)


def test_a_taken_port_is_found(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        dashboard = config.dashboard.model_copy(update={"port": port})
        findings = examine(config.model_copy(update={"dashboard": dashboard}), {}, NOW)
        assert found(findings, "port").exit_code == 75
        # The same port, and a state directory that says whose it is.
        ours = StatePaths(config.journal.directory)
        ours.root.mkdir(parents=True, exist_ok=True)
        ours.address.write_text(f"http://127.0.0.1:{port}")
        finding = found(examine(config.model_copy(update={"dashboard": dashboard}), {}, NOW), "port")
    assert (finding.exit_code, finding.note) == (0, True)
    assert "your running daemon" in finding.detail


def test_a_state_directory_below_a_file_is_found(config, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    journal = config.journal.model_copy(update={"directory": tmp_path / "file" / "state"})
    findings = examine(config.model_copy(update={"journal": journal}), {}, NOW)
    assert found(findings, "state").exit_code == 74


def test_the_doctor_changes_nothing(config, tmp_path):
    examine(config, {}, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["trader.toml"]


@pytest.mark.parametrize("now", [0, parse_iso("2099-01-01T00:00:00Z")])
def test_an_absurd_clock_is_found(config, now):
    assert found(examine(config, {}, ManualClock(now)), "clock").exit_code == 75


def test_a_service_is_told(config):
    detail = found(examine(config, {"NOTIFY_SOCKET": "/run/x"}, NOW), "systemd").detail
    assert detail.endswith(", inside a service")


def test_the_table_names_the_verdict_first():
    table = lines([Finding("port", "taken", 75), Finding("a", "b"), Finding("c", "d", note=True)])
    assert [line.split()[0] for line in table] == ["FAIL", "ok", "note"]


def test_the_state_directory_is_named(config):
    assert str(Path(config.journal.directory)) in found(examine(config, {}, NOW), "state").detail
