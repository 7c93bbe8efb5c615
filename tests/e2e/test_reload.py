"""SIGHUP: a running daemon takes over changed limits, and refuses by name what needs a restart."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.events import SetupChanged
from tests.e2e.world import DEMO, World, until
from trader.journal_read import JournalReader
from trader.records import decode_event
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
    with World(tmp_path, {}, speed=120, file=copy.path) as made:
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
