"""Every kind of model on rows whose best possible answer is known."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from core.errors import ModelError, UsageError
from inference.artifact import open_session
from tests.training.members import made
from training.evaluate import log_loss
from training.fit.terms import FitTerms
from training.members import parity
from training.members.boosted import BoostedMaker
from training.members.logistic import LogisticMaker
from training.members.network import NetworkMaker
from training.members.perceptron import PerceptronMaker
from training.members.persistence import PersistenceMaker
from training.members.seen import seen
from training.networks.hyper import Hyper

SMALL = Hyper(width=8, units=8, dilations=(1, 2), head=16, dropout=0.0)
TCN = NetworkMaker("tcn", SMALL, FitTerms(epochs=6, rate=1e-2, batch=128, patience=0))
MAKERS = {
    "logistic": LogisticMaker(),
    "lightgbm": BoostedMaker(rounds=120),
    "perceptron": PerceptronMaker(terms=FitTerms(epochs=10, rate=5e-3)),
    "tcn": TCN,
}
LEAST = {"logistic": 0.95, "lightgbm": 0.85, "perceptron": 0.9, "tcn": 0.75}
"""Shares of the possible gain that so few rows give."""
EDGE = 1.5


@pytest.fixture(scope="module")
def rows():
    return made.halves(made.panel(3_000, edge=EDGE))


@pytest.fixture(scope="module")
def fitted(rows):
    """Each maker's model, fitted once."""
    lesson, validation = rows
    return {name: maker.fit(lesson, validation, classes=3, seed=1) for name, maker in MAKERS.items()}


@pytest.fixture(scope="module")
def graphs(fitted):
    return {name: model.to_onnx() for name, model in fitted.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_a_planted_edge_is_found(name, rows, fitted):
    """Of the gain over knowing nothing that the best possible answer has, most."""
    _, unseen = rows
    best = log_loss(made.best(unseen.panel, EDGE), unseen.kind).mean()
    nothing = log_loss(np.full((1, 3), 1 / 3), unseen.kind).mean()
    found = log_loss(fitted[name].chances(unseen.panel), unseen.kind).mean()
    assert best < found  # nothing beats it, or it saw what it should not
    assert (nothing - found) / (nothing - best) > LEAST[name]


@pytest.mark.parametrize("name", MAKERS)
def test_chances_are_chances(name, rows, fitted):
    p = fitted[name].chances(rows[1].panel)
    assert p.shape == (len(rows[1]), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-5)
    assert (p > 0).all()


@pytest.mark.parametrize("name", MAKERS)
def test_the_graph_says_what_the_model_says_in_any_batch(name, rows, fitted, graphs):
    assert parity.check(graphs[name], fitted[name], rows[1].panel, name) < 1e-5


@pytest.mark.parametrize("name", MAKERS)
def test_a_graph_reads_tensors_as_the_specification_has_them(name, fitted, graphs):
    session = open_session(graphs[name])
    found = {tensor.name: tuple(tensor.shape[1:]) for tensor in session.get_inputs()}
    assert found == made.SPEC.shapes
    assert fitted[name].inputs == made.SPEC.shapes
    assert b"location" not in graphs[name]


@pytest.mark.parametrize("name", ["logistic", "lightgbm", "perceptron"])
def test_the_same_seed_gives_the_same_graph(name, rows, graphs):
    again = MAKERS[name].fit(*rows, classes=3, seed=1)
    assert again.to_onnx() == graphs[name]


def test_the_same_seed_gives_the_same_network(rows, fitted):
    again = TCN.fit(*rows, classes=3, seed=1)
    np.testing.assert_array_equal(again.chances(rows[1].panel), fitted["tcn"].chances(rows[1].panel))


@pytest.mark.parametrize("name", MAKERS)
def test_columns_that_say_nothing_are_not_listened_to(name, rows, fitted):
    """The constant column and the twin may hold anything at all."""
    panel = rows[1].panel
    block = panel.blocks["15m"]
    matrix = block.matrix.copy()
    matrix[:, [made.STILL, made.TWIN]] = 77.0
    strange = replace(panel, blocks={"15m": block._replace(matrix=matrix)})
    np.testing.assert_array_equal(fitted[name].chances(strange), fitted[name].chances(panel))
    kept = fitted[name].seen.kept["15m"]
    assert made.STILL not in kept
    assert made.TWIN not in kept
    assert len(kept) == len(made.COLUMNS) - 2


def test_columns_and_scales_come_from_the_training_rows_alone(rows):
    """A column that begins to vary after the training rows stays out, and moves no scale."""
    lesson, _ = rows
    panel = lesson.panel
    block = panel.blocks["15m"]
    matrix = block.matrix.copy()
    later = np.ones(len(matrix), np.bool_)
    later[block.at] = False
    matrix[later] = 1e3 * np.arange(later.sum())[:, None]
    other = replace(panel, blocks={"15m": block._replace(matrix=matrix)})
    assert seen(other) == seen(panel)


def test_rows_weigh_what_their_weight_says(rows):
    """Rows of weight 0 are as good as gone."""
    lesson, validation = rows
    wrong = np.arange(len(lesson)) % 2 == 0
    half = replace(
        lesson,
        kind=np.where(wrong, 2 - lesson.kind, lesson.kind).astype(np.int8),
        weight=np.where(wrong, 0.0, 2.0),
    )
    for name in ("logistic", "lightgbm", "perceptron"):
        found = MAKERS[name].fit(half, validation, classes=3, seed=1).chances(validation.panel)
        assert log_loss(found, validation.kind).mean() < 0.95, name


def test_a_maker_told_again_learns_as_long_as_the_median(rows, fitted):
    lesson, validation = rows
    short, long = BoostedMaker(rounds=5), BoostedMaker(rounds=40)
    models = [maker.fit(lesson, validation, classes=3, seed=1) for maker in (short, long, short)]
    again = long.again(models)
    assert (again.rounds, again.exact) == (5, True)
    strange = validation.only(np.arange(5))
    assert again.fit(lesson, strange, classes=3, seed=1).rounds == 5
    assert TCN.again([fitted["tcn"]]).epochs == fitted["tcn"].parameters["epochs"]
    assert LogisticMaker().again(models) == LogisticMaker()


def test_the_final_fit_does_not_look_at_validation(rows):
    lesson, validation = rows
    maker = PerceptronMaker(terms=FitTerms(epochs=4), epochs=2)
    upside_down = replace(validation, kind=(2 - validation.kind).astype(np.int8))
    one, other = (maker.fit(lesson, shown, classes=3, seed=1) for shown in (validation, upside_down))
    assert one.to_onnx() == other.to_onnx()
    assert one.parameters["epochs"] == 2


def test_persistence_by_hand():
    """Six states of two rows each; a prior of twenty rows at the overall shares of 3/12, 5/12 and 4/12."""
    panel = made.panel(6)
    past = np.array([0.0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])
    lesson = made.lesson(replace(panel, momentum=past))
    lesson = replace(lesson, kind=np.array([0, 1, 1, 1, 2, 2, 0, 1, 1, 0, 2, 2], np.int8))
    found = PersistenceMaker().fit(lesson, lesson, classes=3, seed=1)
    p = found.chances(replace(panel, momentum=np.array([-9.0, 3, 9, *[0.0] * 9])))
    down, hold, up = 20 * 3 / 12, 20 * 5 / 12, 20 * 4 / 12
    np.testing.assert_allclose(p[0], np.array([down + 2, hold, up]) / 22)
    np.testing.assert_allclose(p[1], np.array([down + 1, hold + 1, up]) / 22)
    np.testing.assert_allclose(p[2], np.array([down, hold, up + 2]) / 22)


def test_persistence_of_a_column_and_of_none():
    lesson = made.lesson(made.panel(300))
    named = PersistenceMaker("15m.return_1").fit(lesson, lesson, classes=3, seed=1)
    p = named.chances(lesson.panel)
    assert np.ptp(p[:, 2]) > 0.3
    with pytest.raises(UsageError, match="persistence: expected momentum, volatility or a column; found 'x'"):
        PersistenceMaker("x").fit(lesson, lesson, classes=3, seed=1)
    with pytest.raises(UsageError, match="expected a model that can be exported; found a baseline"):
        named.to_onnx()


def test_logistic_regression_knows_two_classes_and_one_that_is_absent(rows):
    lesson, validation = rows
    two = replace(lesson, kind=(lesson.kind > 0).astype(np.int8))
    p = LogisticMaker().fit(two, validation, classes=2, seed=1).chances(validation.panel)
    signal = validation.panel.newest()[:, made.SIGNAL]
    assert np.corrcoef(p[:, 1], signal)[0, 1] > 0.8
    absent = lesson.only(lesson.kind != 2)
    p = LogisticMaker().fit(absent, validation, classes=3, seed=1).chances(validation.panel)
    assert p[:, 2].max() < 1e-5


def test_xgboost_is_refused_in_one_line_where_it_is_not_installed(rows):
    try:
        import xgboost
    except ImportError:
        with pytest.raises(
            UsageError, match=r"^boosted: expected xgboost to be installed; found that it is not$"
        ):
            BoostedMaker(engine="xgboost").fit(*rows, classes=3, seed=1)
    else:
        model = BoostedMaker(20, "xgboost").fit(*rows, classes=3, seed=1)
        assert xgboost.__version__
        assert parity.check(model.to_onnx(), model, rows[1].panel, "xgboost") < 1e-5


def test_an_engine_that_nobody_knows_is_refused(rows):
    with pytest.raises(UsageError, match="boosted: expected one of lightgbm, xgboost; found 'oak'"):
        BoostedMaker(engine="oak").fit(*rows, classes=3, seed=1)


def test_a_network_with_heads_learns_them_beside_direction(rows):
    lesson, validation = (
        replace(
            one,
            beside={
                "magnitude": np.where(np.arange(len(one)) % 3 == 0, np.nan, one.panel.volatility),
                "volume": np.where(
                    np.arange(len(one)) % 3 == 1, -1, one.panel.newest()[:, made.FIRST] > 0
                ).astype(np.int8),
            },
        )
        for one in rows
    )
    strong = FitTerms(epochs=8, rate=1e-2, batch=64, head_loss={"magnitude": 1.0, "volume": 1.0})
    maker = replace(TCN, network="cnn", terms=strong, heads=("magnitude", "volume"))
    answers = maker.fit(lesson, validation, classes=3, seed=1).answers(validation.panel)
    assert set(answers) == {"direction", "magnitude", "volume"}
    assert np.corrcoef(answers["magnitude"], validation.panel.volatility)[0, 1] > 0.4
    right = (answers["volume"][:, 1] > 0.5) == (validation.panel.newest()[:, made.FIRST] > 0)
    assert right.mean() > 0.8


def test_synthetic_rows_give_a_start_and_no_scale(rows):
    """With no real rows worth the name, what was learned from the synthetic ones is what it knows."""
    _, validation = rows
    few = made.lesson(made.panel(60, edge=EDGE, seed=9))
    synthetic = made.lesson(made.panel(3_000, edge=EDGE, seed=5))
    terms = FitTerms(epochs=1, rate=5e-3, batch=32, pretrain_epochs=2)
    bare = NetworkMaker("cnn", SMALL, terms, called="cnn_no_pretrain")
    taught = replace(bare, pretrain=synthetic, called="cnn")
    losses = {}
    for maker in (bare, taught):
        model = maker.fit(few, validation, classes=3, seed=1)
        assert model.seen == seen(few.panel)
        losses[maker.name] = log_loss(model.chances(validation.panel), validation.kind).mean()
    assert losses["cnn"] < losses["cnn_no_pretrain"] - 0.1


def test_a_prior_start_answers_with_the_training_shares(rows):
    lesson, validation = rows
    rare = lesson.only((lesson.kind != 2) | (np.arange(len(lesson)) % 10 == 0))
    still = FitTerms(epochs=1, rate=1e-9, prior_bias=True)
    p = NetworkMaker("cnn", SMALL, still).fit(rare, validation, classes=3, seed=1).chances(validation.panel)
    shares = np.bincount(rare.kind) / len(rare)
    np.testing.assert_allclose(p.mean(axis=0), shares, atol=0.08)


def test_a_network_that_diverges_stops_with_epoch_and_rate(rows):
    wild = replace(TCN, terms=FitTerms(epochs=3, rate=1e30, warm_up=0.0))
    with pytest.raises(
        ModelError, match=r"^tcn: expected finite losses; found .* in epoch \d at learning rate"
    ):
        wild.fit(*rows, classes=3, seed=1)


def test_checkpoints_are_found_by_everything_that_decides_the_weights(rows, tmp_path):
    lesson, validation = (one.only(np.arange(400)) for one in rows)
    quick = replace(TCN, network="cnn", terms=FitTerms(epochs=1), folder=tmp_path)
    told = []
    for maker, seed in (
        (quick, 1),
        (quick, 1),
        (quick, 2),
        (replace(quick, hyper=msgspec.structs.replace(SMALL, head=8)), 1),
        (replace(quick, terms=FitTerms(epochs=1, rate=1e-3)), 1),
    ):
        maker.fit(lesson, validation, classes=3, seed=seed, say=told.append)
    maker.fit(replace(lesson, weight=2 * lesson.weight), validation, classes=3, seed=1, say=told.append)
    assert len(list(tmp_path.glob("*.pt"))) == 5
    assert sum("going on after" in line for line in told) == 1
