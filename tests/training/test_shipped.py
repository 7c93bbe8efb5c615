"""What the shipped models say of themselves, proved without training them again."""

from pathlib import Path

import numpy as np
import pytest

from core.text import parse_iso
from inference import ensemble
from inference.artifact import load
from inference.card import Kind
from inference.ensemble import ENSEMBLE_FILE
from training import columns

MODELS = Path(__file__).parents[2] / "configs" / "models"
SINGLE = sorted(path.parent.name for path in MODELS.glob("*/card.json"))
BLENDS = sorted(path.parent.name for path in MODELS.glob(f"*/{ENSEMBLE_FILE}"))

RARE = {"1h.volume_burst"}
"""Events in fewer than a tenth of the bars; training saw that they happen to every instrument."""


@pytest.mark.parametrize("name", SINGLE)
def test_a_shipped_spec_holds_only_columns_that_its_training_span_had(name):
    artifact = load(MODELS / name)
    columns.require_no_tape(artifact.spec)
    deciles = np.array(artifact.card.deciles["x"])
    still = [
        column
        for column, (low, high) in zip(artifact.spec.names, deciles[:, [0, -1]], strict=True)
        if low == high
    ]
    assert set(still) <= RARE


@pytest.mark.parametrize("name", SINGLE)
def test_a_shipped_card_says_how_it_was_fitted_and_measured(name):
    card = load(MODELS / name).card
    assert card.command.startswith("training train ")
    assert f"--out configs/models/{name}" in card.command
    assert "--lake DIR" in card.command
    assert card.calibration is not None
    assert 0.2 <= card.calibration.temperature <= 10.0
    assert (card.conformal is not None) == (card.kind is Kind.ENTRY)
    assert card.split.purged_rows > 0
    assert card.split.train_rows > 5_000
    # All were cut at one instant, so that a blend of them is out of sample as a whole.
    assert parse_iso(card.split.test_start) == parse_iso("2024-05-01")


@pytest.mark.parametrize("name", BLENDS)
def test_a_shipped_blend_is_bound_of_shipped_models(name):
    found = ensemble.load(MODELS / name)
    assert {member.ref.name for member in found.members} <= set(SINGLE)
    assert found.card.command.startswith("training blend ")
