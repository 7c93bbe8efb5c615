"""Recorded live data: what is kept, what a crash may cost, and that bars can be made of it again."""

import asyncio
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND, ManualClock
from core.market import Quote, Timeframe, Trade
from core.orders import Side
from feeds.bars import BarBuilder
from feeds.recorder import Recorder
from tests.feeds.live_story import Story
from tests.venue.fake_kraken import running

BTC, ETH = "BTC/USD", "ETH/USD"
START = 1_717_372_800 * SECOND


def trade(number, ts, *, instrument=BTC, price="100.5", side=Side.BUY):
    return Trade(instrument, ts, Decimal(price), Decimal("0.25"), side, number)


def quote(bid, instrument=BTC):
    return Quote(instrument, 0, Decimal(bid), Decimal(bid) + 1, Decimal(2), Decimal(3))


def recorder(root, clock=None, **options):
    return Recorder(root, "kraken", clock or ManualClock(START), **options)


def kept(root, kind, instrument=BTC):
    files = sorted((root / kind / "kraken" / instrument.replace("/", "-")).glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files]) if files else pl.DataFrame()


def test_trades_reach_their_shard_through_the_spool(tmp_path):
    one = recorder(tmp_path)
    one.on_trades((trade(1, START), trade(1, START + 1, instrument=ETH, side=Side.SELL)))
    one.flush()
    assert len(list((tmp_path / "spool" / "kraken").glob("*.parquet"))) == 1
    one.merge()
    assert list((tmp_path / "spool" / "kraken").glob("*")) == []
    assert kept(tmp_path, "trades").rows() == [(START, 1, 100.5, 0.25, 1, -1)]
    assert kept(tmp_path, "trades", ETH)["side"].to_list() == [-1]


def test_restart_merges_what_was_spooled_and_doubles_nothing(tmp_path):
    one = recorder(tmp_path)
    one.on_trades((trade(1, START), trade(2, START + 1)))
    one.flush()  # and then the process is killed
    again = recorder(tmp_path, ManualClock(START + SECOND))
    again.on_trades((trade(2, START + 1), trade(3, START + 2)))
    again.flush()
    again.merge()
    again.merge()
    assert kept(tmp_path, "trades")["trade_id"].to_list() == [1, 2, 3]


def test_tops_are_what_stood_at_full_seconds(tmp_path):
    clock = ManualClock(START + SECOND // 2)
    one = recorder(tmp_path, clock)
    for at, bid in ((0.5, "10"), (0.7, "11"), (1.2, "12"), (4.1, "13"), (4.2, "14"), (5.0, "15")):
        clock.advance_to(START + int(at * SECOND))
        one.on_quote(quote(bid))
    one.flush()
    one.merge()
    rows = kept(tmp_path, "tops").select("ts", "bid").rows()
    assert [((ts - START) // SECOND, bid) for ts, bid in rows] == [(1, 11.0), (2, 12.0), (5, 14.0)]


def test_chosen_instruments_only_and_no_more_than_fits(tmp_path):
    one = recorder(tmp_path, instruments=[ETH], capacity=2)
    one.on_trades((trade(1, START),))
    one.on_trades(tuple(trade(n, START + n, instrument=ETH) for n in range(1, 5)))
    assert one.counters["dropped"] == 2
    one.flush()
    one.merge()
    assert len(kept(tmp_path, "trades", ETH)) == 2
    assert kept(tmp_path, "trades").is_empty()


def test_damaged_spool_file_is_set_aside_and_costs_no_other(tmp_path):
    one = recorder(tmp_path)
    one.on_trades((trade(1, START),))
    one.flush()
    (tmp_path / "spool" / "kraken" / "trades-0.parquet").write_bytes(b"half")
    one.merge()
    assert kept(tmp_path, "trades")["trade_id"].to_list() == [1]
    assert [file.name for file in (tmp_path / "spool" / "kraken").iterdir()] == ["trades-0.damaged"]


def test_damaged_shard_costs_no_other_instrument_and_piles_nothing_up(tmp_path):
    one = recorder(tmp_path)
    one.on_trades((trade(1, START), trade(2, START + 1, instrument=ETH)))
    one.flush()
    month = tmp_path / "trades" / "kraken" / "BTC-USD" / "2024-06.parquet"
    month.parent.mkdir(parents=True)
    month.write_bytes(b"no parquet")
    one.merge()
    assert kept(tmp_path, "trades", ETH)["trade_id"].to_list() == [2]
    spool = tmp_path / "spool" / "kraken"
    assert list(spool.glob("*.parquet")) == []
    (aside,) = (spool / "refused").glob("*.parquet")
    assert pl.read_parquet(aside)["trade_id"].to_list() == [1]
    assert one.counters["refused"] == 1
    assert month.read_bytes() == b"no parquet"


def test_disk_that_cannot_be_written_keeps_rows_waiting(tmp_path):
    one = recorder(tmp_path)
    (tmp_path / "spool").write_text("a file where a folder should be")
    one.on_trades((trade(1, START),))
    one._attempt(one.flush)
    assert one.counters["failed"] == 1
    (tmp_path / "spool").unlink()
    one._attempt(one.flush)
    one.merge()
    assert kept(tmp_path, "trades")["trade_id"].to_list() == [1]


async def test_run_spools_what_came_before_it_is_cancelled(tmp_path):
    one = recorder(tmp_path)
    async with running(one.run()):
        await asyncio.sleep(0)
        one.on_trades((trade(1, START),))
    one.merge()
    assert kept(tmp_path, "trades")["trade_id"].to_list() == [1]


def rebuilt(root, instrument, since, until):
    """Bars of the recorded trades, by the same builder that history uses."""
    builder = BarBuilder((Timeframe.M1,))
    builder.add(instrument, since)
    for ts, number, price, quantity, side, _ in kept(root, "trades", instrument).rows():
        order = Side.BUY if side == 1 else Side.SELL
        builder.on_trade(Trade(instrument, ts, Decimal(repr(price)), Decimal(repr(quantity)), order, number))
    return [bar for _, bars in builder.close_until(until) for bar in bars]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 299), st.integers(90, 110)), min_size=1, max_size=40))
def test_bars_of_recorded_trades_are_the_feeds_own(tmp_path_factory, ticks):
    root = tmp_path_factory.mktemp("lake")
    tap = recorder(root)
    story = Story(taps=(tap,))
    for at, price in sorted(ticks, key=lambda tick: tick[0]):
        story.to(600 + at)
        story.prints(600 + at, price=float(price))
    story.close_at(900)
    tap.flush()
    tap.merge()
    own = [bar for _, bars in story.ears.all("bars") for bar in bars]
    assert rebuilt(root, BTC, 10 * MINUTE, 900 * SECOND) == own


@pytest.mark.parametrize("repeat", [1, 3])
def test_trades_of_an_outage_are_recorded_once(tmp_path, repeat):
    tap = recorder(tmp_path)
    story = Story(taps=(tap,))
    story.prints(601)
    for _ in range(repeat):
        story.down()
        story.connect(story.replay((1, 601), (2, 602), (3, 603)))
    tap.flush()
    tap.merge()
    assert kept(tmp_path, "trades")["trade_id"].to_list() == [1, 2, 3]
