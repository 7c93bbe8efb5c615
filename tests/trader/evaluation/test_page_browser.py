"""The report in a real browser: it draws, sorts, narrows, opens a trade, and asks nobody for anything."""

import asyncio
import os
import shutil

import pytest

from tests.run_records import CHECKS, folds, random_record, write_lake
from trader.evaluation.market import read_market
from trader.evaluation.write import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="needs a Chromium on the PATH (Debian: apt install chromium)"
    ),
]
playwright_api = pytest.importorskip("playwright.async_api", reason="needs the playwright package")

FLAGS = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
DRAWN = "document.querySelectorAll('#equity-chart .main-svg').length > 0"
NETS = """[...document.querySelectorAll("#trades-list tbody td[data-label=Net]")]
  .map((n) => Number(n.textContent.slice(2).replace(/\\u2009/g, "").replace("\\u2212", "-")))"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    whole = random_record(days=120, trades=240, timeframe="1h", folds=folds(4, 30), checks=CHECKS)
    market = read_market(whole, write_lake(root / "lake", days=200))
    return write_report(whole, root / "run", market, pictures=False).page


async def until(page, expression):
    async with asyncio.timeout(15):
        while not await page.evaluate(expression):  # noqa: ASYNC110  # the browser tells nobody
            await asyncio.sleep(0.02)


async def test_a_reader_can_use_the_page(page_file):
    errors, asked = [], []
    async with playwright_api.async_playwright() as browsers:
        browser = await browsers.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("request", lambda r: asked.append(r.url) if not r.url.startswith("data:") else None)
        await page.goto(page_file.as_uri())
        await until(page, DRAWN)
        assert asked == [page_file.as_uri()]
        assert (await page.locator(".verdict").inner_text()).startswith("Lost ")
        height = await page.evaluate("document.querySelector('#equity-chart').clientHeight")
        assert height == 620

        # Sorted by net, both ways, by the keyboard alone; then narrowed.
        await page.get_by_role("button", name="Net", exact=True).focus()
        await page.keyboard.press("Enter")
        nets = await page.evaluate(NETS)
        assert nets == sorted(nets, reverse=True)
        assert nets[0] > 0
        await page.keyboard.press("Enter")  # the focus stays on the head
        nets = await page.evaluate(NETS)
        assert nets == sorted(nets)
        assert await page.locator("th[aria-sort=ascending]").inner_text() == "Net \u25b4"
        await page.select_option("[data-field=instrument]", "ETH/USDT")
        await page.select_option("[data-field=ended]", "stop")
        cells = await page.locator("#trades-list td[data-label='Ended by']").all_inner_texts()
        assert set(cells) == {"stop"}
        assert set(await page.locator("#trades-list td[data-label=Pair]").all_inner_texts()) == {"ETH/USDT"}

        # A trade among its bars, its neighbour, and back to where the focus was.
        first = page.locator("#trades-list button[data-trip]").first
        key = await first.get_attribute("data-key")
        await first.focus()
        await page.keyboard.press("Enter")
        await until(page, "document.querySelectorAll('#view-chart path.box').length > 40")
        title = await page.locator("#view-title").inner_text()
        assert title.startswith("ETH/USDT ")
        assert title.endswith("ended by stop")
        words = await page.locator("#view-words").inner_text()
        await page.keyboard.press("ArrowRight")
        await until(page, f"document.querySelector('#view-words').innerText !== {words!r}")
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.dataset.key") == key

        # Narrow, dark and on paper: nothing sticks out, nothing fails.
        for width, scheme in ((390, "light"), (390, "dark"), (1000, "dark")):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme=scheme)
            assert await page.evaluate("document.documentElement.scrollWidth") == width
        await page.emulate_media(media="print")
        await browser.close()
    assert errors == []
