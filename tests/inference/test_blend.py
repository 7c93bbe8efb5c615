import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.blend import Standing, blend, bounded, weigh
from inference.ensemble_card import Policy

POLICY = Policy()
FINE = st.floats(0.0, 1.0, allow_subnormal=False)


def standing(count: int, **changes) -> Standing:
    base = Standing(np.ones(count), np.zeros(count), np.zeros(count))
    return base._replace(**changes)


@st.composite
def panels(draw, least=1):
    """Give (p [n, M, 3], votes, age_bars, standing) of a few rows and members."""
    rows, members = draw(st.integers(1, 4)), draw(st.integers(least, 6))
    raw = draw(arrays(np.float64, (rows, members, 3), elements=st.floats(0.01, 1.0)))
    votes = draw(arrays(np.bool_, (rows, members)))
    age = draw(arrays(np.float64, (rows, members), elements=st.floats(0.0, 50.0)))
    terms = Standing(
        draw(arrays(np.float64, members, elements=st.floats(0.1, 10.0))),
        draw(arrays(np.float64, members, elements=st.floats(-1.0, 1.0))),
        draw(arrays(np.float64, members, elements=st.floats(0.0, 2_000.0))),
    )
    return raw / raw.sum(axis=2, keepdims=True), votes, age, terms


@given(panels())
def test_weights_sum_to_one_within_their_bounds_or_nobody_votes(panel):
    p, votes, age, terms = panel
    found = weigh(p, votes, age, terms, POLICY)
    count = votes.sum(axis=1)
    assert np.abs(found.sum(axis=1) - (count > 0)).max() < 1e-12
    assert (found[~votes] == 0).all()
    floor = np.minimum(POLICY.floor, 1 / np.maximum(count, 1))[:, None] - 1e-12
    cap = np.maximum(POLICY.cap, 1 / np.maximum(count, 1))[:, None] + 1e-12
    assert (~votes | ((found >= floor) & (found <= cap))).all()


@given(panels(least=2), st.randoms(use_true_random=False))
def test_order_of_the_members_does_not_matter(panel, random):
    p, votes, age, terms = panel
    order = list(range(p.shape[1]))
    random.shuffle(order)
    shuffled = Standing(*(field[order] for field in terms))
    here = weigh(p, votes, age, terms, POLICY)
    there = weigh(p[:, order], votes[:, order], age[:, order], shuffled, POLICY)
    assert np.abs(here[:, order] - there).max() < 1e-12
    mixed = blend(p, votes, here), blend(p[:, order], votes[:, order], there)
    assert np.abs(mixed[0].p - mixed[1].p).max() < 1e-12
    assert np.abs(mixed[0].spread - mixed[1].spread).max() < 1e-12


@given(panels(), st.integers(0, 5), st.floats(0.0, 1.0))
def test_better_accuracy_never_lowers_a_weight(panel, member, more):
    p, votes, age, terms = panel
    member %= p.shape[1]
    better = terms.skill.copy()
    better[member] += more
    before = weigh(p, votes, age, terms, POLICY)
    after = weigh(p, votes, age, terms._replace(skill=better), POLICY)
    assert (after[:, member] >= before[:, member] - 1e-12).all()


@given(panels(), st.integers(0, 5), st.floats(0.0, 100.0), st.booleans())
def test_older_vote_or_older_training_never_raises_a_weight(panel, member, more, vote):
    p, votes, age, terms = panel
    member %= p.shape[1]
    older_age, older_data = age.copy(), terms.data_age_days.copy()
    if vote:
        older_age[:, member] += more
    else:
        older_data[member] += more * 20
    before = weigh(p, votes, age, terms, POLICY)
    after = weigh(p, votes, older_age, terms._replace(data_age_days=older_data), POLICY)
    assert (after[:, member] <= before[:, member] + 1e-12).all()


@given(
    arrays(np.float64, (3, 4), elements=st.floats(1e-6, 1e6)),
    st.floats(0.0, 0.3),
    st.floats(0.31, 1.0),
)
def test_bounds_keep_the_order_of_raw_weights(raw, floor, cap):
    found = bounded(raw, np.ones((3, 4), np.bool_), floor, cap)
    for row in range(3):
        order = np.argsort(raw[row], kind="stable")
        assert (np.diff(found[row, order]) >= -1e-12).all()


def test_weight_inside_the_bounds_is_proportional():
    found = bounded(np.array([[1.0, 2.0, 2.0]]), np.ones((1, 3), np.bool_), 0.05, 0.7)
    assert found[0].tolist() == pytest.approx([0.2, 0.4, 0.4])
    capped = bounded(np.array([[98.0, 1.0, 1.0]]), np.ones((1, 3), np.bool_), 0.05, 0.7)
    assert capped[0].tolist() == pytest.approx([0.7, 0.15, 0.15])
    floored = bounded(np.array([[60.0, 60.0, 1.0]]), np.ones((1, 3), np.bool_), 0.1, 0.7)
    assert floored[0].tolist() == pytest.approx([0.45, 0.45, 0.1])


def test_lone_voter_has_it_all_and_its_answer_passes_unchanged():
    p = np.array([[[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]])
    votes = np.array([[True, False]])
    weights = weigh(p, votes, np.array([[0.0, 90.0]]), standing(2), POLICY)
    assert weights.tolist() == [[1.0, 0.0]]
    assert blend(p, votes, weights).p.tolist() == [[0.2, 0.3, 0.5]]


def test_vote_of_an_age_of_one_half_life_weighs_half():
    p = np.full((1, 2, 3), 1 / 3)
    both = np.ones((1, 2), np.bool_)
    found = weigh(p, both, np.array([[0.0, 1.0]]), standing(2), POLICY)
    assert found[0, 1] / found[0, 0] == pytest.approx(0.5)
    stale = standing(2, data_age_days=np.array([0.0, 180.0]))
    found = weigh(p, both, np.zeros((1, 2)), stale, POLICY)
    assert found[0, 1] / found[0, 0] == pytest.approx(0.5)


def test_model_that_did_badly_fades_but_keeps_its_floor():
    p = np.full((1, 3, 3), 1 / 3)
    poor = standing(3, skill=np.array([0.03, 0.03, -9.0]))
    found = weigh(p, np.ones((1, 3), np.bool_), np.zeros((1, 3)), poor, POLICY)
    assert found[0, 2] == pytest.approx(POLICY.floor)


def test_disagreement_is_seen():
    p = np.array([[[0.1, 0.3, 0.6], [0.5, 0.3, 0.2]], [[0.1, 0.3, 0.6], [0.2, 0.5, 0.3]]])
    votes = np.ones((2, 2), np.bool_)
    found = blend(p, votes, np.full((2, 2), 0.5))
    assert found.spread.tolist() == pytest.approx([0.8, 0.4])
    assert found.conflict.tolist() == [True, False]
    assert found.agreement.tolist() == [0.5, 1.0]


@given(panels())
def test_answer_of_a_member_without_a_vote_cannot_matter(panel):
    p, votes, age, terms = panel
    assume(not votes.all())
    other = np.where(votes[:, :, None], p, np.nan)
    here, there = (weigh(q, votes, age, terms, POLICY) for q in (p, np.nan_to_num(other, nan=0.3)))
    assert np.array_equal(here, there)
    assert np.array_equal(blend(p, votes, here).p, blend(other, votes, there).p)
