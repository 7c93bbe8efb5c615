"""A daemon decides from an ensemble of every kind of member, and its page shows what each of them said."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.council_models import FILTERS, VOTERS, council
from tests.e2e.world import World, until
from trader.client import address, ask, checked

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.e2e
SANDBOX = ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    """Give a daemon whose slower trader asks the whole council."""
    home = tmp_path_factory.mktemp("world")
    folder = council(home / "models")
    settings: dict[str, object] = {"trader.swing.model": str(folder), "inference.budget_ms": 5_000}
    with World(home, settings, speed=240) as made:
        made.start_daemon()
        until(
            lambda: any(r["ready"] for r in swing(made)),
            "an opinion of the council",
            process=made.daemon,
        )
        yield made


def swing(world: World) -> list[dict]:
    """Give the explanations of all of the council's newest opinions."""
    names = {row["instrument"] for row in world.shown()["opinions"]}
    return [row for name in sorted(names) for row in world.why(name) if row["trader"] == "swing"]


def test_every_member_takes_part_in_the_decision(world):
    row = next(row for row in swing(world) if row["ready"])
    assert [member["name"] for member in row["members"]] == list(VOTERS)
    weights = [member["weight"] for member in row["members"]]
    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1.0, abs=1e-3)
    assert [one["name"] for one in row["filters"]] == list(FILTERS)
    take, high, rising, manager = row["filters"]
    assert 0 < take["chance"] < 1
    assert all(0 < one["chance"] < 1 and one["passed"] for one in (high, rising))
    assert (manager["chance"], manager["passed"]) == (None, None)
    assert row["decision"] is not None


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH (Debian: apt install chromium)")
async def test_the_page_shows_each_vote_and_each_filter(world, tmp_path):
    playwright = pytest.importorskip("playwright.async_api", reason="needs the playwright package")
    host, port = address(world.config)
    link = f"http://{host}:{port}{checked(ask(world.config, 'POST', '/api/v1/link', {}))['link']}"
    shown = Path(os.environ.get("SEAMARK_SHOTS", tmp_path)) / "council.png"
    async with playwright.async_playwright() as browsers:
        browser = await browsers.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu", *SANDBOX])
        page = await browser.new_page(viewport={"width": 1400, "height": 1400})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(link)
        told = page.locator("#explain article", has=page.locator("h3", has_text="swing 15m"))
        async with asyncio.timeout(30):
            while await told.locator("table").count() < 2:  # noqa: ASYNC110  # the browser tells nobody
                await asyncio.sleep(0.05)
        names = await told.locator("td.name").all_inner_texts()
        assert names[: len(VOTERS)] == list(VOTERS)
        assert [name.split()[0] for name in names[-len(FILTERS) :]] == list(FILTERS)
        assert "speaks of open positions only" in await told.inner_text()
        await page.locator("#explain").screenshot(path=shown)
        assert shown.stat().st_size > 10_000
        assert errors == []
        await browser.close()
