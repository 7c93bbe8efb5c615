"""Paper execution as a process: two traders with 15m and 1h decisions, each on a simulated account.

Orders fill inside the daemon, at the prices of one feed; no key exists and nothing private is sent.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.events import Decisions, Fill, Prediction, RequestOpinion
from core.market import Timeframe
from core.orders import SubmitOrder
from tests.e2e.test_daemon import Told
from tests.e2e.world import ROOT, World, until
from trader.recovery import verify

pytestmark = pytest.mark.e2e

SETTINGS = {
    "execution.style": "paper",
    "trader.scalp.model": str(ROOT / "configs" / "models" / "entry-15m"),
    "trader.swing.model": str(ROOT / "configs" / "models" / "entry-1h"),
    **{
        f"trader.{name}.policy.{key}": value
        for name in ("scalp", "swing")
        for key, value in {
            "min_confidence": 0.2,
            "min_expected_value": -0.05,
            "max_quote_age_s": 120.0,
            "opinion_max_age_s": 3600.0,
        }.items()
    },
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("paper"), SETTINGS, speed=600) as made:
        for name in [key for key in made.env if key.startswith("SEAMARK_")]:
            del made.env[name]  # paper needs no key: the daemon could not even find one
        made.start_daemon()
        until(lambda: both_filled(made), "fills on both accounts", process=made.daemon)
        yield made


def both_filled(world: World) -> bool:
    return {fill["account"] for fill in world.shown()["fills"]} == {"scalp", "swing"}


def test_a_second_daemon_on_the_same_state_is_refused(world: World):
    second = subprocess.run(
        world.arguments("run"),
        env=world.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode == 75
    assert "expected no other daemon" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_one_line(world: World, tmp_path: Path):
    words = [*world.arguments("run"), "--set", f"journal.directory={tmp_path / 'other'}"]
    second = subprocess.run(
        words, env=world.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert second.returncode == 75
    assert "another process has it" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_log_holds_no_login_link_and_open_prints_one(world: World):
    assert "#t=" not in world.log()
    asked = subprocess.run(
        world.arguments("open"),
        env=world.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith(f"http://127.0.0.1:{world.settings['dashboard.port']}/#t=")


def test_both_traders_decide_on_their_own_bars_and_accounts(world: World):
    assert world.terminate() == 0
    told = Told(world.journal)
    decided = {request.trader: request.timeframe for request in told.of(RequestOpinion)}
    assert decided == {"scalp": Timeframe.M15, "swing": Timeframe.H1}
    assert {fill.account for fill in told.of(Fill)} == {"scalp", "swing"}
    assert {d.trader for d in told.of(Decisions)} == {"scalp", "swing"}
    assert all(order.account == order.trader for order in told.of(SubmitOrder))
    assert verify(world.journal).remains == ""


def test_opinions_carry_the_book_of_their_close(world: World):
    opinions = [o for p in Told(world.journal).of(Prediction) for o in p.opinions if o.ready]
    books = [o.book for o in opinions if o.book]
    assert len(books) > len(opinions) / 2
    assert any(book.depth_imbalance is not None for book in books)
    assert all(0 <= book.spread < 0.01 and -1 <= book.imbalance_mean <= 1 for book in books)
