import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import conformal


def world(seed: int, rows: int, sharpness: float):
    """Give true probabilities and classes drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet((sharpness,) * 3, rows)
    return p, (p.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("sharpness", [0.3, 2.0, 50.0])
def test_sets_cover_the_truth_as_often_as_promised(alpha, sharpness):
    quantile = conformal.fit(*world(1, 20_000, sharpness), alpha)
    found = conformal.measured(*world(2, 20_000, sharpness), alpha=alpha, quantile=quantile)
    assert found.coverage == pytest.approx(1 - alpha, abs=0.01)


def test_weak_model_abstains_mostly_and_always_where_one_class_is_asked_for():
    """Near the base rates a 90 % set can drop one class of three on some 30 % of the rows, and never two."""

    def inside(sharpness: float) -> np.ndarray:
        return conformal.sets(world(3, 5_000, sharpness)[0], conformal.fit(*world(4, 5_000, sharpness), 0.1))

    weak, sharp = inside(200.0), inside(0.1)
    assert 0.7 < conformal.undecided(weak).mean() < 0.85
    assert conformal.undecided(weak, single_class=True).mean() > 0.99
    assert conformal.undecided(sharp).mean() < 0.5


def test_too_few_rows_rule_nothing_out():
    p, kind = world(5, 5, 1.0)
    assert conformal.fit(p, kind, 0.1) == 1.0
    assert conformal.sets(p, 1.0).all()


@pytest.mark.parametrize(
    "inside, undecided, single",
    [
        ((1, 0, 1), True, True),
        ((1, 1, 1), True, True),
        ((0, 0, 0), True, True),
        ((0, 1, 0), True, True),
        ((1, 1, 0), False, True),
        ((0, 0, 1), False, False),
    ],
)
def test_set_is_decided_when_it_names_one_side(inside, undecided, single):
    row = np.array([inside], np.bool_)
    assert conformal.undecided(row).tolist() == [undecided]
    assert conformal.undecided(row, single_class=True).tolist() == [single]


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.integers(0, 99))
def test_quantile_covers_its_own_rows(rows, alpha, seed):
    p, kind = world(seed, rows, 1.0)
    inside = conformal.sets(p, conformal.fit(p, kind, alpha))
    assert inside[np.arange(rows), kind].mean() >= 1 - alpha - 1e-12
