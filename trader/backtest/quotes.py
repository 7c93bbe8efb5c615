"""From closed bars to the quotes that a backtest's exchange sees.

Must not know the desk. Called by trader.backtest. Deterministic and on the unkind side: inside a
bar the price visits the extreme that hurts the position first, and it stops at every stop order on
its way, so that a stop fills near its trigger and not at the far end of the bar.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from core.clock import SECOND
from core.instrument import Instrument
from core.market import Bar, Quote

HALF_SPREAD = 0.5e-4
"""Of the price; at least the tick grid's next line on each side."""
DEPTH = 0.1
"""Share of a bar's volume that rests at the touch: what one taker can have at once."""


def close_quote(bar: Bar, instrument: Instrument) -> Quote:
    """Give the touch around the bar's close, at its end."""
    return _around(bar.close, bar, instrument, bar.ts_close)


def path(bar: Bar, instrument: Instrument, *, held: Decimal, stops: Iterable[Decimal]) -> Iterator[Quote]:
    """Give touches from the bar's open to its close: open, adverse, favourable extreme, close.

    `held` is the signed position that the extremes are judged by (flat counts as long), `stops`
    the trigger prices that are passed on the way. Times lie inside the bar, the last at its end.
    """
    adverse, favourable = (bar.low, bar.high) if held >= 0 else (bar.high, bar.low)
    legs = ((bar.open, adverse), (adverse, favourable), (favourable, bar.close))
    triggers = [float(stop) for stop in stops]
    third = (bar.ts_close - bar.ts_open - SECOND) // 3
    ts = bar.ts_open + SECOND
    yield _around(bar.open, bar, instrument, ts)
    for number, (begin, end) in enumerate(legs):
        low, high = min(begin, end), max(begin, end)
        on_the_way = sorted((t for t in triggers if low < t < high), reverse=end < begin)
        for price in on_the_way:
            share = (price - begin) / (end - begin)
            yield _around(price, bar, instrument, ts + int(share * third))
        ts += third
        yield _around(end, bar, instrument, bar.ts_close if number == len(legs) - 1 else ts)


def _around(price: float, bar: Bar, instrument: Instrument, ts: int) -> Quote:
    quantity = _depth(bar.volume, instrument)
    return Quote(
        instrument.symbol,
        ts,
        _on_grid(price * (1 - HALF_SPREAD), instrument, up=False),
        _on_grid(price * (1 + HALF_SPREAD), instrument, up=True),
        quantity,
        quantity,
    )


def _depth(volume: float, instrument: Instrument) -> Decimal:
    """Give the quantity at the touch; a quiet bar still offers the smallest order."""
    lots = int(volume * DEPTH * 10**instrument.quantity_precision)
    return max(Decimal(lots).scaleb(-instrument.quantity_precision), instrument.minimum_quantity)


def _on_grid(price: float, instrument: Instrument, *, up: bool) -> Decimal:
    """Round outward in whole ticks: integers are several times quicker than dividing decimals."""
    scaled = price * 10**instrument.price_precision
    ticks = int(scaled) + (up and scaled > int(scaled))
    return Decimal(ticks).scaleb(-instrument.price_precision)
