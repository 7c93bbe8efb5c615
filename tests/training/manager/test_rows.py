"""Rows of open positions: when they are looked at, what they see, how their label is made."""

from dataclasses import replace

import numpy as np
import pytest

from core.clock import MINUTE
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.lake import aggregate
from inference.card_check import POSITION
from inference.features.fold import fold
from inference.features.spec import SPECS
from tests.training.manager.made import START, answers, minutes, wandering
from training.guard.market import null_market
from training.manager.entries import TradeTerms, simulate
from training.manager.rows import CONTINUE, REVERSE, TARGET_NAME, InTradeTerms, build, followed, looks
from training.panel.panel import UNKNOWN

SPEC = SPECS["manager_1m5m"]
TERMS = InTradeTerms()
FAR = START + 10**18


def test_looks_are_closes_at_which_the_position_is_still_open():
    of, minute = looks(np.array([10, 50, 80]), np.array([21, 53, 85]), 5)
    # Held through minutes 10 to 20: closes of 14 and 19. The second ends within its fourth minute.
    assert of.tolist() == [0, 0, 2]
    assert minute.tolist() == [14, 19, 84]


def label(closes, opens=None, side=1.0, atr=1.0, terms=TERMS, minute=0):
    opens = closes if opens is None else opens
    bars = minutes([(o, max(o, c) + 1, min(o, c) - 1, c) for o, c in zip(opens, closes, strict=True)])
    found = followed(bars, np.array([minute]), np.array([side]), np.array([atr]), terms)
    return int(found.kind[0]), float(found.value[0]), int(found.ts_end[0])


def test_label_compares_the_mean_close_of_minutes_three_to_ten_with_the_next_open():
    # Minutes 1 and 2 do not count as closes, the next open does: 100.5.
    closes = [100.0, 150.0, 50.0, 101, 102, 103, 104, 101, 102, 103, 104]
    opens = [100.0, 100.5, *closes[2:]]
    kind, value, end = label(closes, opens)
    assert (kind, value) == (CONTINUE, pytest.approx(102.5 - 100.5))
    assert end == START + 11 * MINUTE  # the close of the tenth minute after that of minute 0
    assert label(closes, opens, side=-1.0)[:2] == (REVERSE, pytest.approx(-2.0))
    assert label(closes, opens, atr=4.0)[:2] == (UNKNOWN, pytest.approx(0.5))  # not beyond the band
    assert label(closes, opens, atr=3.9)[0] == CONTINUE
    assert label(closes, opens, atr=0.0)[0] == UNKNOWN


def test_label_of_somebody_a_minute_late_starts_at_the_open_after_the_next():
    closes = [100.0, 150.0, 50.0, 101, 102, 103, 104, 101, 102, 103, 104]
    bars = minutes([(c + 7, c + 9, c - 1, c) for c in closes])
    on_time, late = (
        followed(bars, np.array([0]), np.ones(1), np.ones(1), TERMS, leave=leave).value[0] for leave in (1, 2)
    )
    assert (on_time, late) == (pytest.approx(102.5 - 157), pytest.approx(102.5 - 57))


def test_no_label_without_all_its_minutes():
    walk = list(wandering(12, 1).close)
    assert label(walk[:11])[0] != UNKNOWN or abs(label(walk[:11])[1]) <= 0.5
    assert np.isnan(label(walk[:10])[1])
    bars = wandering(12, 1)
    holed = replace(bars, ts_open=np.r_[bars.ts_open[:7], bars.ts_open[7:] + MINUTE])
    found = followed(holed, np.array([0]), np.ones(1), np.ones(1), TERMS)
    assert found.kind[0] == UNKNOWN
    assert np.isnan(found.value[0])


def test_terms_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="soonest <= latest"):
        InTradeTerms(soonest=11)
    with pytest.raises(UsageError, match="every >= 1"):
        InTradeTerms(every=0)


@pytest.fixture(scope="module")
def market():
    return null_market(2, 9, seed=3)


def traded(series, seed=0):
    rng = np.random.default_rng(seed)
    ts = series[0].ts_open[::15]
    owner = np.repeat([0, 1], len(ts))
    side = rng.choice([-1, 0, 1], 2 * len(ts))
    kept = answers(series, np.tile(ts, 2), side, test_start=FAR, atr=0.25, instrument=owner)
    return simulate(kept, series, TradeTerms(max_hold_s=3600), 0.1)


@pytest.fixture(scope="module")
def rows(market):
    return build(traded(market), market, SPEC, TERMS)


def test_rows_hold_bit_for_bit_what_the_fold_gives_at_their_close(market, rows):
    folded = [fold(SPEC, {t: aggregate(bars, t) for t in SPEC.timeframes}) for bars in market]
    assert len(rows) > 500
    for number, one in enumerate(folded):
        mine = np.flatnonzero(rows.panel.instrument == number)
        at = np.searchsorted(one.ts_close, rows.panel.ts[mine])
        assert one.ready[at].all()
        expected, found = one.tensors(at), rows.panel.tensors(mine)
        assert {*expected} | {POSITION} == {*found}
        for name, tensor in expected.items():
            assert np.array_equal(tensor, found[name]), name
        assert np.array_equal(rows.panel.atr[mine], one.atr[at])


def test_rows_lie_within_their_positions_in_time_order(market, rows):
    trades = traded(market)
    assert (rows.panel.instrument == trades.instrument[rows.trade]).all()
    age = rows.panel.beside[POSITION][:, 1]
    assert np.array_equal(age, rows.minute - trades.first[rows.trade] + 1)
    assert (rows.minute < trades.minute[rows.trade]).all()
    same = np.diff(rows.trade) == 0
    assert (np.diff(rows.minute)[same] == TERMS.every).all()
    assert (rows.panel.followed[TARGET_NAME].ts_end == rows.panel.ts + TERMS.horizon_ns).all()
    assert rows.panel.weight.mean() == pytest.approx(1.0)


def test_rival_sees_the_last_minutes_move_in_the_position_s_direction(market, rows):
    row = 100
    bars = market[rows.panel.instrument[row]]
    side = traded(market).side[rows.trade[row]]
    minute = rows.minute[row]
    moved = side * (bars.close[minute] - bars.close[minute - TERMS.latest])
    assert rows.panel.momentum[row] == pytest.approx(moved / rows.panel.atr[row])


def test_nothing_that_comes_later_changes_what_a_row_sees(market, rows):
    """Only the label may know the future: other bars after an instant leave all rows before it alone."""
    other = null_market(2, 9, seed=4)
    cut = int(len(market[0]) * 0.8)
    instant = market[0].ts_open[cut]
    spliced = [
        replace(
            ours,
            **{
                name: np.r_[getattr(ours, name)[:cut], getattr(theirs, name)[cut:]]
                for name in ("open", "high", "low", "close", "volume", "vwap", "trades")
            },
        )
        for ours, theirs in zip(market, other, strict=True)
    ]
    changed = build(traded(spliced), spliced, SPEC, TERMS)
    horizon = TERMS.horizon_ns + 3600 * 10**9
    for name in ("ts", "atr", "momentum", "close"):
        before, after = (
            getattr(each.panel, name)[each.panel.ts <= instant - horizon] for each in (rows, changed)
        )
        assert len(before) > 300
        assert np.array_equal(before, after), name
    old, new = (each.panel.only(each.panel.ts <= instant - horizon) for each in (rows, changed))
    for name, tensor in old.tensors().items():
        assert np.array_equal(tensor, new.tensors()[name]), name
    assert np.array_equal(old.followed[TARGET_NAME].value, new.followed[TARGET_NAME].value, equal_nan=True)


def test_bars_that_are_no_minutes_are_refused(market):
    trades = traded(market)
    coarse = [aggregate(bars, Timeframe.M5) for bars in market]
    with pytest.raises(UsageError, match="expected 1m bars and a specification that decides at 1m; found 5m"):
        build(trades, coarse, SPEC, TERMS)
    with pytest.raises(UsageError, match="entry_5m at 5m"):
        build(trades, market, SPECS["entry_5m"], TERMS)
    with pytest.raises(DataError, match="expected open positions with features"):
        build(trades.only(trades.first < 300), market, SPEC, TERMS)
