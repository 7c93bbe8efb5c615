"""The lake in monthly parts: read, verified, counted, derived and exported."""

import pickle
import pickletools
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.clock import DAY, HOUR, MINUTE, SECOND
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.archive_bars import coarser
from feeds.lake import Lake, Series
from feeds.lake_census import census
from feeds.lake_derived import Derived
from feeds.lake_export import export_parquet, export_pickle
from feeds.lake_verify import Finding, checks
from feeds.shards import Shards, write_parquet
from tests.feeds.archives import stored

START = 19_723 * DAY  # 2024-01-01
FEBRUARY = START + 31 * DAY
M1 = Series("kraken", "BTC/USD", Timeframe.M1)
H1 = M1._replace(timeframe=Timeframe.H1)
PART = "ohlcv/kraken/BTC-USD/1m/2024-01.parquet"
TAPE = "trades/kraken/BTC-USD/2024-01.parquet"


def bars(start: int, count: int, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(random.normal(0, 0.1, count)), 2)
    opened = np.append(100.0, close[:-1])
    return pl.DataFrame(
        {
            "ts": (start + np.arange(count) * MINUTE) // 1_000_000,
            "open": opened,
            "high": np.maximum(opened, close) + 0.01,
            "low": np.minimum(opened, close) - 0.01,
            "close": close,
            "volume": random.integers(1, 9, count) / 4,
            "trades": random.integers(1, 9, count).astype(np.int32),
        }
    )


@pytest.fixture
def root(tmp_path) -> Path:
    """Two days of minutes and hours around the end of January, trades and tops."""
    shards = Shards(tmp_path)
    minutes = bars(FEBRUARY - DAY, 2 * 1440)
    shards.merge_bars(M1, minutes)
    shards.merge_bars(H1, coarser(minutes, Timeframe.H1))
    table = {
        "ts": [START, START + 1, START + 1],
        "trade_id": [1, 2, 3],
        "price": 9.0,
        "qty": 1.0,
        "side": 1,
        "market": 0,
    }
    shards.merge_trades("kraken", "BTC/USD", pl.DataFrame(table))
    tops = {"ts": [START, START + SECOND], "bid": 9.0, "ask": 9.5, "bid_qty": 1.0, "ask_qty": 2.0}
    shards.merge_tops("kraken", "BTC/USD", pl.DataFrame(tops))
    return tmp_path


def findings(root: Path) -> list[Finding]:
    return [checked.finding for check in checks(root) if (checked := check()).finding is not None]


def spoil(path: Path, row: int, **values: object) -> None:
    table = pl.read_parquet(path).with_row_index("row")
    changed = [
        pl.when(pl.col("row") == row).then(pl.lit(value)).otherwise(name).cast(table.schema[name]).alias(name)
        for name, value in values.items()
    ]
    table.with_columns(changed).drop("row").write_parquet(path)


def test_span_over_the_end_of_a_month_is_one_table(root):
    read = Lake(root).read(*M1, start=FEBRUARY - 10 * MINUTE, end=FEBRUARY + 10 * MINUTE)
    assert read.ts_open.tolist() == [FEBRUARY + k * MINUTE for k in range(-10, 10)]
    assert len(Lake(root).read(*M1)) == 2880
    assert Lake(root).months(M1) == ["2024-01", "2024-02"]


def test_only_the_months_asked_for_are_opened(root):
    (root / "ohlcv/kraken/BTC-USD/1m/2024-01.parquet").write_bytes(b"not Parquet")
    late = Lake(root).read(*M1, start=FEBRUARY + 7 * HOUR, end=FEBRUARY + 8 * HOUR)
    assert len(late) == 60
    with pytest.raises(DataError, match="2024-01"):
        Lake(root).read(*M1, start=FEBRUARY + 5 * HOUR, end=FEBRUARY + 8 * HOUR)


def test_quiet_bars_do_not_depend_on_the_layout(root, tmp_path_factory):
    sparse = bars(FEBRUARY - 2 * HOUR, 240).filter(pl.col("ts") // 60_000 % 7 < 3)
    Shards(root).merge_bars(M1._replace(instrument="ETH/USD"), sparse)
    other = tmp_path_factory.mktemp("single")
    write_parquet(other / "ohlcv/kraken/ETH-USD/1m.parquet", sparse)
    span = {"start": FEBRUARY - HOUR, "end": FEBRUARY + HOUR}
    parts = Lake(root).read("kraken", "ETH/USD", Timeframe.M1, **span)
    single = Lake(other).read("kraken", "ETH/USD", Timeframe.M1, **span)
    assert parts.bars() == single.bars()
    assert len(parts) == 120


def test_monthly_parts_win_over_the_one_file(root):
    old = bars(FEBRUARY - DAY, 1440).with_columns(volume=pl.lit(77.0))
    write_parquet(root / "ohlcv/kraken/BTC-USD/1m.parquet", pl.concat([bars(FEBRUARY - 2 * DAY, 1440), old]))
    volume = Lake(root).read(*M1).volume
    assert len(volume) == 3 * 1440
    assert 77.0 not in volume


def test_recorded_vwap_is_used_where_there_is_one(root):
    rows = bars(START, 2).with_columns(vwap=pl.Series([101.5, None]))
    Shards(root).merge_bars(M1._replace(instrument="ETH/USD"), rows)
    read = Lake(root).read("kraken", "ETH/USD", Timeframe.M1)
    typical = (read.high[1] + read.low[1] + read.close[1]) / 3
    assert read.vwap.tolist() == [101.5, typical]


def test_trades_come_month_by_month(root):
    (table,) = Lake(root).trades("kraken", "BTC/USD", start=START + 1)
    assert table["trade_id"].to_list() == [2, 3]
    assert list(Lake(root).trades("kraken", "BTC/USD", start=FEBRUARY)) == []
    spoil(root / TAPE, 1, price=-1.0)
    with pytest.raises(DataError, match=r"expected price > 0, found row=1"):
        list(Lake(root).trades("kraken", "BTC/USD"))


def test_a_sound_lake_has_no_findings(root):
    assert findings(root) == []
    compared = next(one for check in checks(root) if "of" in (one := check()).name.split())
    assert (compared.name, compared.rows) == ("kraken/BTC/USD: 1h of 1m", 48)


@pytest.mark.parametrize(
    "path,row,values,rule",
    [
        (PART, 7, {"high": 1.0}, "expected low <= open, close <= high"),
        (PART, 7, {"open": None}, "expected no null"),
        (PART, 7, {"close": float("nan")}, "expected finite numbers"),
        (PART, 7, {"volume": -1.0}, "expected volume >= 0"),
        (PART, 7, {"ts": 5}, "expected ts on the 1m grid"),
        (PART, 7, {"ts": 0}, "expected ts above the row before"),
        (PART, 1439, {"ts": FEBRUARY // 1_000_000}, "expected ts inside 2024-01"),
        (TAPE, 1, {"qty": -1.0}, "expected qty >= 0"),
        (TAPE, 1, {"side": 3}, "expected side -1, 0 or 1"),
        (TAPE, 2, {"trade_id": 1}, "expected each trade_id once"),
        (TAPE, 2, {"ts": START}, "expected ts not below the row before"),
        ("tops/kraken/BTC-USD/2024-01-01.parquet", 1, {"ask": 8.0}, "expected 0 < bid <= ask"),
        ("tops/kraken/BTC-USD/2024-01-01.parquet", 1, {"ts": START + 5}, "expected ts on the 1 s grid"),
    ],
)
def test_the_first_bad_row_is_found_by_file_and_number(root, path, row, values, rule):
    spoil(root / path, row, **values)
    (first, *_) = findings(root)
    assert (first.file, first.row, first.rule) == (path, row, rule)


def test_a_file_that_is_no_parquet_is_found(root):
    (root / PART).write_bytes(b"PAR1 and no more")
    (first, *_) = findings(root)
    assert (first.file, first.row) == (PART, -1)
    assert "expected a Parquet file" in first.found


def test_timeframes_that_disagree_are_found(root):
    path = "ohlcv/kraken/BTC-USD/1h/2024-02.parquet"
    close = pl.read_parquet(root / path)["close"][5]
    spoil(root / path, 5, high=close + 500.0)
    (finding,) = findings(root)
    assert (finding.file, finding.row) == (path, 5)
    assert finding.rule == "expected 1h bars as 1m bars make them"


def test_hours_are_more_than_the_parts_that_were_recorded_and_never_less(root):
    minutes = Lake(root).rows(M1).filter(pl.col("ts") < FEBRUARY // 1_000_000)[30:]
    write_parquet(root / PART, minutes)
    assert findings(root) == []
    write_parquet(root / PART, minutes.with_columns(volume=pl.col("volume") * 3))
    assert [(one.file[-15:], one.row) for one in findings(root)] == [("2024-01.parquet", 0)]


def test_census_tells_rows_span_and_size(root):
    held = {(one["instrument"], one["kind"]): one for one in census(root)}
    minutes = held["BTC/USD", "1m"]
    assert (minutes["rows"], minutes["files"]) == (2880, 2)
    assert minutes["first"] == "2024-01-31T00:00:00.000000Z"
    assert minutes["last"] == "2024-02-01T23:59:00.000000Z"
    assert held["BTC/USD", "trades"]["rows"] == 3


def test_derived_hours_are_made_once_and_again_when_the_minutes_change(root):
    derived = Derived(root)
    hours = derived.rows(M1, Timeframe.H1)
    assert hours.equals(Lake(root).rows(H1))
    before = stored(root / "derived")
    assert [name.rpartition("-")[0] for name in before] == [
        "kraken/BTC-USD/1h/2024-01",
        "kraken/BTC-USD/1h/2024-02",
    ]
    times = {path: path.stat().st_mtime_ns for path in (root / "derived").rglob("*.parquet")}
    assert derived.rows(M1, Timeframe.H1).equals(hours)
    assert times == {path: path.stat().st_mtime_ns for path in (root / "derived").rglob("*.parquet")}
    Shards(root).merge_bars(M1, bars(FEBRUARY + DAY, 120))
    assert len(derived.rows(M1, Timeframe.H1)) == 50
    after = stored(root / "derived")
    assert len(after) == 2
    assert len(before.keys() & after.keys()) == 1
    with pytest.raises(UsageError):
        derived.rows(M1._replace(venue="nobody"), Timeframe.H1)


def test_export_names_files_by_venue_symbol_and_span(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    (root / "ohlcv/kraken/BTC-USD/1h/2024-01.parquet").unlink()
    (root / "ohlcv/kraken/BTC-USD/1h/2024-02.parquet").unlink()
    paths = [str(path.relative_to(out)) for path in export_parquet(root, out, "kraken", frozenset())]
    assert paths == [
        "hourly/kraken_BTCUSD_1h_20240131_20240201.parquet",
        "minute/kraken_BTCUSD_1m_202401.parquet",
        "minute/kraken_BTCUSD_1m_202402.parquet",
    ]
    assert len(pl.read_parquet(out / paths[0])) == 48
    assert pl.read_parquet(out / paths[2]).equals(pl.read_parquet(root / PART.replace("-01", "-02")))
    with pytest.raises(DataError, match="expected kraken bars of XRP/USD; found BTC/USD"):
        list(export_parquet(root, out, "kraken", frozenset({"XRP/USD"})))


def test_pickle_holds_parquet_bytes_and_nothing_of_ours(root, tmp_path):
    out = export_pickle(root, tmp_path / "deep" / "crypto_5m.pkl", "kraken", frozenset())
    content = out.read_bytes()
    operations = {operation.name for operation, _, _ in pickletools.genops(content)}
    assert not operations & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "INST", "OBJ"}
    found = pickle.loads(content)
    assert (found["venue"], found["timeframe"], list(found["series"])) == ("kraken", "5m", ["BTC/USD"])
    table = pl.read_parquet(BytesIO(found["series"]["BTC/USD"]))
    assert table.equals(coarser(Lake(root).rows(M1), Timeframe.M5))
    export_pickle(root, out, "kraken", frozenset())
    assert out.read_bytes() == content
    with pytest.raises(DataError, match="expected nobody bars"):
        export_pickle(root, out, "nobody", frozenset())
