"""What the shipped models say of themselves, proved without training them again."""

from pathlib import Path

import numpy as np
import pytest

from core.text import parse_iso
from inference import ensemble
from inference.artifact import INPUT, load
from inference.card import Kind
from inference.ensemble import ENSEMBLE_FILE
from inference.ensemble_card import Role
from training import columns
from training.plan.schema import NONE, Bars, Network, day, read_plan

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "configs" / "models"
PLAN = "configs/train/full.toml"
ORDERS = {order.name: order for order in read_plan(ROOT / PLAN).orders}
SINGLE = sorted(path.parent.name for path in MODELS.glob("*/card.json"))
BLENDS = sorted(path.parent.name for path in MODELS.glob(f"*/{ENSEMBLE_FILE}"))

RARE = {"1h.volume_burst"}
"""Events in fewer than a tenth of the bars; training saw that they happen to every instrument."""


def test_what_ships_is_what_the_plan_makes():
    kept_alone = {name for name, order in ORDERS.items() if isinstance(order, Network) and not order.ship}
    assert {path.name for path in MODELS.iterdir()} == set(ORDERS) - kept_alone


@pytest.mark.parametrize("name", SINGLE)
def test_a_shipped_spec_holds_only_columns_that_its_training_span_had(name):
    artifact = load(MODELS / name)
    columns.require_no_tape(artifact.spec)
    if artifact.spec.windows or INPUT not in artifact.card.inputs:
        return  # networks drop still columns inside; a meta-model reads votes
    deciles = np.array(artifact.card.deciles[INPUT])
    still = [
        column
        for column, (low, high) in zip(artifact.spec.names, deciles[:, [0, -1]], strict=True)
        if low == high
    ]
    assert set(still) <= RARE


@pytest.mark.parametrize("name", SINGLE)
def test_a_shipped_card_says_how_it_was_fitted_and_measured(name):
    card = load(MODELS / name).card
    assert card.command == f"training train --config {PLAN} --data DIR --only {name}"
    assert card.calibration is not None
    assert 0.1 <= card.calibration.temperature <= 20.0
    assert (card.conformal is not None) == (card.kind is Kind.ENTRY)
    # A meta-model's rows end where its voters' do, a manager's where the last position before the cut did.
    assert card.split.purged_rows > 0 or card.kind in (Kind.META, Kind.MANAGER)
    assert card.split.train_rows > 5_000
    assert card.trials >= 1
    # All but the manager, whose market is another, were cut at one instant, so that an ensemble of them
    # is out of sample as a whole.
    order, plan = ORDERS[name], read_plan(ROOT / PLAN)
    cut = order.test_start if isinstance(order, Bars) and order.test_start else plan.test_start
    assert parse_iso(card.split.test_start) == day(cut)
    assert (card.kind is Kind.MANAGER) == (cut != plan.test_start)


@pytest.mark.parametrize("name", SINGLE)
def test_no_shipped_model_has_looked_into_the_vault(name):
    card, order, plan = load(MODELS / name).card, ORDERS[name], read_plan(ROOT / PLAN)
    given = order.vault_start if isinstance(order, Bars) else ""
    vault = plan.vault_start if given in ("", NONE) else given
    assert parse_iso(card.data.end) <= parse_iso(vault)
    assert parse_iso(card.split.test_end) <= parse_iso(vault)


@pytest.mark.parametrize("name", BLENDS)
def test_a_shipped_blend_is_bound_of_shipped_models(name):
    found = ensemble.load(MODELS / name)
    assert {member.ref.name for member in found.members} <= set(SINGLE)
    assert found.card.command == f"training train --config {PLAN} --data DIR --only {name}"


def test_the_council_hears_every_kind():
    council = ensemble.load(MODELS / "council-15m")
    assert {member.ref.role for member in council.members} == set(Role)
    assert {member.artifact.decision.value for member in council.of(Role.VOTE)} == {
        "15m",
        "30m",
        "1h",
        "4h",
        "1d",
    }
    assert {"15m", "30m", "1h", "4h", "1d"} == {
        member.artifact.decision.value
        for member in council.of(Role.VOTE)
        if member.ref.name.startswith("net-")
    }
    assert "fusion-15m" in {member.ref.name for member in council.of(Role.VOTE)}
