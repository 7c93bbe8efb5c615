"""Outputs beside the probabilities: on the card, proved by the golden rows, never asked for in a decision."""

import hashlib

import msgspec
import numpy as np
import pytest

from core.errors import ModelError
from inference import artifact, golden
from inference.artifact import load, open_session, verify
from inference.card import Head, decode, encode, sealed
from inference.predictor import Predictor
from tests.inference.making import write_model

HEADS = (
    Head("magnitude", "How far the price moves within the horizon.", "ATR"),
    Head("volatility", "Log-odds of low, normal and high volatility.", "nats", 3),
)


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "many", heads=HEADS)
    return tmp_path / "many"


def rewrite(folder, *, vectors=None, **changes):
    card = decode((folder / "card.json").read_bytes())
    if vectors is not None:
        (folder / "golden.npz").write_bytes(golden.encode(vectors))
        found = hashlib.sha256(golden.encode(vectors)).hexdigest()
        changes["files"] = card.files | {"golden.npz": found}
    (folder / "card.json").write_bytes(encode(sealed(msgspec.structs.replace(card, **changes))))


def test_heads_are_named_proved_and_answered_beside_the_probabilities(folder):
    found = load(folder)
    assert found.card.more == HEADS
    assert verify(folder)["heads"] == ["magnitude", "volatility"]
    x = np.arange(2.0 * len(found.spec.names), dtype=np.float32).reshape(2, -1)
    said = found.beside(open_session(found.model), {"x": x})
    assert said["magnitude"].shape == (2, 1)
    np.testing.assert_allclose(said["volatility"], np.repeat(x.mean(axis=1)[:, None], 3, axis=1), rtol=1e-6)


class Listening:
    """A session that notes what it is asked for."""

    def __init__(self, session):
        self._session, self.asked = session, []

    def run(self, names, fed):
        self.asked.append(names)
        return self._session.run(names, fed)


def test_a_decision_asks_for_the_probabilities_alone(folder):
    found = load(folder)
    session = Listening(open_session(found.model))
    x = np.ones((3, len(found.spec.names)), np.float32)
    p = found.run(session, {"x": x})
    assert session.asked == [[artifact.OUTPUT]]
    np.testing.assert_array_equal(Predictor(found).predict({"x": x}), p)


def test_golden_rows_of_a_head_that_come_out_differently_are_refused(folder):
    vectors = golden.decode((folder / "golden.npz").read_bytes())
    wrong = vectors["magnitude"].copy()
    wrong[3] += 1e-3
    rewrite(folder, vectors=vectors | {"magnitude": wrong})
    with pytest.raises(ModelError, match=r"expected golden rows within 1e-05; found 0\.0"):
        load(folder)


def test_golden_rows_without_a_head_are_refused(folder):
    vectors = golden.decode((folder / "golden.npz").read_bytes())
    del vectors["volatility"]
    rewrite(folder, vectors=vectors)
    with pytest.raises(ModelError, match=r"expected arrays of golden\.npz \['magnitude', 'probabilities'"):
        load(folder)


@pytest.mark.parametrize(
    "heads, words",
    [
        (HEADS[:1], r"expected model outputs \['magnitude', 'probabilities'\]; found"),
        ((*HEADS, Head("volume", "Whether it rises.", "nats", 2)), "expected arrays of golden"),
        ((HEADS[0], HEADS[0]), "expected heads of a size above 0 with a sentence, a unit and names unlike"),
        ((Head("x", "An input.", "none"),), r"names unlike \['probabilities', 'x'\]"),
        ((Head("magnitude", "", "ATR"),), "expected heads of a size above 0 with a sentence"),
        ((Head("magnitude", "How far.", "ATR", 0),), "expected heads of a size above 0"),
    ],
)
def test_heads_that_the_graph_or_reason_does_not_have_are_refused(folder, heads, words):
    vectors = golden.decode((folder / "golden.npz").read_bytes())
    named = {"x", "probabilities", *(head.name for head in heads)}
    rewrite(folder, vectors={k: v for k, v in vectors.items() if k in named}, heads=heads)
    with pytest.raises(ModelError, match=words) as refused:
        load(folder)
    assert "\n" not in str(refused.value)


def test_cards_without_heads_do_not_speak_of_them(tmp_path):
    card = write_model(tmp_path / "plain")
    assert card.more == ()
    text = encode(card)
    assert b"heads" not in text
    assert b"voters" not in text
