"""Rows first, cursor after: a download cut off anywhere ends in the same bytes as one left alone."""

import asyncio
from contextlib import suppress

import polars as pl
import pytest

from core.errors import TemporaryError
from feeds.history import Cursors, Download, Fetched, Gap, Mark, Page, usable
from feeds.kraken_trades import KrakenTrades
from feeds.shards import Merged, Shards
from tests.feeds.fake_trades import Print, TradesServer
from tests.feeds.fetch_kills import bytes_of, killed
from tests.feeds.history_world import Host, Wall
from tests.feeds.test_kraken_trades import SINCE, STEP, UNTIL, serving


class Crash(BaseException):
    """The process is gone: nothing after it happens."""


class Doom:
    """Counts steps and crashes at one of them, and at every one after it."""

    def __init__(self, at):
        self.left = at
        self.steps = 0

    def step(self):
        self.steps += 1
        self.left -= 1
        if self.left < 0:
            raise Crash


class DoomedShards(Shards):
    def __init__(self, root, doom):
        super().__init__(root)
        self.doom = doom

    def merge_trades(self, venue, instrument, rows):
        self.doom.step()
        merged = super().merge_trades(venue, instrument, rows)
        self.doom.step()
        return merged


class DoomedCursors(Cursors):
    def __init__(self, root, doom):
        super().__init__(root)
        self.doom = doom

    def write(self, series, mark):
        self.doom.step()
        super().write(series, mark)
        self.doom.step()


def mixed_tape():
    """Old rows that look alike at one displayed instant, then numbered ones with bursts in one ns."""
    old = [Print(SINCE + number // 3 * 200_000 + number % 3, 0, price="1.5") for number in range(40)]
    first = SINCE + STEP
    new = [Print(first + number // 4 * STEP, number + 1, price=f"{number % 3 + 1}.5") for number in range(60)]
    return [*old, *new]


async def download(root, server, doom=None, *, flush_rows=12):
    doom = doom or Doom(10**9)
    wall = Wall()
    source = KrakenTrades(
        "BTC/USD",
        "XBTUSD",
        since=SINCE,
        until=UNTIL,
        get=Host(serving(server)),
        polite=wall.polite,
        shards=DoomedShards(root, doom),
        count=7,
    )
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    downloads = Download(DoomedCursors(root, doom), wall.polite, wall.clock, flush_rows=flush_rows)
    await downloads.run(source, result)
    return doom.steps


async def test_crash_at_every_step_and_resume_gives_the_same_bytes(tmp_path):
    server = TradesServer(mixed_tape())
    steps = await download(tmp_path / "alone", server)
    alone = bytes_of(tmp_path / "alone")
    assert sum(len(pl.read_parquet(path)) for path in (tmp_path / "alone").rglob("*.parquet")) == 100
    assert steps > 30
    for at in range(steps):
        lake = tmp_path / f"crash-{at}"
        with pytest.raises(Crash):
            await download(lake, server, Doom(at))
        with suppress(Crash):
            await download(lake, server, Doom(2))  # and once more, a little later
        await download(lake, server)
        assert bytes_of(lake) == alone, at


async def test_pace_of_flushing_does_not_show_in_the_lake(tmp_path):
    server = TradesServer(mixed_tape())
    for rows in (1, 20, 10_000):
        await download(tmp_path / str(rows), server, flush_rows=rows)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "20") == bytes_of(tmp_path / "10000")


@pytest.mark.e2e
def test_kill_9_and_resume_gives_the_same_bytes(tmp_path):
    # python -m tests.feeds.fetch_kills does it as often as you like.
    assert killed(2, 7, tmp_path)["kills"] == 2


class Endless:
    """A source of one row a page that never ends by itself."""

    name, since, until = "trades/kraken/X-Y", 0, 10**6

    def __init__(self):
        self.stored = []

    async def pages(self, mark):
        at = mark.reached if mark else 0
        while True:
            await asyncio.sleep(0)
            at += 1
            yield Page(pl.DataFrame({"ts": [at]}), Mark(since=0, reached=at, position=str(at)))

    def store(self, rows):
        self.stored += rows["ts"].to_list()
        return Merged(len(rows), 0, 0)


async def test_cancelled_download_stores_what_it_has(tmp_path):
    wall, source, seen = Wall(), Endless(), asyncio.Event()
    result = Fetched(series=source.name, since=0, until=source.until, reached=0)
    told = []

    def on_progress(progress):
        told.append(progress)
        if len(told) == 10:
            seen.set()

    downloads = Download(Cursors(tmp_path), wall.polite, wall.clock, on_progress=on_progress)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(downloads.run(source, result))
        await seen.wait()
        task.cancel()
    assert task.cancelled()
    assert source.stored == list(range(1, len(source.stored) + 1))
    assert len(source.stored) >= 10
    assert Cursors(tmp_path).read(source.name).reached == source.stored[-1] == result.reached
    assert told[4].rows == 5
    assert told[4].share == 5 / 10**6


async def test_progress_tells_the_time_that_is_left(tmp_path):
    wall, source, told = Wall(), Endless(), []
    source.until = 100

    class Timed(Endless):
        until = 100

        async def pages(self, mark):
            for at in (25, 50, 100):
                await wall.sleep(10.0)
                yield Page(pl.DataFrame({"ts": [at]}), Mark(since=0, reached=at, position=""))

    source = Timed()
    result = Fetched(series=source.name, since=0, until=100, reached=0)
    await Download(Cursors(tmp_path), wall.polite, wall.clock, on_progress=told.append).run(source, result)
    assert [progress.eta_s for progress in told] == [30.0, 20.0, 0.0]
    assert [progress.share for progress in told] == [0.25, 0.5, 1.0]


async def test_second_download_of_a_series_at_the_same_time_is_refused(tmp_path):
    wall, source = Wall(), Endless()
    result = Fetched(series=source.name, since=0, until=source.until, reached=0)
    with (
        Cursors(tmp_path).held(source.name),
        pytest.raises(TemporaryError, match="expected no other download"),
    ):
        await Download(Cursors(tmp_path), wall.polite, wall.clock).run(source, result)


@pytest.mark.parametrize(
    "since,expected", [(50, True), (100, True), (150, True), (200, True), (49, False), (201, False)]
)
def test_mark_is_used_only_where_it_leaves_no_hole(since, expected):
    mark = Mark(since=50, reached=200, position="200", gaps=(Gap(after_ts=60, before_ts=70, ids=3),))
    assert (usable(mark, since) is mark) is expected


def test_cursor_comes_back_as_it_was_written(tmp_path):
    cursors = Cursors(tmp_path)
    assert cursors.read("trades/kraken/BTC-USD") is None
    mark = Mark(since=1, reached=2, position="x", last_id=9, gaps=(Gap(after_ts=1, before_ts=2, ids=3),))
    cursors.write("trades/kraken/BTC-USD", mark)
    assert cursors.read("trades/kraken/BTC-USD") == mark
    assert [path.name for path in (tmp_path / "cursors/trades/kraken").iterdir()] == ["BTC-USD.json"]
