"""Bars through ccxt's fetch_ohlcv in batches, from exchanges with different habits."""

import importlib

import polars as pl
import pytest

from core.clock import DAY
from core.errors import UsageError, VenueError, VenueUnavailable
from core.market import Timeframe
from core.text import parse_iso
from feeds.ccxt_bars import CcxtBars, listed
from feeds.history import Cursors, Download, Fetched
from feeds.lake import Series
from feeds.shards import Shards
from tests.feeds.history_world import Wall

ccxt_errors = importlib.import_module("ccxt.base.errors")
SINCE = parse_iso("2024-01-31T00:00:00Z")
UNTIL = SINCE + 3 * DAY
M5 = Timeframe.M5
STEP = M5.ns // 10**6


class FakeExchange:
    """What ccxt gives: rows from `since` on, at most `limit`; the running bar last."""

    id = "binance"
    timeframes = {"1m": "1m", "5m": "5m", "1h": "1h"}  # noqa: RUF012  # as ccxt has it
    features = {"spot": {"fetchOHLCV": {"limit": 100}}}  # noqa: RUF012

    def __init__(self, *, begins=SINCE, ends=UNTIL, faults=(), quiet=lambda number: False):
        self.table = [
            [ts // 10**6, 100.0, 101.0, 99.0, 100.5, 0.0 if quiet(number) else 2.0]
            for number, ts in enumerate(range(begins, ends, M5.ns))
        ]
        self.faults = list(faults)
        self.calls = []
        self.markets = None

    async def load_markets(self):
        self.markets = {
            "ETH/USDT": {"spot": True},
            "BTC/USDT": {"spot": True},
            "BTC/USDT:USDT": {"spot": False},
        }

    async def fetch_ohlcv(self, symbol, timeframe, since, limit):
        self.calls.append((symbol, timeframe, since, limit))
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                raise fault
        return [row for row in self.table if row[0] >= since][:limit]

    async def close(self):
        pass


async def fetched(root, exchange, *, since=SINCE, until=UNTIL, timeframe=M5):
    wall = Wall()
    source = CcxtBars(
        exchange,
        Series("binance", "BTC/USDT", timeframe),
        since=since,
        until=until,
        polite=wall.polite,
        shards=Shards(root),
    )
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(root), wall.polite, wall.clock).run(source, result)
    return result


def stored(root):
    files = sorted((root / "ohlcv/binance/BTC-USDT/5m").glob("*.parquet"))
    return [file.stem for file in files], pl.concat(map(pl.read_parquet, files))


async def test_batches_become_monthly_shards(tmp_path):
    exchange = FakeExchange(ends=UNTIL + DAY)
    result = await fetched(tmp_path, exchange, until=UNTIL + 17)
    months, table = stored(tmp_path)
    assert months == ["2024-01", "2024-02"]
    assert table["ts"].to_list() == [SINCE // 10**6 + STEP * number for number in range(3 * 288)]
    assert exchange.calls[1] == ("BTC/USDT", "5m", SINCE // 10**6 + 100 * STEP, 100)
    assert (len(exchange.calls), result.added, result.reached) == (9, 864, UNTIL)


async def test_quiet_bars_are_no_rows_and_a_second_download_repeats_nothing(tmp_path):
    exchange = FakeExchange(quiet=lambda number: number % 2 == 1)
    await fetched(tmp_path, exchange)
    assert len(stored(tmp_path)[1]) == 432
    result = await fetched(tmp_path, exchange, until=UNTIL + DAY)
    assert (result.added, result.repeated) == (0, 0)


async def test_exchange_that_begins_later_is_waited_for_window_by_window(tmp_path):
    class Strict(FakeExchange):
        async def fetch_ohlcv(self, symbol, timeframe, since, limit):
            rows = await super().fetch_ohlcv(symbol, timeframe, since, limit)
            return [row for row in rows if row[0] < since + limit * STEP]

    for root, kind in ((tmp_path / "strict", Strict), (tmp_path / "jumping", FakeExchange)):
        exchange = kind(begins=SINCE + 2 * DAY)
        result = await fetched(root, exchange)
        assert result.added == 288
        assert len(stored(root)[1]) == 288
    assert len(exchange.calls) <= 9


async def test_exchange_that_answers_with_its_newest_bars_ends(tmp_path):
    class Newest(FakeExchange):
        async def fetch_ohlcv(self, symbol, timeframe, since, limit):
            self.calls.append(since)
            return self.table[-limit:]

    exchange = Newest()
    await fetched(tmp_path, exchange)
    assert len(stored(tmp_path)[1]) == 100
    assert len(exchange.calls) < 12


async def test_hole_of_a_whole_batch_is_a_gap(tmp_path):
    exchange = FakeExchange()
    hole = SINCE // 10**6 + 200 * STEP, SINCE // 10**6 + 300 * STEP

    async def fetch_ohlcv(symbol, timeframe, since, limit):
        rows = [row for row in exchange.table if row[0] >= since][:limit]
        return [row for row in rows if not hole[0] <= row[0] < hole[1]]

    exchange.fetch_ohlcv = fetch_ohlcv
    result = await fetched(tmp_path, exchange)
    assert [(gap.after_ts, gap.before_ts) for gap in result.gaps] == [(hole[0] * 10**6, hole[1] * 10**6)]
    assert len(stored(tmp_path)[1]) == 764


FAULTS = [
    ccxt_errors.RateLimitExceeded("binance 429"),
    ccxt_errors.DDoSProtection("binance 418"),
    ccxt_errors.RequestTimeout("binance GET"),
    ccxt_errors.ExchangeNotAvailable("binance 503 <html>"),
    ccxt_errors.BadResponse("binance no json"),
    TypeError("NoneType"),
]


async def test_faults_cost_retries_and_no_bar(tmp_path):
    result = await fetched(tmp_path, FakeExchange(faults=[None, *FAULTS]))
    assert result.retries == len(FAULTS)
    assert len(stored(tmp_path)[1]) == 864


@pytest.mark.parametrize(
    "fault,kind",
    [
        (ccxt_errors.BadSymbol("binance does not have market symbol X/Y"), UsageError),
        (ccxt_errors.PermissionDenied("not from here"), VenueError),
    ],
)
async def test_definite_no_is_said_at_once(tmp_path, fault, kind):
    exchange = FakeExchange(faults=[fault])
    with pytest.raises(kind, match=type(fault).__name__):
        await fetched(tmp_path, exchange)
    assert len(exchange.calls) == 1


async def test_exchange_that_stays_away_is_unavailable(tmp_path):
    faults = [None, None, *[ccxt_errors.NetworkError("gone")] * 10]
    with pytest.raises(VenueUnavailable, match="5m bars of BTC/USDT at binance: expected an answer"):
        await fetched(tmp_path, FakeExchange(faults=faults))
    exchange = FakeExchange()
    await fetched(tmp_path, exchange)
    assert exchange.calls[0][2] == SINCE // 10**6 + 200 * STEP
    assert len(stored(tmp_path)[1]) == 864


class Listed(FakeExchange):
    """Gives a table as it is."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    async def fetch_ohlcv(self, symbol, timeframe, since, limit):
        return self.table


async def test_impossible_bar_is_refused(tmp_path):
    exchange = FakeExchange()
    exchange.table[5][3] = 200.0
    with pytest.raises(VenueError, match="expected low <= open"):
        await fetched(tmp_path, exchange)
    time = exchange.table[5][0]
    for row, words in (
        ([time, None, 1.0, 1.0, 1.0, 1.0], "expected numbers"),
        ([time, "one", 1.0, 1.0, 1.0, 1.0], "expected rows of ts, open"),
        ([time, 1.0, 1.0], "expected rows of ts, open"),
        ([None, 1.0, 1.0, 1.0, 1.0, 1.0], "expected a time in each row"),
        ([], "expected a time in each row"),
    ):
        exchange.table[5] = row
        with pytest.raises(VenueError, match=words):
            await fetched(tmp_path / words[:20], Listed(exchange.table))


async def test_only_spot_instruments_are_listed():
    assert await listed(FakeExchange(), Wall().polite) == ["BTC/USDT", "ETH/USDT"]


async def test_timeframe_that_the_exchange_lacks_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected one of 1m, 5m, 1h; found 4h"):
        await fetched(tmp_path, FakeExchange(), timeframe=Timeframe.H4)
