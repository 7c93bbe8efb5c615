"""The proof of a pipeline: chance where nothing can be foreseen, the optimum where an edge is planted.

Must not know the command line. Called by training.guard.cli and by tests. It trains with the real
recipe on a made market and scores the written artifact on another one that the recipe never saw.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.artifact import INPUT, load, open_session
from inference.card import Interval, Metrics
from inference.features.spec import SPECS, FeatureSpec
from training.dataset import build
from training.guard.edge import Edge
from training.guard.lake import VENUE, write_lake
from training.guard.market import null_market, planted_market
from training.guard.score import holds, share
from training.labels import DOWN, HOLD, UP, BarrierTerms
from training.provenance import Recipe
from training.recipe import train

Floats = npt.NDArray[np.float64]

STRENGTH, SPAN = 0.2, 50
"""A bar's drift in its deviations: the next bar's sign is known 58 times in 100, and since drift lasts for
some fifty bars, the side of a label of 24 bars nearly 80 times. Half of this drift needs several years of
bars to be found whole, by trees as careful as the shipped ones."""
DECISIONS = 8_000
"""Decision bars behind the warm-up, per instrument."""
LEAST_DAYS, MOST_DAYS = 80, 3_000
"""Intervals are made of days, and too few of them make it too narrow."""
UNSEEN_SEED = 1_000
"""Added to a market's seed for the one that the artifact is scored on."""


class Finding(msgspec.Struct, frozen=True):
    """One pipeline on one made market.

    `auc` is the card's, of the recipe's own test span. `side` is the share of moved rows of an unseen
    market whose barrier the artifact named; `oracle` that of the planted state, which is the best there
    is: a path and its mirror image are equally likely, so no answer beats the side of the drift.
    """

    spec: str
    market: str
    seed: int
    days: int
    rows: int
    auc: Interval
    side: Interval
    oracle: Interval | None
    behind: Interval | None
    """`oracle` minus `side`, row by row."""
    passed: bool


def check(
    spec: FeatureSpec, market: str, seed: int, folder: Path, *, pairs: int = 3, decisions: int = DECISIONS
) -> Finding:
    """Train `spec` on a `null` or `planted` market in `folder`, and score it on an unseen one."""
    edge = Edge(spec.decision, STRENGTH, SPAN) if market == "planted" else None
    source = min((Timeframe.M5, *spec.timeframes), key=lambda one: one.ns)
    terms = BarrierTerms(spec.decision)
    days = length(spec, decisions)
    write_lake(folder / "lake", made(edge, pairs, days, seed), source)
    recipe = Recipe(spec.name, spec, VENUE, source, terms, seed=seed, max_rows=40_000)
    card = train(recipe, folder / "lake", folder / "model", lambda _: None)
    assert isinstance(card.metrics, Metrics)
    minutes = made(edge, pairs, days, seed + UNSEEN_SEED)
    unseen = [aggregate(bars, source) for bars in minutes]
    hits, oracle, ts = score(folder / "model", unseen, terms, edge)
    side = share(hits, ts)
    best = None if edge is None else share(oracle, ts)
    behind = None if edge is None else share(oracle - hits, ts)
    return Finding(
        spec=spec.name,
        market=market,
        seed=seed,
        days=days,
        rows=len(ts),
        auc=card.metrics.auc,
        side=side,
        oracle=best,
        behind=behind,
        passed=found(side, best) if best else holds(side, 0.5) and holds(card.metrics.auc, 0.5),
    )


def found(side: Interval, oracle: Interval) -> bool:
    """Tell whether the edge was found, and its optimum is one that `side` does not exclude."""
    assert oracle.value is not None
    return side.low is not None and side.low > 0.5 and holds(side, oracle.value)


def made(edge: Edge | None, pairs: int, days: int, seed: int) -> list[BarArrays]:
    """Give the minutes of the null market, or of the one with `edge`."""
    return null_market(pairs, days, seed) if edge is None else planted_market(pairs, days, seed, edge=edge)


def shipped() -> tuple[str, ...]:
    """Name the specifications that trees of an entry model can be trained on."""
    return tuple(name for name, spec in SPECS.items() if name.startswith("entry_") and not spec.windows)


def as_row(finding: Finding) -> str:
    """Give a line of the Markdown table."""
    figures = (finding.auc, finding.side, finding.oracle)
    shown = " | ".join(
        "-" if one is None else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in figures
    )
    said = "yes" if finding.passed else "NO"
    return f"| {finding.spec} | {finding.market} | {finding.seed} | {finding.rows:,} | {shown} | {said} |"


def length(spec: FeatureSpec, decisions: int) -> int:
    """Give the days that a market needs for this many decisions under this specification."""
    wanted = -(-decisions * spec.decision.ns // DAY)
    warm_up = max(block.warm_up * block.timeframe.ns for block in spec.needed)
    return -(-warm_up // DAY) + min(max(wanted, LEAST_DAYS), MOST_DAYS)


def score(
    artifact: Path, series: Sequence[BarArrays], terms: BarrierTerms, edge: Edge | None
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Give hits of the artifact and of the oracle (0 or 1) and the times of all rows that moved."""
    model = load(artifact)
    session = open_session(model.model)
    hits, oracle, times = [], [], []
    for bars, rows in zip(series, build(series, model.spec, terms), strict=True):
        moved = rows.kind != HOLD
        p = model.run(session, {INPUT: rows.x[moved]})
        up, ts = rows.kind[moved] == UP, rows.outcomes.ts[moved]
        hits.append((p[:, UP] > p[:, DOWN]) == up)
        times.append(ts)
        if edge is not None:
            ts_close, distance = edge.state(bars)
            rising = distance[np.searchsorted(ts_close, ts)] * edge.strength > 0
            oracle.append(rising == up)
    right = np.concatenate(hits).astype(np.float64)
    best = np.concatenate(oracle).astype(np.float64) if edge else np.zeros(0)
    return right, best, np.concatenate(times)
