"""Tempers of an ensemble: gates that open as often as they say, whatever came of it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from core.errors import DataError, UsageError
from inference.ensemble_card import Policy
from tests.training.stack.kept_answers import kept
from training.members.kept import TEST
from training.stack.seating import seat
from training.stack.variants import VARIANTS, policy


def two_classes(name, kind, seed):
    """Give kept answers of a meta or regime model."""
    one = kept(name)
    p = np.random.default_rng(seed).beta(2, 3, len(one)).astype(np.float32)
    about = msgspec.structs.replace(one.subject, kind=kind, classes=("no", "yes"))
    return replace(one, subject=about, voices={"m": np.column_stack([1 - p, p])})


@pytest.fixture(scope="module")
def members():
    seated = seat([kept("own"), kept("fusion", seed=2), kept("slow", "1h", seed=3, step=1)], Policy())
    return seated, two_classes("meta", "meta", 5), [two_classes("mood", "regime", 6)]


@pytest.mark.parametrize("name", list(VARIANTS))
def test_gates_open_as_often_as_they_say(members, name):
    seated, meta, regimes = members
    temper = VARIANTS[name]
    found, bounds = policy(name, seated, meta, regimes)
    early = meta.p[meta.fold != TEST][:, 1]
    assert np.mean(early >= found.min_take) == pytest.approx(temper.taken, abs=0.002)
    mood = regimes[0].p[regimes[0].fold != TEST][:, 1]
    assert np.mean(mood >= bounds["mood"]) == pytest.approx(temper.lively, abs=0.002)
    if found.abstain == "spread":
        spread = seated.found.spread[seated.rows.ts < seated.rows.subject.test_start]
        assert np.mean(spread <= found.max_spread) == pytest.approx(temper.agreed, abs=0.01)


def test_the_three_are_ordered(members):
    seated, meta, regimes = members
    careful, middle, bold = (policy(name, seated, meta, regimes)[0] for name in VARIANTS)
    assert careful.min_take > middle.min_take > bold.min_take
    assert (careful.min_votes, middle.min_votes, bold.min_votes) == (3, 2, 1)
    assert careful.max_spread < middle.max_spread
    assert (careful.abstain, middle.abstain, bold.abstain) == ("spread", "spread", "none")


def test_what_came_after_and_what_followed_change_nothing(members):
    seated, meta, regimes = members
    before = [policy(name, seated, meta, regimes) for name in VARIANTS]
    other = meta.p.copy()
    other[meta.fold == TEST] = 0.5
    changed = replace(meta, voices={"m": other}, kind=1 - meta.kind.clip(0, 1))
    upside = replace(seated, took=1 - seated.took)
    assert [policy(name, upside, changed, regimes) for name in VARIANTS] == before


def test_the_rest_of_the_policy_stays(members):
    seated, meta, _ = members
    found, bounds = policy("balanced", seated, meta, base=Policy(rate=7.0, half_life_days=90.0))
    assert (found.rate, found.half_life_days, bounds) == (7.0, 90.0, {})


def test_what_cannot_be_is_refused(members):
    seated, meta, _ = members
    with pytest.raises(
        UsageError, match="variant: expected one of conservative, balanced, aggressive; found 'wild'"
    ):
        policy("wild", seated, meta)
    with pytest.raises(DataError, match="meta: expected answers before the test span"):
        policy("balanced", seated, meta.only(meta.fold == TEST))
