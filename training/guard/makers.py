"""The proof of every kind of model: chance on a random walk, the optimum where an edge is planted.

Must not know the command line or how any kind learns. Called by training.guard.cli and by tests. Panels,
folds, calibration and makers are those of the shipped models; the question is the coming bar's sign, for
which the best possible answer is known in closed form (training.guard.edge).
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.card import Interval, Kind
from inference.features.spec import FeatureSpec
from training.guard.check import length, made
from training.guard.edge import Edge
from training.guard.lake import VENUE
from training.guard.score import holds, share
from training.labels import BarrierTerms
from training.members import recipe
from training.members.catalogue import maker
from training.members.kept import TEST, Kept
from training.members.member import Maker, Say
from training.members.order import Order
from training.panel.build import build
from training.panel.panel import UNKNOWN, Floats, Followed, Ints

STRENGTH, SPAN = 0.3, 9
"""A bar's drift in its own deviations, and the span of the average on whose side it drifts: column ema_9."""
SEEN_IN = "ema_9"
DECISIONS = 16_000
"""Decision bars behind the warm-up, per instrument."""
WITHIN = 0.02
"""Of the optimum: what a pipeline may miss, in accuracy, over all seeds."""
MARKETS = ("null", "planted")
SHIPPED = ("persistence", "logistic", "lightgbm", "perceptron", "hybrid")


class NextSide(msgspec.Struct, frozen=True):
    """Whether the coming bar of `decision` closes above the last close."""

    decision: Timeframe
    name: str = "next_side"
    classes: tuple[str, ...] = ("down", "up")

    @property
    def horizon_ns(self) -> int:
        return self.decision.ns

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        """Compare closes; a row whose next bar is not there is not known."""
        decided = aggregate(bars, self.decision)
        at = np.searchsorted(decided.ts_close, ts_close)
        later = np.minimum(at + 1, len(decided) - 1)
        moved = decided.close[later] / decided.close[at] - 1.0
        known = decided.ts_close[later] == ts_close + self.decision.ns
        kind = np.where(known, moved > 0, UNKNOWN).astype(np.int8)
        return Followed(kind, np.where(known, moved, np.nan), ts_close + self.decision.ns)

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()


class Proof(msgspec.Struct, frozen=True):
    """One kind of model on one made market; shares are of the rows that it had not seen.

    `right` is how often it named the side, `oracle` how often the planted state did on the same rows,
    `behind` the difference row by row; without an edge both are None and `optimum` is 0.5.
    """

    maker: str
    spec: str
    market: str
    seed: int
    rows: int
    right: Interval
    optimum: float
    oracle: Interval | None
    behind: Interval | None
    passed: bool


def prove(
    spec: FeatureSpec,
    market: str,
    seed: int,
    makers: Sequence[Maker],
    say: Say,
    *,
    pairs: int = 3,
    decisions: int = DECISIONS,
) -> list[Proof]:
    """Carry one order out on a `null` or `planted` market and judge each maker's answers.

    On the planted one the test span is judged, where the final models speak; on the null one every row
    that was answered unseen, out of fold or in the test span, for a leak may sit in either.
    """
    edge = Edge(spec.decision, STRENGTH, SPAN) if market == "planted" else None
    minutes = made(edge, pairs, length(spec, decisions), seed)
    source = min((Timeframe.M5, *spec.timeframes), key=lambda one: one.ns)
    series = [aggregate(bars, source) for bars in minutes]
    target, terms = NextSide(spec.decision), BarrierTerms(spec.decision)
    panel = build(series, spec, [target], terms)
    order = Order(
        name=f"{spec.name}-{market}-{seed}",
        kind=Kind.REGIME,
        target=target,
        maker=makers[0],
        baselines=tuple(makers[1:]) or (_rival(spec, "rival"),),
        terms=terms,
        venue=VENUE,
        source=source,
        test_start=int(np.quantile(panel.ts, 0.65)),
        seed=seed,
        folds=2,
    )
    with tempfile.TemporaryDirectory() as work:
        kept = recipe.craft(order, panel, None, Path(work), say).kept
    judged = kept if edge is None else kept.only(kept.fold == TEST)
    rising = None if edge is None else _rising(edge, series, judged)
    return [judge(one.name, spec, market, seed, judged, edge, rising) for one in makers]


def judge(
    name: str,
    spec: FeatureSpec,
    market: str,
    seed: int,
    kept: Kept,
    edge: Edge | None,
    rising: Floats | None,
) -> Proof:
    """Score one voice; `rising` [rows] is 1 where the planted drift is up."""
    p, up = kept.voices[name], kept.kind == 1
    hits = ((p[:, 1] > p[:, 0]) == up).astype(np.float64)
    right = share(hits, kept.ts)
    optimum, oracle, behind = 0.5, None, None
    passed = holds(right, 0.5)
    if edge is not None and rising is not None:
        best = ((rising > 0) == up).astype(np.float64)
        optimum, oracle, behind = edge.optimum().accuracy, share(best, kept.ts), share(best - hits, kept.ts)
        assert right.low is not None
        assert behind.low is not None
        passed = right.low > 0.5 and behind.low <= WITHIN and not leaks(behind)
    return Proof(name, spec.name, market, seed, len(kept), right, optimum, oracle, behind, passed)


def leaks(behind: Interval) -> bool:
    """Tell whether a model was right more often than the best there is, beyond chance."""
    return (behind.value or 0.0) < 0.0 and not holds(behind, 0.0)


def shipped(spec: FeatureSpec, names: Sequence[str] = SHIPPED) -> list[Maker]:
    """Give the makers by name, of shipped sizes; persistence looks at the column that the edge is about."""
    return [_rival(spec) if name == "persistence" else _maker(name) for name in names]


def over_seeds(proofs: Sequence[Proof]) -> list[tuple[str, str, str, int, float, float, bool]]:
    """Give (maker, spec, market, seeds, mean share right, mean behind, passed) for each kind and market.

    A kind passes if no seed failed; on the planted market its mean must be within WITHIN, too.
    """
    found = []
    for key in dict.fromkeys((one.maker, one.spec, one.market) for one in proofs):
        same = [one for one in proofs if (one.maker, one.spec, one.market) == key]
        right = float(np.mean([one.right.value or 0.0 for one in same]))
        behind = float(np.mean([0.0 if one.behind is None else one.behind.value or 0.0 for one in same]))
        found.append((*key, len(same), right, behind, behind <= WITHIN and all(one.passed for one in same)))
    return found


def page(proofs: Sequence[Proof], command: str) -> Iterable[str]:
    """Give the lines of docs/results/guard-makers.md."""
    summary = over_seeds(proofs)
    failed = [f"{name} on {market}" for name, _, market, *_, passed in summary if not passed]
    yield "# Every kind of model on made markets"
    yield ""
    yield (
        "All kinds stay within chance on the random walk and reach the planted optimum."
        if not failed
        else f"Not all passed: {', '.join(failed)}."
    )
    yield ""
    best = Edge(Timeframe.M15, STRENGTH, SPAN).optimum().accuracy
    yield f"Made by `{command}`."
    yield "Asked is the side of the coming bar. On `null`, a random walk with volatility that clusters,"
    yield "no answer beats 0.5: a share right whose interval leaves it out tells of a leak. On `planted`"
    yield f"each bar drifts by {STRENGTH:g} of its deviation to the side of its EMA of {SPAN} bars on which"
    yield f"the last close lies, and {best:.4f} is the most that anyone can have right"
    yield "(training/guard/edge.py). *Behind* is the oracle's share less the model's on the same rows; a kind"
    yield f"may be {WITHIN:g} behind in the mean over seeds. Persistence is given the column that the edge is"
    yield "about. Intervals of 95 % are over whole days; chance is judged at 3.3 deviations, so that of a"
    yield "thousand honest rows one fails."
    yield ""
    yield "| kind | spec | market | seeds | right, mean | behind, mean | passed |"
    yield "|---|---|---|---:|---:|---:|---|"
    for name, spec, market, seeds, right, behind, passed in summary:
        lag = "-" if market == "null" else f"{behind:+.4f}"
        yield f"| {name} | {spec} | {market} | {seeds} | {right:.4f} | {lag} | {'yes' if passed else 'NO'} |"
    yield ""
    yield HEAD
    yield RULE
    for one in proofs:
        yield as_row(one)


HEAD = "| kind | spec | market | seed | rows | right | oracle | behind | passed |"
RULE = "|---|---|---|---:|---:|---:|---:|---:|---|"


def as_row(proof: Proof) -> str:
    """Give a line of the table by seed."""
    shown = " | ".join(
        "-" if one is None else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        for one in (proof.right, proof.oracle, proof.behind)
    )
    said = "yes" if proof.passed else "NO"
    about = f"| {proof.maker} | {proof.spec} | {proof.market} | {proof.seed} | {proof.rows:,}"
    return f"{about} | {shown} | {said} |"


def _rival(spec: FeatureSpec, called: str = "") -> Maker:
    return maker("persistence", {"past": f"{spec.decision.value}.{SEEN_IN}"}, called=called)


def _maker(name: str) -> Maker:
    if name in ("logistic", "lightgbm", "xgboost"):
        return maker(name)
    if name == "perceptron":
        return maker(name, fit={"epochs": 12, "patience": 4, "rate": 3e-3})
    return maker(name, fit={"epochs": 6, "patience": 3, "rate": 3e-3})


def _rising(edge: Edge, series: Sequence[BarArrays], kept: Kept) -> Floats:
    """Give 1 where the state of a row's instrument says up."""
    found = np.zeros(len(kept))
    for number, bars in enumerate(series):
        own = kept.instrument == number
        ts_close, distance = edge.state(bars)
        found[own] = distance[np.searchsorted(ts_close, kept.ts[own])] * edge.strength > 0
    return found
