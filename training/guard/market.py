"""Made markets for proofs: one that nobody can foresee, and one with an edge of known size.

Must not know pipelines or files. Called by training.guard.lake, training.guard.check and by tests.
Volatility clusters and has its hours and weekdays, tails are fat by a random clock, volume follows
volatility, and instruments share a factor: all of that may be foreseen, the sign may not.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR, MINUTE
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import BarArrays
from training.guard.edge import Edge
from training.guard.walk import SUBSTEPS, log_volatility, path

START = parse_iso("2024-01-01T00:00:00Z")

# Measured on 73 days of Binance BTC/USDT minutes (docs/results/guard-markets.md): mean |return|
# of each hour UTC and weekday (Monday first) over the mean of all.
HOURS = np.fromstring(
    "1.13 1.06 0.95 0.81 0.69 0.70 0.71 0.80 0.80 0.78 0.75 0.72 "
    "0.93 1.38 1.61 1.31 1.30 1.19 1.12 1.12 1.06 1.11 1.05 0.93",
    sep=" ",
)
WEEKDAYS = np.array([1.08, 1.13, 1.07, 1.12, 1.21, 0.62, 0.78])

# Log-volatility: deviations and half-lives in minutes of days, hours, ten minutes, and the random clock.
DEVIATIONS = np.array([0.30, 0.28, 0.32, 0.35])
HALF_LIVES = np.array([2_880.0, 240.0, 10.0, 0.0])
SHARED = 0.7
"""Share of the variance of log-volatility that all instruments have in common."""

# Log-volume: elasticity to volatility, then its own noise as above.
ELASTICITY = 1.3
VOLUME_DEVIATIONS = np.array([0.40, 0.55])
VOLUME_HALF_LIVES = np.array([180.0, 0.0])
MEAN_TRADES = 20.0
NO_EDGE = (1, 0.0, 0.0)

Floats = npt.NDArray[np.float64]


class Shape(msgspec.Struct, frozen=True):
    """What may differ between made markets. `minute_bps` is the deviation of a median minute's return."""

    minute_bps: float = 4.0
    correlation: float = 0.8
    """Of each instrument with the common factor; of two instruments its square."""
    price: float = 100.0
    volume: float = 50.0
    quiet_share: float = 0.0
    """Share of minutes without a trade."""
    holes_per_day: float = 0.0
    mean_hole_minutes: float = 30.0
    tick: float = 0.0
    """Price grid; 0 = none. A coarse one makes returns bounce, which can be foreseen."""


@dataclass(frozen=True)
class _Shared:
    """What all instruments of a market have in common, [minutes, ...]."""

    ts_open: npt.NDArray[np.int64]
    season: Floats
    log_volatility: Floats
    draws: Floats


def null_market(pairs: int, days: int, seed: int, shape: Shape | None = None) -> list[BarArrays]:
    """Give minute bars of `pairs` instruments over `days` from START; each price is a martingale."""
    return _market(pairs, days, seed, shape or Shape(), NO_EDGE)


def planted_market(
    pairs: int, days: int, seed: int, *, edge: Edge, shape: Shape | None = None
) -> list[BarArrays]:
    """Give the same market with `edge` in every instrument: `edge.optimum()` is the best there is.

    Exact where no minute is missing and no grid rounds the closes.
    """
    planted = (edge.decision.minutes, edge.weight, edge.strength)
    return _market(pairs, days, seed, shape or Shape(), planted)


def symbols(pairs: int) -> tuple[str, ...]:
    """Give the instruments' names."""
    return tuple(f"G{number}/USD" for number in range(pairs))


def season(ts_open: npt.NDArray[np.int64]) -> Floats:
    """Give the log of what is usual at each time (ns) for |returns|: its hour's and its weekday's part."""
    hours: Floats = np.log(HOURS[ts_open // HOUR % 24] * WEEKDAYS[(ts_open // DAY + 3) % 7])
    return hours


def busyness(rng: np.random.Generator, excess: Floats) -> Floats:
    """Give each minute's volume over that of a usual one; `excess` [minutes] is its log-volatility."""
    noise = log_volatility(rng, len(excess), VOLUME_DEVIATIONS, VOLUME_HALF_LIVES)
    found: Floats = np.exp(ELASTICITY * excess + noise)
    return found


def _market(
    pairs: int, days: int, seed: int, shape: Shape, edge: tuple[int, float, float]
) -> list[BarArrays]:
    # One stream each, so that an instrument's bars do not depend on how many others there are.
    streams = np.random.default_rng(seed).spawn(pairs + 1)
    ts_open = START + np.arange(days * DAY // MINUTE, dtype=np.int64) * MINUTE
    shared = _Shared(
        ts_open=ts_open,
        season=season(ts_open),
        log_volatility=log_volatility(streams[0], len(ts_open), DEVIATIONS, HALF_LIVES),
        draws=streams[0].standard_normal((len(ts_open), SUBSTEPS)),
    )
    named = zip(symbols(pairs), streams[1:], strict=True)
    return [_instrument(name, rng, shared, shape, edge) for name, rng in named]


def _instrument(
    name: str, rng: np.random.Generator, shared: _Shared, shape: Shape, edge: tuple[int, float, float]
) -> BarArrays:
    minutes = len(shared.ts_open)
    own = log_volatility(rng, minutes, DEVIATIONS, HALF_LIVES)
    excess = shared.season + np.sqrt(SHARED) * shared.log_volatility + np.sqrt(1.0 - SHARED) * own
    quiet = rng.random(minutes) < shape.quiet_share
    sigma = np.where(quiet, 0.0, 1e-4 * shape.minute_bps * np.exp(excess))
    prices = shape.price * np.exp(path(rng, sigma, shared.draws, shape.correlation, edge))
    if shape.tick > 0.0:
        prices = np.maximum(np.round(prices / shape.tick), 1.0) * shape.tick
    busy = np.where(quiet, 0.0, busyness(rng, excess))
    opened, high, low, close = prices
    bars = {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": shape.volume * busy,
        "vwap": np.clip((high + low + close) / 3.0, low, high),
        "trades": np.ceil(MEAN_TRADES * busy).astype(np.int32),
    }
    there = ~_holes(rng, minutes, shape)
    kept = {column: values[there] for column, values in bars.items()}
    return BarArrays(name, Timeframe.M1, shared.ts_open[there], **kept)


def _holes(rng: np.random.Generator, minutes: int, shape: Shape) -> npt.NDArray[np.bool_]:
    """Tell which minutes nobody recorded; the price goes on meanwhile."""
    gone = np.zeros(minutes, np.bool_)
    count = rng.poisson(shape.holes_per_day * minutes * MINUTE / DAY)
    starts = rng.integers(minutes, size=count)
    lengths = rng.geometric(1.0 / shape.mean_hole_minutes, size=count)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        gone[start : start + length] = True
    return gone
