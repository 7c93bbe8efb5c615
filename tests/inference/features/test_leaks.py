"""No column sees the future, live is fold to the bit, and what a start leaves is forgotten: all columns.

`whole.WHOLE` holds every column of the catalogue, every cross column, an outside series, another
instrument and windows; each failure names the column and the row.
"""

from dataclasses import replace

import numpy as np
import pytest

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.features.catalogue import COLUMNS, layout, warm_up_of
from inference.features.fold import fold
from inference.features.series import new_marks, numbered, table, walk
from inference.features.spec import SPECS, Block, FeatureSpec
from tests.inference.features.whole import (
    BASE,
    M5,
    M15,
    PAIR,
    WHOLE,
    Histories,
    assert_same,
    changed,
    folded,
    funding,
    histories,
    live,
    tensors,
    without,
)


@pytest.fixture(scope="module")
def own() -> Histories:
    """The instrument's bars: it lacks two of five minutes and one of fifteen."""
    whole = histories(PAIR)
    return whole | {M5: without(whole[M5], 3_900, 3_901), M15: without(whole[M15], 1_250)}


@pytest.fixture(scope="module")
def base() -> Histories:
    return histories(BASE)


@pytest.fixture(scope="module")
def known(own):
    return funding(int(own[M5].ts_close[-1]))


@pytest.fixture(scope="module")
def whole(own, base, known):
    return folded(own, base, known)


@pytest.fixture(scope="module")
def rows(whole) -> np.ndarray:
    """The rows that may be used."""
    ready = np.flatnonzero(whole.ready)
    assert len(ready) > 1_500
    return ready


def test_live_is_fold_to_the_bit_in_every_column(own, base, known, whole, rows):
    start = int(whole.ts_close[rows[900]])
    _, answers = live(own, base, known, start)
    after = np.flatnonzero(whole.ts_close > start)
    stepped = [answers[ts_close] for ts_close in whole.ts_close[after].tolist()]
    assert [bool(one.ready[0]) for one in stepped] == whole.ready[after].tolist()
    assert [one.reason[0] == "" for one in stepped] == whole.ready[after].tolist()
    assert not whole.ready[after].all()  # the holes are among them
    ours = {name: tensor[after] for name, tensor in tensors(whole).items()}
    theirs = {name: np.concatenate([one.tensors[name] for one in stepped]) for name in ours}
    assert_same(ours, theirs, np.flatnonzero(whole.ready[after]), "fold and live")
    for name in ("atr", "volatility", "close"):
        found = np.concatenate([getattr(one, name) for one in stepped])
        assert np.array_equal(found, getattr(whole, name)[after]), name


@pytest.mark.parametrize("pair", [PAIR, "DOGE/USDT"])
@pytest.mark.parametrize("first", [1, 7, 333])
def test_any_first_bar_gives_the_same_column_after_its_warm_up(pair, first):
    """In float64, relative to max(1, |value|); prices of levels are relative to price."""
    bars = table(histories(pair)[M5])
    begun, late = exact(bars), exact(type(bars)(bars.ts_open[first:].copy(), bars.values[:, first:].copy()))
    for row, column in enumerate(layout(COLUMNS).rows):
        warm = warm_up_of(column, M5) - 1
        ours, theirs = begun[row, first + warm :], late[row, warm:]
        with np.errstate(invalid="ignore"):
            off = np.abs(ours - theirs) > 1e-9 * np.maximum(1.0, np.abs(ours))
        off |= np.isnan(ours) != np.isnan(theirs)
        at = np.flatnonzero(off)
        assert at.size == 0, f"{column}, bar {first + warm + at[0]}: {ours[at[0]]} and {theirs[at[0]]}"


def exact(bars, timeframe=M5) -> np.ndarray:
    """Give every column of the catalogue [columns, bars], float64."""
    plan = layout(COLUMNS)
    at = numbered(bars, timeframe, new_marks(1))
    out = np.empty((plan.width, at.total))

    def sink(origin, count, part):
        out[:, origin : origin + count] = part[:, :count]

    walk(plan, plan.states(1), bars, at, timeframe=timeframe, sink=sink)
    return out[:, at.slots]


def cut(own: Histories, until: int, change) -> Histories:
    """Change the bars of each timeframe that have not closed by `until`: change(history, first of them)."""
    return {
        timeframe: change(one, int(np.searchsorted(one.ts_close, until, side="right")))
        for timeframe, one in own.items()
    }


def shuffled(history: BarArrays, first: int) -> BarArrays:
    """Permute prices and volumes of all bars from `first` on, and make them ten times as large."""
    order = np.concatenate(
        [np.arange(first), first + np.random.default_rng(3).permutation(len(history) - first)]
    )
    mixed = changed(history, lambda values: values[order])
    louder = {name: getattr(mixed, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for values in louder.values():
        values[first:] *= 10.0
    return replace(mixed, ts_open=history.ts_open, **louder)


def truncated(history: BarArrays, first: int) -> BarArrays:
    return changed(history, lambda values: values[:first])


@pytest.mark.parametrize("change", [shuffled, truncated])
@pytest.mark.parametrize("part", [0.15, 0.55, 0.9])
def test_no_column_depends_on_what_comes_later(own, base, known, whole, rows, change, part):
    t = int(rows[int(part * len(rows))])
    until = int(whole.ts_close[t])
    later = known.known_at > until
    future = known._replace(values=np.where(later[:, None], known.values + 7.0, known.values))
    other = folded(cut(own, until, change), cut(base, until, change), future)
    past = rows[rows <= t]
    assert other.ready[past].all()
    assert_same(tensors(whole), tensors(other), past, f"known at row {t} and with another future")
    # The change is not without effect: the rows after it do differ.
    if change is shuffled:
        assert not np.array_equal(whole.close[t + 1 :], other.close[t + 1 :])


def test_context_is_the_last_bar_that_has_closed_and_no_other(own, base, whole, rows):
    """Against a search through plain lists, and columns that were never aligned to anything."""
    ours = tensors(whole)["x"]
    start = 0
    for block in WHOLE.flat:
        source = (base if block.of else own)[block.timeframe]
        closes = source.ts_close.tolist()
        columns = exact(table(source), block.timeframe)
        picked = layout(COLUMNS).positions(block.columns)
        for t in rows[::97].tolist():
            newest = [k for k, close in enumerate(closes) if close <= whole.ts_close[t]][-1]
            assert whole.ts_close[t] - closes[newest] < block.timeframe.ns
            bar = closes.index(closes[newest] - block.lag * block.timeframe.ns)
            expected = columns[picked, bar].astype(np.float32)
            found = ours[t, start : start + len(block.columns)]
            bad = np.flatnonzero(found.view(np.int32) != expected.view(np.int32))
            assert bad.size == 0, f"{block.name}.{block.columns[bad[0]]}, row {t}"
        start += len(block.columns)


def without_window(block: Block) -> Block:
    """Give the same columns of the instrument's own, of the newest bar alone."""
    return Block(block.timeframe, block.columns)


def test_single_slot_of_a_lag_that_is_absent_holds_the_row_back(own, base, known, whole):
    """A quarter of an hour is absent: rows that would read it are not ready, those before and after are."""
    gone = int(np.flatnonzero(np.diff(own[M15].ts_open) > M15.ns)[-1])
    absent = int(own[M15].ts_open[gone]) + M15.ns
    reads = whole.ts_close // M15.ns * M15.ns - 3 * M15.ns
    own_bar = whole.ts_close // M15.ns * M15.ns - M15.ns
    assert not whole.ready[(reads == absent) | (own_bar == absent)].any()
    assert whole.ready[(reads == absent + M15.ns) | (reads == absent - M15.ns)].any()
    until = int(whole.ts_close[reads == absent][-1])
    start = until - 8 * M15.ns
    short = {
        frame: truncated(one, int(np.searchsorted(one.ts_close, until, side="right")))
        for frame, one in own.items()
    }
    short_base = {
        frame: truncated(one, int(np.searchsorted(one.ts_close, until, side="right")))
        for frame, one in base.items()
    }
    _, answers = live(short, short_base, known, start)
    assert answers[until].reason == ["not finite"]


def test_windows_are_the_slots_before_the_newest_with_holes_marked(own, base, whole):
    """Slot by slot against the block without a window; a slot without a bar is zeros and `missing` 1."""
    after_a_hole = 1 + np.flatnonzero(np.diff(whole.ts_close) > M5.ns)[-1] + np.arange(8)
    asked = np.concatenate([np.flatnonzero(whole.ready)[::13], after_a_hole[whole.ready[after_a_hole]]])
    holes = 0
    for block in WHOLE.windows:
        source = base if block.of else own
        alone = fold(FeatureSpec("alone", block.timeframe, (without_window(block),), clock=()), source)
        row_of = {ts_close: row for row, ts_close in enumerate(alone.ts_close.tolist())}
        values = alone.x
        empty = np.array([float(column == "missing") for column in block.columns], np.float32)
        windows = whole.tensors(asked)[block.name]
        for t, window in zip(asked.tolist(), windows, strict=True):
            newest = block.timeframe.floor(int(whole.ts_close[t])) - block.lag * block.timeframe.ns
            for slot in range(block.window):
                row = row_of.get(newest - (block.window - 1 - slot) * block.timeframe.ns)
                holes += row is None
                expected = empty if row is None else values[row]
                assert np.array_equal(window[slot], expected), f"{block.name}, row {t}, slot {slot}"
    assert holes


@pytest.mark.parametrize("factor", [1 / 1024, 4096.0])
def test_units_of_price_and_volume_do_not_matter(own, base, known, whole, rows, factor):
    def scaled(history: BarArrays, _: int) -> BarArrays:
        prices = {name: getattr(history, name) * factor for name in ("open", "high", "low", "close", "vwap")}
        return replace(history, **prices, volume=history.volume / factor)

    other = folded(cut(own, 0, scaled), cut(base, 0, scaled), known)
    assert_same(tensors(whole), tensors(other), rows, "units")


@pytest.mark.parametrize("what", ["silence", "jump", "crash", "storm"])
def test_whatever_the_market_does_every_column_is_a_finite_number(base, known, what):
    def spoiled(history: BarArrays, first: int) -> BarArrays:
        values = {name: getattr(history, name).copy() for name in ("open", "high", "low", "close", "volume")}
        prices = [values[name] for name in ("open", "high", "low", "close")]
        match what:
            case "silence":
                for price in prices:
                    price[first:] = values["close"][first - 1]
                values["volume"][first:] = 0.0
            case "jump" | "crash":
                for price in prices:
                    price[first:] *= 1e4 if what == "jump" else 1e-4
            case _:
                values["high"][first] *= 1e3
                values["low"][first] *= 1e-3
                values["volume"][first] *= 1e9
        return replace(history, **values)

    whole = histories(PAIR)
    until = int(whole[M5].ts_close[3_500])
    found = folded(cut(whole, until, spoiled), base, known)
    assert found.ready[3_501:].all()
    for name, tensor in tensors(found).items():
        assert np.abs(tensor[3_501:]).max() < 1e6, name


def test_minutes_behind_an_hourly_decision_end_with_the_hour():
    """The minute that opens at the hour is not in the row of that hour, the one that ends there is."""
    spec = SPECS["v4_hourly"]
    hours = 700
    random = np.random.default_rng(11)
    minutes = walked_minutes(random, hours * 60)
    plain = fold(spec, hourly(minutes))
    ready = np.flatnonzero(plain.ready)
    assert len(ready) > 30
    x = plain.x
    for t in random.choice(ready[:-1], 12, replace=False).tolist():
        first_after = int(np.searchsorted(minutes.ts_open, plain.ts_close[t]))
        assert minutes.ts_open[first_after] == plain.ts_close[t]
        after = fold(spec, hourly(nudged(minutes, first_after))).x
        assert np.array_equal(after[t].view(np.int32), x[t].view(np.int32)), (
            f"row {t} knows a minute after it"
        )
        before = fold(spec, hourly(nudged(minutes, first_after - 1))).x
        moved = [name for name, one, two in zip(spec.names, x[t], before[t], strict=True) if one != two]
        assert {"1m.return_5", "1h.return_1"} <= set(moved)


def walked_minutes(random, count: int) -> BarArrays:
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.0007, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) * 1.0002, np.minimum(opened, close) * 0.9998
    volume = random.lognormal(0, 1, count)
    start = 19_723 * Timeframe.D1.ns
    ts_open = start + np.arange(count) * Timeframe.M1.ns
    return BarArrays(
        "A/B", Timeframe.M1, ts_open, opened, high, low, close, volume, close, np.ones(count, np.int32)
    )


def hourly(minutes: BarArrays) -> Histories:
    return {Timeframe.M1: minutes, Timeframe.H1: aggregate(minutes, Timeframe.H1)}


def nudged(minutes: BarArrays, at: int) -> BarArrays:
    """Give the minutes with one bar's close and high raised."""
    close, high = minutes.close.copy(), minutes.high.copy()
    close[at] *= 1.01
    high[at] = max(high[at], close[at])
    return replace(minutes, close=close, high=high)


def test_hour_closed_on_the_right_of_open_stamps_tells_the_next_minute():
    """The trap: bars stamped at their open, grouped with the right edge included and labelled by it."""
    random = np.random.default_rng(2)
    minutes = walked_minutes(random, 60 * 4_000)
    now = minutes.close[59:-60:60]  # the close at each full hour
    before = minutes.close[58:-60:60]
    later = minutes.close[64:-55:60]
    closed_right = minutes.close[60::60][: len(now)]  # of (h - 1, h] the last stamp is h: yet to come
    ours = aggregate(minutes, Timeframe.H1)
    assert np.array_equal(ours.close[: len(now)], now)
    assert np.array_equal(ours.ts_close[: len(now)], minutes.ts_close[59:-60:60])
    leaked = np.mean(np.sign(closed_right - now) == np.sign(later - now))
    honest = np.mean(np.sign(now - before) == np.sign(later - now))
    assert leaked > 0.6
    assert abs(honest - 0.5) < 3 * 0.5 / np.sqrt(len(now))
