"""The compiled part of a made market: log-volatility, and a price path with its minute bars.

Must not know instruments, clocks or what an edge is for. Called by training.guard.market. Everything
random comes from the generator handed in, in a fixed order, so a seed gives the same bits.
"""

import math

import numba
import numpy as np

SUBSTEPS = 2
"""Normal steps inside a minute; between them the extremes of a Brownian bridge are drawn."""


@numba.njit(cache=True)
def log_volatility(rng, minutes, deviations, half_lives):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Give a sum of stationary AR(1) processes [minutes]; half-lives in minutes, 0 = white noise."""
    out = np.zeros(minutes)
    for deviation, half_life in zip(deviations, half_lives):  # noqa: B905
        keep = 0.5 ** (1.0 / half_life) if half_life > 0.0 else 0.0
        fresh = deviation * math.sqrt(1.0 - keep * keep)
        value = deviation * rng.standard_normal()
        for t in range(minutes):
            out[t] += value
            value = keep * value + fresh * rng.standard_normal()
    return out


@numba.njit(cache=True)
def path(rng, sigma, common, correlation, edge):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Give log prices [4, minutes]: open, high, low, close, starting at 0; the price is a martingale.

    `sigma` [minutes] is the deviation of each minute's log return (0 = quiet), `common` [minutes,
    SUBSTEPS] the market's normal draws. `edge` is (minutes per bar, EMA weight, strength): over the bar
    of variance V that follows, the drift is strength * sqrt(V) towards the side of the EMA on which the
    bar before closed, spread over its minutes as their variance is; strength 0 = no edge.

    Extremes: of a bridge from a to b of variance v, max = (a + b + sqrt((b - a)^2 - 2 v ln U)) / 2
    (Karatzas and Shreve 1991, section 2.8). High and low are drawn apart, which is exact for each alone.
    """
    per_bar, weight, strength = edge
    minutes = len(sigma)
    out = np.empty((4, minutes))
    own = math.sqrt(1.0 - correlation * correlation)
    price, average, push = 0.0, 0.0, 0.0
    for t in range(minutes):
        if strength != 0.0 and t % per_bar == 0:
            if t == per_bar:
                average = price
            elif t > per_bar:
                average += weight * (price - average)
            variance = 0.0
            for later in range(t, min(t + per_bar, minutes)):
                variance += sigma[later] * sigma[later]
            # The first bar seeds the average, so there is no side before the second.
            push = 0.0
            if t > per_bar and variance > 0.0:
                push = strength * np.sign(price - average) / math.sqrt(variance)
        step_variance = sigma[t] * sigma[t] / SUBSTEPS
        deviation = math.sqrt(step_variance)
        drift = (push - 0.5) * step_variance
        out[0, t] = price
        high = low = price
        for k in range(SUBSTEPS):
            before = price
            draw = correlation * common[t, k] + own * rng.standard_normal()
            price += drift + deviation * draw
            moved = (price - before) ** 2
            middle = 0.5 * (before + price)
            up, down = 1.0 - rng.random(), 1.0 - rng.random()
            high = max(high, middle + 0.5 * math.sqrt(moved - 2.0 * step_variance * math.log(up)))
            low = min(low, middle - 0.5 * math.sqrt(moved - 2.0 * step_variance * math.log(down)))
        out[1, t], out[2, t], out[3, t] = high, low, price
    return out
