"""A made-up venue: the same each time, on its grids, and the same through every window."""

import itertools
import json
from collections import defaultdict
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from core.errors import ConfigError
from core.market import TIMEFRAMES
from core.text import parse_iso
from tests.venue.loopback_client import SETTINGS, Client, public, rows
from venue.exchange_rules import off_grid
from venue.loopback import Synthetic, build
from venue.market_candles import candles, last_day
from venue.synthetic_blocks import BLOCK
from venue.synthetic_history import GRAINS, folded, history
from venue.synthetic_listing import synthetic
from venue.synthetic_market import KEPT, SyntheticMarket

START = parse_iso("2024-06-14T12:34:56Z")
BORN = START - 56 * SECOND
LOADED = msgspec.structs.replace(
    SETTINGS, synthetic=Synthetic(60, 300.0), accounts={}, market_epoch=START, seed=5
)


def market_of(count=40, trades_per_s=200.0, seed=3):
    return SyntheticMarket(synthetic(count, seed), trades_per_s=trades_per_s, since=START, seed=seed)


def played(market, until, step=SECOND // 50, since=START):
    """What is due beat by beat, as (symbol, trade) in the order in which it was given."""
    found = []
    for now in range(since, until, step):
        for symbol, events, first, end in market.due(now, min(until, now + step)):
            found += [(symbol, trade) for trade in market.tapes[symbol].prints(events, first, end)]
    return found


# ---- the listing ----


@given(st.integers(1, 300), st.integers(0, 1 << 32))
@settings(max_examples=25, deadline=None)
def test_listing_has_different_names_and_possible_grids(count, seed):
    listings = synthetic(count, seed)
    assert len({one.instrument.symbol for one in listings}) == count
    assert sum(one.share for one in listings) == pytest.approx(1.0)
    for one in listings:
        pair = one.instrument
        assert pair.possible
        assert pair.symbol == f"{pair.base}/{pair.quote}"
        assert pair.base.isalnum()
        assert pair.base.isupper()
        assert 1 <= pair.price_precision <= 10
        assert 0 <= pair.quantity_precision <= 8
        assert pair.minimum_quantity >= pair.quantity_increment
        assert pair.minimum_quantity % pair.quantity_increment == 0
        assert 1_000 <= one.ticks < 10_000_000
        assert one.usual_lots < 10**12


def test_listing_looks_like_a_venue():
    listings = synthetic(1_000, 1)
    pairs = [one.instrument for one in listings]
    assert pairs[0].symbol == "BTC/USD"
    assert {pair.quote for pair in pairs} == {"USD", "EUR", "USDT", "USDC", "GBP", "BTC", "ETH"}
    assert sum(pair.max_leverage == 1 for pair in pairs) > 600
    assert {pair.max_leverage for pair in pairs} == {1, 2, 3, 5, 10}
    assert len({pair.price_precision for pair in pairs}) >= 9
    assert listings[0].share > 1_000 * listings[-1].share
    assert [one.instrument for one in synthetic(200, 1)] == pairs[:200]


@pytest.mark.parametrize("count", [0, 5_001])
def test_listing_refuses_what_no_venue_lists(count):
    with pytest.raises(ConfigError, match=f"found {count}"):
        synthetic(count, 1)


# ---- the tape ----


def test_the_same_seed_gives_the_same_market_whatever_the_beat():
    until = START + 23 * SECOND
    one, two = market_of(), market_of()
    fine, coarse = played(one, until), played(two, until, step=7 * SECOND)
    assert sorted(fine, key=str) == sorted(coarse, key=str)
    assert len(fine) > 2_000
    assert played(market_of(seed=4), until) != fine


def test_trades_are_on_the_grid_in_time_and_numbered_without_gaps():
    market = market_of()
    by_symbol = defaultdict(list)
    for symbol, trade in played(market, START + 30 * SECOND):
        by_symbol[symbol].append(trade)
    for symbol, trades in by_symbol.items():
        pair = market.tapes[symbol].instrument
        ids, moments = [t.trade_id for t in trades], [t.ts_event for t in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert moments == sorted(set(moments))
        assert all(off_grid(trade.price, None, pair) == "" for trade in trades)
        assert all(trade.quantity % pair.quantity_increment == 0 < trade.quantity for trade in trades)
        assert market.tapes[symbol].trades(START, START + 30 * SECOND, 1 << 30) == trades
        paged, since = [], START
        while page := market.tapes[symbol].trades(since, START + 30 * SECOND, 7):
            paged, since = paged + page, page[-1].ts_event
        assert paged == trades
        assert market.tapes[symbol].latest(START + 30 * SECOND, 3) == trades[-3:]


def test_quotes_are_never_crossed_and_stand_around_the_last_price():
    market = market_of()
    for block in market.blocks(START, START + 20 * SECOND):
        assert (block.bid < block.ask).all()
        assert (block.bid > 0).all()
        assert (block.bid <= block.last).all()
        assert (block.last <= block.ask).all()
        assert (np.minimum(block.bid_lots, block.ask_lots) > 0).all()


def test_every_pair_has_a_quote_at_once_and_few_are_busy():
    market = market_of(count=300, trades_per_s=500.0)
    counts = {}
    for symbol, tape in market.tapes.items():
        events, position = tape.at(START)
        assert tape.quote(events, position).ts_event <= START
        counts[symbol] = len(tape.trades(market.born - 1, START + MINUTE, 1 << 30))
    assert max(counts.values()) > 50 * sorted(counts.values())[150]
    minute = [tape.trades(START, START + MINUTE, 1) for tape in market.tapes.values()]
    assert 5 < minute.count([]) < 150


def test_memory_of_prints_is_bounded():
    market = market_of(count=5, trades_per_s=20.0)
    market.blocks(START, START + 2 * HOUR)
    assert len(market.blocks(0, START + 2 * HOUR)) <= KEPT // BLOCK
    tape = market.tapes["BTC/USD"]
    assert tape.trades(START, START + 2 * HOUR, 1)[0].ts_event > START + 2 * HOUR - KEPT - BLOCK


# ---- candles ----


def brute(tape, trades, interval):
    groups = defaultdict(list)
    for trade in trades:
        groups[trade.ts_event - trade.ts_event % interval].append(trade)
    return {
        ts: (
            found[0].price,
            max(t.price for t in found),
            min(t.price for t in found),
            found[-1].price,
            sum(t.quantity for t in found),
            len(found),
        )
        for ts, found in groups.items()
    }


def values(tape, row):
    prices = (tape.price(value) for value in (row.open, row.high, row.low, row.close))
    return (*prices, tape.quantity(row.lots), row.trades)


@pytest.mark.parametrize("minutes, whole_ones", [(1, 6), (5, 1)])
def test_candles_are_the_trades_since_the_tape_began(minutes, whole_ones):
    market, interval = market_of(count=12, trades_per_s=20.0), minutes * MINUTE
    now = START + 2 * MINUTE + 17 * SECOND
    market.blocks(START, now)
    for tape in market.tapes.values():
        trades = tape.trades(market.born - 1, now, 1 << 30)
        expected = brute(tape, trades, interval)
        rows = candles(tape, interval, now, 720)
        assert len(rows) == 720
        assert rows[-1].ts_open == now - now % interval
        assert {b.ts_open - a.ts_open for a, b in itertools.pairwise(rows)} == {interval}
        whole = [row for row in rows if row.ts_open >= market.born]
        assert len(whole) == whole_ones
        for row in whole:
            if row.ts_open in expected:
                assert values(tape, row) == expected[row.ts_open]
            else:
                assert (row.lots, row.trades) == (0, 0)


def test_running_candle_grows_as_if_it_were_made_anew_each_time():
    market = market_of(count=6, trades_per_s=40.0)
    for now in range(START, START + 2 * MINUTE, 3 * SECOND):
        for tape in market.tapes.values():
            for minutes in (1, 5, 60, 1440):
                grown, made = tape.candle(minutes * MINUTE, now), candles(tape, minutes * MINUTE, now, 1)[0]
                if not made.trades or not grown.trades:
                    continue  # nothing traded in this interval yet
                assert msgspec.structs.replace(grown, ts_open=0, vwap=0) == msgspec.structs.replace(
                    made, ts_open=0, vwap=0
                )
                assert grown.vwap == pytest.approx(made.vwap)


def test_history_fits_together_grain_by_grain_and_joins_the_tape():
    (listing, *_) = synthetic(3, 9)
    made = history(listing, 3.0, BORN, 9)
    assert made[MINUTE].close[-1] == listing.ticks
    for grain, pieces in made.items():
        assert (np.diff(pieces.ts) == grain).all()
        assert (pieces.low > 0).all()
        assert (pieces.low <= np.minimum(pieces.open, pieces.close)).all()
        assert (pieces.high >= np.maximum(pieces.open, pieces.close)).all()
        assert (pieces.open[1:] == pieces.close[:-1]).all()
        assert pieces.ts[-1] + grain <= BORN < pieces.ts[-1] + 2 * grain
    for fine, coarse in itertools.pairwise(GRAINS):
        again = folded(made[fine], coarse, BORN)
        same = np.isin(made[coarse].ts, again.ts)
        for name in again.__struct_fields__:
            assert np.array_equal(getattr(made[coarse], name)[same], getattr(again, name))
    again = history(listing, 3.0, BORN, 9)
    assert all(np.array_equal(made[grain].close, again[grain].close) for grain in GRAINS)


def test_coarse_bars_that_close_on_the_tape_are_made_of_its_minutes():
    market = market_of(count=4, trades_per_s=4.0)
    now = START + 3 * HOUR
    for at in range(START, now, MINUTE):
        market.blocks(at, at)
    for tape in market.tapes.values():
        minutes = {row.ts_open: row for row in candles(tape, MINUTE, now, 300)}
        for interval in (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR):
            for row in candles(tape, interval, now, HOUR // interval * 2):
                parts = [
                    minutes[row.ts_open + at]
                    for at in range(0, interval, MINUTE)
                    if row.ts_open + at in minutes
                ]
                assert row.lots == sum(part.lots for part in parts)
                traded = [part for part in parts if part.trades] or parts
                assert (row.open, row.close) == (traded[0].open, traded[-1].close)
                assert row.high == max(part.high for part in traded)
                assert row.low == min(part.low for part in traded)


def test_rolling_day_holds_what_its_minutes_hold():
    market = market_of(count=4, trades_per_s=4.0)
    now = START + MINUTE
    market.blocks(START, now)
    tape = market.tapes["BTC/USD"]
    rows = candles(tape, MINUTE, now, 1440)
    day = last_day(tape, now)
    assert day.ts_open == now - DAY
    assert (day.lots, day.trades) == (sum(r.lots for r in rows), sum(r.trades for r in rows))
    assert (day.high, day.low) == (max(r.high for r in rows), min(r.low for r in rows))
    assert day.close == rows[-1].close


# ---- behind the desks ----


def loaded():
    clock = ManualClock(START)
    return build(LOADED, clock), clock


def test_one_frame_a_pair_a_beat_and_trade_frames_that_add_up_to_the_ohlc_channel():
    client = Client(*loaded())
    symbols = list(client.venue.exchange.instruments)
    for channel, more in (
        ("trade", {}),
        ("ohlc", {"interval": 1, "snapshot": False}),
        ("ticker", {"event_trigger": "bbo"}),
    ):
        client.subscribed(channel, symbol=symbols, **more)
    trades, last = defaultdict(list), {}
    for _ in range(200):
        frames = client.wait(SECOND // 2)
        told = [frame["data"][0]["symbol"] for frame in frames if frame.get("channel") == "trade"]
        assert len(told) == len(set(told)) or len(told) <= 2 * len(set(told))  # two where blocks meet
        for row in rows(frames, "trade"):
            trades[row["symbol"]].append(row)
        for row in rows(frames, "ohlc"):
            last[row["symbol"], row["interval_begin"]] = row
    assert sum(map(len, trades.values())) > 20_000
    compared = 0
    for (symbol, begin), candle in last.items():
        opens = parse_iso(begin)
        if opens < START:
            continue
        inside = [row for row in trades[symbol] if opens <= parse_iso(row["timestamp"]) < opens + MINUTE]
        prices = [row["price"] for row in inside]
        assert [candle[name] for name in ("open", "high", "low", "close")] == [
            prices[0], max(prices), min(prices), prices[-1]
        ]  # fmt: skip
        assert candle["volume"] == sum(row["qty"] for row in inside)
        assert candle["trades"] == len(inside)
        compared += 1
    assert compared > 60


def test_client_slower_than_the_market_is_cut_and_loses_nothing_in_between():
    client = Client(*loaded())
    symbols = list(client.venue.exchange.instruments)
    for channel, more in (("trade", {}), ("ohlc", {"snapshot": False}), ("ticker", {"event_trigger": "bbo"})):
        client.subscribed(channel, symbol=symbols, **more)
    for _ in range(400):
        client.clock.advance_to(client.clock.now() + SECOND // 5)
        client.venue.pump()
        if client.connection.closing:
            break
    assert client.connection.closing
    *frames, end = client.frames()
    assert end is None
    ids = defaultdict(list)
    for row in rows(frames, "trade"):
        ids[row["symbol"]].append(row["trade_id"])
    assert all(found == list(range(found[0], found[0] + len(found))) for found in ids.values())


def test_rest_serves_every_pair_and_agrees_with_the_tape():
    client = Client(*loaded())
    client.wait(MINUTE)
    venue = client.venue
    pairs = public(venue, "AssetPairs")
    tickers = public(venue, "Ticker")
    assert len(pairs) == len(tickers) == 60
    for key, pair in list(pairs.items())[::20]:
        bid, ask = Decimal(tickers[key]["b"][0]), Decimal(tickers[key]["a"][0])
        assert bid < ask
        assert len(pair["leverage_buy"]) <= 9
        depth = public(venue, "Depth", pair=key, count="10")[key]
        assert (Decimal(depth["bids"][0][0]), Decimal(depth["asks"][0][0])) == (bid, ask)
        for timeframe in TIMEFRAMES:
            answer = public(venue, "OHLC", pair=key, interval=str(timeframe.minutes))[key]
            assert len(answer) > 360
            assert answer[-1][0] * SECOND == timeframe.floor(client.clock.now())
        page = public(venue, "Trades", pair=key)[key]
        assert Decimal(tickers[key]["c"][0]) == Decimal(page[-1][0])


def test_an_order_meets_the_made_up_market():
    settings = msgspec.structs.replace(LOADED, accounts=SETTINGS.accounts)
    clock = ManualClock(START)
    client = Client(build(settings, clock), clock, account="paper")
    client.subscribed("executions")
    request = {"order_type": "market", "side": "buy", "symbol": "ETH/USD", "order_qty": 0.5, "margin": True}
    client.ask("add_order", 4, **request)
    told = rows(client.wait(SECOND))
    assert json.dumps([row["exec_type"] for row in told if row["exec_type"] == "trade"]) != "[]"
    assert not client.venue.exchange.watches("ETH/USD")
    limit = request | {"order_type": "limit", "limit_price": 1000.0}
    client.ask("add_order", 5, **limit)
    client.wait(SECOND)
    assert client.venue.exchange.watches("ETH/USD")
