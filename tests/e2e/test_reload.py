"""A running daemon takes over limits and models, refuses the rest by name, and keeps its features."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.events import Prediction, SetupChanged
from tests.e2e.world import DEMO, World, until
from tests.model_copies import SHIPPED, broken, copied, hash_of
from trader.client import ask, checked
from trader.journal_read import JournalReader
from trader.records import decode_command, decode_event
from trader.recovery import verify
from trader.setup import DeskSetup

pytestmark = pytest.mark.e2e


class Copy:
    """A copy of the demonstration's file that a test may edit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shipped = DEMO.read_text("utf-8")
        for folder in ("market", "models/"):
            shipped = shipped.replace(f'"{folder}', f'"{DEMO.parent}/{folder}')
        path.write_text(shipped, "utf-8")

    def change(self, old: str, new: str) -> None:
        text = self.path.read_text("utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "trader.toml")


@pytest.fixture
def world(tmp_path: Path, copy: Copy) -> Iterator[World]:
    with World(tmp_path, {"inference.parity_every_closes": 1}, speed=120, file=copy.path) as made:
        made.start_daemon()
        yield made


def test_limits_are_taken_over_and_everything_else_is_refused_by_name(world: World, copy: Copy) -> None:
    assert world.daemon is not None
    copy.change("max_open_positions = 6", "max_open_positions = 3")
    world.daemon.send_signal(signal.SIGHUP)
    until(lambda: '"reloaded"' in world.log(), "the new limit to be taken over", process=world.daemon)

    copy.change("budget_ms = 500", "budget_ms = 400")
    copy.change("max_open_positions = 3", "max_open_positions = 1")
    world.daemon.send_signal(signal.SIGHUP)
    until(lambda: "inference.budget_ms" in world.log(), "the refusal to name its key", process=world.daemon)

    copy.change("max_open_positions = 1", "max_open_positions = many")
    world.daemon.send_signal(signal.SIGHUP)
    until(lambda: "expected TOML" in world.log(), "broken TOML to be refused", process=world.daemon)

    assert world.terminate() == 0
    reader = JournalReader(world.journal)
    changes = [e for step in reader.steps() if isinstance(e := decode_event(step.body), SetupChanged)]
    kinds = [record.kind for step in reader.steps() for record in step.records]
    reader.close()
    (change,) = changes
    assert kinds.count("setup") == 1
    limits = [
        t.policy.max_open_positions for t in msgspec.msgpack.decode(change.setup, type=DeskSetup).traders
    ]
    assert limits == [3, 6]
    assert verify(world.journal).remains == ""


def test_models_are_swapped_while_trading_and_features_outlive_the_process(
    world: World, copy: Copy, tmp_path: Path
) -> None:
    daemon = world.daemon
    assert daemon is not None
    shipped = f'"{DEMO.parent}/models/entry-5m"'
    old, new, bad = hash_of(SHIPPED / "entry-5m"), copied(tmp_path, "entry-5m"), broken(tmp_path, "entry-5m")
    until(lambda: world.spoke(old), "an opinion of the first model", process=daemon)

    copy.change(shipped, f'"{bad}"')
    daemon.send_signal(signal.SIGHUP)
    until(lambda: "reload_refused" in world.notices(), "the bad model to be refused", process=daemon)
    assert world.model_of("scalp") == old

    copy.change(f'"{bad}"', f'"{new}"')
    daemon.send_signal(signal.SIGHUP)
    until(lambda: world.model_of("scalp") == hash_of(new), "the new model to be in force", process=daemon)
    until(lambda: world.spoke(hash_of(new)), "an opinion of the new model", process=daemon)

    copy.change(f'"{new}"', shipped)
    daemon.send_signal(signal.SIGHUP)
    until(lambda: world.model_of("scalp") == old, "the old model to be back", process=daemon)
    asked = checked(ask(world.config, "POST", "/api/v1/predict", {"trader": "scalp"}))
    assert asked["model_hash"] == old
    assert len(asked["rows"]) == 6
    body = {"trader": "scalp", "path": str(new)}
    assert checked(ask(world.config, "POST", "/api/v1/model", body))["model_hash"] == hash_of(new)
    assert checked(ask(world.config, "POST", "/api/v1/model", {"trader": "scalp"}))["model_hash"] == old
    until(lambda: world.shown()["parity"]["values"] > 100, "features to be checked", process=daemon)
    assert world.terminate() == 0

    world.start_daemon()
    until(world.ready, "an opinion after a restart", process=world.daemon)
    assert world.log().count('"features_restored"') == 1, "the first start had nothing to go on from"
    until(lambda: world.shown()["parity"]["values"] > 0, "features to be checked from here on")
    assert world.shown()["parity"]["differing"] == 0
    assert "features_differ" not in world.notices()
    assert world.terminate() == 0
    reader = JournalReader(world.journal)
    records = [record for step in reader.steps() for record in step.records]
    reader.close()
    events = [decode_event(r.body) for r in records if r.kind in {"setup", "prediction"} and r.idx == 0]
    in_force = [old, hash_of(new), old, hash_of(new), old]
    assert [hashes(e)["scalp"] for e in events if isinstance(e, SetupChanged)] == in_force[1:]
    notices = [decode_command(r.body) for r in records if r.kind == "notice"]
    assert [n.trader for n in notices if n.code == "model_changed"] == ["scalp"] * 4
    spoke = {e.model_hash for e in events if isinstance(e, Prediction) and e.opinions and e.trader == "scalp"}
    assert spoke == {old, hash_of(new)}
    assert verify(world.journal).remains == ""


def hashes(event: SetupChanged) -> dict[str, str]:
    setup = msgspec.msgpack.decode(event.setup, type=DeskSetup)
    return {trader.name: trader.terms.model_hash for trader in setup.traders}
