"""The page in a real browser: it shows, it asks before it acts, it never looks alive when it is not."""

import asyncio
import itertools
import os
import shutil
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from core.events import Notice, Operator, Severity, Timer, Verb
from core.market import Timeframe
from core.signal import BookState
from risk.policy import RiskPolicy
from tests import desk_story as story
from tests.desk_story import TOKEN, QuietControl
from trader.dashboard.server import build_app, login_url, serve
from trader.state import ReadModel

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.skipif(
        CHROMIUM is None, reason="needs a Chromium on the PATH (Debian: apt install chromium)"
    ),
]
playwright_api = pytest.importorskip("playwright.async_api", reason="needs the playwright package")

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("svg, .hidden, noscript, :disabled, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${node.className} "${node.textContent.slice(0, 20)}" ${ratio.toFixed(2)}`);
  }
  return poor;
}"""

NAMELESS = """() => [...document.querySelectorAll("button, select, input")]
  .filter((n) => n.checkVisibility())
  .filter((n) => !(n.innerText.trim() || n.ariaLabel || n.labels?.[0]?.innerText))
  .map((n) => n.outerHTML)"""


class Seen:
    """A page in the browser, the desk behind it, and everything that went wrong."""

    def __init__(self, page, model, control):
        self.page, self.model, self.control = page, model, control
        self.errors, self.hosts = [], set()

    def watch(self):
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", lambda r: self.hosts.add(r.url.partition("://")[2].partition("/")[0]))

    async def text(self, selector):
        return await self.page.locator(selector).inner_text()

    async def waits(self, expression):
        """Wait by asking: playwright's own way needs eval, which the page's policy forbids."""
        async with asyncio.timeout(15):
            while not await self.page.evaluate(expression):  # noqa: ASYNC110  # the browser tells nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def shown(*, steps=(), mode="paper", logged_in=True, chart=False):
    model = ReadModel(story.setup(mode=mode, policy=RiskPolicy()), speed=60.0)
    model.on_history(story.history())
    for seq, (event, commands) in enumerate([*story.hour(), *steps], 1):
        model.on_step(seq, event, commands)
    control = QuietControl()
    app = build_app(model, control, token=TOKEN)
    async with serve(app, "127.0.0.1", 0) as base, playwright_api.async_playwright() as browsers:
        browser = await browsers.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 900})
        seen = Seen(page, model, control)
        seen.base, seen.app = base, app
        seen.watch()
        await page.goto(login_url(app, base) if logged_in else base)
        if logged_in:
            await seen.waits("document.title.includes('USDT')")
        if chart:
            await seen.waits("document.querySelector('#chart .main-svg') !== null")
        yield seen
        await browser.close()


async def test_the_desk_is_on_the_page_and_nothing_comes_from_elsewhere():
    async with shown(chart=True) as seen:
        assert await seen.text("#badge") == "PAPER - SIMULATED KRAKEN"
        assert await seen.text("#state") == "running"
        assert (
            await seen.page.title()
            == f"PAPER {(await seen.text('#equity')).removesuffix(' USDT')} USDT · Seamark"
        )
        assert await seen.page.locator("#positions tbody tr").count() == 2
        assert await seen.page.locator("#orders tbody tr").count() == 4
        assert await seen.page.locator("#fills tbody tr").count() == 10
        assert await seen.page.locator("#decisions tbody tr").count() == len(story.PRICES)
        assert await seen.page.locator("#chart path.box").count() == 240
        assert "t=" not in seen.page.url
        assert seen.hosts == {seen.base.removeprefix("http://")}
        assert seen.errors == []


async def test_what_happens_reaches_the_page_and_its_listeners():
    async with shown() as seen:
        bought = story.fill("NEW", "SMX", "SOL/USDT", story.Side.BUY, "1", "165.8", ts=seen.model.now)
        seen.model.on_step(900, bought, [])
        await seen.waits("document.querySelector('#say').textContent.includes('Filled: buy 1 SOL/USDT')")
        seen.model.on_step(901, Operator(seen.model.now, Verb.KILL, "anna", "smoke"), [])
        await seen.waits("document.querySelector('#shout').textContent === 'Halted: kill by anna: smoke'")
        assert await seen.text("#why") == "Halted: kill by anna: smoke"
        assert await seen.text("[data-verb=resume]") == "Resume"


async def test_hostile_words_stay_words():
    said = Notice(Severity.CRITICAL, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    async with shown(steps=[(Timer(story.START + 10**13), [said])]) as seen:
        assert HOSTILE in await seen.text("#notices")
        assert await seen.page.locator("#notices img, #notices script").count() == 0
        assert "owned" not in await seen.page.title()
        assert seen.errors == []


async def test_a_verb_names_its_effect_and_the_keyboard_is_enough():
    async with shown() as seen:
        await seen.page.focus("[data-verb=kill]")
        await seen.page.keyboard.press("Enter")
        effect = await seen.text("#confirm-effect")
        assert effect.startswith("This takes back 4 working orders and closes 2 positions at the market")
        assert await seen.page.evaluate("document.activeElement.id") == "confirm-no"
        await seen.page.keyboard.press("Escape")
        assert seen.control.asked == []
        await seen.page.keyboard.press("Enter")
        await seen.page.fill("#confirm-reason", "smoke")
        await seen.page.keyboard.press("Enter")
        await seen.waits("!document.querySelector('#confirm').open")
        assert seen.control.asked == [(Verb.KILL, "page", "smoke", False)]


async def test_live_asks_for_the_word():
    async with shown(mode="live") as seen:
        assert await seen.text("#badge") == "LIVE - SIMULATED KRAKEN"
        await seen.page.click("[data-verb=flatten]")
        await seen.page.click("#confirm-yes")
        assert await seen.text("#confirm-error") == 'Expected the word "live".'
        assert seen.control.asked == []
        await seen.page.fill("#confirm-word", "live")
        await seen.page.click("#confirm-yes")
        await seen.waits("!document.querySelector('#confirm').open")
        assert seen.control.asked == [(Verb.FLATTEN, "page", "", False)]


async def test_instrument_and_timeframe_are_chosen_by_keyboard():
    async with shown(chart=True) as seen:
        async with seen.page.expect_response(lambda r: "instrument=ETH" in r.url) as answer:
            await seen.page.select_option("#instrument", "ETH/USDT")
        assert (await (await answer.value).json())["instrument"] == "ETH/USDT"
        async with seen.page.expect_response(lambda r: "timeframe=15m" in r.url) as answer:
            await seen.page.focus("#timeframes [aria-checked=true]")
            await seen.page.keyboard.press("ArrowRight")
        assert Timeframe((await (await answer.value).json())["timeframe"]) is Timeframe.M15
        pressed = seen.page.locator("#opinions [aria-pressed=true]")
        assert await pressed.inner_text() == "ETH/USDT"


async def test_a_chosen_instrument_is_explained_and_follows_new_opinions():
    async with shown() as seen:
        await seen.waits("document.querySelectorAll('#explain article').length === 3")
        assert await seen.text("#explain .count") == "BTC/USDT"
        await seen.page.click("#decisions button[data-key='SOL/USDT']")
        await seen.waits("document.querySelector('#explain .count').textContent === 'SOL/USDT'")
        assert "The likelier direction is not likely enough. (0.412 of 0.450)" in await seen.text("#explain")
        first = seen.page.locator("#explain article").first
        names = [
            await cell.inner_text() for cell in await first.locator("table").nth(0).locator("td.name").all()
        ]
        assert names == [*story.MEMBERS, "Blend"]
        told = [
            await row.inner_text() for row in await first.locator("table").nth(1).locator("tbody tr").all()
        ]
        assert [[" ".join(cell.split()) for cell in line.split("\t")][:3] for line in told] == [
            ["meta-15m take it?", "take .41 passes", "at least .35"],
            ["regime-1h market", "high .13 refuses", ".20 to .80"],
            ["volume-1h market", "nothing fresh", "at most .90"],
            ["manager-1m open positions", "speaks of open positions only", ""],
        ]
        at = story.START + 60 * 60 * 10**9
        ((event, commands),) = story.judged(at)
        book = BookState(0.00021, 0.4, -0.25, 1.5)
        opinions = tuple(structs.replace(one, book=book) for one in event.opinions)
        seen.model.on_step(950, structs.replace(event, late=True, opinions=opinions), commands)
        await seen.waits("document.querySelector('#explain').innerText.includes('late: not traded on')")
        told = (await seen.text("#explain")).replace("\u2009", " ")
        assert "book: spread 0.021 %, imbalance \u221225 %, 1.5 s old" in told
        assert seen.errors == []


async def test_each_stage_has_its_time_and_late_answers_are_counted():
    async with shown() as seen:
        for ms in range(1, 101):
            seen.model.on_stage("journal", ms * 1_000_000)
        row = seen.page.locator("#stages tbody tr", has_text="journal")
        await seen.waits("document.querySelector('#stages').innerText.includes('100')")
        assert [await cell.inner_text() for cell in await row.locator("td.number").all()] == ["51", "100"]
        assert await seen.text("#stages .count") == "0 late, 0 failed"


async def test_old_market_data_greys_the_page():
    async with shown() as seen:
        seen.model.on_step(900, Timer(seen.model.now + 14 * 60 * 10**9), [])
        await seen.waits("document.body.hasAttribute('data-stale')")
        assert await seen.text("#stale") == "Market data is 14 s old."


async def test_a_silent_daemon_greys_the_page():
    async with shown() as seen:
        await seen.app.shutdown()
        await seen.waits("document.body.hasAttribute('data-stale')")
        assert (await seen.text("#stale")).startswith("No word from the daemon for 3")


async def test_without_a_link_there_is_a_way_in_and_no_data():
    async with shown(logged_in=False) as seen:
        await seen.page.locator("#signed-out").wait_for(state="visible", timeout=15_000)
        assert "trader open" in await seen.text("#signed-out")
        assert not await seen.page.locator("main").is_visible()


async def test_it_fits_and_can_be_read():
    async with shown(chart=True) as seen:
        for width, scheme in itertools.product((1400, 360), ("light", "dark")):
            await seen.page.set_viewport_size({"width": width, "height": 900})
            await seen.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert await seen.page.evaluate("document.documentElement.scrollWidth") == width
            assert await seen.page.evaluate(CONTRAST) == []
        assert await seen.page.evaluate(NAMELESS) == []
        assert seen.errors == []
