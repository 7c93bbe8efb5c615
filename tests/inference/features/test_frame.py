"""Live equals fold to the bit, nothing sees the future, and what is not warm says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, MINUTE
from core.errors import DataError
from core.market import Bar, Timeframe
from inference.features.catalogue import COLUMNS
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, FeatureSpec

M5, M15, H1 = Timeframe.M5, Timeframe.M15, Timeframe.H1
START = 19_800 * DAY
SPEC = FeatureSpec("test", M5, (Block(M5, ("rsi", "atr", "volume_z")), Block(M15, ("ema_9", "volatility"))))
PAIRS = ("BTC/USDT", "ETH/USDT", "XRP/USDT")


class History:
    """A seeded random walk as arrays and as bars."""

    def __init__(self, timeframe: Timeframe, bars: int, seed: int, instrument: str = "BTC/USDT") -> None:
        random = np.random.default_rng(seed)
        self.timeframe, self.instrument = timeframe, instrument
        self.ts_open = START + np.arange(bars) * timeframe.ns
        self.close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, bars)))
        self.open = self.close.copy()
        self.high = self.close * (1 + random.uniform(0, 0.002, bars))
        self.low = self.close * (1 - random.uniform(0, 0.002, bars))
        self.volume = random.lognormal(0, 1, bars) * (random.uniform(size=bars) > 0.1)

    def keep(self, mask: np.ndarray) -> "History":
        for name in ("ts_open", "open", "close", "high", "low", "volume"):
            setattr(self, name, getattr(self, name)[mask])
        return self

    def bars(self) -> list[Bar]:
        columns = zip(self.ts_open.tolist(), self.high, self.low, self.close, self.volume, strict=True)
        return [
            Bar(self.instrument, self.timeframe, ts, close, high, low, close, volume, close, int(volume > 0))
            for ts, high, low, close, volume in columns
        ]


def without(history: History, *gone: int) -> History:
    return history.keep(~np.isin(np.arange(len(history.ts_open)), gone))


def lived(spec: FeatureSpec, histories: list[History], instruments: tuple[str, ...]):
    """Feed a frame instant by instant; give its vectors at each close of the decision timeframe."""
    bars = [bar for history in histories for bar in history.bars()]
    frame = FeatureFrame([spec], instruments)
    closing: dict[int, list[Bar]] = {}
    for bar in sorted(bars, key=lambda bar: (bar.ts_close, bar.timeframe.ns)):
        closing.setdefault(bar.ts_close, []).append(bar)
    answers = {}
    for ts_close, group in closing.items():
        frame.on_bars(group)
        answers[ts_close] = frame.inputs(spec, instruments, ts_close)
    return answers


def market(bars: int = 2_200) -> dict[str, dict[Timeframe, History]]:
    """Three instruments; the second lost a five-minute bar, the third a quarter of an hour."""
    histories = {
        pair: {M5: History(M5, bars, seed, pair), M15: History(M15, bars // 3, seed + 50, pair)}
        for seed, pair in enumerate(PAIRS)
    }
    without(histories["ETH/USDT"][M5], 1_500)
    without(histories["XRP/USDT"][M15], 400, 401)
    return histories


def test_live_steps_equal_the_fold_to_the_bit():
    histories = market()
    answers = lived(SPEC, [one for pair in histories.values() for one in pair.values()], PAIRS)
    for number, pair in enumerate(PAIRS):
        folded = fold(SPEC, histories[pair])
        assert folded.ready.any()
        for t, ts_close in enumerate(folded.ts_close.tolist()):
            live = answers[ts_close]
            assert live.ready[number] == folded.ready[t]
            assert live.close[number] == folded.close[t]
            assert live.atr[number] == folded.atr[t]
            assert live.volatility[number] == folded.volatility[t]
            if folded.ready[t]:
                assert live.tensors["x"][number].tobytes() == folded.x[t].tobytes()


def test_short_hole_is_told_by_the_missing_column_and_nothing_is_imputed():
    spec = FeatureSpec("test", M5, (Block(M5, ("rsi", "missing")),))
    holed = without(History(M5, 1_000, 1), 600, 601)
    folded = fold(spec, {M5: holed})
    missing = folded.x[:, spec.names.index("5m.missing")]
    assert folded.ready[spec.blocks[0].warm_up - 1 :].all()
    assert missing[[599, 600, 657, 658, 659]] == pytest.approx([0, 2 / 60, 2 / 60, 1 / 60, 0])
    # Without a hole between them, the same bars give the same columns.
    whole = without(History(M5, 1_000, 1), 600, 601)
    whole.ts_open = START + np.arange(998) * M5.ns
    assert np.array_equal(fold(spec, {M5: whole}).x[:, 0], folded.x[:, 0])


def test_block_that_allows_no_missing_bar_waits_until_it_has_left_the_last_sixty():
    spec = FeatureSpec("test", M5, (Block(M5, ("rsi",), gap_limit=0),))
    histories = [without(History(M5, 700, 1), 600)]
    folded = fold(spec, {M5: histories[0]})
    assert folded.ready[599]
    assert not folded.ready[600:659].any()
    assert folded.ready[659:].all()
    answers = lived(spec, histories, PAIRS[:1])
    live = answers[int(folded.ts_close[600])]
    assert live.reason == ["5m: 1 of the last 60 bars are missing, allowed 0"]
    assert [bool(one.ready[0]) for one in answers.values()] == folded.ready.tolist()


def test_long_hole_starts_everything_over():
    spec = FeatureSpec("test", M5, (Block(M5, ("rsi",)),))
    ready = fold(spec, {M5: without(History(M5, 1_500, 1), 600, 601, 602)}).ready
    warm = 600 + spec.blocks[0].warm_up - 1
    assert ready[599]
    assert not ready[600:warm].any()
    assert ready[warm:].all()


def test_missing_day_starts_everything_over():
    day = Timeframe.D1
    spec = FeatureSpec("test", day, (Block(day, ("rsi",)),))
    ready = fold(spec, {day: without(History(day, 1_000, 1), 600)}).ready
    assert ready[599]
    assert not ready[600 : 600 + spec.blocks[0].warm_up - 1].any()


def test_vector_is_ready_with_the_last_warm_bar_and_not_before():
    history = {M5: History(M5, 2_000, 1), M15: History(M15, 666, 2)}
    ready = fold(SPEC, history).ready
    first = int(np.argmax(ready))
    # The second block is the slow one: its 340th bar closes with the 1,020th of the first.
    assert first == SPEC.blocks[1].warm_up * 3 - 1
    assert ready[first:].all()


def test_context_bar_that_has_not_closed_is_never_used():
    spec = FeatureSpec("test", M5, (Block(M5, ("rsi",)), Block(H1, ("rsi",))))
    five, hour = History(M5, 12 * 400, 3), History(H1, 400, 4)
    folded = fold(spec, {M5: five, H1: hour})
    alone = fold(FeatureSpec("hour", H1, (Block(H1, ("rsi",)),)), {H1: hour})
    for t in np.flatnonzero(folded.ready)[::7]:
        closed = np.flatnonzero(alone.ts_close <= folded.ts_close[t])
        assert folded.x[t, 1] == alone.x[closed[-1], 0]


def test_context_bar_that_is_overdue_makes_the_vector_invalid_until_the_next():
    five, quarter = History(M5, 2_100, 5), without(History(M15, 700, 6), 600)
    expected_close = START + 601 * 15 * MINUTE
    folded = fold(SPEC, {M5: five, M15: quarter})
    at = int(np.searchsorted(folded.ts_close, expected_close))
    assert folded.ready[at - 1]
    assert not folded.ready[at : at + 3].any()
    assert folded.ready[at + 3 :].all()


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(1_100, 1_990), seed=st.integers(0, 5))
def test_future_never_changes_the_past(cut, seed):
    whole = {M5: History(M5, 2_000, seed), M15: History(M15, 666, seed + 9)}
    known = fold(SPEC, whole)
    until = known.ts_close[cut - 1]
    future = {M5: History(M5, 2_000, seed), M15: History(M15, 666, seed + 9)}
    for history in future.values():
        ahead = history.ts_open + history.timeframe.ns > until
        for name in ("open", "high", "low", "close", "volume"):
            getattr(history, name)[ahead] *= 3.0
    short = {M5: History(M5, 2_000, seed), M15: History(M15, 666, seed + 9)}
    for history in short.values():
        history.keep(history.ts_open + history.timeframe.ns <= until)
    for other in (fold(SPEC, future), fold(SPEC, short)):
        assert other.x[:cut][known.ready[:cut]].tobytes() == known.x[:cut][known.ready[:cut]].tobytes()
        assert np.array_equal(other.ready[:cut], known.ready[:cut])


def test_quiet_bars_are_valid():
    history = {M5: History(M5, 2_000, 1), M15: History(M15, 666, 2)}
    for one in history.values():
        one.volume[-50:] = 0.0
        one.open[-50:] = one.high[-50:] = one.low[-50:] = one.close[-50:] = one.close[-51]
    folded = fold(SPEC, history)
    assert folded.ready[-50:].all()
    assert folded.x[-1, SPEC.names.index("5m.volume_z")] == 0.0


def test_reasons_say_what_is_expected_and_what_was_found():
    five = History(M5, 400, 1)
    frame = FeatureFrame([SPEC], PAIRS)
    frame.on_bars(five.bars())
    now = int(five.ts_open[-1]) + M5.ns
    vectors = frame.inputs(SPEC, PAIRS, now)
    assert not vectors.ready.any()
    assert vectors.reason[0] == "15m: no bar that can be used"
    assert vectors.reason[1] == "5m: no bar that can be used"
    frame.on_bars(History(M15, 133, 2).bars())
    assert frame.inputs(SPEC, PAIRS[:1], now).reason == [
        f"15m: 133 of {SPEC.blocks[1].warm_up} bars since the last hole"
    ]
    late = frame.inputs(SPEC, PAIRS[:1], now + M5.ns).reason[0]
    assert late.startswith("5m: expected a bar closed at ")
    assert late.endswith("newest closed at 2024-03-19T09:20:00.000000Z")


@pytest.mark.parametrize(
    "name,value",
    [("close", np.nan), ("close", np.inf), ("low", 0.0), ("high", 1.0), ("volume", -1.0)],
)
def test_bar_that_cannot_be_true_is_a_hole_in_both_paths(name, value):
    five, quarter = History(M5, 1_200, 1), History(M15, 400, 2)
    getattr(five, name)[1_100] = value
    answers = lived(SPEC, [five, quarter], PAIRS[:1])
    folded = fold(SPEC, {M5: five, M15: quarter})
    assert folded.ready[1_099]
    assert not folded.ready[1_100]
    assert folded.ready[1_101:].all()
    live = [answers[ts_close] for ts_close in folded.ts_close.tolist()]
    assert [bool(vectors.ready[0]) for vectors in live] == folded.ready.tolist()
    assert live[1_100].reason[0].startswith("5m: expected a bar closed at ")
    for t in (1_099, 1_101, 1_199):
        assert live[t].tensors["x"][0].tobytes() == folded.x[t].tobytes()


@pytest.mark.parametrize("wrong_first", [True, False])
def test_bar_told_twice_decides_once_by_the_one_that_can_be_true(wrong_first):
    spec = FeatureSpec("five", M5, (Block(M5, ("rsi", "atr")),))
    plain = fold(spec, {M5: History(M5, 1_200, 1)})
    twice = History(M5, 1_200, 1).keep(np.sort(np.append(np.arange(1_200), 1_100)))
    wrong, right = (1_100, 1_101) if wrong_first else (1_101, 1_100)
    twice.high[wrong] = 1.0
    folded = fold(spec, {M5: twice})
    assert folded.ready[right]
    assert not folded.ready[wrong]
    others = np.delete(np.arange(1_201), wrong)
    assert folded.ready[others].tolist() == plain.ready.tolist()
    assert folded.x[others][plain.ready].tobytes() == plain.x[plain.ready].tobytes()
    answers = lived(spec, [twice], PAIRS[:1])
    assert [bool(answers[ts_close].ready[0]) for ts_close in plain.ts_close.tolist()] == plain.ready.tolist()


def test_column_that_is_not_finite_is_never_ready():
    five, quarter = History(M5, 1_200, 1), History(M15, 400, 2)
    frame = FeatureFrame([SPEC], PAIRS[:1])
    frame.on_bars([*five.bars(), *quarter.bars()])
    live = frame._live[M15]
    live.work.out[live.layout.rows["ema_9"], 0] = np.nan
    vectors = frame.inputs(SPEC, PAIRS[:1], START + 1_200 * M5.ns)
    assert vectors.reason == ["not finite"]
    assert not vectors.ready[0]


def test_history_after_a_gap_makes_an_instrument_ready_at_once():
    five, quarter = History(M5, 1_200, 1), History(M15, 400, 2)
    frame = FeatureFrame([SPEC], PAIRS[:1])
    frame.on_bars([*without(History(M5, 1_200, 1), 1_100, 1_101, 1_102).bars(), *quarter.bars()])
    now = START + 1_200 * M5.ns
    assert not frame.inputs(SPEC, PAIRS[:1], now).ready[0]
    frame.warm(list(reversed(five.bars())))
    vectors = frame.inputs(SPEC, PAIRS[:1], now)
    assert vectors.ready[0]
    assert vectors.tensors["x"][0].tobytes() == fold(SPEC, {M5: five, M15: quarter}).x[-1].tobytes()


def test_bars_of_strangers_and_of_other_timeframes_are_ignored():
    frame = FeatureFrame([SPEC], PAIRS[:1])
    frame.on_bars(History(M5, 5, 1, "DOGE/USDT").bars())
    frame.warm([*History(Timeframe.H4, 5, 1).bars(), *History(M5, 5, 1, "DOGE/USDT").bars()])
    assert frame.inputs(SPEC, PAIRS[:1], START + 5 * M5.ns).reason == ["5m: no bar that can be used"]


def test_clock_columns_turn_once_a_day_and_once_a_week():
    histories = {M5: History(M5, 2_500, 1), M15: History(M15, 833, 2)}
    folded = fold(SPEC, histories)
    clock = folded.x[:, -4:]
    moment = (folded.ts_close % (7 * DAY)) / DAY * 2 * np.pi
    assert clock[:, 0] == pytest.approx(np.sin(moment), abs=1e-6)
    assert clock[:, 3] == pytest.approx(np.cos(moment / 7), abs=1e-6)


def test_timeframe_without_bars_is_named():
    with pytest.raises(DataError, match="15m"):
        fold(SPEC, {M5: History(M5, 10, 1)})
    with pytest.raises(DataError, match="5m"):
        fold(SPEC, {M5: History(M5, 0, 1), M15: History(M15, 3, 1)})


def test_every_column_can_be_picked():
    spec = FeatureSpec("all", M5, (Block(M5, COLUMNS),))
    folded = fold(spec, {M5: History(M5, 700, 1)})
    assert folded.x.shape == (700, len(COLUMNS) + 4)
    assert folded.x.dtype == np.float32
    assert folded.ts_close[0] == START + M5.ns


OF = FeatureSpec("of", M5, (Block(M5, ("rsi",)), Block(M5, ("return_1",), of="BTC")))


def test_columns_of_another_instrument_are_those_of_the_same_quote():
    frame = FeatureFrame([OF], ("ETH/USD", "BTC/USD", "ETH/EUR", "BTC/EUR"))
    histories = {name: History(M5, 500, seed, name) for seed, name in enumerate(frame.instruments)}
    for history in histories.values():
        frame.on_bars(history.bars())
    now = START + 500 * M5.ns
    found = frame.inputs(OF, frame.instruments, now)
    assert found.ready.all()
    for row, name in enumerate(frame.instruments):
        base = histories["BTC/USD" if name.endswith("USD") else "BTC/EUR"]
        folded = fold(OF, {M5: histories[name]}, {"BTC": {M5: base}})
        assert found.tensors["x"][row].tobytes() == folded.x[-1].tobytes()


def test_instrument_without_its_reference_is_never_ready_and_says_so():
    frame = FeatureFrame([OF], ("ETH/USD", "BTC/EUR"))
    frame.on_bars(History(M5, 500, 1, "ETH/USD").bars())
    found = frame.inputs(OF, ("ETH/USD",), START + 500 * M5.ns)
    assert found.reason == ["BTC.5m: BTC is not among the instruments"]
    assert not found.ready[0]
    with pytest.raises(DataError, match="expected 5m bars of BTC, found none"):
        fold(OF, {M5: History(M5, 500, 1)})


def test_specifications_share_one_state_and_do_not_disturb_one_another():
    windowed = FeatureSpec("w", M5, (Block(M5, ("rsi", "atr"), window=7), Block(M5, ("rsi",))))
    longer = FeatureSpec("l", M5, (Block(M5, ("rsi", "atr"), window=12),))
    frame = FeatureFrame([SPEC, windowed, longer], PAIRS[:1])
    five, quarter = History(M5, 1_200, 1), History(M15, 400, 2)
    frame.on_bars([*five.bars(), *quarter.bars()])
    now = START + 1_200 * M5.ns
    assert frame.timeframes == (M5, M15)
    for spec in frame.specs:
        folded = fold(spec, {M5: five, M15: quarter}).tensors(np.array([1_199]))
        found = frame.inputs(spec, PAIRS[:1], now)
        assert found.ready[0]
        assert {name: tensor.tobytes() for name, tensor in found.tensors.items()} == {
            name: tensor.tobytes() for name, tensor in folded.items()
        }
    (ring,) = frame._live[M5].rings.values()
    assert ring.values.shape == (1, 12, 2)


def test_history_longer_than_a_chunk_equals_one_fed_live_in_pieces():
    five = History(M5, 20_000, 3)
    spec = FeatureSpec(
        "long", M5, (Block(M5, ("rsi", "volume_z", "macd")), Block(M5, ("rsi", "missing"), window=4))
    )
    holed = without(five, 8_191, 8_192, 9_000, 16_383, 16_384, 16_385, 16_386)
    folded = fold(spec, {M5: holed})
    frame = FeatureFrame([spec], PAIRS[:1])
    bars = holed.bars()
    for first in range(0, len(bars), 997):
        frame.on_bars(bars[first : first + 997])
        t = min(first + 997, len(bars)) - 1
        found = frame.inputs(spec, PAIRS[:1], int(folded.ts_close[t]))
        assert found.ready[0] == folded.ready[t]
        if folded.ready[t]:
            ours = folded.tensors(np.array([t]))
            assert all(found.tensors[name].tobytes() == ours[name].tobytes() for name in ours)


def test_row_tells_its_age_and_the_close_it_is_of():
    frame = FeatureFrame([SPEC], PAIRS)
    frame.on_bars(History(M5, 3, 1).bars())
    found = frame.inputs(SPEC, PAIRS, START + 5 * M5.ns)
    assert found.age_s.tolist() == [600.0, np.inf, np.inf]
    assert found.close[0] == History(M5, 3, 1).close[-1]
