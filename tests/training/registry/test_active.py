import json

import pytest

from core.errors import ModelError, UsageError
from core.text import parse_iso
from inference import ensemble
from tests.training.registry.made import MODELS, reissued
from training.registry import active, shelf

WHEN = parse_iso("2025-09-01")
NAME = "entry-5m"
STEPS = ("prove", "log", "torn line", "new link", "swap", "done")


class Cut(Exception):
    """The power goes."""


def cutting(at: str):
    def step(name: str) -> None:
        if name == at:
            raise Cut

    return step


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return [reissued(root / number, number) for number in "123"]


@pytest.fixture
def shelved(tmp_path, made):
    return tmp_path, [shelf.add(tmp_path, folder) for folder in made]


def in_force(root) -> str:
    return ensemble.load(root / NAME / "active").card.version


def activate(root, chosen, **more):
    return active.activate(root, chosen, when=WHEN, who="ada", **more)


def test_what_is_in_force_is_what_a_trader_reads_under_one_path(shelved):
    root, (first, second, _) = shelved
    assert active.active(root, NAME) == ""
    activate(root, first)
    assert in_force(root) == "1"
    assert not (root / NAME / "active").readlink().is_absolute()
    activate(root, second)
    assert in_force(root) == "2"


@pytest.mark.parametrize("at", STEPS)
def test_a_cut_at_any_step_leaves_the_old_version_or_the_new_one(shelved, at):
    root, (first, second, third) = shelved
    activate(root, first)
    with pytest.raises(Cut):
        activate(root, second, step=cutting(at))
    assert in_force(root) == ("2" if at == "done" else "1")
    before = active.active(root, NAME)
    done = activate(root, third)
    assert (done.since, in_force(root)) == (before, "3")
    assert [line.to for line in active.happened(root, NAME)] == list(
        dict.fromkeys([first.digits, before, third.digits])
    )
    assert active.rollback(root, NAME, when=WHEN, who="ada").to == before


@pytest.mark.parametrize("at", STEPS)
def test_a_cut_rollback_can_be_done_again(shelved, at):
    root, (first, second, _) = shelved
    activate(root, first)
    activate(root, second)
    with pytest.raises(Cut):
        active.rollback(root, NAME, when=WHEN, who="ada", step=cutting(at))
    if at == "done":
        with pytest.raises(UsageError, match="found none"):
            active.rollback(root, NAME, when=WHEN, who="ada")
    else:
        active.rollback(root, NAME, when=WHEN, who="ada")
    assert in_force(root) == "1"


def test_rolling_back_goes_further_back_each_time_and_ends_at_the_first(shelved):
    root, versions = shelved
    for one in versions:
        activate(root, one)
    assert [active.rollback(root, NAME, when=WHEN, who="bob").to for _ in range(2)] == [
        versions[1].digits,
        versions[0].digits,
    ]
    with pytest.raises(UsageError, match=f"{NAME}: expected an earlier version to go back to; found none"):
        active.rollback(root, NAME, when=WHEN, who="bob")
    activate(root, versions[2])
    assert active.rollback(root, NAME, when=WHEN, who="bob").to == versions[0].digits


def test_the_log_says_when_who_and_from_what_to_what(shelved):
    root, (first, second, _) = shelved
    activate(root, first)
    activate(root, second)
    activate(root, second)  # already in force: nothing to tell
    lines = [json.loads(line) for line in (root / active.LOG_FILE).read_bytes().splitlines()]
    assert [(line["from"], line["to"]) for line in lines] == [
        ("", first.digits),
        (first.digits, second.digits),
    ]
    assert lines[1]["when"] == "2025-09-01T00:00:00.000000Z"
    assert (lines[1]["who"], lines[1]["act"], lines[1]["name"]) == ("ada", "activate", NAME)
    assert lines[1]["hash"] == ensemble.load(second.folder).model_hash


def test_a_bad_version_is_never_put_in_force(shelved):
    root, (first, second, _) = shelved
    activate(root, first)
    model = second.folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"expected sha256 of model\.onnx"):
        activate(root, second)
    assert in_force(root) == "1"
    assert len(active.log(root)) == 1


def test_an_ensemble_is_shelved_with_its_members_under_its_own_hash(tmp_path):
    added = shelf.add(tmp_path, MODELS / "blend-15m")
    activate(tmp_path, added)
    found = ensemble.load(tmp_path / "blend-15m" / "active")
    shipped = ensemble.load(MODELS / "blend-15m")
    assert found.model_hash == shipped.model_hash
    assert [one.artifact.model_hash for one in found.members] == [
        one.artifact.model_hash for one in shipped.members
    ]


def test_the_same_content_is_shelved_once_and_a_torn_copy_is_not_seen(tmp_path, made):
    leftover = tmp_path / NAME / ".0123456789ab.new"
    leftover.mkdir(parents=True)
    assert shelf.names(tmp_path) == ()
    first = shelf.add(tmp_path, made[0])
    assert shelf.add(tmp_path, made[0]) == first
    assert [one.digits for one in shelf.versions(tmp_path, NAME)] == [first.digits]


def test_a_version_is_named_by_digits_that_only_it_begins_with(shelved):
    root, versions = shelved
    assert shelf.version(root, NAME, versions[0].digits[:7]) == versions[0]
    with pytest.raises(UsageError, match="found 0 that begin with 'nothing'"):
        shelf.version(root, NAME, "nothing")
    with pytest.raises(UsageError, match="found 3 that begin with ''"):
        shelf.version(root, NAME, "")
    with pytest.raises(UsageError, match=f"expected a model of {NAME}; found 'entry-9m'"):
        shelf.versions(root, "entry-9m")
    with pytest.raises(UsageError, match="one plain word"):
        shelf.versions(root, "../elsewhere")
