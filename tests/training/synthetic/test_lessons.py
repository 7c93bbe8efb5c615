import numpy as np
import pytest

from core.errors import DataError
from inference.features.spec import SPECS
from training.labels import BarrierTerms
from training.panel.panel import UNKNOWN
from training.synthetic.lessons import lesson
from training.synthetic.market import market
from training.targets.catalogue import target

SPEC = SPECS["entry_5m"]
TERMS = BarrierTerms(SPEC.decision)
BARRIER, REGIME, SIZE = (
    target(name, SPEC.decision, TERMS) for name in ("barrier", "volatility", "magnitude")
)


@pytest.fixture(scope="module")
def taught():
    heads = {"volatility": REGIME, "magnitude": SIZE}
    return lesson(SPEC, BARRIER, TERMS, pairs=2, days=40, seed=1, heads=heads)


def test_every_row_is_known_and_counts(taught):
    assert len(taught) > 3_000
    assert len(taught.panel) == len(taught.kind) == len(taught.weight)
    assert (taught.kind != UNKNOWN).all()
    assert set(np.unique(taught.kind).tolist()) == {0, 1, 2}
    assert taught.weight.mean() == pytest.approx(1.0, abs=0.01)
    assert np.isfinite(taught.panel.newest()).all()
    assert taught.panel.instruments == ("S0/USD", "S1/USD")
    assert set(taught.beside) == {"volatility", "magnitude"}
    assert taught.beside["volatility"].dtype == np.int8
    assert taught.beside["magnitude"].dtype == np.float64
    assert all(len(values) == len(taught) for values in taught.beside.values())


def test_answers_are_those_of_the_bars(taught):
    """A row that says `up` closes above its decision's close by then, at the barrier's distance or more."""
    bars = market(2, 40, 1)[0]
    first = taught.panel.instrument == 0
    ends = taught.panel.followed["barrier"].ts_end[first]
    at = np.searchsorted(bars.ts_close, ends)
    close, kind, atr = taught.panel.close[first], taught.kind[first], taught.panel.atr[first]
    up, down = kind == 2, kind == 0
    assert (bars.high[at][up] >= close[up] + 2.9 * atr[up]).all()
    assert (bars.low[at][down] <= close[down] - 2.9 * atr[down]).all()


def test_the_same_seed_teaches_the_same(taught):
    again = lesson(SPEC, BARRIER, TERMS, pairs=2, days=40, seed=1)
    assert np.array_equal(again.kind, taught.kind)
    assert np.array_equal(again.panel.newest(), taught.panel.newest())


def test_a_market_too_short_is_refused():
    with pytest.raises(DataError, match="expected rows after warm-up"):
        lesson(SPEC, BARRIER, TERMS, pairs=1, days=1, seed=1)
    endless = BarrierTerms(SPEC.decision, horizon_bars=100_000)
    with pytest.raises(DataError, match="lesson: expected more days of entry_5m; found 40"):
        lesson(SPEC, target("barrier", SPEC.decision, endless), endless, pairs=1, days=40, seed=1)
