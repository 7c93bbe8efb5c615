from pathlib import Path

import msgspec
import pytest

from core.text import iso
from inference.card import Card, decode, encode, identity, sealed

MODELS = sorted((Path(__file__).parents[2] / "configs" / "models").glob("*/card.json"))


@pytest.fixture
def card() -> Card:
    return decode(MODELS[0].read_bytes())


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_shipped_cards_read_back_to_the_same_bytes(path):
    assert encode(decode(path.read_bytes())) == path.read_bytes()


def test_identity_covers_every_field_but_itself(card):
    assert identity(card) == card.model_hash
    assert identity(msgspec.structs.replace(card, model_hash="other")) == card.model_hash
    for change in ({"version": "9"}, {"edge_threshold": 0.5}, {"files": {}}, {"seed": 7}):
        assert identity(msgspec.structs.replace(card, **change)) != card.model_hash


def test_sealing_survives_whole_numbers_in_fractional_fields(card):
    whole = sealed(msgspec.structs.replace(card, parameters={"rounds": 15}))
    assert decode(encode(whole)) == whole
    assert identity(decode(encode(whole))) == whole.model_hash


def test_unknown_field_is_refused(card):
    text = encode(card).replace(b'"seed"', b'"sead"')
    with pytest.raises(msgspec.ValidationError, match="sead"):
        decode(text)


def test_lists_of_values_take_one_line_each(card):
    lines = encode(card).decode().splitlines()
    assert len(lines) < 500
    assert sum(line.strip().startswith("[") for line in lines) >= card.features.columns


def test_training_ends_where_the_test_span_begins(card):
    assert iso(card.trained_until) == card.split.test_start


def test_card_without_a_kind_is_refused(card):
    text = encode(card).replace(b'"kind": "entry"', b'"kind": "oracle"')
    with pytest.raises(msgspec.ValidationError, match="oracle"):
        decode(text)
