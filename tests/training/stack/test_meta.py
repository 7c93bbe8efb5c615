"""A meta-model is made, bound and heard: chance where nobody knows anything, skill where one voter does."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import MINUTE
from core.errors import DataError, UsageError
from inference import ensemble
from inference.artifact import Artifact, load, open_session
from inference.card import CLASSES_OF, Kind
from inference.ensemble_card import Policy, Role
from tests.inference.making import write_ensemble, write_model
from tests.training.stack.kept_answers import HORIZON, PAIRS, kept
from training.members import kept as files
from training.members.kept import TEST
from training.stack.meta import craft
from training.stack.terms import StackTerms

NAMES = ("own", "fusion", "slow")
TERMS = StackTerms(name="meta-15m", folds=2, command="made by a test", version="7")


def answers(*, knows=0.0, seed=1):
    return [
        kept("own", seed=10 * seed, market=seed),
        kept("fusion", seed=10 * seed + 1, market=seed, knows=knows),
        kept("slow", "1h", seed=10 * seed + 2, market=seed, step=1),
    ]


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """Give the folder of a run in which one voter of three knows something, and what it said."""
    root, lines = tmp_path_factory.mktemp("knowing"), []
    craft(answers(knows=0.6), TERMS, out=root / "meta-15m", work=root / "work", say=lines.append)
    return root, lines


@pytest.fixture(scope="module")
def nobody(tmp_path_factory):
    """Give the card of a run in which no voter knows anything."""
    root = tmp_path_factory.mktemp("nobody")
    return craft(answers(seed=3), TERMS, out=root / "meta-15m", work=root / "work")


def test_where_nobody_knows_anything_it_scores_chance(nobody):
    gain, auc = nobody.metrics.log_loss_gain, nobody.metrics.auc
    assert gain.low < 0.002
    assert abs(gain.value) < 0.003
    assert auc.low < 0.5 < auc.high
    assert nobody.parameters["min_take_pays"] == 0.0
    assert nobody.parameters["net_bps_every_high"] < 0


def test_where_one_voter_knows_it_takes_that_one(knowing):
    root, _ = knowing
    card = load(root / "meta-15m").card
    assert card.metrics.auc.low > 0.6
    assert card.metrics.log_loss_gain.low > 0.05
    assert card.metrics.log_loss < card.metrics.log_loss_rival - 0.02, "the blend dilutes it"
    model = load(root / "meta-15m")
    votes, members = shown(fusion=(0.2, 0.3, 0.5))
    against, other = shown(fusion=(0.4, 0.3, 0.3))
    assert take(model, votes, members) > take(model, against, other) + 0.05


def shown(fusion):
    """Give tensors of one row: the blend leans up, one voter as told, the others as the blend."""
    blend = np.array([[0.33, 0.3, 0.37, 0.1, 0.8]], np.float32)
    same = (0.33, 0.3, 0.37, 1.0)
    return blend, np.array([[*same, *fusion, 1.0, *same]], np.float32)


def take(model: Artifact, votes, members) -> float:
    return float(model.run(open_session(model.model), {"votes": votes, "members": members})[0, 1])


def test_a_market_turned_upside_down_is_taken_alike(knowing):
    model = load(knowing[0] / "meta-15m")
    votes, members = shown(fusion=(0.2, 0.3, 0.5))
    turned = members.reshape(1, 3, 4)[:, :, [2, 1, 0, 3]].reshape(1, -1)
    assert take(model, votes, members) == pytest.approx(take(model, votes[:, [2, 1, 0, 3, 4]], turned))


def test_the_card_says_how_it_was_made(knowing):
    root, lines = knowing
    card = load(root / "meta-15m").card
    assert (card.kind, card.voters, card.version) == (Kind.META, NAMES, "7")
    assert card.inputs == {"votes": (5,), "members": (12,)}
    assert "leans" in card.label.rule
    assert (card.label.decision, card.label.horizon_bars) == ("15m", HORIZON)
    assert card.split.test_start == "2023-10-20T00:00:00.000000Z"
    assert card.split.embargo_s == HORIZON * 900
    assert card.edge_threshold == card.parameters["min_take"]
    losses = {name: card.parameters[f"loss_walk.{name}"] for name in ("logistic", "mlp", "lightgbm")}
    assert min(losses.values()) < card.parameters["loss_walk.blend"] < card.parameters["loss_walk.base"]
    assert card.parameters["voted.slow"] > 0.99
    assert "walking forward: lightgbm" in lines


def test_what_it_and_its_rivals_said_is_kept(knowing):
    root, _ = knowing
    said = files.load(root / "work" / "meta-15m.npz")
    card = load(root / "meta-15m").card
    assert said.subject.classes == CLASSES_OF[Kind.META]
    assert (said.subject.name, said.subject.kind, said.subject.model_hash) == (
        "meta-15m", "meta", card.model_hash,
    )  # fmt: skip
    assert {"meta", "blend", "mlp"} <= said.voices.keys()
    assert said.subject.instruments == PAIRS
    assert set(said.fold.tolist()) == {TEST, 1, 2}
    assert np.isfinite(said.p).all()
    np.testing.assert_allclose(said.p.sum(axis=1), 1.0, atol=1e-6)
    assert (said.ts[said.fold == TEST] >= said.subject.test_start).all()
    before = said.fold != TEST
    assert (said.ts_end[before] <= said.subject.test_start - HORIZON * 15 * MINUTE).all()
    three = files.load(root / "work" / "meta-15m-direction.npz")
    assert {"blend", "stack_logistic", "stack_mlp", "stack_lightgbm"} <= three.voices.keys()
    assert three.p.shape == (len(three), 3)
    test = three.fold == TEST
    loss = {name: -np.log(p[test, three.kind[test]]).mean() for name, p in three.voices.items()}
    assert max(loss[name] for name in loss if name != "blend") < loss["blend"] - 0.02


def test_the_same_answers_and_seed_give_the_same_files(knowing, tmp_path):
    root, _ = knowing
    craft(answers(knows=0.6), TERMS, out=tmp_path / "meta-15m", work=tmp_path)
    for name in ("card.json", "model.onnx", "golden.npz"):
        assert (tmp_path / "meta-15m" / name).read_bytes() == (root / "meta-15m" / name).read_bytes()
    for name in ("meta-15m.npz", "meta-15m-direction.npz"):
        assert (tmp_path / name).read_bytes() == (root / "work" / name).read_bytes()


def test_an_ensemble_of_its_voters_accepts_it(knowing, tmp_path):
    root, _ = knowing
    for name, spec in zip(NAMES, ("entry_15m", "entry_15m", "entry_1h"), strict=True):
        write_model(tmp_path / name, spec)
    (tmp_path / "meta-15m").symlink_to(root / "meta-15m")
    members = [tmp_path / name for name in (*NAMES, "meta-15m")]
    write_ensemble(tmp_path / "council", *members, policy=Policy(min_take=0.4))
    assert ensemble.load(tmp_path / "council").of(Role.META)[0].artifact.card.voters == NAMES


def test_refusals_say_what_was_expected(tmp_path):
    (tmp_path / "taken").mkdir()
    Path(tmp_path / "taken" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="expected a new folder or an old artifact"):
        craft(answers(), TERMS, out=tmp_path / "taken", work=tmp_path)
    strange = msgspec.structs.replace(TERMS, fees="gratis")
    with pytest.raises(UsageError, match=r"fees: expected one of gross, .*; found 'gratis'"):
        craft(answers(), strange, out=tmp_path / "out", work=tmp_path)
    late = [one.only(one.fold == TEST) for one in answers()]
    with pytest.raises(DataError, match="expected out-of-fold answers before 2023-10-20"):
        craft(late, TERMS, out=tmp_path / "out", work=tmp_path)
    assert not (tmp_path / "out").exists()
