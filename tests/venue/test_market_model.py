"""The market model: nothing of the source bars is lost, nothing is remembered."""

import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND
from core.errors import DataError
from core.text import parse_iso
from venue.exchange_listing import listed
from venue.market_candles import candles
from venue.market_model import RecordedTape, SourceBars

M5 = 5 * MINUTE
START = parse_iso("2024-06-03T00:00:00Z")
LAKE = Path(__file__).parents[2] / "configs" / "market" / "ohlcv" / "binance"
XRP = listed(["XRP/USDT"])["XRP/USDT"]


def tape_of(rows, *, seed=1, length=M5, ts=None, instrument=XRP):
    """Rows of (open, high, low, close, lots) in ticks and lots."""
    columns = np.array(rows, float).T
    price, lot = 10.0**instrument.price_precision, 10.0**instrument.quantity_precision
    opens = START + np.arange(len(rows)) * length if ts is None else np.array(ts)
    prices = (column / price for column in columns[:4])
    return RecordedTape(instrument, SourceBars(length, opens, *prices, columns[4] / lot), seed=seed)


def recorded(symbol="BTC/USDT", *, seed=7):
    frame = pl.read_parquet(LAKE / symbol.replace("/", "-") / "5m.parquet").tail(3_000)
    columns = (frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    bars = SourceBars(M5, frame["ts"].to_numpy() * 1_000_000, *columns)
    return RecordedTape(listed([symbol])[symbol], bars, seed=seed)


@st.composite
def bar_rows(draw):
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.integers(0, 10**5))
    inside = st.integers(low, high)
    return (draw(inside), high, low, draw(inside), draw(st.one_of(st.just(0), st.integers(4, 10**13))))


def naive(tape, index):
    """Aggregate one bar's trades the slow way, with Decimal."""
    trades = tape.trades(int(tape.ts[index]) - 1, int(tape.ts[index]) + tape.length - 1, 1 << 30)
    prices = [t.price for t in trades]
    if not trades:
        return None
    return prices[0], max(prices), min(prices), prices[-1], sum(t.quantity for t in trades)


@given(st.lists(bar_rows(), min_size=1, max_size=6), st.integers(0, 1 << 40))
@settings(max_examples=150, deadline=None)
def test_reaggregated_trades_equal_the_bar_exactly(rows, seed):
    tape = tape_of(rows, seed=seed)
    for index, (first, high, low, last, lots) in enumerate(rows):
        if lots == 0:
            assert naive(tape, index) is None
            continue
        ticks = [tape.price(value) for value in (first, high, low, last)]
        assert naive(tape, index) == (*ticks, tape.quantity(lots))


@given(st.lists(bar_rows(), min_size=1, max_size=6), st.integers(0, 1 << 40))
@settings(max_examples=80, deadline=None)
def test_trades_are_in_time_in_their_bar_and_numbered_without_gaps(rows, seed):
    tape = tape_of(rows, seed=seed)
    trades = tape.trades(0, START + DAY, 1 << 30)
    assert [t.trade_id for t in trades] == list(range(1, len(trades) + 1))
    moments = [t.ts_event for t in trades]
    assert moments == sorted(set(moments))
    assert all(moment % 1_000 == 0 for moment in moments)
    for index, row in enumerate(rows):
        opens = START + index * M5
        if row[4]:
            first = next(moment for moment in moments if moment >= opens)
            assert first < opens + MINUTE


@given(st.lists(bar_rows(), min_size=2, max_size=5), st.permutations(range(5)))
@settings(max_examples=40, deadline=None)
def test_any_order_of_asking_gives_the_same_events(rows, order):
    straight, mixed = tape_of(rows), tape_of(rows)
    for index in order:
        if index < len(rows):
            mixed.events(index)
    for index in range(len(rows)):
        for name in straight.events(index).__struct_fields__:
            one, two = getattr(straight.events(index), name), getattr(mixed.events(index), name)
            assert np.array_equal(one, two)


def test_another_seed_gives_another_day_with_the_same_bars():
    one, two = recorded(seed=1), recorded(seed=2)
    assert naive(one, 100) == naive(two, 100)
    assert not np.array_equal(one.events(100).ts[:30], two.events(100).ts[:30])


def test_float32_prices_come_back_to_the_grid():
    tape = recorded()
    frame = pl.read_parquet(LAKE / "BTC-USDT" / "5m.parquet").tail(3_000)
    for index in (0, 1_500, 2_999):
        row = frame.row(index, named=True)
        expected = [round(row[name], 2) for name in ("open", "high", "low", "close")]
        assert [float(value) for value in naive(tape, index)[:4]] == expected
        assert float(naive(tape, index)[4]) == pytest.approx(row["volume"], abs=1e-8)


def test_quotes_are_never_crossed_and_stand_around_the_last_price():
    tape = recorded()
    for index in range(0, 3_000, 300):
        events = tape.events(index)
        assert (events.bid < events.ask).all()
        assert (events.bid > 0).all()
        assert (events.bid <= events.last).all()
        assert (events.last <= events.ask).all()
        assert (events.bid_lots > 0).all()
        assert ((events.ask - events.bid) / events.last < 2e-4).all()


def test_quiet_bar_moves_quotes_but_trades_nothing():
    tape = tape_of([(100, 110, 90, 105, 10_000), (105, 105, 105, 105, 0)])
    events = tape.events(1)
    assert not events.lots.any()
    assert set(events.last.tolist()) == {105}
    assert len(events.ts) > 0


def test_ladder_is_sorted_on_both_sides_and_changes_little_from_event_to_event():
    tape = recorded()
    events = tape.events(1_000)
    ladders = [tape.ladder(events, position) for position in range(len(events.ts))]
    for ladder in ladders:
        bids, asks = [v.ticks for v in ladder.bids], [v.ticks for v in ladder.asks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        assert all(level.lots > 0 for level in ladder.bids + ladder.asks)
    moved = [len(set(a.bids) ^ set(b.bids)) for a, b in itertools.pairwise(ladders)]
    assert sum(moved) / len(moved) < 25


def test_ladder_of_a_cheap_coin_stops_above_zero():
    tape = tape_of([(5, 8, 3, 6, 1_000)])
    ladder = tape.ladder(tape.events(0), 0)
    assert 1 <= len(ladder.bids) <= 8
    assert ladder.bids[-1].ticks > 0


def test_newest_event_before_a_moment_is_found_across_bars_and_holes():
    tape = tape_of([(100, 110, 90, 105, 10_000)] * 2, ts=[START, START + HOUR])
    assert tape.at(START - 1) is None
    events, position = tape.at(START + 30 * MINUTE)
    assert int(events.ts[position]) == int(tape.events(0).ts[-1])
    assert tape.latest(START + 30 * MINUTE, 5) == tape.trades(0, START + M5, 1 << 30)[-5:]
    assert tape.latest(START + 2 * HOUR, 1 << 20) == tape.trades(0, START + 2 * HOUR, 1 << 30)


@pytest.mark.parametrize(
    "rows,ts",
    [
        ([(100, 99, 90, 95, 100)], None),
        ([(100, 110, 101, 105, 100)], None),
        ([(0, 0, 0, 0, 100)], None),
        ([(100, 110, 90, 105, 3)], None),
        ([(100, 110, 90, 105, 100)], [START + 1]),
        ([(100, 110, 90, 105, 100)] * 2, [START, START]),
    ],
)
def test_impossible_bars_are_refused(rows, ts):
    with pytest.raises(DataError, match="XRP/USDT"):
        tape_of(rows, ts=ts)


# ---- candles ----


def brute(tape, interval, now):
    """Candles from every trade up to `now`, keyed by open time."""
    found = defaultdict(list)
    for trade in tape.trades(0, now, 1 << 30):
        found[trade.ts_event - trade.ts_event % interval].append(trade)
    return {
        ts: (
            rows[0].price,
            max(t.price for t in rows),
            min(t.price for t in rows),
            rows[-1].price,
            sum(t.quantity for t in rows),
            len(rows),
        )
        for ts, rows in found.items()
    }


@pytest.mark.parametrize("minutes", [1, 5, 15, 60, 240])
def test_candles_of_any_interval_are_the_trades_seen_so_far(minutes):
    tape = recorded("DOGE/USDT")
    tape = RecordedTape(
        tape.instrument,
        SourceBars(
            M5,
            tape.ts[-400:],
            *(v[-400:] / 1e5 for v in (tape.open, tape.high, tape.low, tape.close)),
            tape.lots[-400:] / 1e8,
        ),
        seed=3,
    )
    now = int(tape.ts[-20]) + 2 * MINUTE + 17 * SECOND
    rows = candles(tape, minutes * MINUTE, now, 60)
    expected = brute(tape, minutes * MINUTE, now)
    assert rows[-1].ts_open == now - now % (minutes * MINUTE)
    checked = 0
    for row in rows:
        if row.ts_open in expected:
            prices = [tape.price(v) for v in (row.open, row.high, row.low, row.close)]
            assert (*prices, tape.quantity(row.lots), row.trades) == expected[row.ts_open]
            assert row.low <= row.vwap <= row.high
            checked += 1
        else:
            assert (row.lots, row.trades, row.vwap) == (0, 0, 0.0)
    assert checked >= len(rows) - 2


def test_candles_count_and_limit():
    tape = recorded()
    now = int(tape.ts[-1]) + MINUTE
    for minutes in (1, 5):
        rows = candles(tape, minutes * MINUTE, now, 720)
        assert len(rows) == 720
        assert {b.ts_open - a.ts_open for a, b in itertools.pairwise(rows)} == {minutes * MINUTE}
    assert len(candles(tape, DAY, now, 720)) == 11
    assert candles(tape, M5, int(tape.ts[0]) - 1, 720) == []


def test_idle_intervals_repeat_the_close():
    tape = tape_of([(100, 110, 90, 105, 10_000)] * 2, ts=[START, START + 4 * M5])
    rows = candles(tape, M5, START + 4 * M5 + 4 * MINUTE, 4)
    assert [(r.open, r.close, r.trades > 0) for r in rows] == [
        (105, 105, False), (105, 105, False), (105, 105, False), (100, rows[-1].close, True),
    ]  # fmt: skip
