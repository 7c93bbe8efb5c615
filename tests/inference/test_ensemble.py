import shutil
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from core.errors import ModelError
from core.market import Timeframe
from inference import ensemble
from inference.artifact import load as load_model
from inference.card import Conformal, Kind, LabelTerms
from inference.card_check import check
from inference.ensemble_card import MemberRef, Policy, Role, SanityLimits, decode, encode, identity, sealed
from tests.inference import making
from tests.inference.making import SHIPPED, write_ensemble, write_model

VOTES = {"votes": (5,)}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    """Three voters of two timeframes, a regime model, a meta-model and a manager; the last two inside."""
    root = tmp_path_factory.mktemp("models")
    write_model(root / "quarter")
    write_model(root / "fast", "entry_5m", seed=2)
    write_model(root / "hour", "entry_1h", seed=3)
    write_model(root / "regime", "entry_1h", Kind.REGIME, seed=4)
    write_model(root / "volume", "entry_1h", Kind.VOLUME, seed=7)
    folder = root / "blend"
    write_model(folder / "meta", "entry_15m", Kind.META, seed=5, inputs=VOTES)
    write_model(folder / "manager", "entry_15m", Kind.MANAGER, seed=6, inputs={"position": (5,)})
    members = [
        root / "quarter",
        root / "fast",
        root / "hour",
        root / "regime",
        folder / "meta",
        folder / "manager",
    ]
    write_ensemble(folder, *members)
    return root


@pytest.fixture
def copied(shelf, tmp_path) -> Path:
    """Give a copy of the shelf's ensemble that may be spoilt."""
    return shutil.copytree(shelf, tmp_path / "shelf") / "blend"


def rewrite(folder: Path, **changes) -> None:
    card = decode((folder / "ensemble.json").read_bytes())
    (folder / "ensemble.json").write_bytes(encode(sealed(msgspec.structs.replace(card, **changes))))


def assert_refused(folder: Path, words: str) -> None:
    with pytest.raises(ModelError, match=words) as refused:
        ensemble.load(folder)
    assert "\n" not in str(refused.value)
    found = ensemble.verify(folder)
    assert (found["ok"], found["error"]) == (False, str(refused.value))


def test_members_inside_and_beside_are_proved_and_come_by_role(shelf):
    found = ensemble.load(shelf / "blend")
    assert [member.ref.name for member in found.of(Role.VOTE)] == ["quarter", "fast", "hour"]
    assert [member.artifact.card.kind for member in found.of(Role.MANAGER)] == [Kind.MANAGER]
    assert found.decision is Timeframe.M15
    assert set(found.timeframes) == {Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4}
    assert found.label == LabelTerms("15m", 3.0, 24)
    proof = ensemble.verify(shelf / "blend")
    assert proof["ok"], proof["error"]
    assert (proof["kind"], proof["decision"], proof["model_hash"]) == ("ensemble", "15m", found.model_hash)
    assert len(proof["members"]) == 6


@pytest.mark.parametrize("name", ["entry-5m", "entry-15m", "entry-1h"])
def test_single_model_is_an_ensemble_of_one_with_the_same_hash(name):
    found, model = ensemble.load(SHIPPED / name), load_model(SHIPPED / name)
    assert (found.model_hash, found.name, found.label) == (model.model_hash, name, model.card.label)
    assert [member.ref.role for member in found.members] == [Role.VOTE]
    assert found.timeframes == model.spec.timeframes
    assert ensemble.verify(SHIPPED / name)["kind"] == "entry"


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda folder: folder.name)
def test_everything_that_is_shipped_proves_itself(folder):
    found = ensemble.verify(folder)
    assert found["ok"], found["error"]


def test_model_that_opens_no_trades_is_no_ensemble(shelf):
    with pytest.raises(ModelError, match="regime: expected an entry model or an ensemble; found kind regime"):
        ensemble.load(shelf / "regime")
    assert ensemble.verify(shelf / "regime")["ok"]  # as a model it is whole


def test_card_survives_its_text_and_the_hash_covers_everything(shelf):
    card = decode((shelf / "blend" / "ensemble.json").read_bytes())
    assert decode(encode(card)) == card
    assert identity(card) == card.model_hash
    for change in ({"version": "9"}, {"members": card.members[:1]}, {"policy": Policy(cap=0.5)}):
        assert identity(msgspec.structs.replace(card, **change)) != card.model_hash


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[1]"])
def test_unreadable_card_is_refused(copied, text):
    (copied / "ensemble.json").write_bytes(text)
    assert_refused(copied, "expected an ensemble of schema 1")


def test_any_change_of_the_card_is_refused(copied):
    card = copied / "ensemble.json"
    card.write_text(card.read_text().replace('"rate": 20.0', '"rate": 21.0'))
    assert_refused(copied, "expected model_hash")


def test_altered_member_is_refused_with_its_own_reason(copied):
    model = copied.parent / "hour" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    assert_refused(copied, "hour: expected sha256 of model.onnx")


def test_member_that_was_replaced_by_a_whole_other_model_is_refused(copied):
    shutil.rmtree(copied.parent / "hour")
    write_model(copied.parent / "hour", "entry_1h", seed=99)
    assert_refused(copied, "expected model_hash of member hour")


def test_files_that_no_member_names_are_refused(copied):
    (copied / "notes.txt").write_text("")
    assert_refused(copied, "expected files")


@pytest.mark.parametrize("folder", ["/etc", "../../blend", "..", "a/b", "../a/b", "..\\hour", "../..", "/"])
def test_folders_elsewhere_are_not_looked_at(copied, folder):
    card = decode((copied / "ensemble.json").read_bytes())
    rewrite(copied, members=(msgspec.structs.replace(card.members[0], folder=folder), *card.members[1:]))
    assert_refused(copied, "expected (member quarter in a folder inside or beside|files)")


@pytest.mark.parametrize("folder", ["", "."])
def test_folder_of_the_ensemble_itself_is_no_member(copied, folder):
    card = decode((copied / "ensemble.json").read_bytes())
    rewrite(copied, members=(msgspec.structs.replace(card.members[0], folder=folder), *card.members[1:]))
    assert_refused(copied, "expected member quarter in a folder inside or beside")


def test_names_are_unique_and_roles_fit_the_kind(copied):
    card = decode((copied / "ensemble.json").read_bytes())
    first, second, *rest = card.members
    rewrite(copied, members=(first, msgspec.structs.replace(second, name="quarter"), *rest))
    assert_refused(copied, "expected member names, each once")
    rewrite(copied, members=(first, msgspec.structs.replace(second, role=Role.REGIME), *rest))
    assert_refused(copied, "expected kind of member fast regime or volume; found entry")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"schema": 2}, "expected schema 1; found 2"),
        ({"label": LabelTerms("15m", 2.0, 24)}, "expected a voter with the ensemble's label"),
        ({"label": LabelTerms("30m", 3.0, 24)}, "expected a voter with the ensemble's label"),
        ({"members": ()}, "expected (a voter|files)"),
        ({"policy": Policy(cap=0.05, floor=0.5)}, "expected floor below cap"),
        ({"policy": Policy(half_life_days=0.0)}, "expected half_life_days above 0"),
        ({"policy": Policy(min_take=1.5)}, "expected min_take within 0 and 1"),
        ({"policy": Policy(min_votes=0)}, "min_votes of 1"),
        ({"policy": Policy(min_votes=4)}, "expected min_votes of at most 3; found 4"),
        ({"policy": Policy(abstain="conformal")}, "expected a conformal quantile to abstain by; found none"),
        ({"conformal": Conformal(0.0, 0.5, 0.9, 0.5)}, "expected conformal alpha and quantile"),
    ],
)
def test_terms_that_cannot_be_are_refused(copied, changes, words):
    rewrite(copied, **changes)
    assert_refused(copied, words)


@pytest.mark.parametrize("prior", [0.0, -1.0])
def test_prior_is_above_zero(copied, prior):
    card = decode((copied / "ensemble.json").read_bytes())
    rewrite(copied, members=(msgspec.structs.replace(card.members[0], prior=prior), *card.members[1:]))
    assert_refused(copied, "expected a prior above 0")


def test_regime_members_have_bounds_of_their_own_and_a_rule(shelf):
    folder = shelf / "filtered"
    members = [shelf / "quarter", shelf / "regime", shelf / "volume"]
    write_ensemble(folder, *members, policy=Policy(regime_rule="any"))
    card = decode((folder / "ensemble.json").read_bytes())
    bound = msgspec.structs.replace(card.members[2], low=0.5)
    rewrite(folder, members=(*card.members[:2], bound))
    found = ensemble.load(folder)
    assert found.card.policy.regime_rule == "any"
    assert found.of(Role.REGIME)[1].ref.low == 0.5
    assert found.of(Role.REGIME)[1].ref.high is msgspec.UNSET
    assert ensemble.verify(folder)["ok"]


def test_words_that_came_later_are_not_in_a_card_that_does_not_use_them():
    """So the hashes of ensembles from before them stand, and older daemons still read them."""
    text = (SHIPPED / "blend-15m" / "ensemble.json").read_bytes()
    card = decode(text)
    assert not any(word in text for word in (b"regime_rule", b'"low"', b'"high"'))
    assert encode(card) == text
    assert identity(card) == card.model_hash


@pytest.mark.parametrize(
    "number, bounds, words",
    [
        (0, {"low": 0.5}, "expected bounds of regime members alone; found some of quarter"),
        (3, {"low": -0.1}, "expected bounds within 0 and 1, low first"),
        (3, {"high": 1.5}, "expected bounds within 0 and 1, low first"),
        (3, {"low": 0.6, "high": 0.5}, "expected bounds within 0 and 1, low first"),
    ],
)
def test_bounds_that_cannot_be_are_refused(copied, number, bounds, words):
    members = list(decode((copied / "ensemble.json").read_bytes()).members)
    members[number] = msgspec.structs.replace(members[number], **bounds)
    rewrite(copied, members=tuple(members))
    assert_refused(copied, words)


def test_rule_over_no_regime_members_is_refused(shelf):
    write_ensemble(shelf / "alone", shelf / "quarter", policy=Policy(regime_rule="any"))
    assert_refused(shelf / "alone", "expected a regime member for regime_rule any; found none")


def test_meta_model_is_refused_beside_voters_that_it_does_not_know(shelf, tmp_path):
    root = Path(shutil.copytree(shelf, tmp_path / "shelf"))
    inputs = VOTES | {"members": (8,)}
    write_model(root / "wise", "entry_15m", Kind.META, inputs=inputs, voters=("quarter", "hour"))
    members = [root / "quarter", root / "hour", root / "wise"]
    write_ensemble(root / "known", *members)
    assert ensemble.load(root / "known").of(Role.META)[0].artifact.card.voters == ("quarter", "hour")
    write_ensemble(root / "turned", members[1], members[0], members[2], label=LabelTerms("15m", 3.0, 24))
    words = r"expected voters of wise, in its order, \('quarter', 'hour'\); found \('hour', 'quarter'\)"
    assert_refused(root / "turned", words)
    write_ensemble(root / "more", root / "quarter", root / "fast", root / "hour", root / "wise")
    assert_refused(root / "more", r"found \('quarter', 'fast', 'hour'\)")


@pytest.mark.parametrize(
    "kind, inputs, voters, words",
    [
        (Kind.ENTRY, {"x": (1,)}, ("a",), "expected voters on the card of a meta-model that reads members"),
        (Kind.META, {"votes": (5,)}, ("a",), "expected voters on the card of a meta-model that reads"),
        (Kind.META, {"members": (8,)}, ("a", "a"), "expected voters, each named once"),
        (Kind.META, {"members": (4,)}, ("a", "b"), r"expected input tensors of .*'members': \(8,\)"),
        (Kind.META, {"members": (4,)}, UNSET, "expected input tensors of"),
    ],
)
def test_voters_that_a_card_cannot_have_are_refused(kind, inputs, voters, words):
    card = making.card("m", "entry_15m", kind, inputs, voters=voters)
    with pytest.raises(ModelError, match=words):
        check(card, {"x": (1,)})


def test_unknown_words_of_a_policy_are_refused(copied):
    card = copied / "ensemble.json"
    card.write_text(card.read_text().replace('"floor"', '"flor"'))
    assert_refused(copied, "flor")


def test_limits_have_one_place():
    assert Policy().sanity == SanityLimits()
    assert MemberRef("a", "b", "c", Role.VOTE).prior == 1.0
