"""Every pair of a venue at once, over real sockets: no trade lost, every minute the venue's own."""

from decimal import Decimal

import msgspec
import pytest

from core.clock import ManualClock
from core.market import Trade
from core.orders import Side
from tests.e2e.all_pairs import kept, run
from tests.e2e.all_pairs_world import Observer, Plan, compare, venue


@pytest.mark.e2e
async def test_fifty_pairs_for_a_minute_of_market_time(tmp_path):
    plan = Plan(instruments=50, trades_per_s=100, minutes=1, speed=40)
    with venue(plan, tmp_path) as place:
        report, observer = await run(plan, place)
        said = "\n".join(f"{name}: {value}" for name, value in report.items())
        for name in ("trades_dropped", "bars_missing", "unexplained_mismatches", "link_losses"):
            assert report[name] == 0, said
        # A machine that starves the processes makes trades late: told, counted, never a wrong bar unseen.
        assert kept(report) or report["trades_late"], said
        assert report["bars_compared"] >= 45  # a pair that never traded has no price and no bar
        assert report["trades_in_compared_bars"] > 2_000
        assert report["all_ready_s"] is not None
        await the_comparison_sees_a_digit_and_a_hole(observer, place, plan)


async def the_comparison_sees_a_digit_and_a_hole(observer, place, plan):
    bars = {key: bar for key, bar in observer.bars.items() if bar.trades}
    one, two, *_ = bars
    bars[one] = msgspec.structs.replace(bars[one], volume=bars[one].volume * (1 + 2**-50))
    gone = bars.pop(two)
    found = await compare(place, bars, plan)
    assert (len(found.mismatches), len(found.missing)) == (1, 1)
    assert found.mismatches[0][0] == one[0] != gone.instrument


def test_observer_counts_what_never_came_and_how_late_the_rest_was():
    clock = ManualClock(1_000_000_000)
    observer = Observer(clock)
    for number, age_ms in ((7, 40), (8, 10), (11, 20), (9, 30)):
        ts = clock.now() - age_ms * 1_000_000
        observer.on_trade(Trade("A/B", ts, Decimal(1), Decimal(1), Side.BUY, number))
    assert (observer.received, observer.dropped) == (4, 1)
    assert [observer.lag(share) for share in (0.25, 0.5, 1.0)] == [10, 20, 40]
