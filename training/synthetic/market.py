"""Whole made markets: every pattern and mood strung together, each instrument on its own.

Must not know models. Called by training.synthetic.lessons, .cli and by tests. Unlike the null
market of training.guard it can be foreseen, since patterns are completed: it is for learning shapes and
never for judging.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from core.clock import DAY, MINUTE
from core.errors import UsageError
from feeds.lake import BarArrays
from feeds.lake_rows import MS
from feeds.shards import write_parquet
from training.guard.market import START
from training.synthetic.catalogue import COMMON, PATTERNS, Param, Pattern, settled
from training.synthetic.draw import PART, STRAY, Floats, bars, disturbance, weather
from training.synthetic.oracle import WORDS, Actions, best_actions

MOODS = {"calm": 2.0, "usual": 4.0, "wild": 8.0}
"""Deviation of a usual minute in bps, drawn for each stretch."""
ODDS = (0.3, 0.45, 0.25)
REACH = (1.2, 4.0)
"""Height of a pattern in deviations of a walk of its length: at 1.2 it drowns, at 4 it stands out."""
WALKS = 6
"""Stretches without any pattern in each round of all patterns."""
COST = COMMON["cost_bps"].default * 1e-4


class Stretch(msgspec.Struct, frozen=True):
    """One pattern's place in a market: its `minutes` from minute `first` on, cut at the market's end."""

    pattern: str
    first: int
    minutes: int
    height: float
    mood: str


@dataclass(frozen=True, eq=False)
class Made:
    """One instrument: minute bars [T], log closes without noise [T], best actions [T], and its stretches."""

    bars: BarArrays
    path: Floats
    actions: Actions
    stretches: tuple[Stretch, ...]


def market(pairs: int, days: int, seed: int) -> list[BarArrays]:
    """Give minute bars of instruments S0/USD, S1/USD, ... over `days` from 2024-01-01; prices never jump."""
    return [one.bars for one in made(pairs, days, seed)]


def made(pairs: int, days: int, seed: int) -> list[Made]:
    """Give the same with what is known of it: stretches, path and actions at 16 bps a side."""
    if pairs < 1 or days < 1 or seed < 0:
        raise UsageError(
            f"market: expected pairs and days from 1 and a seed from 0; found {pairs}, {days}, {seed}"
        )
    # One stream each, so that an instrument does not depend on how many others there are.
    streams = np.random.default_rng(seed).spawn(pairs)
    return [_instrument(f"S{number}/USD", rng, days) for number, rng in enumerate(streams)]


def shares(found: Sequence[Made]) -> dict[str, float]:
    """Give each pattern's share of all minutes; they sum to 1."""
    total = sum(len(one.bars) for one in found)
    counts = dict.fromkeys(PATTERNS, 0)
    for one in found:
        for stretch in one.stretches:
            counts[stretch.pattern] += stretch.minutes
    return {name: count / total for name, count in counts.items()}


def write_actions(root: Path, found: Sequence[Made]) -> list[Path]:
    """Write ts (ms), pattern and action of minutes to <root>/actions/<BASE-QUOTE>.parquet; give the files."""
    written = []
    for one in found:
        names = np.repeat([s.pattern for s in one.stretches], [s.minutes for s in one.stretches])
        rows = {
            "ts": one.bars.ts_open // MS,
            "pattern": pl.Series(names, dtype=pl.Enum(list(PATTERNS))),
            "action": pl.Series(np.array(WORDS)[one.actions + 1], dtype=pl.Enum(WORDS)),
        }
        path = root / "actions" / f"{one.bars.instrument.replace('/', '-')}.parquet"
        write_parquet(path, pl.DataFrame(rows))
        written.append(path)
    return written


def _instrument(name: str, rng: np.random.Generator, days: int) -> Made:
    minutes = days * DAY // MINUTE
    under = weather(rng, START + np.arange(minutes, dtype=np.int64) * MINUTE)
    path, beside = np.zeros(minutes + 1), np.zeros(minutes + 1)
    sigma, busy = np.zeros(minutes), np.zeros(minutes)
    first, stretches = 0, []
    for chosen in _order(rng):
        if first == minutes:
            break
        params = _params(rng, chosen)
        length = int(params["minutes"])
        mood = list(MOODS)[int(rng.choice(len(MOODS), p=ODDS))]
        usual = 1e-4 * MOODS[mood]
        reach = math.exp(rng.uniform(*np.log(REACH)))
        height = reach * usual * math.sqrt(length)
        skeleton = chosen.skeleton(params)
        heat, traded = skeleton.spread(length)
        # A pattern that the end cuts is drawn whole, under weather that nobody sees.
        excess = np.zeros(length)
        kept = min(length, minutes - first)
        excess[:kept] = under.excess[first : first + kept]
        noise = usual * heat * np.exp(excess)
        stray = STRAY * usual * math.sqrt(length / PART)
        drawn = disturbance(rng, skeleton, noise, stray)
        here = slice(first + 1, first + kept + 1)
        path[here] = path[first] + height * skeleton.path(length)[1 : kept + 1]
        beside[here] = beside[first] + drawn[1 : kept + 1]
        sigma[first : first + kept], busy[first : first + kept] = noise[:kept], traded[:kept]
        stretches.append(Stretch(chosen.name, first, kept, height, mood))
        first += kept
    edges = math.log(COMMON["price"].default) + path + beside
    found = bars(rng, name, under, edges, sigma, busy, COMMON["volume"].default)
    return Made(found, path[1:], best_actions(path[1:], COST), tuple(stretches))


def _order(rng: np.random.Generator) -> Iterator[Pattern]:
    """Give patterns without end: rounds that hold each once and some walks, every round shuffled."""
    once = [*PATTERNS.values(), *[PATTERNS["random_walk"]] * (WALKS - 1)]
    while True:
        for number in rng.permutation(len(once)).tolist():
            yield once[number]


def _params(rng: np.random.Generator, chosen: Pattern) -> dict[str, float]:
    """Draw a pattern's parameters from their usual ranges, the length evenly in its logarithm."""
    drawn = {name: _number(rng, param) for name, param in chosen.params.items() if name not in COMMON}
    low, high = COMMON["minutes"].usual
    minutes = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    if "direction" in drawn:
        drawn["direction"] = float(rng.choice((-1.0, 1.0)))
    return settled(chosen, drawn | {"minutes": minutes})


def _number(rng: np.random.Generator, param: Param) -> float:
    low, high = param.usual
    return float(rng.integers(int(low), int(high) + 1)) if param.whole else float(rng.uniform(low, high))
