"""Missed trades come back in order, exactly once, or the hole stays."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND, ManualClock
from core.errors import LinkLost
from feeds import repair
from feeds.pace import Pace
from feeds.repair import Repairs
from tests.feeds.live_story import BTC, Served, traded
from tests.venue.fake_kraken import running
from venue.prints import TradeGap

ETH = "ETH/USD"


def gap(last, following, *, symbol=BTC):
    return TradeGap(symbol, last, following, last * SECOND, following * SECOND)


class Desk:
    def __init__(self, source, *order):
        self.done = []
        self.repairs = Repairs(
            source,
            Pace(ManualClock(0), burst=1000.0),
            order=order or (BTC,),
            on_done=lambda *what: self.done.append(what),
        )
        self.repairs.again_s = 0.0

    async def settle(self):
        async with running(self.repairs.run()):
            for _ in range(50):
                await asyncio.sleep(0)


async def test_trades_come_back_with_what_followed_them():
    desk = Desk(Served(*(traded(n, n) for n in range(1, 9))))
    desk.repairs.begin(gap(2, 6))
    desk.repairs.keep(traded(6, 6))
    assert desk.repairs.under_way(BTC)
    await desk.settle()
    ((symbol, trades, holes),) = desk.done
    assert (symbol, [one.trade_id for one in trades], holes) == (BTC, [3, 4, 5, 6], [])
    assert not desk.repairs.under_way(BTC)


async def test_two_holes_of_one_instrument_are_one_story():
    desk = Desk(Served(*(traded(n, n) for n in range(1, 12))))
    for item in (gap(2, 4), gap(5, 8)):
        desk.repairs.begin(item)
        desk.repairs.keep(traded(item.next_id, item.next_id))
        if item.next_id == 4:
            desk.repairs.keep(traded(5, 5))
    await desk.settle()
    assert [one.trade_id for one in desk.done[0][1]] == [3, 4, 5, 6, 7, 8]


async def test_hole_that_is_not_served_whole_stays_and_what_followed_is_kept():
    desk = Desk(Served(traded(3, 3)))
    desk.repairs.begin(gap(2, 6))
    desk.repairs.keep(traded(6, 6))
    await desk.settle()
    ((_, trades, holes),) = desk.done
    assert ([one.trade_id for one in trades], holes) == ([6], [gap(2, 6)])


async def test_source_that_fails_costs_the_hole_only():
    class Broken(Served):
        async def trades(self, symbol, since):
            if symbol == BTC:
                raise LinkLost("no")
            return await super().trades(symbol, since)

    desk = Desk(Broken(*(traded(n, n, symbol=ETH) for n in range(1, 9))), BTC, ETH)
    desk.repairs.begin(gap(2, 4, symbol=ETH))
    desk.repairs.begin(gap(2, 4))
    await desk.settle()
    assert [(symbol, len(trades), len(holes)) for symbol, trades, holes in desk.done] == [
        (BTC, 0, 1),
        (ETH, 1, 0),
    ]


async def test_rest_that_lags_is_asked_again():
    class Lagging(Served):
        async def trades(self, symbol, since):
            page = await super().trades(symbol, since)
            self.traded = tuple(traded(n, n) for n in range(1, 9))
            return page

    desk = Desk(Lagging(traded(3, 3)))
    desk.repairs.begin(gap(2, 6))
    await desk.settle()
    assert [one.trade_id for one in desk.done[0][1]] == [3, 4, 5]


def test_too_much_that_waits_ends_the_repair():
    desk = Desk(Served())
    desk.repairs.begin(gap(2, 6))
    for number in range(repair.KEPT):
        desk.repairs.keep(traded(6 + number, 6))
    ((_, trades, holes),) = desk.done
    assert (len(trades), len(holes)) == (repair.KEPT, 1)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(2, 30), max_size=12))
def test_whatever_is_missing_is_brought_back_in_order(missing):
    """The stream lost `missing` of the trades 1 to 31; the repaired story has all of them, in order."""
    desk = Desk(Served(*(traded(n, n) for n in range(1, 32))))
    told, last = [], 0
    for number in (n for n in range(1, 32) if n not in missing):
        if last and number != last + 1:
            desk.repairs.begin(gap(last, number))
        last = number
        if desk.repairs.under_way(BTC):
            desk.repairs.keep(traded(number, number))
        else:
            told.append(number)
    asyncio.run(desk.settle())
    for _, trades, holes in desk.done:
        told += [one.trade_id for one in trades]
        assert all(hole.next_id - hole.last_id > 2 * repair.PAGES for hole in holes)
    if not any(holes for *_, holes in desk.done):
        assert told == list(range(1, 32))
