"""The public door: one pattern as a table of bars, with the action that its path would have paid for.

Must not know pictures or the command line. Called by people, training.synthetic.pictures and tests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.clock import MINUTE
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from feeds.lake_rows import MS
from training.guard.market import START
from training.synthetic.catalogue import check_number, pattern, settled
from training.synthetic.draw import PART, STRAY, Floats, bars, disturbance, weather
from training.synthetic.oracle import WORDS, Actions, best_actions

MOST_NOISE = 10.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """A pattern as bars [T], the log closes [T] that it would have without noise, and the actions [T]."""

    bars: BarArrays
    path: Floats
    actions: Actions


def generate_synthetic_pattern(
    pattern_type: str,
    params: Mapping[str, float] | None = None,
    noise_level: float = 0.05,
    *,
    seed: int = 1,
) -> pl.DataFrame:
    """Give one pattern as rows in time order: ts, open, high, low, close, volume, trades, vwap, action.

    `ts` is ms UTC of the open, as in a lake. `params` are the pattern's own and the common ones
    (training.synthetic.catalogue lists names, defaults and ranges; minutes, height, price, volume,
    cost_bps and bar_minutes are every pattern's). `noise_level` is the deviation, in heights of the
    pattern, of the noise that gathers in a twentieth of its time; 0 = the bare path. `action` is the
    position (`long`, `short`, `flat`) to take at the bar's close and to hold through the next bar, by a
    trader who knows the path without noise and pays `cost_bps` a side: training.synthetic.oracle.
    UsageError for an unknown pattern, parameter, or a number out of its range.
    """
    drawn = draw_pattern(pattern_type, params, noise_level, seed=seed)
    found = drawn.bars
    names = ("open", "high", "low", "close", "volume", "trades", "vwap")
    words = pl.Series(np.array(WORDS)[drawn.actions + 1], dtype=pl.Enum(WORDS))
    return pl.DataFrame(
        {"ts": found.ts_open // MS, **{name: getattr(found, name) for name in names}, "action": words}
    )


def draw_pattern(
    pattern_type: str, params: Mapping[str, float] | None, noise_level: float, *, seed: int
) -> Drawn:
    """Give the same as arrays, with the path that has no noise; raises as the door does."""
    chosen = pattern(pattern_type)
    all_params = settled(chosen, params)
    check_number("noise_level", noise_level, 0.0, MOST_NOISE)
    check_number("seed", seed, 0, 2**63, whole=True)
    minutes, height = int(all_params["minutes"]), all_params["height"]
    skeleton = chosen.skeleton(all_params)
    heat, busy = skeleton.spread(minutes)
    rng = np.random.default_rng(seed)
    under = weather(rng, START + np.arange(minutes, dtype=np.int64) * MINUTE)
    # Clusters move noise about in time; heat alone adds to it.
    nervous = np.exp(under.excess)
    nervous *= heat / math.sqrt(float(np.mean(nervous * nervous)))
    sigma = noise_level * height * math.sqrt(PART / minutes) * nervous
    level = math.log(all_params["price"]) + height * skeleton.path(minutes)
    edges = level + disturbance(rng, skeleton, sigma, STRAY * noise_level * height)
    fine = bars(rng, "S0/USD", under, edges, sigma, busy, all_params["volume"])
    step = int(all_params["bar_minutes"])
    coarse = aggregate(fine, next(one for one in Timeframe if one.minutes == step))
    return Drawn(coarse, level[step::step], best_actions(level[step::step], all_params["cost_bps"] * 1e-4))
