"""One model of the market for both sides: mirrored positions, mirrored answers, the same in the graph."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from inference.artifact import OUTPUT, open_session, scaled
from inference.card import POSITION_COLUMNS
from inference.card_check import POSITION
from inference.features.spec import SPECS
from tests.training.manager.made import answers
from training.guard.market import null_market
from training.manager.entries import TradeTerms, simulate
from training.manager.heard import lesson_of
from training.manager.rows import InTradeTerms, build
from training.manager.sided import Sided, SidedMaker, mirrored, upright
from training.members import parity
from training.members.boosted import BoostedMaker
from training.members.logistic import LogisticMaker
from training.members.member import silent


@pytest.fixture(scope="module")
def lesson():
    series = null_market(1, 6, seed=8)
    ts = series[0].ts_open[::15]
    side = np.random.default_rng(3).choice([-1, 1], len(ts))
    kept = answers(series, ts, side, test_start=2**62, atr=0.3)
    trades = simulate(kept, series, TradeTerms(max_hold_s=7200, cooldown_s=0), 0.1)
    return lesson_of(build(trades, series, SPECS["manager_1m5m"], InTradeTerms()))[0]


def test_market_sees_gains_of_the_price_and_how_far_it_fell_and_rose(lesson):
    panel = lesson.panel.only(np.arange(2))
    rows = np.array([[0.5, 7, -0.2, 0.9, 1], [0.5, 7, -0.2, 0.9, -1]], np.float32)
    assert POSITION_COLUMNS == ("r_multiple", "age_bars", "mae_r", "mfe_r", "side")
    seen = mirrored(replace(panel, beside={POSITION: rows}))
    expected = np.array([[0.5, 7, -0.2, 0.9, 1], [-0.5, 7, -0.9, 0.2, -1]], np.float32)
    assert np.array_equal(seen.beside[POSITION], expected)
    assert seen.beside[POSITION].dtype == np.float32
    assert seen.momentum.tolist() == [panel.momentum[0], -panel.momentum[1]]


def test_class_is_whether_prices_rose(lesson):
    rose = lesson.panel.paid.long_return > 0
    assert np.array_equal(upright(lesson).kind == 1, rose)


@dataclass(frozen=True)
class Bullish:
    """A maker whose market rises with a chance of 0.7, whatever it is shown."""

    name: str = "bullish"

    def fit(self, lesson, validation, *, classes, seed, say=silent):
        return self

    def chances(self, panel):
        return np.tile([0.3, 0.7], (len(panel), 1))


def test_rising_market_is_good_for_a_long_and_bad_for_a_short(lesson):
    p = SidedMaker(Bullish()).fit(lesson, lesson, classes=2, seed=1).chances(lesson.panel)
    long = lesson.panel.beside[POSITION][:, 4] > 0
    assert 0 < long.sum() < len(long)
    assert (p[long] == (0.3, 0.7)).all()
    assert (p[~long] == (0.7, 0.3)).all()


@pytest.mark.parametrize("maker", [LogisticMaker(), BoostedMaker(rounds=8)], ids=["scaled", "unscaled"])
def test_graph_mirrors_the_position_before_the_model_and_its_answer_after_it(lesson, maker):
    fitted = SidedMaker(maker).fit(lesson, lesson, classes=2, seed=1)
    graph = fitted.to_onnx()
    assert parity.check(graph, fitted, lesson.panel, "sided") <= 1e-5
    assert POSITION not in fitted.scalers
    assert fitted.inputs[POSITION] == (5,)
    session = open_session(graph)
    assert {node.name for node in session.get_inputs()} == {*fitted.inputs}
    rows = np.arange(200)
    tensors = lesson.panel.tensors(rows)
    fed = {name: scaled(fitted.scalers.get(name), tensors[name]) for name in fitted.inputs}
    found = session.run([OUTPUT], fed)[0]
    inner = fitted.of.chances(mirrored(lesson.panel.only(rows)))
    short = tensors[POSITION][:, 4] < 0
    inner[short] = inner[short, ::-1]
    assert found == pytest.approx(inner, abs=1e-5)
    assert np.abs(found - 0.5).max() > 0.01
    assert graph == fitted.to_onnx()


def test_model_that_reads_no_position_is_given_its_side_all_the_same(lesson):
    market = upright(lesson)
    bare = replace(market, panel=replace(market.panel, beside={}))
    inner = BoostedMaker(rounds=4).fit(bare, bare, classes=2, seed=1)
    assert POSITION not in inner.inputs
    fitted = Sided(inner, (5,))
    assert parity.check(fitted.to_onnx(), fitted, lesson.panel, "sided") <= 1e-5


def test_final_fit_learns_as_long_as_the_folds_did(lesson):
    maker = SidedMaker(BoostedMaker(rounds=9))
    folds = [
        maker.fit(lesson, lesson.only(np.arange(k * 50, k * 50 + 300)), classes=2, seed=1) for k in range(3)
    ]
    again = maker.again(folds)
    rounds = sorted(int(one.parameters["rounds"]) for one in folds)
    assert int(again.fit(lesson, lesson, classes=2, seed=1).parameters["rounds"]) == rounds[1]
    assert again.name == "lightgbm"
