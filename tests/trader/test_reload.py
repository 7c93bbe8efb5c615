"""What a running daemon takes over: whole or not at all, and never without a word."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from core.errors import ConfigError, ModelError, TemporaryError, UsageError
from core.market import Timeframe
from risk.policy import ModelTerms
from tests.venue.fake_kraken import running
from trader import reload
from trader.config import load
from trader.reload import Changes, changed_keys
from trader.setup import DeskSetup

DEMO = Path(__file__).parents[2] / "configs" / "two-traders.toml"


class Swaps:
    """Takes every model but those that are named bad."""

    def __init__(self):
        self.asked = []

    async def swap(self, models):
        self.asked.append(dict(models))
        for path in models.values():
            if path.name == "bad":
                raise ModelError(f"{path}: expected a sound model; found none")
        return {name: terms(str(path)) for name, path in models.items()}


class Running:
    """Changes with a door that journals at once."""

    def __init__(self, *, journals=True):
        self.swaps, self.setups, self.notices = Swaps(), [], []
        self.journals = journals
        self.changes = Changes(
            config(),
            {t.name: terms(str(t.model)) for t in config().traders},
            (),
            models=self.swaps,
            put=self._put,
            tell=self.notices.append,
        )
        self.file = config()
        self.changes.read = lambda: self.file

    def _put(self, event, journaled):
        self.setups.append((event.config_hash, msgspec.msgpack.decode(event.setup, type=DeskSetup)))
        if self.journals:
            journaled()

    async def reload(self):
        async with running(self.changes.run()):
            self.changes.ask()
            for _ in range(20):
                await asyncio.sleep(0)

    def model_of(self, trader):
        return next(t.model for t in self.changes.config.traders if t.name == trader)


def terms(model_hash):
    return ModelTerms(model_hash, "model", Timeframe.M15, 1.0, 4)


def config(**more):
    return load([DEMO], {}, {"clock.wall_epoch": "2026-01-01T00:00:00Z", **more})


def models_of(setup):
    return {t.name: t.terms.model_hash for t in setup.traders}


def test_limits_and_models_of_a_trader_may_change_and_nothing_else():
    changed = {"trader.swing.model": "/other", "trader.swing.policy.max_open_positions": 1}
    assert changed_keys(config(), config(**changed)) == []
    kept = {"trader.swing.stage": "shadow", "inference.budget_ms": 9, "feed.books": 1}
    assert changed_keys(config(), config(**kept)) == [
        "feed.books",
        "inference.budget_ms",
        "trader.swing.stage",
    ]


async def test_a_changed_model_is_swapped_and_journaled_with_its_limits():
    desk = Running()
    desk.file = config(**{"trader.swing.model": "/new", "trader.swing.policy.max_open_positions": 1})
    await desk.reload()
    assert desk.swaps.asked == [{"swing": Path("/new")}]
    ((config_hash, setup),) = desk.setups
    assert config_hash == desk.changes.config.hash == desk.file.hash
    assert models_of(setup) == {"scalp": str(desk.model_of("scalp")), "swing": "/new"}
    assert [t.policy.max_open_positions for t in setup.traders] == [6, 1]


async def test_a_bad_model_keeps_everything_as_it_was_and_says_why():
    desk = Running()
    before = desk.changes.config
    desk.file = config(**{"trader.swing.model": "/bad", "trader.scalp.policy.max_open_positions": 1})
    await desk.reload()
    assert (desk.changes.config, desk.setups) == (before, [])
    (notice,) = desk.notices
    assert notice.code == "reload_refused"
    assert notice.text == "/bad: expected a sound model; found none; what was running goes on"
    desk.file = config(**{"trader.swing.model": "/good"})
    await desk.reload()
    assert desk.model_of("swing") == Path("/good"), "one refusal must not end the next change"


async def test_limits_alone_swap_nothing():
    desk = Running()
    desk.file = config(**{"trader.scalp.policy.max_open_positions": 1})
    await desk.reload()
    assert desk.swaps.asked == []
    assert len(desk.setups) == 1


async def test_the_old_path_put_back_is_a_rollback():
    desk = Running()
    old = desk.model_of("swing")
    desk.file = config(**{"trader.swing.model": "/new"})
    await desk.reload()
    desk.file = config()
    await desk.reload()
    assert desk.swaps.asked == [{"swing": Path("/new")}, {"swing": old}]
    assert models_of(desk.setups[-1][1])["swing"] == str(old)


async def test_a_file_that_cannot_be_read_is_told():
    desk = Running()

    def unreadable():
        raise ConfigError("trader.toml: expected TOML; found rubbish")

    desk.changes.read = unreadable
    await desk.reload()
    assert [n.text for n in desk.notices] == [
        "trader.toml: expected TOML; found rubbish; what was running goes on"
    ]


async def test_activation_and_rollback_go_back_and_forth():
    desk = Running()
    old = desk.model_of("swing")
    done = await desk.changes.activate("swing", Path("/new"))
    assert (done["path"], done["before"], done["model_hash"]) == ("/new", str(old), "/new")
    done = await desk.changes.activate("swing", None)
    assert (done["path"], done["before"]) == (str(old), "/new")
    assert desk.model_of("swing") == old


async def test_a_folder_that_was_written_anew_is_read_again_under_the_same_path():
    desk = Running()
    old = desk.model_of("swing")
    await desk.changes.activate("swing", Path("/new"))
    done = await desk.changes.activate("swing", Path("/new"))
    assert desk.swaps.asked == [{"swing": Path("/new")}] * 2
    assert done["before"] == str(old)


async def test_a_journal_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(reload, "WAIT_S", 0.01)
    desk = Running(journals=False)
    with pytest.raises(TemporaryError, match="expected the change in the journal"):
        await desk.changes.activate("swing", Path("/new"))


async def test_what_cannot_be_activated_is_refused_in_one_line():
    desk = Running()
    with pytest.raises(UsageError, match="expected an earlier model of trader swing; found none"):
        await desk.changes.activate("swing", None)
    with pytest.raises(UsageError, match="expected a trader of scalp, swing; found 'nobody'"):
        await desk.changes.activate("nobody", Path("/new"))
    with pytest.raises(ModelError, match="expected a sound model"):
        await desk.changes.activate("swing", Path("/bad"))
    assert desk.setups == []
    assert [n.code for n in desk.notices] == ["model_refused"]
