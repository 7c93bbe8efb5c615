"""An entry model's skill on every choice of test spans: combinatorial purged cross-validation.

Must not know the command line, fees or the engine: there is no order of time in it, so it says how much the
skill depends on which months were tested, and the walk-forward says what could have been had. Called by
training.cross.cli and by tests.
"""

from math import comb
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY, SECOND
from core.errors import DataError
from inference.artifact import scaled
from training import columns, normalise, trees
from training.alignment import embargo_ns
from training.cross.purged import combinatorial
from training.dataset import Rows, build, joined
from training.evaluate import auc, log_loss
from training.labels import DOWN, HOLD, UP
from training.provenance import Recipe, read
from training.recipe import Say

Floats = npt.NDArray[np.float64]


class PathFigures(msgspec.Struct, frozen=True):
    """One path through all of time, every span of it out of sample; `gain` in nats over the base rates."""

    auc: float
    gain: float


class CrossValidation(msgspec.Struct, frozen=True):
    """All paths.

    `purged` is the mean share of rows that neither trained nor tested; `shuffled` is the AUC that five
    folds of shuffled rows show, which is what labels that overlap tell each other.
    """

    rows: int
    groups: int
    tested: int
    splits: int
    embargo_s: int
    purged: float
    paths: tuple[PathFigures, ...]
    shuffled: float


class _Answers(NamedTuple):
    p: Floats
    shares: Floats


def cross_validate(recipe: Recipe, lake: Path, *, groups: int, tested: int, say: Say) -> CrossValidation:
    """Fit a model for every choice of `tested` out of `groups` spans; `recipe.max_rows` thins the instants.

    Rounds are the most there are and nothing is calibrated: no span is left to settle them on. Raises as
    training.recipe.train and training.cross.purged.combinatorial do.
    """
    columns.require_no_tape(recipe.spec)
    say("reading bars, folding features, walking labels")
    rows = _thinned(joined(list(build(read(recipe, lake), recipe.spec, recipe.terms))), recipe.max_rows)
    embargo = embargo_ns(recipe.spec, recipe.terms.horizon_ns)
    times = rows.outcomes.ts, rows.outcomes.ts_end
    per_path = comb(groups - 1, tested - 1)
    found = [_Answers(np.zeros((len(rows), 3)), np.zeros((len(rows), 3))) for _ in range(per_path)]
    seen = np.zeros(len(rows), np.int64)
    left_out = []
    splits = combinatorial(*times, groups=groups, tested=tested, embargo=embargo)
    for number, (train, test) in enumerate(splits, 1):
        say(f"split {number} of {comb(groups, tested)}")
        if not len(train):
            raise DataError(
                f"cross-validation: expected rows to train on beside {tested} of {groups} test spans and an "
                f"embargo of {embargo / DAY:.1f} days; found none in split {number}"
            )
        answers = _fitted(rows, train, test, recipe)
        left_out.append(1.0 - (len(train) + len(test)) / len(rows))
        # The n-th time that a row is tested belongs to the n-th path.
        for path in range(per_path):
            here = seen[test] == path
            found[path].p[test[here]] = answers.p[here]
            found[path].shares[test[here]] = answers.shares[here]
        seen[test] += 1
    say("shuffled, to compare")
    return CrossValidation(
        rows=len(rows),
        groups=groups,
        tested=tested,
        splits=comb(groups, tested),
        embargo_s=embargo // SECOND,
        purged=float(np.mean(left_out)),
        paths=tuple(_figures(rows, one) for one in found),
        shuffled=_shuffled(rows, recipe),
    )


def _thinned(rows: Rows, most: int) -> Rows:
    """Keep every n-th instant of all instruments together."""
    instants, place = np.unique(rows.outcomes.ts, return_inverse=True)
    step = max(1, -(-len(rows) // most))
    return rows.only((np.arange(len(instants)) % step == 0)[place])


def _fitted(
    rows: Rows, train: npt.NDArray[np.int64], test: npt.NDArray[np.int64], recipe: Recipe
) -> _Answers:
    x, kind = rows.x[train], rows.kind[train]
    scaler = normalise.fit(x) if recipe.scaled else None
    booster = trees.fit(scaled(scaler, x), kind, recipe.seed)
    p = trees.chances(booster, scaled(scaler, rows.x[test]))
    shares = np.bincount(kind, minlength=3) / len(kind)
    return _Answers(p, np.broadcast_to(shares, p.shape))


def _figures(rows: Rows, answers: _Answers) -> PathFigures:
    moved = rows.kind != HOLD
    edge = answers.p[:, UP] - answers.p[:, DOWN]
    gain = log_loss(answers.shares, rows.kind) - log_loss(answers.p, rows.kind)
    return PathFigures(auc(edge[moved], rows.kind[moved] == UP), float(gain.mean()))


def _shuffled(rows: Rows, recipe: Recipe) -> float:
    fold = np.random.default_rng(recipe.seed).permutation(len(rows)) % 5
    p = np.zeros((len(rows), 3))
    for number in range(5):
        test = np.flatnonzero(fold == number)
        p[test] = _fitted(rows, np.flatnonzero(fold != number), test, recipe).p
    return _figures(rows, _Answers(p, np.full_like(p, 1 / 3))).auc
