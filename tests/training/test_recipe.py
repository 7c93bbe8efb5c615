import msgspec
import numpy as np
import pytest

from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import parse_iso
from inference.artifact import INPUT, load, open_session, verify
from inference.card import Card, Interval
from inference.features.spec import SPECS, Block, FeatureSpec
from training.dataset import build, joined
from training.guard.score import holds
from training.labels import BarrierTerms
from training.provenance import Recipe, read
from training.recipe import train
from training.report import tables, verdict

SPEC = SPECS["entry_5m"]


def plan(**changes) -> Recipe:
    settings = {
        "name": "made",
        "spec": SPEC,
        "venue": "guard",
        "source": Timeframe.M5,
        "terms": BarrierTerms(Timeframe.M5),
        "max_rows": 15_000,
        "command": "training train --lake DIR",
    }
    return Recipe(**(settings | changes))


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def null_card(null_lake, tmp_path_factory) -> Card:
    return train(plan(), null_lake, tmp_path_factory.mktemp("out") / "null", quiet)


@pytest.fixture(scope="module")
def edge(edge_lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "edge"
    return train(plan(), edge_lake, out, quiet), out


def test_null_market_scores_chance(null_card):
    """Whether any barrier is met can be foreseen, since volatility can. Which one cannot."""
    metrics = null_card.metrics
    assert null_card.split.test_rows > 15_000
    assert abs(metrics.auc.value - 0.5) < 0.055
    assert holds(metrics.auc, 0.5)
    assert metrics.auc_hold.low > 0.52


def test_null_market_earns_nothing_before_fees_and_loses_them_after(null_card):
    rows = {row.schedule: row for row in null_card.metrics.expectancy}
    gross, kraken = rows["gross"].model, rows["kraken"].model
    assert gross.low < 0 < gross.high
    assert kraken.high < 0
    assert rows["kraken"].random.value == pytest.approx(rows["gross"].random.value - 82.5, abs=3.0)


def test_planted_trend_is_found(edge):
    card, _ = edge
    assert card.metrics.auc.value > 0.6
    assert card.metrics.log_loss_gain.low > 0
    assert {row.schedule: row for row in card.metrics.expectancy}["gross"].model.low > 0


def test_artifact_loads_and_carries_how_it_came_to_be(edge):
    card, out = edge
    artifact = load(out)
    assert artifact.card == card
    assert card.command == "training train --lake DIR"
    assert card.data.instruments == ("G0/USD", "G1/USD", "G2/USD")
    assert verify(out)["golden_rows"] == 32
    assert len(card.deciles["x"]) == card.features.columns
    assert len(artifact.model) < 600_000


def test_no_training_label_reaches_the_test_span(edge):
    card, _ = edge
    assert card.split.embargo_s == 24 * 300
    # Three instruments, each with a horizon of rows purged and another for the embargo.
    assert 3 * 24 < card.split.purged_rows <= 3 * 2 * 24


def test_nothing_that_is_fitted_knows_the_test_span(null_lake, other_future, tmp_path):
    """Another market from the test span on gives the same trees, scaler, calibration and thresholds."""
    start = parse_iso("2024-02-08")
    recipe = plan(scaled=True, test_start=start, max_rows=5_000)
    card = train(recipe, null_lake, tmp_path / "one", quiet)
    again = train(recipe, other_future(start, 6), tmp_path / "other", quiet)
    assert again.data.sha256 != card.data.sha256
    assert again.metrics != card.metrics
    assert len(card.scalers["x"].scale) == card.features.columns
    for field in ("scalers", "calibration", "parameters", "edge_threshold", "deciles"):
        assert getattr(again, field) == getattr(card, field)
    assert again.conformal.quantile == card.conformal.quantile
    assert again.files["model.onnx"] == card.files["model.onnx"]


def test_conformal_coverage_on_the_card_is_that_of_the_test_span(edge, edge_lake):
    card, out = edge
    artifact = load(out)
    rows = joined(list(build(read(plan(), edge_lake), SPEC, plan().terms)))
    unseen = rows.only(rows.outcomes.ts >= parse_iso(card.split.test_start))
    p = artifact.run(open_session(artifact.model), {INPUT: unseen.x})
    held = 1.0 - p[np.arange(len(p)), unseen.kind] <= card.conformal.quantile
    assert card.conformal.alpha == 0.1
    assert card.conformal.coverage == pytest.approx(held.mean(), abs=1e-3)
    assert 0.75 < card.conformal.coverage < 0.99
    # Even with an edge to find, most sets of 90 % hold both sides.
    assert card.conformal.abstained > 0.5


def test_a_spec_with_a_column_that_never_moves_is_refused(null_lake, tmp_path):
    block = Block(Timeframe.M5, ("rsi", "missing"))
    still = FeatureSpec("still", Timeframe.M5, (block,))
    with pytest.raises(DataError, match=r"G0/USD: expected column 5m.missing to vary over .* found 0 in all"):
        train(plan(spec=still), null_lake, tmp_path / "out", quiet)


def test_same_seed_and_bars_give_the_same_artifact(edge, edge_lake, tmp_path):
    card, _ = edge
    again = train(plan(), edge_lake, tmp_path / "edge", quiet)
    assert again.model_hash == card.model_hash


def test_another_seed_gives_other_trees(edge, edge_lake, tmp_path):
    card, _ = edge
    other = train(plan(seed=2), edge_lake, tmp_path / "edge", quiet)
    assert other.files != card.files


def test_refuses_a_lake_without_the_instrument(edge_lake, tmp_path):
    with pytest.raises(DataError, match="expected guard 5m bars of X/USD"):
        train(plan(instruments=("X/USD",)), edge_lake, tmp_path / "out", quiet)


def test_refuses_to_replace_a_folder_that_is_no_artifact(edge_lake, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        train(plan(), edge_lake, tmp_path, quiet)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_verdict_says_loss_plainly(null_card):
    assert verdict(null_card).startswith("This model loses money: ")
    assert any("Configurations tried" in str(part) for part in tables(null_card))


@pytest.mark.parametrize(
    "net, words",
    [
        ((None, None, None), "No trade reached"),
        ((5.0, 1.0, 9.0), "look for a leak first"),
        ((5.0, -1.0, 9.0), "Not to be told from zero"),
        ((5.0, None, None), "Not to be told from zero"),
    ],
)
def test_verdict_for_every_sign(null_card, net, words):
    rows = tuple(msgspec.structs.replace(row, model=Interval(*net)) for row in null_card.metrics.expectancy)
    metrics = msgspec.structs.replace(null_card.metrics, expectancy=rows)
    assert words in verdict(msgspec.structs.replace(null_card, metrics=metrics))
