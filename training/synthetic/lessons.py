"""Rows of made markets to learn from before any recorded bar is seen.

Must not know networks. Called by training.plan.networks. Rows of made markets never enter a validation or a
test span: nothing here gives them a place in time among recorded ones.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.errors import DataError
from inference.features.spec import FeatureSpec
from training.labels import BarrierTerms
from training.members.member import Lesson
from training.panel.build import build
from training.panel.panel import UNKNOWN, Followed, Kinds
from training.synthetic.market import market
from training.targets.target import Target, kinds


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
    """Give the rows of `spec` on a made market whose class of `target` is known, with the panel's weights.

    `heads` are asked beside it, by name; a row may know the one and not the other. Features and answers come
    from the code that reads recorded bars, on the minutes; nothing is told of the patterns. Bounds between
    classes are fitted on these very rows, which no score is made of. `cache` is that of training.panel.build.
    DataError where the market is too short for a single row.
    """
    asked = {one.name: one for one in (target, *(heads or {}).values())}
    panel = build(market(pairs, days, seed), spec, list(asked.values()), terms, cache=cache)
    rows = panel.only(np.isfinite(panel.paid.long_return))
    kind = _classes(target, rows.followed[target.name])
    beside = {}
    for name, head in (heads or {}).items():
        told = rows.followed[head.name]
        beside[name] = _classes(head, told) if head.classes else told.value
    known = kind != UNKNOWN
    if not known.any():
        raise DataError(
            f"lesson: expected more days of {spec.name}; found {days} and not a row that is known"
        )
    return Lesson(rows, kind, rows.weight, beside).only(known)


def _classes(target: Target, followed: Followed) -> Kinds:
    values = followed.value
    return kinds(followed, target.bounds(values[np.isfinite(values)]))
