"""Merging is repeatable: whatever the order, the same rows leave the same bytes."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, MINUTE, SECOND
from core.errors import DataError
from core.market import Timeframe
from feeds.lake import Series
from feeds.shards import TRADES, Merged, Shards

START = 19_723 * DAY  # 2024-01-01
M1 = Series("kraken", "BTC/USD", Timeframe.M1)


def bars(*minutes: int, close: float = 11.0, **columns) -> pl.DataFrame:
    table = {
        "ts": [(START + minute * MINUTE) // 1_000_000 for minute in minutes],
        "open": 10.0,
        "high": 12.0,
        "low": 9.0,
        "close": close,
        "volume": 3.0,
        **columns,
    }
    return pl.DataFrame(table)


def trades(*rows: tuple[float, float, float], ids=0) -> pl.DataFrame:
    seconds, prices, quantities = zip(*rows, strict=True)
    ts = [START + int(second * SECOND) for second in seconds]
    table = {"ts": ts, "trade_id": ids, "price": prices, "qty": quantities, "side": 0, "market": -1}
    return pl.DataFrame(table)


def stored(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tape(root: Path) -> list[tuple[float, float]]:
    table = pl.read_parquet(root / "trades/kraken/BTC-USD/2024-01.parquet")
    return list(zip(table["price"].to_list(), table["qty"].to_list(), strict=True))


ROWS = pl.DataFrame([(1_717_372_800 * SECOND, 1, 1.0, 1.0, 1, 0)], schema=TRADES, orient="row")


def test_bars_land_in_their_months(tmp_path):
    assert Shards(tmp_path).merge_bars(M1, bars(0, 1, 31 * 1440)) == Merged(3, 0, 0)
    assert sorted(stored(tmp_path)) == [
        "ohlcv/kraken/BTC-USD/1m/2024-01.parquet",
        "ohlcv/kraken/BTC-USD/1m/2024-02.parquet",
    ]


def test_newer_bar_wins_and_is_counted(tmp_path):
    shards = Shards(tmp_path)
    shards.merge_bars(M1, bars(0, 1))
    assert shards.merge_bars(M1, bars(1, 2, close=11.5)) == Merged(1, 1, 0)
    assert shards.merge_bars(M1, bars(2, close=11.5)) == Merged(0, 0, 1)
    table = pl.read_parquet(tmp_path / "ohlcv/kraken/BTC-USD/1m/2024-01.parquet")
    assert table["close"].to_list() == [11.0, 11.5, 11.5]


def test_fuller_bar_wins_whichever_comes_first(tmp_path):
    cut = bars(0, trades=3, close=10.5)
    whole = bars(0, trades=9)
    for name, order in (("a", (cut, whole)), ("b", (whole, cut))):
        for part in order:
            Shards(tmp_path / name).merge_bars(M1, part, fuller=True)
    assert stored(tmp_path / "a") == stored(tmp_path / "b")
    table = pl.read_parquet(tmp_path / "a/ohlcv/kraken/BTC-USD/1m/2024-01.parquet")
    assert table["close"].to_list() == [11.0]


def test_columns_that_no_row_fills_are_left_out(tmp_path):
    shards = Shards(tmp_path)
    shards.merge_bars(M1, bars(0))
    path = tmp_path / "ohlcv/kraken/BTC-USD/1m/2024-01.parquet"
    assert pl.read_parquet(path).columns == ["ts", "open", "high", "low", "close", "volume"]
    shards.merge_bars(M1, bars(1, trades=4))
    assert pl.read_parquet(path)["trades"].to_list() == [None, 4]


def test_equal_trades_of_one_source_are_several_and_of_two_sources_one(tmp_path):
    shards = Shards(tmp_path)
    rows = trades((1, 10, 1), (1, 10, 1), (2, 11, 1))
    assert shards.merge_trades("kraken", "BTC/USD", rows) == Merged(3, 0, 0)
    before = stored(tmp_path)
    assert shards.merge_trades("kraken", "BTC/USD", rows[:2]) == Merged(0, 0, 2)
    assert stored(tmp_path) == before


def test_order_inside_one_second_is_the_source_s(tmp_path):
    Shards(tmp_path).merge_trades("kraken", "BTC/USD", trades((1, 12, 1), (1, 10, 1), (1, 11, 1)))
    assert tape(tmp_path) == [(12, 1), (10, 1), (11, 1)]


def test_seam_inside_a_source_is_read_once(tmp_path):
    rows = trades((1, 10, 1), (2, 12, 1), (2, 11, 1), (2, 12, 1), (2, 11, 1), (1, 10, 1), (3, 9, 1))
    assert Shards(tmp_path).merge_trades("kraken", "BTC/USD", rows) == Merged(6, 0, 1)


def test_second_that_one_source_cuts_off_is_told_by_the_other(tmp_path):
    cut, whole = trades((1, 12, 1), (1, 10, 1)), trades((1, 12, 1), (1, 10, 1), (1, 11, 1), (2, 9, 1))
    for name, order in (("a", (cut, whole)), ("b", (whole, cut))):
        for part in order:
            Shards(tmp_path / name).merge_trades("kraken", "BTC/USD", part)
    assert stored(tmp_path / "a") == stored(tmp_path / "b")
    assert tape(tmp_path / "a") == [(12, 1), (10, 1), (11, 1), (9, 1)]


def test_sources_that_disagree_about_a_second_leave_the_same_bytes(tmp_path):
    one, other = trades((1, 12, 1), (1, 10, 1)), trades((1, 10, 1), (1, 12, 1))
    for name, order in (("a", (one, other)), ("b", (other, one))):
        for part in order:
            Shards(tmp_path / name).merge_trades("kraken", "BTC/USD", part)
    assert stored(tmp_path / "a") == stored(tmp_path / "b")


def test_numbered_trades_are_one_by_number(tmp_path):
    shards = Shards(tmp_path)
    shards.merge_trades("kraken", "BTC/USD", trades((1.25, 10, 1), (1.5, 10, 1), ids=[7, 8]))
    more = trades((1.5, 10, 1), (1.5, 10, 1), (1.5, 13, 1), ids=[8, 9, 9])
    assert shards.merge_trades("kraken", "BTC/USD", more) == Merged(1, 0, 2)
    assert tape(tmp_path) == [(10, 1), (10, 1), (13, 1)]


def test_numbered_second_replaces_the_same_second_without_numbers(tmp_path):
    bare, numbered = trades((1, 10, 1), (2, 11, 1)), trades((1.3, 10, 1), ids=[5])
    for name, order in (("a", (bare, numbered)), ("b", (numbered, bare))):
        for part in order:
            merged = Shards(tmp_path / name).merge_trades("kraken", "BTC/USD", part)
    assert stored(tmp_path / "a") == stored(tmp_path / "b")
    assert tape(tmp_path / "a") == [(10, 1), (11, 1)]
    assert merged == Merged(1, 0, 1)


def test_tops_land_in_their_days(tmp_path):
    rows = pl.DataFrame({"ts": [START, START + DAY], "bid": 1.0, "ask": 2.0, "bid_qty": 3.0, "ask_qty": 4.0})
    assert Shards(tmp_path).merge_tops("kraken", "BTC/USD", rows) == Merged(2, 0, 0)
    assert sorted(stored(tmp_path)) == [
        "tops/kraken/BTC-USD/2024-01-01.parquet",
        "tops/kraken/BTC-USD/2024-01-02.parquet",
    ]


@pytest.mark.parametrize(
    "rows,found",
    [
        (bars(0).drop("close"), "close"),
        (bars(0, open=None), "expected numbers"),
        (bars(0, open=float("nan")), "expected numbers"),
        (bars(0, open="ten"), "expected numbers"),
    ],
)
def test_rows_that_cannot_be_stored_are_refused(tmp_path, rows, found):
    with pytest.raises(DataError, match=found):
        Shards(tmp_path).merge_bars(M1, rows)
    assert stored(tmp_path) == {}


def test_nothing_to_merge_writes_nothing(tmp_path):
    assert Shards(tmp_path).merge_bars(M1, bars()) == Merged(0, 0, 0)
    assert stored(tmp_path) == {}


def test_file_that_is_not_parquet_is_named(tmp_path):
    Shards(tmp_path).merge_bars(M1, bars(0))
    path = tmp_path / "ohlcv/kraken/BTC-USD/1m/2024-01.parquet"
    path.write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"2024-01\.parquet"):
        Shards(tmp_path).merge_bars(M1, bars(1))
    pl.DataFrame({"ts": ["today"]}).write_parquet(path)
    with pytest.raises(DataError, match=r"2024-01\.parquet: expected the columns of the lake"):
        Shards(tmp_path).merge_bars(M1, bars(1))


@pytest.mark.parametrize(
    "foreign",
    [
        pl.DataFrame({"ts": ["2024"], "trade_id": [1]}),
        pl.DataFrame({"ts": [None], "trade_id": [1]}, schema={"ts": pl.Int64, "trade_id": pl.Int64}),
        pl.DataFrame({"price": [1.0]}),
    ],
)
def test_file_of_another_make_is_named_and_left_as_it_is(tmp_path, foreign):
    path = tmp_path / "trades" / "kraken" / "BTC-USD" / "2024-06.parquet"
    path.parent.mkdir(parents=True)
    foreign.write_parquet(path)
    with pytest.raises(DataError, match=r"2024-06.parquet: expected"):
        Shards(tmp_path).merge_trades("kraken", "BTC/USD", ROWS)
    assert pl.read_parquet(path).equals(foreign)


def test_file_with_one_wrong_byte_is_named_even_where_its_reader_panics(tmp_path):
    path = tmp_path / "trades" / "kraken" / "BTC-USD" / "2024-06.parquet"
    path.parent.mkdir(parents=True)
    start = ROWS["ts"][0]
    rows = [(start + n, n + 1, 1.0 + n, 1.0, 1, 0) for n in range(500)]
    pl.DataFrame(rows, schema=TRADES, orient="row").write_parquet(path, compression="snappy")
    data = bytearray(path.read_bytes())
    data[7931] = 118
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"2024-06.parquet: expected"):
        Shards(tmp_path).merge_trades("kraken", "BTC/USD", ROWS)


def test_empty_file_is_filled(tmp_path):
    path = tmp_path / "trades" / "kraken" / "BTC-USD" / "2024-06.parquet"
    path.parent.mkdir(parents=True)
    ROWS.clear().write_parquet(path)
    assert Shards(tmp_path).merge_trades("kraken", "BTC/USD", ROWS) == Merged(1, 0, 0)
    assert pl.read_parquet(path).equals(ROWS)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 2), st.integers(1, 2)), min_size=2, max_size=30),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=4),
)
@settings(max_examples=15, deadline=None)
def test_parts_of_a_tape_join_to_what_they_tell_in_any_order(tmp_path_factory, rows, spans):
    """Parts hold whole seconds of one tape; equal trades, gaps, overlaps and containment included."""
    ordered = sorted(rows, key=lambda row: row[0])
    home = tmp_path_factory.mktemp("tape")
    parts = [[row for row in ordered if min(span) <= row[0] <= max(span)] for span in spans]
    told = [row for row in ordered if any(min(span) <= row[0] <= max(span) for span in spans)]
    for name, order in (("a", parts), ("b", parts[::-1])):
        for part in filter(None, order):
            Shards(home / name).merge_trades("kraken", "BTC/USD", trades(*part))
    if not told:
        assert stored(home) == {}
        return
    assert tape(home / "a") == [row[1:] for row in told]
    assert stored(home / "a") == stored(home / "b")
