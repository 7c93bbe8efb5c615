"""What a plan leaves open about an ensemble follows from answers before the test span."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inference.card import Kind
from inference.ensemble_card import Policy
from tests.inference.making import write_model
from tests.training.stack.kept_answers import kept
from training.members.kept import TEST, save
from training.plan.ensembles import settled
from training.plan.job import Common, Job, Place
from training.plan.schema import Ensemble

COUNCIL = Ensemble(name="council", vote=("own", "fusion"), regime=("mood",), meta="meta")


def two(name, kind):
    one = kept(name)
    p = np.random.default_rng(len(name)).beta(2, 3, len(one)).astype(np.float32)
    about = msgspec.structs.replace(one.subject, kind=kind, classes=("no", "yes"))
    return replace(one, subject=about, voices={"m": np.column_stack([1 - p, p])})


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """Give a place where a meta-model and everybody's answers lie."""
    root: Path = tmp_path_factory.mktemp("plan")
    inputs = {"votes": (5,)}
    write_model(root / "meta", "entry_15m", Kind.META, inputs=inputs, edge_threshold=0.3712)
    for one in (kept("own"), kept("fusion", seed=2), two("meta", "meta"), two("mood", "regime")):
        save(root / f"{one.subject.name}.npz", one)
    return Place(root, root, root)


def settle(place, **changes):
    order = msgspec.structs.replace(COUNCIL, **changes)
    return settled(Job(order, Common("made", "", "", 1, "1", "c.toml"), place), order)


def test_a_meta_models_own_threshold_is_the_ensembles(place):
    assert settle(place) == (Policy(min_take=0.3712), {})
    assert settle(place, policy={"min_take": 0.6}) == (Policy(min_take=0.6), {})
    assert settle(place, meta="") == (Policy(), {})


def test_a_variant_sets_gates_and_the_plan_has_the_last_word(place):
    policy, bounds = settle(place, variant="conservative")
    answers = two("meta", "meta")
    early = answers.p[answers.fold != TEST][:, 1]
    assert np.mean(early >= policy.min_take) == pytest.approx(0.02, abs=0.002)
    assert (policy.min_votes, policy.abstain) == (2, "spread")
    assert bounds["mood"][1] == 1.0
    assert 0.2 < bounds["mood"][0] < 0.6
    stated, own = settle(place, variant="conservative", policy={"min_votes": 1}, bounds={"mood": (0.1, 0.9)})
    assert (stated.min_votes, own) == (1, {"mood": (0.1, 0.9)})
    assert stated.min_take == policy.min_take
