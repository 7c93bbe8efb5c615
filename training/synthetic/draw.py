"""From a path without noise to minute bars: a walk that comes back at the turning points, and volume.

Must not know what patterns there are. Called by training.synthetic.generate and .market. Clustering,
hours, weekdays and volume are those of training.guard.market.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import BarArrays
from training.guard.market import DEVIATIONS, HALF_LIVES, MEAN_TRADES, busyness, season
from training.guard.walk import log_volatility
from training.synthetic.skeleton import Skeleton

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PART = 20
"""Noise is stated for a twentieth of a pattern's time."""
STRAY = 0.5
"""Deviation of a turning point from its level, over that of the noise in a twentieth of the time."""


@dataclass(frozen=True)
class Weather:
    """What lies under all patterns of one instrument, [minutes]: times of the opens and log-volatility."""

    ts_open: Ints
    excess: Floats


def weather(rng: np.random.Generator, ts_open: Ints) -> Weather:
    """Draw how nervous each minute is: its hour, its weekday, and clusters that come and go."""
    return Weather(ts_open, season(ts_open) + log_volatility(rng, len(ts_open), DEVIATIONS, HALF_LIVES))


def disturbance(rng: np.random.Generator, skeleton: Skeleton, sigma: Floats, stray: float) -> Floats:
    """Draw the noise of one pattern: log price beside the path at the edges of minutes, [minutes + 1].

    A walk with deviations `sigma` [minutes]. Pinned, it is a Brownian bridge in its own variance from
    turning point to turning point, each of which strays by a normal draw of deviation `stray`.
    """
    walk = np.concatenate([[0.0], np.cumsum(sigma * rng.standard_normal(len(sigma)))])
    knots = skeleton.knots(len(sigma))
    strays = stray * rng.standard_normal(len(knots))
    strays[0] = 0.0
    variance = np.concatenate([[0.0], np.cumsum(sigma * sigma)])
    if not skeleton.pinned or variance[-1] == 0.0:
        return walk
    return walk + np.interp(variance, variance[knots], strays - walk[knots])


def bars(
    rng: np.random.Generator,
    instrument: str,
    under: Weather,
    edges: Floats,
    sigma: Floats,
    busy: Floats,
    volume: float,
) -> BarArrays:
    """Give minute bars of log prices at the `edges` of minutes [minutes + 1]; `busy` multiplies volume.

    Extremes: of a bridge from a to b of variance v, max = (a + b + sqrt((b - a)^2 - 2 v ln U)) / 2
    (Karatzas and Shreve 1991, section 2.8), high and low apart. Without noise the ends are the extremes.
    """
    opened, closed = edges[:-1], edges[1:]
    moved, middle = (closed - opened) ** 2, 0.5 * (opened + closed)
    up, down = 1.0 - rng.random(len(sigma)), 1.0 - rng.random(len(sigma))
    high = middle + 0.5 * np.sqrt(moved - 2.0 * sigma * sigma * np.log(up))
    low = middle - 0.5 * np.sqrt(moved - 2.0 * sigma * sigma * np.log(down))
    prices = np.exp(np.array([opened, high, low, closed]))
    # Roots and exponents round: the ends must still lie within the extremes, and be them without noise.
    first, top, bottom, last = prices
    above, below = np.maximum(first, last), np.minimum(first, last)
    top = np.where(sigma > 0.0, np.maximum(top, above), above)
    bottom = np.where(sigma > 0.0, np.minimum(bottom, below), below)
    usual = busy * busyness(rng, under.excess)
    return BarArrays(
        instrument,
        Timeframe.M1,
        under.ts_open,
        open=first,
        high=top,
        low=bottom,
        close=last,
        volume=volume * usual,
        vwap=np.clip((top + bottom + last) / 3.0, bottom, top),
        trades=np.ceil(MEAN_TRADES * usual).astype(np.int32),
    )
