import msgspec
import numpy as np
import pytest

from core.clock import HOUR, MINUTE
from training.evaluate import Unseen, auc, evaluate, log_loss
from training.labels import DOWN, HOLD, UP
from training.trades import Outcomes

HOURS = 24 * 40


def unseen(*, skill: float, seed: int = 1) -> Unseen:
    """Forty days of one instrument; `skill` 0 = probabilities know nothing, 1 = they know the class."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, HOURS).astype(np.int8)
    known = np.eye(3)[kind]
    guess = rng.dirichlet((4, 4, 4), HOURS)
    p = skill * 0.9 * known + (1 - skill * 0.9) * guess
    ts = np.arange(HOURS, dtype=np.int64) * HOUR
    gain = np.select([kind == UP, kind == DOWN], [0.01, -0.01], 0.0)
    return Unseen(
        outcomes=Outcomes(np.zeros(HOURS, np.int32), ts, ts + 30 * MINUTE, gain, -gain),
        kind=kind,
        both=np.zeros(HOURS, bool),
        p=p,
        momentum=rng.standard_normal(HOURS),
        shares=np.full(3, 1 / 3),
        edge_threshold=0.2,
        momentum_threshold=1.0,
        traded_share=0.05,
        seed=1,
    )


def test_knowing_the_class_shows_in_every_figure():
    metrics = evaluate(unseen(skill=1.0))
    gross = metrics.expectancy[0]
    assert metrics.accuracy.value == 1.0
    assert metrics.auc.low > 0.99
    assert metrics.auc_hold.low > 0.99
    assert metrics.log_loss < 0.2 < metrics.log_loss_base == pytest.approx(np.log(3))
    assert gross.model.value == pytest.approx(100.0)
    assert gross.momentum.low < 0 < gross.momentum.high


def test_knowing_nothing_shows_as_chance():
    metrics = evaluate(unseen(skill=0.0))
    assert metrics.auc.low < 0.5 < metrics.auc.high
    assert metrics.accuracy.low < 1 / 3 < metrics.accuracy.high
    assert metrics.log_loss_gain.high < 0
    assert metrics.expectancy[0].model.low < 0 < metrics.expectancy[0].model.high


def test_each_fee_schedule_lowers_the_mean_by_its_cost():
    rows = {row.schedule: row.model.value for row in evaluate(unseen(skill=1.0)).expectancy}
    costs = {name: rows["gross"] - net for name, net in rows.items()}
    assert costs == pytest.approx({"gross": 0, "vip9": 4, "vip4": 10.8, "legacy16": 32, "kraken": 82.5})


def test_months_cover_all_rows_and_trades():
    metrics = evaluate(unseen(skill=1.0))
    assert [month.month for month in metrics.months] == ["1970-01", "1970-02"]
    assert sum(month.rows for month in metrics.months) == HOURS
    assert sum(month.trades for month in metrics.months) == metrics.trades


def test_no_trade_leaves_money_figures_empty():
    test = unseen(skill=0.5)
    metrics = evaluate(Unseen(**{**vars(test), "edge_threshold": 2.0}))
    assert metrics.trades == 0
    assert metrics.mean_hold_minutes == 0.0
    assert metrics.months[0].gross_bps is None
    assert msgspec.structs.astuple(metrics.expectancy[0].model) == (None, None, None)


def test_log_loss_of_shares_is_their_entropy():
    kind = np.array([DOWN, HOLD, UP, UP], np.int8)
    shares = np.array([[0.25, 0.25, 0.5]])
    assert log_loss(shares, kind).mean() == pytest.approx(-np.mean(np.log([0.25, 0.25, 0.5, 0.5])))
    assert np.isfinite(log_loss(np.array([[0.0, 1.0, 0.0]]), kind)).all()


def test_auc_agrees_with_another_library():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(8)
    positive = rng.random(5000) < 0.4
    score = rng.standard_normal(5000) + 0.3 * positive
    assert auc(score, positive) == pytest.approx(roc_auc_score(positive, score), abs=5e-4)
