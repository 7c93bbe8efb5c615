"""Rows of made markets to learn from before any recorded bar is seen.

Must not know networks. Called by whoever pretrains one. Rows of made markets never enter a validation or a
test span: nothing here gives them a place in time among recorded ones.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.errors import DataError
from core.market import Timeframe
from feeds.lake import aggregate
from inference.features.spec import FeatureSpec
from training.labels import BarrierTerms
from training.members.member import Lesson
from training.panel.build import build
from training.panel.panel import UNKNOWN, Followed, Kinds
from training.synthetic.market import market
from training.targets.target import Target, kinds
from training.targets.weights import uniqueness


def lesson(
    spec: FeatureSpec,
    target: Target,
    terms: BarrierTerms,
    *,
    pairs: int,
    days: int,
    seed: int,
    heads: Mapping[str, Target] | None = None,
    cache: Path | None = None,
) -> Lesson:
    """Give the rows of `spec` on a made market whose class of `target` is known, weighted by uniqueness.

    `heads` are asked beside it, by name; a row may know the one and not the other. Features and answers come
    from the code that reads recorded bars, on bars of 5m or of the specification's finest; nothing is told of
    the patterns. Bounds between classes are fitted on these very rows, which no score is made of. DataError
    where the market is too short for a single row.
    """
    finest = min((Timeframe.M5, *spec.timeframes), key=lambda one: one.ns)
    series = [aggregate(bars, finest) for bars in market(pairs, days, seed)]
    asked = {one.name: one for one in (target, *(heads or {}).values())}
    panel = build(series, spec, list(asked.values()), terms, cache=cache)
    kind = _classes(target, panel.followed[target.name])
    known = np.flatnonzero(kind != UNKNOWN)
    if not len(known):
        raise DataError(
            f"lesson: expected more days of {spec.name}; found {days} and not a row that is known"
        )
    beside = {}
    for name, head in (heads or {}).items():
        told = panel.followed[head.name]
        beside[name] = (_classes(head, told) if head.classes else told.value)[known]
    picked = panel.only(known)
    ended = picked.followed[target.name].ts_end
    weight = uniqueness(picked.instrument, picked.ts, ended, spec.decision.ns)
    return Lesson(picked, kind[known], weight, beside)


def _classes(target: Target, followed: Followed) -> Kinds:
    values = followed.value
    return kinds(followed, target.bounds(values[np.isfinite(values)]))
