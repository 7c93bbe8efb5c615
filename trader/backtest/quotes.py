"""From closed bars to the quotes that a backtest's exchange sees.

Must not know the desk. Called by trader.backtest. Deterministic and on the unkind side: inside a
bar the price visits the extreme that hurts the position first, and it stops at every stop order on
its way, so that a stop fills near its trigger and not at the far end of the bar.

The spread is a rule, for bars have none. Half of it, as a fraction of the price, is

    BASE + SHARE x range x sqrt(1,000,000 / value)      at most WIDEST

with the bar's range (high - low) / close and its traded value, both brought to five minutes (a range
grows with the square root of time, a value with time). That is the observation that the spread follows
the volatility of one trade (Wyart, Bouchaud, Kockelkoren, Potters, Vettorazzo 2008, "Relation between
bid-ask spread, impact and volatility in order-driven markets"), with the traded value standing for the
number of trades, which many sources do not tell. It needs the bar and nothing else, so an array of a
whole history and one bar at a time give the same bits. SHARE, BASE and DEPTH_S are rough: what little
recorded order book there is, and how far the rule is from it, `python -m benchmarks.spreads` shows.
"""

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.orders import Side
from feeds.lake import BarArrays

BASE = 0.5e-4
"""Half spread of the price where much is traded and little moves; the tick grid may add to it."""
SHARE = 0.02
"""Of the five-minute range, at a traded value of a million of the quote currency (taken for dollars)."""
WIDEST = 0.01
DEPTH_S = 30
"""Seconds of the bar's volume that one taker can have at once, the last of it at a worse price."""
_MILLION = 1e6
_LEAST_RANGE, _LEAST_VALUE = 1e-4, 1e4  # a quiet bar is not a tight one
_TO_FIVE_MINUTES = {t: (math.sqrt(5 * MINUTE / t.ns), 5 * MINUTE / t.ns) for t in Timeframe}
"""What a range and a traded value are multiplied with, to be those of five minutes."""


def half_spreads(bars: BarArrays) -> npt.NDArray[np.float64]:
    """Give the half spread [T] of each bar as a fraction of its price."""
    grown, more = _TO_FIVE_MINUTES[bars.timeframe]
    swing = np.maximum((bars.high - bars.low) / bars.close * grown, _LEAST_RANGE)
    value = np.maximum(bars.volume * bars.close * more, _LEAST_VALUE)
    return np.minimum(BASE + SHARE * swing * np.sqrt(_MILLION / value), WIDEST)


def half_spread(bar: Bar) -> float:
    """Give the half spread of one bar: half_spreads without arrays, to the same bit."""
    grown, more = _TO_FIVE_MINUTES[bar.timeframe]
    swing = max((bar.high - bar.low) / bar.close * grown, _LEAST_RANGE)
    value = max(bar.volume * bar.close * more, _LEAST_VALUE)
    return min(BASE + SHARE * swing * math.sqrt(_MILLION / value), WIDEST)


def close_quote(bar: Bar, instrument: Instrument) -> Quote:
    """Give the touch around the bar's close, at its end."""
    return _around(bar.close, half_spread(bar), depth(bar, instrument), instrument, bar.ts_close)


def path(
    bar: Bar,
    instrument: Instrument,
    *,
    held: Decimal,
    stops: Iterable[Decimal],
    limits: Iterable[tuple[Decimal, Side]] = (),
    again: bool = False,
) -> Iterator[Quote]:
    """Give touches from the bar's open to its close: open, adverse, favourable extreme, close.

    `held` is the signed position that the extremes are judged by (flat counts as long), `stops`
    the trigger prices that are passed on the way, `limits` the prices of resting orders with their
    sides, where the other side of the touch comes to them. Times lie inside the bar, the last at its end.
    `again` goes back to the adverse extreme before the close, for accounts to whom it is the good one.
    """
    adverse, favourable = (bar.low, bar.high) if held >= 0 else (bar.high, bar.low)
    corners = [bar.open, adverse, favourable, *([adverse] if again else []), bar.close]
    legs = list(pairwise(corners))
    half, quantity = half_spread(bar), depth(bar, instrument)
    triggers = [float(stop) for stop in stops]
    triggers += [_met(limit, side, half, instrument) for limit, side in limits]
    part = _part(bar, len(legs))
    ts = bar.ts_open + SECOND
    yield _around(bar.open, half, quantity, instrument, ts)
    for number, (begin, end) in enumerate(legs):
        low, high = min(begin, end), max(begin, end)
        for price in sorted((t for t in triggers if low < t < high), reverse=end < begin) if triggers else ():
            share = (price - begin) / (end - begin)
            yield _around(price, half, quantity, instrument, ts + int(share * part))
        ts += part
        yield _around(end, half, quantity, instrument, bar.ts_close if number == len(legs) - 1 else ts)


def _met(limit: Decimal, side: Side, half: float, instrument: Instrument) -> float:
    """Give the price around which the touch just reaches a resting order, half a tick to be sure."""
    tick = float(instrument.price_increment)
    return (float(limit) - tick / 2 * side.sign) / (1 + half * side.sign)


def turn(bar: Bar) -> int:
    """Give when a path that goes `again` has come to the extreme that is favourable to the sum held."""
    return bar.ts_open + SECOND + 2 * _part(bar, 4)


def _part(bar: Bar, legs: int) -> int:
    return (bar.ts_close - bar.ts_open - SECOND) // legs


def depth(bar: Bar, instrument: Instrument) -> Decimal:
    """Give the quantity at the touch; a quiet bar still offers the smallest order."""
    lots = int(bar.volume * (DEPTH_S * SECOND / bar.timeframe.ns) * 10**instrument.quantity_precision)
    return max(Decimal(lots).scaleb(-instrument.quantity_precision), instrument.minimum_quantity)


def _around(price: float, half: float, quantity: Decimal, instrument: Instrument, ts: int) -> Quote:
    """Round outward in whole ticks: integers are several times quicker than dividing decimals."""
    tick, scale = instrument.price_increment, 10**instrument.price_precision
    below, above = price * (1 - half) * scale, price * (1 + half) * scale
    ask = int(above)
    if above > ask:
        ask += 1
    return Quote(instrument.symbol, ts, int(below) * tick, ask * tick, quantity, quantity)
