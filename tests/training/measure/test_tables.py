"""Which rows are told, of whom, and what is said of many."""

import numpy as np
import pytest

from core.clock import HOUR
from tests.training.measure.by_hand import START, kept_of, noise
from training.measure import tables


@pytest.fixture(scope="module")
def kept():
    kind, p = noise(1_200, 1, skill=0.7)
    _, other = noise(1_200, 2)
    naive = other.copy()
    naive[:300] = np.nan  # it did not speak in the first fold
    fold = np.r_[np.full(300, 1), np.full(300, 2), np.zeros(600)]
    hours = np.r_[np.arange(600), np.arange(300), np.arange(300)] + np.r_[np.zeros(600), np.full(600, 600)]
    return kept_of(
        kind,
        {"net": p, "naive": naive},
        fold=fold,
        instrument=np.r_[np.zeros(600), np.zeros(300), np.ones(300)],
        ts=START + HOUR * (1 + hours),
        moved=kind - 1.0,
    )


def test_every_voice_is_told_by_pair_and_by_fold(kept):
    rows = tables.measured(kept)
    keys = [(row.voice, row.span, row.instrument, row.scores.rows) for row in rows]
    assert keys == [
        ("net", "test", "all", 600),
        ("net", "test", "BTC/USDT", 300),
        ("net", "test", "ETH/USDT", 300),
        ("net", "fold 1", "all", 300),
        ("net", "fold 2", "all", 300),
        ("naive", "test", "all", 600),
        ("naive", "test", "BTC/USDT", 300),
        ("naive", "test", "ETH/USDT", 300),
        ("naive", "fold 2", "all", 300),
    ]


def test_the_base_rate_knows_the_time_before_and_no_more(kept):
    early = np.bincount(kept.kind[:600], minlength=3) / 600
    row = tables.measured(kept)[0]
    assert row.scores.base == pytest.approx(early.tolist())
    assert tables.before(kept.only(kept.fold == 0)) == pytest.approx(
        np.bincount(kept.kind[600:], minlength=3) / 600
    )


def test_a_voice_with_skill_is_told_from_one_without(kept):
    found = tables.compared(kept, "net", "naive")
    assert found.rows == 600
    assert found.gain.low > 0
    assert found.auc.low > 0
    back = tables.compared(kept, "naive", "net")
    assert back.gain.value == pytest.approx(-found.gain.value)


def test_rows_above_chance_are_counted_beside_what_chance_gives(kept):
    found = tables.multiplicity(tables.measured(kept))
    assert (found.rows, found.above, found.below) == (4, 2, 0)
    assert found.by_chance == pytest.approx(0.1)


def test_rows_whose_answer_is_unknown_are_not_judged(kept):
    kind = kept.kind.copy()
    kind[600:700] = -1
    holes = kept_of(kind, {"net": kept.p}, ts=kept.ts, instrument=kept.instrument, fold=kept.fold)
    assert tables.measured(holes)[0].scores.rows == 500


def test_classes_without_sides_are_ranked_by_the_last():
    kind, p = noise(400, 4, skill=1.0, classes=2)
    kept = kept_of(kind, {"net": p}, classes=("normal", "high"))
    row = tables.measured(kept)[0]
    assert row.scores.auc.value == pytest.approx(row.scores.auc_rest[1])
    assert row.scores.ic.value is None


def test_two_models_are_compared_where_they_were_asked_the_same(kept):
    _, other = noise(1_200, 9)
    told = {"ts": kept.ts, "instrument": kept.instrument, "fold": kept.fold}
    trees = kept_of(kept.kind, {"trees": other}, name="entry-1h", **told)
    found = tables.against(kept, trees.only(np.arange(1_200) % 2 == 0))
    assert (found.first, found.second, found.rows) == ("net", "entry-1h", 300)
    assert found.gain.low > 0
    asked_else = kept_of((kept.kind + 1) % 3, {"trees": other}, name="entry-1h", **told)
    assert tables.against(kept, asked_else) is None
    assert tables.against(kept, trees.only(trees.fold != 0)) is None
