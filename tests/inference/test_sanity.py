import msgspec
import numpy as np
import pytest

from inference.artifact import load
from inference.card import Kind
from inference.ensemble_card import SanityLimits
from inference.sanity import NO_PROBABILITIES, NOT_FINITE, Inspection, Range, Repeats, inspect

LIMITS = SanityLimits()


def batch(rows: int = 20, **changes) -> Inspection:
    p = np.random.default_rng(4).dirichlet((5, 5, 5), rows)
    nothing = np.zeros(rows)
    base = Inspection(p, np.ones(rows, np.bool_), np.ones(rows, np.int64), nothing, nothing)
    return base._replace(**changes)


def changed(row: int, values, rows: int = 20) -> np.ndarray:
    p = batch(rows).p.copy()
    p[row] = values
    return p


def test_ordinary_answers_pass():
    found = inspect(Kind.ENTRY, batch(), LIMITS)
    assert found.usable.all()
    assert (found.why, found.fault) == ({}, "")


@pytest.mark.parametrize(
    "values, words",
    [
        ((np.nan, 0.5, 0.5), NOT_FINITE),
        ((np.inf, 0.0, 0.0), NOT_FINITE),
        ((-0.1, 0.6, 0.5), NO_PROBABILITIES),
        ((0.5, 0.5, 0.5), NO_PROBABILITIES),
        ((1.2, -0.1, -0.1), NO_PROBABILITIES),
        ((0.001, 0.001, 0.998), "sanity: saturated, 0.9980 > 0.995"),
    ],
)
def test_row_that_is_no_forecast_is_refused_alone(values, words):
    found = inspect(Kind.ENTRY, batch(p=changed(3, values)), LIMITS)
    assert found.usable.sum() == 19
    assert found.why == {3: words}
    assert found.fault == ""


def test_regime_may_be_next_to_certain():
    p = np.tile([0.0005, 0.9995], (20, 1)) + np.linspace(0, 1e-4, 20)[:, None] * [1, -1]
    assert inspect(Kind.REGIME, batch(p=p), LIMITS).usable.all()


def test_one_answer_for_all_instruments_stops_the_batch():
    p = np.tile([0.3, 0.4, 0.3], (20, 1))
    found = inspect(Kind.ENTRY, batch(p=p), LIMITS)
    assert found.fault == "sanity: the same answer for all 20 instruments"
    assert not found.usable.any()
    assert set(found.why.values()) == {found.fault}
    few = inspect(Kind.ENTRY, batch(7, p=p[:7]), LIMITS)
    assert few.usable.all()  # too few to tell


def test_saturated_batch_is_stopped_whole():
    p = batch().p.copy()
    p[:5] = (0.001, 0.001, 0.998)
    found = inspect(Kind.ENTRY, batch(p=p), LIMITS)
    assert found.fault == "sanity: saturated for 25% of 20 instruments"
    assert not found.usable.any()


def test_rows_that_are_not_ready_are_passed_over():
    p = np.zeros((20, 3))
    p[0] = (0.3, 0.4, 0.3)
    ready = np.arange(20) == 0
    found = inspect(Kind.ENTRY, batch(p=p, ready=ready), LIMITS)
    assert found.usable.tolist() == ready.tolist()
    assert found.why == {}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"repeats": np.where(np.arange(20) == 2, 96, 1)}, "sanity: the same answer for 96 closes"),
        (
            {"outside": np.where(np.arange(20) == 2, 0.31, 0.0)},
            "sanity: 31% of the features far outside the training range > 25%",
        ),
        ({"age_s": np.where(np.arange(20) == 2, 7201.0, 0.0)}, "sanity: features 7201 s old > 7200"),
        ({"age_s": np.where(np.arange(20) == 2, np.inf, 0.0)}, "sanity: features inf s old > 7200"),
    ],
)
def test_row_level_gates_name_what_is_wrong(changes, words):
    found = inspect(Kind.ENTRY, batch(**changes), LIMITS)
    assert found.why == {2: words}
    assert not found.usable[2]


def test_repeats_are_counted_per_instrument_over_ready_rows():
    repeats = Repeats(2, 3)
    same, other = np.array([[0.2, 0.3, 0.5]] * 2), np.array([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4]])
    ready = np.array([True, True])
    assert repeats.count(same, ready).tolist() == [1, 1]
    assert repeats.count(other, ready).tolist() == [2, 1]
    assert repeats.count(other, np.array([False, True])).tolist() == [2, 2]
    assert repeats.count(same, ready).tolist() == [3, 1]


@pytest.fixture(scope="module")
def card():
    from pathlib import Path

    return load(Path(__file__).parents[2] / "configs" / "models" / "entry-5m").card


def test_rows_of_the_training_range_are_inside_and_foreign_ones_outside(card):
    edges = np.array(card.deciles["x"], np.float32)
    middle = np.tile(edges[:, 4], (3, 1))
    found = Range(card, 5.0)
    assert found.outside({"x": middle}, 3).tolist() == [0, 0, 0]
    wide = (edges[:, 8] > edges[:, 0]).mean()
    assert found.outside({"x": middle + 1e6}, 3) == pytest.approx([wide] * 3)


def test_newest_bar_of_a_window_is_looked_at(card):
    windowed = msgspec.structs.replace(card, deciles={"15m": (tuple(np.arange(9.0)), tuple(np.arange(9.0)))})
    window = np.zeros((2, 4, 2), np.float32)
    window[0, 0] = 1e9  # an old bar
    window[1, -1, 1] = 1e9
    assert Range(windowed, 5.0).outside({"15m": window}, 2).tolist() == [0.0, 0.5]


def test_card_without_deciles_has_no_range(card):
    bare = Range(msgspec.structs.replace(card, deciles={}), 5.0)
    assert bare.outside({"x": np.full((2, 3), 1e9, np.float32)}, 2).tolist() == [0.0, 0.0]
