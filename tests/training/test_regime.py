import msgspec
import numpy as np
import pytest

from core.errors import DataError
from core.market import Timeframe
from core.text import parse_iso
from inference.artifact import INPUT, load, open_session
from inference.card import Kind
from inference.features.spec import SPECS
from training import regime
from training.guard.lake import VENUE
from training.labels import BarrierTerms
from training.provenance import Recipe
from training.report import verdict
from training.volatility import VOLATILITY

SPEC = SPECS["entry_5m"]
START = parse_iso("2024-02-08")


def quiet(_: str) -> None:
    pass


def plan(**changes) -> Recipe:
    settings = {
        "name": "made",
        "spec": SPEC,
        "venue": VENUE,
        "source": Timeframe.M5,
        "terms": BarrierTerms(SPEC.decision, horizon_bars=72),
        "max_rows": 10_000,
        "test_start": START,
    }
    return Recipe(**(settings | changes))


@pytest.fixture(scope="module")
def trained(null_lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "made"
    return regime.train(VOLATILITY, plan(), null_lake, out, quiet), out


def test_clustered_volatility_is_foreseen_as_well_as_the_simple_rival_does(trained):
    card, _ = trained
    metrics = card.metrics
    assert card.kind is Kind.REGIME
    assert card.classes == ("normal", "high")
    assert metrics.log_loss_gain.low > 0
    assert metrics.auc.low > 0.6
    assert metrics.auc.value > metrics.auc_rival.value - 0.05
    assert "high: over the coming 72 bars of 5m" in card.label.rule
    assert verdict(card).startswith("This model opens no trades")


def test_what_high_means_is_a_fifth_of_the_training_rows(trained, null_lake):
    card, _ = trained
    bound = card.parameters["bound_bps"]
    assert f"above {bound:.1f} bps an hour" in card.label.rule
    rows = regime.build(VOLATILITY, regime.read(plan(), null_lake), SPEC, plan().terms.horizon_ns)
    known = rows.ahead[rows.ts_end <= START - plan().terms.horizon_ns]
    assert np.mean(known > bound) == pytest.approx(0.2, abs=0.01)


def test_artifact_answers_with_two_calibrated_chances(trained, null_lake):
    card, out = trained
    artifact = load(out)
    rows = regime.build(VOLATILITY, regime.read(plan(), null_lake), SPEC, plan().terms.horizon_ns)
    p = artifact.run(open_session(artifact.model), {INPUT: rows.x[rows.ts >= START]})
    high = rows.ahead[rows.ts >= START] > card.parameters["bound_bps"]
    assert p.shape == (len(high), 2)
    assert p.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert p[:, regime.HIGH].mean() == pytest.approx(high.mean(), abs=0.15)
    assert card.calibration.bias[regime.NORMAL] == 0.0


def test_nothing_that_is_fitted_knows_the_test_span(trained, other_future, tmp_path):
    """Another market from the test span on gives the same model, bound and calibration."""
    card, _ = trained
    again = regime.train(VOLATILITY, plan(), other_future(START, 6), tmp_path / "made", quiet)
    assert again.data.sha256 != card.data.sha256
    assert again.metrics != card.metrics
    for field in ("label", "calibration", "parameters", "deciles"):
        assert getattr(again, field) == getattr(card, field)
    assert again.files["model.onnx"] == card.files["model.onnx"]


def test_history_too_short_for_the_horizon_is_refused(null_lake, tmp_path):
    long = msgspec.structs.replace(plan(), terms=BarrierTerms(SPEC.decision, horizon_bars=20_000))
    with pytest.raises(DataError, match="expected rows after warm-up"):
        regime.train(VOLATILITY, long, null_lake, tmp_path / "made", quiet)
