import asyncio
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import ClassVar
from urllib.parse import parse_qsl

import pytest
import typer

from core.clock import ManualClock
from core.errors import TemporaryError
from core.version import VERSION
from inference.card import Head
from tests import desk_story as story
from tests.council_models import VOTERS, council
from tests.inference.making import write_model
from trader import cli
from trader.client import state_root
from trader.config import load
from trader.journal import Journal
from trader.records import NOBODY
from trader.state import ReadModel
from trader.statedir import StatePaths, api_token

MODELS = Path(__file__).parents[2] / "configs" / "models"

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "configs" / "two-traders.toml")
KRAKEN = str(ROOT / "configs" / "paper-kraken.toml")


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_help_is_quick_and_imports_nothing_heavy():
    script = (
        "import sys; from trader import cli; code = cli.run(['--help']); "
        "names = {'numpy', 'ccxt', 'torch', 'polars', 'onnxruntime', 'pydantic', 'aiohttp'}; "
        "heavy = names & sys.modules.keys(); assert not heavy, heavy; sys.exit(code)"
    )
    began = perf_counter()
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "Examples:" in found.stdout
    assert perf_counter() - began < 5  # 0.6 s on a quiet machine; this guards against seconds


def every_command():
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        yield from ([name, verb] for verb in command.commands) if hasattr(command, "commands") else [[name]]


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_has_help_with_an_example(capsys, words):
    code, out, _ = run(capsys, *words, "--help")
    assert code == 0
    assert f"Examples:\n    trader {' '.join(words)}" in out


@pytest.mark.parametrize("noun", ["config", "data", "model", "backtest", "systemd"])
def test_every_noun_has_help(capsys, noun):
    code, out, _ = run(capsys, noun, "--help")
    assert code == 0
    assert f"{noun} [OPTIONS] COMMAND" in out


def test_version(capsys):
    assert run(capsys, "version")[1].strip() == VERSION
    assert json.loads(run(capsys, "version", "--json")[1]) == {"version": VERSION}


@pytest.mark.parametrize(
    "line", ["conig", "status --jsn", "config explain", "backtest run --from x --to y -c " + DEMO]
)
def test_a_misspelt_line_is_64(capsys, line):
    code, out, err = run(capsys, *line.split())
    assert code == 64
    assert out == ""
    assert err


def test_a_near_miss_is_named(capsys):
    assert "Did you mean 'config'?" in run(capsys, "conig")[2]


def test_config_check_show_and_explain(capsys):
    code, out, _ = run(capsys, "config", "check", "-c", DEMO, "--json")
    assert code == 0
    assert json.loads(out)["showcase"] is True
    code, out, _ = run(capsys, "config", "show", "-c", DEMO)
    assert 'venue.name = "loopback"' in out
    code, out, _ = run(
        capsys, "config", "explain", "inference.budget_ms", "-c", DEMO, "--set", "inference.budget_ms=9"
    )
    assert out.splitlines() == ["inference.budget_ms = 9", "set by command line"]


def test_a_bad_configuration_is_78_in_one_line(capsys, tmp_path):
    bad = tmp_path / "trader.toml"
    bad.write_text("[dashbord]\nport = 1\n", "utf-8")
    code, out, err = run(capsys, "config", "check", "-c", str(bad))
    assert (code, out) == (78, "")
    assert err.count("\n") == 1
    assert "did you mean 'dashboard'?" in err


def test_without_a_configuration_the_places_are_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    code, _, err = run(capsys, "config", "check")
    assert code == 78
    assert str(tmp_path / "etc" / "trader.toml") in err


def test_a_checkout_without_a_configuration_looks_at_the_demonstration(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(ROOT)
    code, out, _ = run(capsys, "config", "explain", "journal.directory", "--json")
    assert code == 0
    assert json.loads(out)["value"] == str(ROOT / ".demo")
    code, _, err = run(capsys, "run")
    assert code == 78
    assert "Name one with --config" in err


def test_a_setting_without_a_value_is_64(capsys):
    code, _, err = run(capsys, "config", "check", "-c", DEMO, "--set", "mode")
    assert code == 64
    assert "KEY=VALUE" in err


def test_live_needs_two_switches(capsys):
    code, _, err = run(capsys, "run", "-c", KRAKEN, "--live")
    assert code == 77
    assert "mode = 'live'" in err
    code, _, err = run(capsys, "run", "-c", KRAKEN, "--set", "mode=live", "--set", "execution.style=venue")
    assert code == 77
    code, _, err = run(
        capsys, "run", "-c", KRAKEN, "--set", "mode=live", "--set", "execution.style=venue", "--live"
    )
    assert code == 78
    assert "not built yet" in err


def test_the_loopback_serves_only_itself(capsys):
    code, _, err = run(capsys, "loopback", "-c", KRAKEN)
    assert code == 78
    assert "venue.name: expected 'loopback'" in err


def test_the_loopback_needs_its_keys(capsys):
    code, _, err = run(capsys, "loopback", "-c", DEMO)
    assert code == 77
    assert "SEAMARK_SCALP_KEY" in err


def test_doctor_gives_a_row_for_each_check(capsys):
    code, out, _ = run(capsys, "doctor", "-c", KRAKEN, "--json", "--set", "dashboard.port=0")
    rows = json.loads(out)
    assert code == next((row["exit_code"] for row in rows if row["exit_code"]), 0)
    assert {"python", "packages", "clock", "configuration", "state", "port"} <= {row["check"] for row in rows}


def test_models_are_listed_and_a_bad_one_is_65(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = run(capsys, "model", "verify", "--all", "--models", str(tmp_path), "--json")
    assert code == 65
    assert json.loads(out)[0]["ok"] is False
    assert run(capsys, "model", "list", "--models", str(tmp_path))[1].startswith("BAD")
    assert run(capsys, "model", "verify")[0] == 64
    assert run(capsys, "model", "list", "--models", str(tmp_path / "none"))[0] == 64


@pytest.mark.skipif(not (MODELS / "blend-15m").is_dir(), reason="needs the shipped ensemble")
def test_an_ensemble_is_verified_with_its_members(capsys):
    code, out, _ = run(capsys, "model", "verify", str(MODELS / "blend-15m"), "--json")
    (row,) = json.loads(out)
    assert code == 0
    assert (row["ok"], row["kind"], row["decision"]) == (True, "ensemble", "15m")
    assert "entry-15m:vote" in row["members"]


def test_a_model_is_shown_with_everybody_who_is_in_it(capsys, tmp_path):
    folder = council(tmp_path)
    code, out, _ = run(capsys, "model", "show", str(folder), "--json")
    found = json.loads(out)
    assert code == 0
    assert [(m["name"], m["role"]) for m in found["members"]][-4:] == [
        ("meta-15m", "meta"),
        ("regime-1h", "regime"),
        ("volume-1h", "regime"),
        ("manager-1m", "manager"),
    ]
    assert found["members"][4]["voters"] == list(VOTERS)
    out = run(capsys, "model", "show", str(folder))[1]
    assert (
        "; take at least 0, sees the blend and the votes of entry-15m, entry-1h, net-15m, fusion-15m" in out
    )
    assert "; high from 0 to 1" in out
    assert "; speaks of open positions only" in out
    heads = (Head("magnitude", "How far the price moves.", "ATR"),)
    write_model(tmp_path / "many", heads=heads)
    assert run(capsys, "model", "verify", str(tmp_path / "many"))[1].endswith("heads magnitude\n")
    out = run(capsys, "model", "show", str(tmp_path / "many"))[1]
    assert "head magnitude [1] in ATR: How far the price moves." in out
    assert run(capsys, "model", "show", str(tmp_path / "none"))[0] == 65


def test_replay_of_nothing_is_64(capsys, tmp_path):
    code, _, err = run(capsys, "replay", str(tmp_path), "--verify")
    assert code == 64
    assert "expected a journal or a state directory" in err


def test_the_unit_starts_this_installation(capsys):
    code, out, _ = run(capsys, "systemd", "print", "-c", "/etc/trader/x.toml")
    assert code == 0
    assert "Type=notify" in out
    assert "run --config /etc/trader/x.toml" in out
    assert "RestartPreventExitStatus=3 64 77 78" in out


def test_no_daemon_is_75(capsys, tmp_path):
    for line in ("status", "pause", "health --live"):
        code, out, err = run(capsys, *line.split(), "-c", DEMO, "--set", f"journal.directory={tmp_path}")
        assert (code, out) == (TemporaryError.exit_code, "")
        assert "trader run" in err


def test_the_newest_state_below_a_directory_counts(tmp_path):
    assert state_root(tmp_path) == tmp_path
    for name in ("20260101", "20260102"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.db").touch()
    assert state_root(tmp_path) == tmp_path / "20260102"
    (tmp_path / "journal.db").touch()
    assert state_root(tmp_path) == tmp_path


def told():
    """Give a desk after the hour of tests.desk_story, without a daemon."""
    model = ReadModel(story.setup())
    for seq, (event, commands) in enumerate(story.hour(), start=1):
        model.on_step(seq, event, commands)
    return model


DESK = told()
VIEW = DESK.view()


class Daemon(BaseHTTPRequestHandler):
    """Answers as the control API does, and keeps what was asked."""

    token = ""
    asked: ClassVar[list[tuple[str, dict]]] = []

    def do_GET(self):
        if self.path == "/readyz":
            self.reply(503, {"ready": False, "reasons": ["features are warming up"]})
        elif self.path == "/livez":
            self.reply(200, {"live": True})
        elif self.path.startswith("/api/v1/explain?"):
            query = dict(parse_qsl(self.path.partition("?")[2]))
            self.reply(200, DESK.explain(query["instrument"], query.get("trader", "")))
        else:
            self.reply(200, VIEW)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self.reply(200, {"ok": True})

    def reply(self, status, body):
        known = self.headers.get("Authorization") == f"Bearer {self.token}"
        raw = json.dumps(body).encode()
        self.send_response(status if known else 401)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def daemon(tmp_path):
    paths = StatePaths(tmp_path)
    Daemon.token = api_token(paths)
    Daemon.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Daemon) as server:
        paths.address.write_text(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield ["-c", DEMO, "--set", f"journal.directory={tmp_path}"]
        server.shutdown()
        thread.join()


def test_status_shows_the_daemons_state(capsys, daemon):
    assert json.loads(run(capsys, "status", "--json", *daemon)[1]) == json.loads(json.dumps(VIEW))
    code, out, _ = run(capsys, "status", *daemon)
    assert code == 0
    figures, positions = out.split("\n\n")
    assert dict(line.split("  ", 1) for line in figures.splitlines())["state"].strip() == "running"
    header, btc, doge = positions.splitlines()
    assert header.split()[:4] == ["account", "instrument", "side", "quantity"]
    assert btc.split()[1:4] == ["BTC/USDT", "long", "0.036"]
    assert header.index("stop") == btc.index("67890.0") == doge.index(doge.split()[7])


def test_a_wish_that_was_not_granted_shows(capsys, daemon, monkeypatch):
    monkeypatch.setitem(VIEW, "state", {"state": "halted", "why": "drawdown", "since": ""})
    code, out, _ = run(capsys, "resume", "--json", *daemon)
    assert code == 0
    assert json.loads(out)["state"] == "halted"
    assert run(capsys, "resume", *daemon)[1] == "resume: journaled; the desk is halted (drawdown)\n"


def test_health_gives_75_with_the_reasons(capsys, daemon):
    code, out, _ = run(capsys, "health", "--ready", *daemon)
    assert code == 75
    assert out == "not ready: features are warming up\n"
    assert run(capsys, "health", "--live", *daemon)[0] == 0


@pytest.mark.parametrize("verb", ["pause", "resume", "flatten", "kill"])
def test_a_verb_reaches_the_daemon_with_actor_and_reason(capsys, daemon, verb):
    code, out, _ = run(capsys, verb, "--reason", "a test", *daemon)
    assert code == 0
    assert out == f"{verb}: journaled; the desk is running\n"
    ((path, body),) = Daemon.asked
    assert path == f"/api/v1/{verb}"
    assert body["reason"] == "a test"
    assert body["actor"].startswith("cli:")
    assert body["force"] is False


def test_resume_can_be_forced(capsys, daemon):
    assert run(capsys, "resume", "--force", *daemon)[0] == 0
    assert Daemon.asked[0][1]["force"] is True


def test_the_running_daemon_explains_an_opinion(capsys, daemon):
    code, out, _ = run(capsys, "model", "explain", "BTC/USDT", "--json", *daemon)
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(DESK.explain("BTC/USDT")["rows"]))
    code, out, _ = run(capsys, "model", "explain", "BTC/USDT", *daemon)
    assert code == 0
    assert "A position in this direction is already open. (0.03600)" in out
    code, _, err = run(capsys, "model", "explain", "BTC/USDT", "--trader", "nobody", *daemon)
    assert (code, err.count("\n")) == (64, 1)
    assert "expected an opinion about BTC/USDT of trader nobody; found none" in err


def test_without_a_daemon_the_journal_explains(capsys, tmp_path):
    path = tmp_path / "journal.db"

    async def write():
        journal = await Journal.open(path, after=None, clock=ManualClock(1))
        for event, commands in story.judged(story.START):
            journal.append(event, commands, NOBODY)
        await journal.close()

    asyncio.run(write())
    free = ["-c", DEMO, "--set", "dashboard.port=1", "--set", f"journal.directory={tmp_path}"]
    for words in (
        free,
        ["--journal", str(path)],
        ["--journal", str(tmp_path), "--at", "2024-05-27T09:00:00Z"],
    ):
        code, out, _ = run(capsys, "model", "explain", "BTC/USDT", *words)
        assert code == 0
        assert out.splitlines()[0].startswith("BTC/USDT harbour-15m 15m bar of 2024-05-27T09:00:00")
    early = ["--journal", str(path), "--at", "2024-05-27T08:00:00Z"]
    assert run(capsys, "model", "explain", "BTC/USDT", *early)[0] == 64
    code, _, err = run(capsys, "model", "explain", "BTC/USDT", "--journal", str(tmp_path / "none"))
    assert code == 64
    assert "expected a journal or a state directory; found none" in err


def test_a_wrong_token_is_77(capsys, daemon):
    Daemon.token = "another"
    code, _, err = run(capsys, "status", *daemon)
    assert code == 77
    assert "token" in err


def test_an_unexpected_error_ends_at_the_edge(monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(cli, "run", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    assert "internal error" in capsys.readouterr().err


def test_demo_configuration_is_what_the_demo_reads():
    assert load([Path(DEMO)], {}).venue.name == "loopback"
