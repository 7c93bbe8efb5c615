"""One recipe for every model, on made rows: what it writes, and what it may not know."""

from dataclasses import replace

import numpy as np
import pytest

from core.clock import DAY
from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import parse_iso
from inference.artifact import load, open_session, verify
from inference.card import Kind
from tests.training.members import made
from training.evaluate import log_loss
from training.fit.terms import FitTerms
from training.members.boosted import BoostedMaker
from training.members.kept import TEST
from training.members.kept import load as load_kept
from training.members.logistic import LogisticMaker
from training.members.member import silent
from training.members.network import NetworkMaker
from training.members.order import Order
from training.members.persistence import PersistenceMaker
from training.members.recipe import asked, craft, ends, labelled
from training.networks.hyper import Hyper

TEST_START = made.START + 40 * DAY
PANEL = made.panel(5_000, pairs=3, edge=1.0)


def order(**changes) -> Order:
    settings = {
        "name": "made-15m",
        "kind": Kind.ENTRY,
        "target": made.BARRIER,
        "maker": LogisticMaker(),
        "baselines": (PersistenceMaker(),),
        "terms": made.TERMS,
        "venue": "guard",
        "source": Timeframe.M5,
        "test_start": TEST_START,
        "command": "training train --config made.toml",
    }
    return Order(**(settings | changes))


@pytest.fixture(scope="module")
def crafted(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    return craft(order(), PANEL, work / "made-15m", work, silent), work


def test_the_artifact_is_one_that_the_daemon_takes(crafted):
    made_here, work = crafted
    artifact = load(work / "made-15m")
    assert artifact.card == made_here.card
    card = artifact.card
    assert (card.kind, card.name, card.command) == (
        Kind.ENTRY,
        "made-15m",
        "training train --config made.toml",
    )
    assert verify(work / "made-15m")["golden_rows"] == 32
    assert card.split.test_start == "2024-02-10T00:00:00.000000Z"
    assert card.split.purged_rows > 0
    assert card.label.barrier_atr == made.TERMS.barrier_atr
    assert set(card.deciles) == set(card.inputs) == {"15m", "x"}


def test_what_is_kept_is_what_the_artifact_says(crafted):
    made_here, work = crafted
    kept = load_kept(work / "made-15m.npz")
    assert kept.subject.model_hash == made_here.card.model_hash
    assert kept.subject.edge_threshold == made_here.card.edge_threshold
    assert set(kept.voices) == {"logistic", "persistence"}
    test = np.flatnonzero(kept.fold == TEST)[::97]
    rows = PANEL.only(np.isin(PANEL.ts, kept.ts[test]))
    artifact = load(work / "made-15m")
    answers = artifact.run(open_session(artifact.model), rows.tensors())
    place = {key: row for row, key in enumerate(zip(rows.instrument.tolist(), rows.ts.tolist(), strict=True))}
    for at in test.tolist():
        np.testing.assert_allclose(
            answers[place[int(kept.instrument[at]), int(kept.ts[at])]], kept.p[at], atol=1e-5
        )


def test_every_kept_row_was_unseen_by_the_fit_that_speaks_of_it(crafted):
    kept = crafted[0].kept
    assert set(kept.fold.tolist()) == {TEST, 1, 2, 3}
    assert (kept.ts[kept.fold == TEST] >= TEST_START).all()
    assert (kept.ts_end[kept.fold > TEST] <= TEST_START - order().horizon_ns).all()
    for fold in (1, 2):
        assert kept.ts[kept.fold == fold].max() < kept.ts[kept.fold == fold + 1].min()
    assert np.isfinite(kept.p).all()
    for number in range(3):
        assert (np.diff(kept.ts[kept.instrument == number]) > 0).all()


def test_the_planted_edge_is_on_the_card_and_persistence_is_behind(crafted):
    card, kept = crafted[0].card, crafted[0].kept
    assert card.metrics.auc.low > 0.7
    test = kept.fold == TEST
    loss = {name: log_loss(p[test], kept.kind[test]).mean() for name, p in kept.voices.items()}
    assert loss["logistic"] < loss["persistence"] - 0.05
    assert loss["persistence"] < log_loss(np.full((1, 3), 1 / 3), kept.kind[test]).mean()
    assert card.metrics.trades > 0
    assert card.metrics.expectancy[0].model.low > 0  # before fees


def test_chances_are_calibrated_on_answers_out_of_fold(crafted):
    kept = crafted[0].kept
    for fold in (kept.fold > TEST, kept.fold == TEST):
        said, was = kept.p[fold][:, 2], kept.kind[fold] == 2
        for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.0)):
            some = (said >= low) & (said < high)
            assert said[some].mean() == pytest.approx(was[some].mean(), abs=0.08)


def test_nothing_that_is_fitted_knows_the_test_span(crafted, tmp_path):
    """Other features and other outcomes from the test span on: same model, calibration and thresholds."""
    later = PANEL.ts >= TEST_START
    block = PANEL.blocks["15m"]
    matrix = block.matrix.copy()
    matrix[block.at[later]] = np.roll(matrix[block.at[later]], 1, axis=1) * 3.0
    told = PANEL.followed["barrier"]
    other = replace(
        PANEL,
        blocks={"15m": block._replace(matrix=matrix)},
        followed={"barrier": told._replace(kind=np.where(later, 2 - told.kind, told.kind).astype(np.int8))},
        paid=PANEL.paid._replace(long_return=np.where(later, -0.5, PANEL.paid.long_return)),
    )
    again = craft(order(), other, tmp_path / "made-15m", tmp_path, silent)
    card, first = again.card, crafted[0].card
    assert card.metrics != first.metrics
    for field in ("scalers", "calibration", "parameters", "edge_threshold", "deciles"):
        assert getattr(card, field) == getattr(first, field), field
    assert card.conformal.quantile == first.conformal.quantile
    assert card.files["model.onnx"] == first.files["model.onnx"]
    before = crafted[0].kept.fold > TEST
    np.testing.assert_array_equal(again.kept.p[before], crafted[0].kept.p[before])


def test_the_same_order_gives_the_same_files(crafted, tmp_path):
    again = craft(order(), PANEL, tmp_path / "made-15m", tmp_path, silent)
    assert again.card.model_hash == crafted[0].card.model_hash
    assert (tmp_path / "made-15m.npz").read_bytes() == (crafted[1] / "made-15m.npz").read_bytes()


def test_rows_in_the_vault_are_not_looked_at(tmp_path):
    vault = made.START + 46 * DAY
    kept = craft(order(vault_start=vault), PANEL, None, tmp_path, silent).kept
    assert kept.ts_end.max() <= vault
    assert kept.ts.max() < vault < PANEL.ts.max()
    assert kept.subject.model_hash == ""


def test_a_regime_whose_bound_comes_from_each_folds_training_rows(tmp_path):
    plan = order(
        name="vol-15m",
        kind=Kind.REGIME,
        target=made.HIGH,
        maker=BoostedMaker(rounds=20),
        baselines=(PersistenceMaker("volatility"), LogisticMaker()),
    )
    crafted = craft(plan, PANEL, tmp_path / "vol-15m", tmp_path, silent)
    card = load(tmp_path / "vol-15m").card
    assert card.classes == ("normal", "high")
    assert card.metrics.rival == "persistence on the same rows"
    assert card.metrics.auc.low > 0.75
    assert card.metrics.auc.value > card.metrics.auc_rival.value - 0.02
    ahead = PANEL.followed["vol_high"].value
    teaching = ends(plan, PANEL) <= TEST_START - plan.horizon_ns
    assert card.parameters["bound_0"] == pytest.approx(np.quantile(ahead[teaching], 0.8))
    assert "vol_high" in card.label.rule
    high = crafted.kept.kind[crafted.kept.fold == TEST]
    assert high.mean() == pytest.approx(0.2, abs=0.06)


def test_rows_weigh_by_the_uniqueness_of_the_answer_that_is_asked():
    plan = order(name="v", kind=Kind.REGIME, target=made.HIGH)
    every = np.ones(len(PANEL), np.bool_)
    weighed = labelled(plan, PANEL, every).weight
    assert labelled(order(), PANEL, every).weight is PANEL.weight
    # Labels of four bars, one decided at each bar: alike, but for those at the ends that overlap less.
    assert weighed.mean() == pytest.approx(1.0)
    assert weighed[100:4_000].std() < 1e-9
    assert weighed[0] > weighed[100]


def test_thinning_keeps_whole_instants_and_all_of_the_test_span():
    rows = asked(order(max_answers=3_000), PANEL)
    before = rows.ts < TEST_START
    counts = np.unique(rows.ts[before], return_counts=True)[1]
    assert set(counts.tolist()) == {3}
    assert before.sum() <= 3_000
    assert (~before).sum() == (PANEL.ts >= TEST_START).sum()
    fewer = asked(order(max_answers=500), PANEL)
    assert set(fewer.ts.tolist()) < set(rows.ts.tolist())


@pytest.mark.parametrize("most", [5_000, 2_000])
def test_thinned_answers_see_every_time_of_the_day(most):
    fewer = asked(order(max_answers=most), PANEL)
    times = (fewer.ts[fewer.ts < TEST_START] % DAY) // made.BAR
    assert set(times.tolist()) == set(range(96))


def test_classes_that_are_no_sides_are_never_written_as_an_entry_model(tmp_path):
    sweep = made.Asked("sweep", ("none", "swept_low", "swept_high"))
    asked_of = replace(PANEL, followed={"sweep": PANEL.followed["barrier"]})
    with pytest.raises(UsageError, match=r"expected an entry model of target barrier .*; found sweep"):
        craft(order(target=sweep), asked_of, tmp_path / "sweep", tmp_path, silent)
    assert not (tmp_path / "sweep").exists()
    kept = craft(order(target=sweep, folds=2), asked_of, None, tmp_path, silent).kept
    assert kept.subject.classes == sweep.classes
    assert kept.subject.edge_threshold == 0.0, "nothing is traded on p_swept_high - p_none"


def test_rows_without_a_known_answer_or_a_known_trade_are_left_out():
    told = PANEL.followed["barrier"]
    lost = replace(
        PANEL,
        followed={"barrier": told._replace(kind=np.where(np.arange(len(PANEL)) == 7, -1, told.kind))},
        paid=PANEL.paid._replace(
            long_return=np.where(np.arange(len(PANEL)) == 9, np.nan, PANEL.paid.long_return)
        ),
    )
    assert len(asked(order(), lost)) == len(PANEL) - 2


def test_a_network_with_heads_and_a_start_on_synthetic_rows_beside_the_same_without(tmp_path):
    synthetic = made.lesson(made.panel(600, seed=4))
    quick = NetworkMaker(
        "tcn",
        Hyper(width=8, units=8, dilations=(1, 2), head=16),
        FitTerms(epochs=2, rate=1e-2, pretrain_epochs=1),
        heads=("magnitude", "volume"),
        folder=tmp_path / "fits",
        called="tcn_no_pretrain",
    )
    plan = order(
        name="net-15m",
        maker=replace(quick, pretrain=synthetic, called="tcn"),
        baselines=(quick, PersistenceMaker()),
        heads={"magnitude": made.MAGNITUDE, "volume": made.UP},
        folds=2,
        max_rows=2_000,
    )
    told = []
    crafted = craft(plan, PANEL.only(PANEL.instrument < 2), tmp_path / "net-15m", tmp_path, told.append)
    card = load(tmp_path / "net-15m").card
    assert set(crafted.kept.voices) == {"tcn", "tcn_no_pretrain", "persistence"}
    assert card.parameters["pretrained"] == 1.0
    assert 1 <= card.parameters["epochs"] <= 2
    held = crafted.kept.ts_end - crafted.kept.ts
    assert set((held // made.BAR).tolist()) == {1, 2, 3, 4}, (
        "a trade is not held until the slowest head is known"
    )
    assert [(head.name, head.size) for head in card.heads] == [("magnitude", 1), ("volume", 2)]
    assert "docs/labels.md" in card.heads[0].says
    assert card.metrics.auc.low > 0.55
    assert sum("on synthetic rows: epoch 1/1" in line for line in told) == 3
    assert not np.array_equal(crafted.kept.voices["tcn"], crafted.kept.voices["tcn_no_pretrain"])


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"kind": Kind.META}, "made-15m: expected a kind of entry, regime, volume; found meta"),
        ({"kind": Kind.REGIME}, "made-15m: expected two classes of kind regime; found 3 of barrier"),
        ({"target": made.HIGH}, "made-15m: expected three classes of kind entry; found 2 of vol_high"),
        (
            {"target": made.MAGNITUDE},
            "made-15m: expected a target of two or three classes; found 0 of magnitude",
        ),
        (
            {"kind": Kind.REGIME, "target": made.HIGH, "baselines": ()},
            "made-15m: expected a baseline, the card's rival; found none",
        ),
        (
            {"baselines": (LogisticMaker(),)},
            "made-15m: expected makers of different names; found logistic, logistic",
        ),
    ],
)
def test_orders_that_cannot_be_carried_out_are_refused(changes, said):
    with pytest.raises(UsageError) as refused:
        order(**changes)
    assert str(refused.value) == said


def test_a_panel_that_does_not_answer_is_refused(tmp_path):
    bare = replace(PANEL, followed={})
    with pytest.raises(
        UsageError, match="made-15m: expected a panel that answers barrier; found none of barrier"
    ):
        craft(order(), bare, None, tmp_path, silent)
    with pytest.raises(DataError, match="made-15m: expected rows before 2020-01-01"):
        craft(order(test_start=parse_iso("2020-01-01")), PANEL, None, tmp_path, silent)


def test_a_folder_with_other_files_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="expected a new folder or an old artifact"):
        craft(order(), PANEL, tmp_path, tmp_path, silent)
