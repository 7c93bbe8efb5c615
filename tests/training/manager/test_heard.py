"""Who learns from what: no position on both sides of a cut, and answers to unseen looks alone."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND
from inference.features.spec import SPECS
from tests.training.manager.made import answers
from training.guard.market import null_market
from training.manager.entries import TradeTerms, simulate
from training.manager.heard import NOBODY, Cutting, hear, judged, lesson_of, spans_of
from training.manager.rows import InTradeTerms, build
from training.members.kept import TEST
from training.members.member import silent

TERMS = InTradeTerms()
HOLD_S = 6 * 3600


@pytest.fixture(scope="module")
def looks():
    series = null_market(2, 24, seed=5)
    ts = series[0].ts_open[::15]
    rng = np.random.default_rng(1)
    kept = answers(
        series,
        np.tile(ts, 2),
        rng.choice([-1, 1], 2 * len(ts)),
        test_start=2**62,
        atr=1.0,  # wide stops: positions last for hours, so that cuts fall into them
        instrument=np.repeat([0, 1], len(ts)),
    )
    trades = simulate(kept, series, TradeTerms(max_hold_s=HOLD_S), 0.1)
    return build(trades, series, SPECS["manager_1m5m"], TERMS)


def cutting(looks, place=0.7, folds=2) -> Cutting:
    ts = looks.panel.ts
    start = int(ts.min() + (ts.max() - ts.min()) * place)
    return Cutting(start - start % MINUTE, folds, HOLD_S * SECOND + TERMS.horizon_ns, 10_000, 1)


@given(place=st.floats(0.6, 0.9), folds=st.integers(1, 3))
@settings(max_examples=30)
def test_no_position_is_on_both_sides_of_any_cut_and_no_label_reaches_over_one(looks, place, folds):
    lesson, known = lesson_of(looks)
    trade, ts_end = looks.trade[known], lesson.panel.followed["in_trade"].ts_end
    split = 0
    for spans in spans_of(looks, cutting(looks, place, folds)):
        for before, after in ((spans.early, spans.validation), (spans.train, spans.test)):
            assert before.any()
            assert not set(trade[before].tolist()) & set(trade[after].tolist())
            assert ts_end[before].max() <= lesson.panel.ts[after].min()
        split += np.sum((lesson.panel.ts < spans.test_start) & ~spans.train)
    assert split > 0  # some were purged


@dataclass
class Recording:
    """A maker that notes what it is shown and always says the same."""

    name: str = "recording"
    shown: list = field(default_factory=list)

    def fit(self, lesson, validation, *, classes, seed, say=silent):
        self.shown.append((lesson.panel.ts, validation.panel.ts))
        return Constant(len(self.shown) / 10)

    def again(self, fitted):
        assert len(fitted) == 2
        return self


@dataclass
class Constant:
    chance: float

    def chances(self, panel):
        return np.tile([1 - self.chance, self.chance], (len(panel), 1))


def test_each_look_is_answered_by_the_fit_that_ended_before_it(looks):
    maker, terms = Recording(), cutting(looks)
    (heard,) = hear([maker], looks, terms, silent)
    assert len(maker.shown) == 3
    for number, fold in ((1, 1), (2, 2), (3, TEST)):
        rows = heard.fold == fold
        assert (heard.p[rows, 1] == number / 10).all()
        taught, tried = maker.shown[number - 1]
        assert taught.max() + TERMS.horizon_ns <= looks.panel.ts[rows].min() - terms.embargo
        if fold != TEST:
            assert taught.max() < tried.min() < looks.panel.ts[rows].min()
    nobody = heard.fold == NOBODY
    assert np.isnan(heard.chances[nobody]).all()
    assert np.isfinite(heard.chances[~nobody]).all()
    assert (looks.panel.ts[nobody] < looks.panel.ts[~nobody].min()).all()


def test_looks_without_a_label_are_answered_and_not_judged(looks):
    (heard,) = hear([Recording()], looks, cutting(looks), silent)
    rows = judged(looks, [heard])
    kind = looks.panel.followed["in_trade"].kind
    unlabelled = (kind < 0) & (heard.fold != NOBODY)
    assert unlabelled.sum() > 100
    assert not unlabelled[rows].any()
    assert np.isfinite(heard.chances[unlabelled]).all()
    assert len(rows) == np.sum((kind >= 0) & (heard.fold != NOBODY))
