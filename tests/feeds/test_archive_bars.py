import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE
from core.market import Timeframe
from feeds.archive_bars import coarser, minutes
from feeds.lake import Series, aggregate, arrays

START = 19_723 * DAY


def tape(rows: list[tuple[int, float, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, {"ts": pl.Int64, "price": pl.Float64, "qty": pl.Float64}, orient="row")


def test_a_trade_on_the_minute_opens_the_next_bar():
    rows = [(START + MINUTE - 1, 10.0, 1.0), (START + MINUTE, 12.0, 3.0), (START + MINUTE + 1, 11.0, 1.0)]
    bars = minutes(tape(rows)).rows(named=True)
    assert [bar["ts"] * 10**6 for bar in bars] == [START, START + MINUTE]
    assert bars[1] == {
        "ts": (START + MINUTE) // 10**6,
        "open": 12.0,
        "high": 12.0,
        "low": 11.0,
        "close": 11.0,
        "volume": 4.0,
        "vwap": 11.75,
        "trades": 2,
    }


def test_nothing_makes_nothing():
    assert minutes(tape([])).is_empty()
    assert coarser(minutes(tape([])), Timeframe.H1).is_empty()


def test_trades_without_quantity_have_their_close_as_vwap():
    assert minutes(tape([(START, 10.0, 0.0), (START, 11.0, 0.0)]))["vwap"].to_list() == [11.0]


def test_hours_exist_where_any_minute_does():
    rows = [(START + 5 * MINUTE, 10.0, 1.0), (START + 3 * HOUR, 12.0, 1.0)]
    hours = coarser(minutes(tape(rows)), Timeframe.H1)
    assert (hours["ts"] * 10**6).to_list() == [START, START + 3 * HOUR]


def test_quiet_rows_lend_no_price_while_there_are_others():
    bars = minutes(tape([(START, 10.0, 1.0), (START + MINUTE, 12.0, 1.0)]))
    quiet = bars.with_columns(volume=pl.Series([0.0, 1.0]))
    assert coarser(quiet, Timeframe.H1).row(0, named=True)["open"] == 12.0
    silent = bars.with_columns(volume=pl.lit(0.0))
    assert coarser(silent, Timeframe.H1).row(0, named=True)["open"] == 10.0


def test_columns_that_not_every_row_has_do_not_come_out():
    bars = minutes(tape([(START, 10.0, 1.0), (START + MINUTE, 12.0, 1.0)]))
    some = bars.with_columns(trades=pl.Series([1, None], dtype=pl.Int32))
    assert "trades" not in coarser(some, Timeframe.H1).columns


moments = st.lists(st.integers(0, 2 * 60 - 1), min_size=1, max_size=40).map(sorted)


@given(moments, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_coarse_bars_do_not_depend_on_the_road(times, random):
    """1m to 1h equals 1m to 5m to 1h, and the tape itself read with one long minute."""
    trades = tape(
        [(START + t * MINUTE, float(random.randint(90, 110)), random.randint(1, 8) / 8) for t in times]
    )
    direct = coarser(minutes(trades), Timeframe.H1)
    stepped = coarser(coarser(minutes(trades), Timeframe.M5), Timeframe.H1)
    exact = ["ts", "open", "high", "low", "close", "volume", "trades"]
    assert direct.select(exact).equals(stepped.select(exact))
    assert direct["vwap"].to_list() == pytest.approx(stepped["vwap"].to_list())
    assert direct["volume"].sum() == trades["qty"].sum()
    assert direct["trades"].sum() == len(trades)


def test_full_hours_equal_those_that_models_see():
    prices = [100 + (k * 7) % 13 for k in range(240)]
    bars = minutes(tape([(START + k * MINUTE, float(price), 0.5) for k, price in enumerate(prices)]))
    seen = aggregate(arrays(bars, Series("kraken", "BTC/USD", Timeframe.M1)), Timeframe.H1)
    stored = arrays(coarser(bars, Timeframe.H1), Series("kraken", "BTC/USD", Timeframe.H1))
    for name in ("ts_open", "open", "high", "low", "close", "volume", "trades"):
        assert getattr(seen, name).tolist() == getattr(stored, name).tolist()
