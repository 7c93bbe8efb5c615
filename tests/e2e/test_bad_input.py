"""Bad input of every kind ends in one line on stderr and the right code; nothing trades, nothing is lost."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.e2e.world import DEMO, ROOT, World, connects, free_port, until
from trader import cli
from trader.recovery import verify
from trader.statedir import held

pytestmark = pytest.mark.e2e

MODELS = ROOT / "configs" / "models"
SERIES = Path("ohlcv/binance/BTC-USDT/5m.parquet")
KEYS = {
    f"SEAMARK_{account}_{part}": "c2VhbWFyaw=="
    for account in ("SCALP", "SWING")
    for part in ("KEY", "SECRET")
}


def refused(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run `trader` as a process; gives its exit code and the only line that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "trader.cli", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | KEYS if env is None else env,
        timeout=60,
        check=False,
    )
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


def start(state: Path, **settings: object) -> tuple[int, str]:
    """Try to start a daemon whose venue does not exist."""
    port = free_port()
    chosen = {
        "journal.directory": state,
        "clock.wall_epoch": "2026-01-01T00:00:00Z",
        "dashboard.port": 0,
        "venue.rest": f"http://127.0.0.1:{port}",
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    words = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    code, line = refused("run", "--config", str(DEMO), *words)
    assert not (state / "journal.db").exists()
    return code, line


# ---- configuration and command line ----


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["config", "check", "--set", "clock.sped=3"], 78, "clock.sped: unknown key; did you mean 'speed'?"),
        (["config", "check", "--set", "clock.speed=9e9"], 78, "clock.speed: expected less than or equal to"),
        (["config", "check", "--set", "clock.speed=fast"], 78, "clock.speed: expected a valid number"),
        (["config", "check", "--set", "clock=3"], 78, "clock: expected a valid dictionary"),
        (["config", "check", "--set", "trader.sclp.code=AB"], 78, "did you mean trader 'scalp'?"),
        (["config", "check", "--set", "clock.market_epoch=noon"], 78, "expected a time such as 2024-06-03T"),
        (["config", "check", "-c", "no/such.toml"], 78, "no/such.toml: expected a readable file"),
        (["demo", "--minutes", "-1"], 64, "--minutes"),
        (["demo", "--set", "speed"], 64, "expected KEY=VALUE; found 'speed'"),
        (["backtest", "run", "--from", "2024-06-03", "--to", "2024-06-02"], 64, "first before last"),
        (["backtest", "run", "--from", "then", "--to", "now"], 64, "--from: expected a time such as"),
        (["model", "verify", "no/such/model", "--jsn"], 64, "--jsn"),
        (["replay", "no/such/journal.db"], 64, "expected a journal or a state directory; found none"),
    ],
)
def test_a_wrong_word_is_one_line(
    words: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    config = ["-c", str(DEMO)] if "-c" not in words and words[0] not in {"model", "replay"} else []
    assert cli.run([*words, *config]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("trader: ")
    assert err.count("\n") == 1
    assert said in err


# ---- the lake ----


def spoil(rows: pl.DataFrame, column: str, value: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == len(rows) - 100
    return rows.with_columns(pl.when(at).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


BAD_SERIES: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "nan": (lambda rows: spoil(rows, "close", float("nan")), "expected finite numbers, found row=57500"),
    "null": (lambda rows: spoil(rows, "volume", None), "expected no null, found row=57500"),
    "unsorted": (lambda rows: rows.reverse(), "expected ts above the row before"),
    "impossible": (lambda rows: spoil(rows, "high", 1.0), "expected low <= open, close <= high"),
    "a column lacks": (lambda rows: rows.drop("close"), "expected numbers in the columns close"),
    "text": (lambda rows: rows.cast({"open": pl.String}), "expected numbers in the columns open"),
}


@pytest.mark.parametrize("kind", [*BAD_SERIES, "no Parquet"])
def test_a_bad_lake_file_is_named(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / SERIES
    file.parent.mkdir(parents=True)
    if kind in BAD_SERIES:
        change, said = BAD_SERIES[kind]
        change(pl.read_parquet(ROOT / "configs/market" / SERIES)).write_parquet(file)
    else:
        file.write_bytes(b"not Parquet at all")
        said = "expected a Parquet file"
    words = ["backtest", "run", "-c", str(DEMO), "--data", str(tmp_path), "--set"]
    only = 'universe.instruments=["BTC/USDT"]'
    assert cli.run([*words, only, "--from", "2024-07-17", "--to", "2024-07-19"]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert str(file) in err
    assert said in err


def test_the_demonstration_passes_on_why_its_venue_did_not_start(tmp_path: Path) -> None:
    file = tmp_path / SERIES
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not Parquet at all")
    code, line = refused(
        "demo", "--headless", "--minutes", "1", "--set", f"exchange.lake={tmp_path}",
        "--set", f"journal.directory={tmp_path / 'state'}",
    )  # fmt: skip
    assert code == 65
    assert "expected the simulated Kraken to start" in line
    assert not list(tmp_path.glob("state/*/journal.db"))
    assert str(file) in line


# ---- starting the daemon ----


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    code, line = start(tmp_path / "state", trader__scalp__model=tmp_path / "none")
    assert code == 65
    assert f"{tmp_path / 'none'}: expected a model with card.json" in line


@pytest.mark.parametrize("file, said", [("model.onnx", "sha256 of model.onnx"), ("card.json", "card")])
def test_a_tampered_model_is_not_loaded(file: str, said: str, tmp_path: Path) -> None:
    model = shutil.copytree(MODELS / "entry-5m", tmp_path / "entry-5m")
    sound = (model / file).read_bytes()
    middle = len(sound) // 2
    (model / file).write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
    code, line = start(tmp_path / "state", trader__scalp__model=model)
    assert code == 65
    assert str(model) in line
    assert said in line


def test_a_venue_out_of_reach_is_69(tmp_path: Path) -> None:
    code, line = start(tmp_path / "state")
    assert code == 69
    assert "expected loopback at http://127.0.0.1:" in line
    assert "ConnectionKey" not in line


def test_a_missing_key_is_77(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SEAMARK_")}
    code, line = refused(
        "run", "-c", str(DEMO), "--set", f"journal.directory={tmp_path}",
        "--set", "clock.wall_epoch=2026-01-01T00:00:00Z", env=bare,
    )  # fmt: skip
    assert code == 77
    assert "SEAMARK_SCALP_KEY" in line


def test_a_state_directory_that_cannot_be_made_is_74(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, line = start(tmp_path / "file" / "state")
    assert code == 74
    assert "expected a state directory that can be written" in line
    code, line = refused(
        "demo", "--headless", "--minutes", "1", "--set", f"journal.directory={tmp_path / 'file'}"
    )
    assert code == 74
    assert "expected a state directory that can be written" in line


def test_a_second_daemon_is_75(tmp_path: Path) -> None:
    with held(tmp_path / "state"):
        code, line = start(tmp_path / "state")
    assert code == 75
    assert f"expected no other daemon, found process {os.getpid()}" in line


def test_the_simulated_kraken_ends_with_whoever_started_it(tmp_path: Path) -> None:
    world = World(tmp_path, {}, speed=1)
    port = int(str(world.settings["venue.rest"]).rpartition(":")[2])
    with subprocess.Popen(
        [*world.arguments("loopback"), "--attached"],
        env=world.env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as venue:
        until(lambda: connects(port), "the loopback to listen", process=venue)
        assert venue.stdin is not None
        venue.stdin.close()  # what the kernel does for a process that was killed
        assert venue.wait(timeout=10) == 0


# ---- a journal that is not what it was ----


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A venue, and the state directory of a daemon that traded a little and stopped."""
    with World(tmp_path_factory.mktemp("world"), {}, speed=120) as made:
        made.start_daemon()
        until(lambda: bool(made.shown()["fills"]), "a first fill", process=made.daemon)
        assert made.terminate() == 0
        yield made


def altered(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def snapshot_of(raw: bytes) -> int:
    """Give a place inside the newest snapshot: the account's name, which is plain text there."""
    return raw.rindex(b"config_hash") + 20


def both(state: Path) -> list[bytes]:
    return [(state / name).read_bytes() for name in ("journal.db", "journal.tape")]


BAD_JOURNALS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "garbage": ("journal.db", lambda raw: b"garbage " * 1000),
    "half a database": ("journal.db", lambda raw: raw[: len(raw) // 2]),
    "an altered snapshot": ("journal.db", lambda raw: altered(raw, snapshot_of(raw))),
    "half a tape": ("journal.tape", lambda raw: raw[: len(raw) // 2]),
    "an altered header on the tape": ("journal.tape", lambda raw: altered(raw, 41)),
    "a tape of something else": ("journal.tape", lambda raw: b"RIFF" + raw[4:]),
}


@pytest.mark.parametrize("kind", BAD_JOURNALS)
def test_a_daemon_does_not_start_on_a_bad_journal(
    kind: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, change = BAD_JOURNALS[kind]
    state = shutil.copytree(world.home / "state", tmp_path / "state")
    (state / name).write_bytes(change((state / name).read_bytes()))
    before = both(state)
    words = [word.replace(str(world.home / "state"), str(state)) for word in world.arguments("run")[3:]]
    code, line = refused(*words, env=world.env)
    assert code == 74
    assert str(state / "journal.") in line
    assert both(state) == before, "what is wrong with a journal is left for a person to see"

    assert cli.run(["replay", str(state), "--verify"]) == 74
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


def test_a_port_in_use_is_75_and_names_it(world: World) -> None:
    steps = verify(world.journal).steps
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = world.arguments("run")[3:]
        code, line = refused(*words, "--set", f"dashboard.port={port}", env=world.env)
    assert code == 75
    assert f"expected 127.0.0.1:{port} to be free" in line
    assert verify(world.journal).steps == steps


def test_a_taken_port_of_the_loopback_is_75(world: World) -> None:
    code, line = refused(*world.arguments("loopback")[3:], env=world.env)
    assert code == 75
    assert "to be free" in line
