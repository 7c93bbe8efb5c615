"""A saved and restored frame goes on as if it had never stopped; anything else is refused."""

import numpy as np
import pytest

from core.clock import DAY
from core.errors import DataError
from core.market import Bar, Timeframe
from inference.features.catalogue import COLUMNS, family_of
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, FeatureSpec, Outside
from inference.features.state import SCHEMA

M5, M15 = Timeframe.M5, Timeframe.M15
START = 19_800 * DAY
PRICED = tuple(column for column in COLUMNS if not family_of(column).needs)
SPEC = FeatureSpec(
    "test", M5, (Block(M5, PRICED), Block(M5, ("rsi", "missing"), window=8), Block(M15, ("rsi",)))
)
PAIRS = ("BTC/USD", "ETH/USD")


def bars(timeframe: Timeframe, count: int, seed: int, instrument: str = "BTC/USD") -> list[Bar]:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, count)))
    volume = random.lognormal(0, 1, count)
    return [
        Bar(instrument, timeframe, START + k * timeframe.ns, c, c * 1.001, c * 0.999, c, v, c, 1)
        for k, (c, v) in enumerate(zip(close.tolist(), volume.tolist(), strict=True))
    ]


def minutes(count: int) -> list[Bar]:
    """Both timeframes of both instruments, in the order of their closes."""
    every = [
        bar
        for seed, pair in enumerate(PAIRS)
        for bar in (*bars(M5, count, seed, pair), *bars(M15, count // 3, seed + 9, pair))
    ]
    return sorted(every, key=lambda bar: (bar.ts_close, bar.timeframe.ns))


def fed(stream: list[Bar], *, specs=(SPEC,), instruments=PAIRS) -> FeatureFrame:
    frame = FeatureFrame(specs, instruments)
    frame.on_bars(stream)
    return frame


def assert_same(frame: FeatureFrame, other: FeatureFrame, ts_close: int, instruments=PAIRS) -> None:
    one, two = (each.inputs(SPEC, instruments, ts_close) for each in (frame, other))
    assert one.reason == two.reason
    for name, tensor in one.tensors.items():
        assert tensor.tobytes() == two.tensors[name].tobytes(), name
    for name in ("ready", "atr", "volatility", "close", "age_s"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


@pytest.fixture(scope="module")
def stream() -> list[Bar]:
    return minutes(2_100)


@pytest.mark.parametrize("stop", [1, 700, 4_001])
def test_restored_frame_equals_one_that_never_stopped_to_the_bit(stream, stop):
    never = fed(stream)
    stopped = fed(stream[:stop])
    again = FeatureFrame([SPEC], PAIRS)
    taken = again.restore(stopped.save())
    assert taken.instruments == PAIRS
    assert taken.timeframes == (M5, M15)
    again.on_bars(stream[stop:])
    end = START + 2_100 * M5.ns
    assert never.inputs(SPEC, PAIRS, end).ready.all()
    assert_same(never, again, end)
    assert never.save() == again.save()


def test_history_after_a_restore_goes_on_where_the_state_ended(stream):
    never = fed(stream)
    again = FeatureFrame([SPEC], PAIRS)
    again.restore(fed([bar for bar in stream if bar.ts_open < START + 1_800 * M5.ns]).save())
    # The history begins later than the state did, and overlaps it: what is known already is left out.
    again.warm([bar for bar in stream if bar.ts_open >= START + 1_500 * M5.ns])
    assert_same(never, again, START + 2_100 * M5.ns)


@pytest.mark.parametrize("lost,goes_on", [(2, True), (3, False)])
def test_history_that_begins_after_a_hole_goes_on_only_if_the_hole_is_short(lost, goes_on):
    stream = bars(M5, 1_500, 1)
    spec = FeatureSpec("five", M5, (Block(M5, ("rsi", "missing"), window=5),))
    frame = fed(stream[:1_000], specs=[spec])
    frame.warm(stream[1_000 + lost : 1_010])
    found = frame.inputs(spec, PAIRS[:1], stream[1_009].ts_close)
    assert bool(found.ready[0]) is goes_on
    live = fed([*stream[:1_000], *stream[1_000 + lost : 1_010]], specs=[spec])
    expected = live.inputs(spec, PAIRS[:1], stream[1_009].ts_close)
    assert found.reason == expected.reason
    assert found.tensors["5m"].tobytes() == expected.tensors["5m"].tobytes()


def test_absent_slot_before_a_history_that_follows_is_in_the_window():
    stream = bars(M5, 1_010, 1)
    spec = FeatureSpec("five", M5, (Block(M5, ("rsi", "missing"), window=5),))
    frame = fed(stream[:1_000], specs=[spec])
    frame.warm(stream[1_002:1_004])
    window = frame.inputs(spec, PAIRS[:1], stream[1_003].ts_close).tensors["5m"][0]
    assert window[:, 1] == pytest.approx([0, 1, 1, 2 / 60, 2 / 60])
    assert window[1:3, 0].tolist() == [0.0, 0.0]


def test_history_that_has_what_the_state_lacks_replaces_it():
    stream = bars(M5, 1_000, 1)
    spec = FeatureSpec("five", M5, (Block(M5, ("rsi", "missing")),))
    frame = fed([*stream[:980], *stream[981:]], specs=[spec])
    assert frame.inputs(spec, PAIRS[:1], stream[-1].ts_close).tensors["x"][0, 1] > 0
    frame.warm(stream[300:])
    found = frame.inputs(spec, PAIRS[:1], stream[-1].ts_close)
    whole = fed(stream[300:], specs=[spec]).inputs(spec, PAIRS[:1], stream[-1].ts_close)
    assert found.tensors["x"].tobytes() == whole.tensors["x"].tobytes()


def test_instruments_may_come_and_go_and_change_their_order(stream):
    never = fed(stream)
    other = FeatureFrame([SPEC], ("NEW/USD", "ETH/USD"))
    assert other.restore(never.save()).instruments == ("ETH/USD",)
    end = START + 2_100 * M5.ns
    assert_same(never, other, end, ("ETH/USD",))
    assert not other.inputs(SPEC, ("NEW/USD",), end).ready[0]


def test_specifications_may_come_in_another_order():
    """Windows and series of equal shapes lie side by side: none may be taken for another's."""
    stream = bars(M5, 800, 1)
    specs = [
        FeatureSpec(name, M5, (Block(M5, (column,), window=8),), known=(Outside(name, ("rate",), 1e9),))
        for name, column in (("one", "rsi"), ("two", "cci"))
    ]
    frame = fed(stream, specs=specs)
    frame.on_known("one", PAIRS[0], START, [1.0])
    frame.on_known("two", PAIRS[0], START, [2.0])
    again = FeatureFrame(specs[::-1], PAIRS)
    again.restore(frame.save())
    for spec in specs:
        ours, theirs = (each.inputs(spec, PAIRS[:1], stream[-1].ts_close) for each in (frame, again))
        assert ours.ready.all()
        for name, tensor in ours.tensors.items():
            assert np.array_equal(tensor, theirs.tensors[name]), f"{spec.name}: {name}"


def test_state_of_other_specifications_is_refused_in_one_line():
    raw = fed(bars(M5, 10, 1)).save()
    other = FeatureFrame([FeatureSpec("test", M5, (Block(M5, ("rsi",)),))], PAIRS)
    with pytest.raises(DataError, match=r"features state: expected specs .*; found ") as refused:
        other.restore(raw)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "other"])
def test_damaged_bytes_are_refused_and_change_nothing(spoil):
    stream = bars(M5, 400, 1)
    frame = fed(stream)
    raw = bytearray(frame.save())
    match spoil:
        case "cut":
            raw = raw[:-1]
        case "flip":
            raw[-100] ^= 1
        case "empty":
            raw = bytearray()
        case _:
            raw = bytearray(b"something else entirely, and long enough to hold a digest of its own")
    before = frame.save()
    with pytest.raises(DataError, match="features state: expected a whole state"):
        frame.restore(bytes(raw))
    assert frame.save() == before


def test_schema_is_written_down():
    assert SCHEMA == 1
