"""The door: one order of events, and nobody waits for ever."""

from decimal import Decimal

from core.clock import ManualClock
from core.events import Quotes, Timer
from core.market import Quote
from trader.door import Door

TOUCH = Quote("BTC/USDT", 1, Decimal(1), Decimal(2), Decimal(1), Decimal(1))


async def test_events_pass_even_when_quotes_never_end():
    door = Door(ManualClock(5))
    door.put(Timer(0))
    door.put(Timer(0))
    seen = []
    for _ in range(5):
        door.put_quote(TOUCH)
        seen.append(type((await door.next()).event))
    assert seen == [Quotes, Timer, Quotes, Timer, Quotes]


async def test_quotes_go_before_the_event_that_is_judged_against_them():
    door = Door(ManualClock(5))
    door.put(Timer(0))
    door.put_quote(TOUCH)
    door.put_quote(TOUCH)
    assert (await door.next()).event == Quotes(5, (TOUCH,))
    assert (await door.next()).event == Timer(5)
