"""A restart goes on with the features of the last process, and they still agree with history."""

from pathlib import Path

import pytest

from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e


def logged(world: World, event: str) -> int:
    return world.log().count(f'"{event}"')


def speaks(world: World) -> bool:
    return any(row["ready"] for row in world.shown()["opinions"])


def test_features_go_on_over_a_restart_and_still_agree_with_history(tmp_path: Path) -> None:
    kept = tmp_path / "state" / "features.state"
    with World(tmp_path, {"inference.parity_every_closes": 1}, speed=120) as world:
        world.start_daemon()
        assert logged(world, "features_restored") == 0, "a first start has nothing to go on from"
        until(lambda: speaks(world), "a first opinion", process=world.daemon)
        until(lambda: world.shown()["parity"]["values"] > 100, "features to be checked", process=world.daemon)
        assert world.terminate() == 0
        assert kept.stat().st_size > 1000

        world.start_daemon()
        until(lambda: speaks(world), "an opinion after the restart", process=world.daemon)
        assert logged(world, "features_restored") == 1
        until(lambda: world.shown()["parity"]["values"] > 100, "restored features to be checked")
        assert world.shown()["parity"]["differing"] == 0
        assert "features_differ" not in world.notices()
