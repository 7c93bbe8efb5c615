"""A panel says what the daemon's frame says, nothing of the future, and the same however it was made."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, UsageError
from core.market import Bar, Timeframe
from feeds.lake import BarArrays, aggregate
from inference.features.fold import Folded, fold
from inference.features.frame import FeatureFrame
from inference.features.spec import FLAT, SPECS, Block, Cross, FeatureSpec
from training.guard.market import Shape, null_market
from training.labels import UNKNOWN, BarrierTerms, label
from training.panel import build as building
from training.panel import store
from training.panel.build import build, content, kept_columns
from training.panel.panel import Paid, Panel
from training.targets.catalogue import target
from training.targets.weights import uniqueness

M5, M15 = Timeframe.M5, Timeframe.M15
SPEC = FeatureSpec(
    "test",
    M5,
    (
        Block(M5, ("body", "bollinger_position", "true_range_z", "missing"), window=6),
        Block(M15, ("body", "stochastic_k"), window=3),
        Block(M5, ("cci", "upper_wick")),
        Block(M5, ("body",), of="G0"),
    ),
    (Cross("volume_gap", (M5, M15)),),
)
TERMS = BarrierTerms(M5, barrier_atr=2.0, horizon_bars=6)
TARGETS = tuple(target(name, M5, TERMS) for name in ("barrier", "direction_3", "magnitude", "volatility"))
ROWS = ("instrument", "ts", "close", "atr", "volatility", "momentum", "weight")


@pytest.fixture(scope="module")
def series() -> list[BarArrays]:
    """Three instruments that lack a few minutes each."""
    shape = Shape(holes_per_day=0.7, mean_hole_minutes=8.0, quiet_share=0.02)
    return [aggregate(bars, M5) for bars in null_market(3, 9, seed=5, shape=shape)]


@pytest.fixture(scope="module")
def panel(series) -> Panel:
    return build(series, SPEC, TARGETS, TERMS)


def arrays_of(panel: Panel) -> dict[str, np.ndarray]:
    """Everything in a panel that is an array, by name."""
    found = {name: getattr(panel, name) for name in ROWS}
    found |= {f"paid.{name}": getattr(panel.paid, name) for name in panel.paid._fields}
    for name, one in panel.followed.items():
        found |= {f"{name}.{field}": getattr(one, field) for field in one._fields}
    for name, one in panel.blocks.items():
        found |= {f"{name}.matrix": one.matrix, f"{name}.at": one.at}
    return found | {"flat": panel.flat}


def assert_same(one: Panel, other: Panel) -> None:
    left, right = arrays_of(one), arrays_of(other)
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype, name
        assert left[name].tobytes() == right[name].tobytes(), name
    assert (one.spec, one.instruments, one.data_hash) == (other.spec, other.instruments, other.data_hash)


def folded(series: list[BarArrays], number: int) -> Folded:
    def history(bars: BarArrays) -> dict[Timeframe, BarArrays]:
        return {timeframe: aggregate(bars, timeframe) for timeframe in SPEC.timeframes}

    return fold(SPEC, history(series[number]), {"G0": history(series[0])})


def test_every_ready_decision_is_a_row_with_the_fold_s_own_tensors(series, panel):
    for number in range(len(series)):
        alone = folded(series, number)
        ready = np.flatnonzero(alone.ready)
        rows = np.flatnonzero(panel.instrument == number)
        assert len(ready) > 300
        assert panel.ts[rows].tolist() == alone.ts_close[ready].tolist()
        expected, found = alone.tensors(ready), panel.tensors(rows)
        assert found.keys() == expected.keys() == SPEC.shapes.keys() == panel.shapes.keys()
        for name, tensor in expected.items():
            assert found[name].tobytes() == tensor.tobytes(), name
            assert found[name].shape[1:] == panel.shapes[name] == SPEC.shapes[name]
        for name in ("close", "atr", "volatility"):
            assert getattr(panel, name)[rows].tolist() == getattr(alone, name)[ready].tolist()


def test_a_row_is_what_a_live_frame_says_at_that_close(series, panel):
    frame = FeatureFrame([SPEC], panel.instruments)
    bars = [bar for one in series for timeframe in (M5, M15) for bar in aggregate(one, timeframe).bars()]
    closing: dict[int, list[Bar]] = {}
    for bar in sorted(bars, key=lambda bar: (bar.ts_close, bar.timeframe.ns)):
        closing.setdefault(bar.ts_close, []).append(bar)
    seen = 0
    for ts_close in sorted(closing)[:1_200]:
        frame.on_bars(closing[ts_close])
        rows = np.flatnonzero(panel.ts == ts_close)
        said = frame.inputs(SPEC, panel.instruments, ts_close)
        assert sorted(np.flatnonzero(said.ready)) == sorted(panel.instrument[rows])
        found = panel.tensors(rows)
        for name, tensor in said.tensors.items():
            assert found[name].tobytes() == tensor[panel.instrument[rows]].tobytes()
        seen += len(rows)
    assert seen > 700


def test_a_window_never_reaches_into_another_instrument(series, panel):
    for place, (name, one) in enumerate(panel.blocks.items()):
        slots = [len(folded(series, number).placed[place].matrix) for number in range(len(series))]
        first = np.cumsum([0, *slots])
        assert first[-1] == len(one.matrix)
        for number in range(len(series)):
            at = one.at[panel.instrument == number]
            assert first[number] <= at.min() - one.window + 1, name
            assert at.max() < first[number + 1], name


def test_some_rows_of_a_panel_share_its_matrices(panel):
    picked = panel.only(np.arange(10, 400, 7))
    assert all(picked.blocks[name].matrix is one.matrix for name, one in panel.blocks.items())
    assert picked.tensors()["5m"].tobytes() == panel.tensors(np.arange(10, 400, 7))["5m"].tobytes()


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(700, 2_300), seed=st.integers(0, 3))
def test_nothing_after_a_decision_changes_its_features(series, panel, cut, seed):
    """The bars after the cut are another market's, from other prices on."""
    now = int(series[0].ts_open[0]) + cut * M5.ns
    other = [aggregate(bars, M5) for bars in null_market(3, 9, seed=50 + seed)]
    mixed = build([_spliced(*pair, now) for pair in zip(series, other, strict=True)], SPEC, (), TERMS)
    old, new = panel.only(panel.ts <= now), mixed.only(mixed.ts <= now)
    assert (old.ts.tolist(), old.instrument.tolist()) == (new.ts.tolist(), new.instrument.tolist())
    for name, tensor in old.tensors().items():
        assert tensor.tobytes() == new.tensors()[name].tobytes()
    for name in ("close", "atr", "volatility", "momentum"):
        assert getattr(old, name).tolist() == getattr(new, name).tolist()


def _spliced(before: BarArrays, after: BarArrays, now: int) -> BarArrays:
    old, new = before.between(0, now), after.between(now, 2**62)
    names = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")
    columns = {name: np.concatenate([getattr(old, name), getattr(new, name)]) for name in names}
    return BarArrays(before.instrument, before.timeframe, **columns)


def test_what_followed_is_what_the_targets_say_and_known_after_the_decision(series, panel):
    for number, bars in enumerate(series):
        alone = folded(series, number)
        ready = np.flatnonzero(alone.ready)
        rows = panel.instrument == number
        for one in TARGETS:
            told = one.followed(bars, alone.ts_close, alone.atr).only(ready)
            found = panel.followed[one.name].only(rows)
            assert found.kind.tolist() == told.kind.tolist()
            assert np.array_equal(found.value, told.value, equal_nan=True)
            assert (found.ts_end > panel.ts[rows]).all()
            assert (found.ts_end <= panel.ts[rows] + one.horizon_ns).all()
        labels = label(bars, alone.ts_close, alone.atr, TERMS)
        known = labels.kind[ready] != UNKNOWN
        paid = panel.paid.only(rows)
        assert (np.isnan(paid.long_return) == ~known).all()
        assert not known.all()  # the data end before the last horizon
        assert paid.short_return[known].tolist() == labels.short_return[ready][known].tolist()
        assert paid.ts_end.tolist() == labels.ts_end[ready].tolist()
    expected = uniqueness(panel.instrument, panel.ts, panel.paid.ts_end, M5.ns)
    assert panel.weight.tolist() == expected.tolist()


def test_rows_are_the_same_bytes_whatever_works_on_them(series, panel):
    told: list[str] = []
    assert_same(build(series, SPEC, TARGETS, TERMS, workers=2, on_done=told.append), panel)
    assert sorted(told) == ["G0/USD", "G1/USD", "G2/USD"]


def test_a_cached_panel_equals_a_built_one_and_is_found_again_without_folding(series, panel, tmp_path):
    told: list[str] = []
    made = build(series, SPEC, TARGETS, TERMS, cache=tmp_path, on_done=told.append)
    assert told == ["G0/USD", "G1/USD", "G2/USD"]
    assert_same(made, panel)
    before = _written(tmp_path)
    found = build(series, SPEC, TARGETS, TERMS, cache=tmp_path, on_done=told.append)
    assert_same(found, panel)
    assert len(told) == 3
    assert _written(tmp_path) == before
    assert not found.blocks["5m"].matrix.flags.writeable
    assert isinstance(found.blocks["5m"].matrix.base, np.memmap)


def _written(cache: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in cache.rglob("*") if path.suffix in (".npy", ".json")]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("harm", ["cut short", "one byte", "file gone", "no manifest", "half written"])
def test_a_damaged_folder_is_made_anew(series, tmp_path, harm):
    told: list[str] = []
    series = series[:1]
    unharmed = build(series, SPEC, TARGETS, TERMS)
    build(series, SPEC, TARGETS, TERMS, cache=tmp_path)
    folder = tmp_path / content(series, SPEC, TARGETS, TERMS)
    victim = folder / "block.0.matrix.npy"
    match harm:
        case "cut short":
            victim.write_bytes(victim.read_bytes()[:-4])
        case "one byte":
            body = bytearray(victim.read_bytes())
            body[-3] ^= 1
            victim.write_bytes(body)
        case "file gone":
            victim.unlink()
        case "no manifest":
            (folder / store.MANIFEST).unlink()
        case "half written":
            folder.rename(folder.with_name(f".{folder.name}.part"))
    assert_same(build(series, SPEC, TARGETS, TERMS, cache=tmp_path, on_done=told.append), unharmed)
    assert told == ["G0/USD"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [folder.name]


def test_everything_that_decides_a_panel_is_in_its_name(series):
    base = content(series, SPEC, TARGETS, TERMS)
    assert base == content(series, SPEC, TARGETS, TERMS)
    fewer = [bars.between(0, int(bars.ts_open[-1])) for bars in series]
    louder = [BarArrays(**{**_columns(bars), "vwap": bars.vwap * 1.001}) for bars in series]
    others = {
        content(fewer, SPEC, TARGETS, TERMS),
        content(louder, SPEC, TARGETS, TERMS),
        content(series, SPECS["entry_5m"], TARGETS, TERMS),
        content(series, SPEC, TARGETS[:2], TERMS),
        content(series, SPEC, (target("barrier", M5), *TARGETS[1:]), TERMS),
        content(series, SPEC, TARGETS, BarrierTerms(M5, barrier_atr=2.5, horizon_bars=6)),
    }
    assert len(others | {base}) == 7


def _columns(bars: BarArrays) -> dict[str, object]:
    return {name: getattr(bars, name) for name in BarArrays.__slots__}


def test_single_bars_need_no_windows(series):
    spec = FeatureSpec("flat", M5, (Block(M5, ("cci", "upper_wick")), Block(M15, ("body",))))
    found = build(series[:1], spec, (), TERMS)
    assert found.blocks == {}
    assert found.flat.shape == (len(found), len(spec.names)) == (len(found), 7)
    assert found.newest().tobytes() == found.flat.tobytes()


@pytest.mark.parametrize(
    "targets, terms, words",
    [
        (TARGETS[:1] * 2, TERMS, "targets: expected each name once; found barrier twice"),
        ((), BarrierTerms(M15), "terms: expected barriers of 5m, at which test decides; found 15m"),
    ],
)
def test_contradictions_are_refused(series, targets, terms, words):
    with pytest.raises(UsageError, match=f"^{words}$"):
        build(series, SPEC, targets, terms)


def test_bars_that_cannot_serve_are_refused_by_name(series, tmp_path):
    begun = series[1].between(0, int(series[1].ts_open[0]) + 2 * M5.ns)
    with pytest.raises(DataError, match=r"^G1/USD: features: expected 15m bars, found none$"):
        build([series[0], begun], SPEC, (), TERMS, cache=tmp_path)
    assert not any(path.is_dir() for path in tmp_path.iterdir())
    short = series[0].between(0, int(series[0].ts_open[0]) + 60 * M5.ns)
    with pytest.raises(DataError, match=r"^feature spec test: expected rows after warm-up .* found none$"):
        build([short], SPEC, (), TERMS)


def test_a_column_without_numbers_is_named(series):
    spec = FeatureSpec("test", M5, (Block(M5, ("body", "volume_delta"), window=4),))  # made of a tape
    words = r"^G0/USD: test: expected numbers in column 5m.volume_delta; found none in 100% of rows$"
    with pytest.raises(DataError, match=words):
        build(series[:1], spec, (), TERMS)


def test_columns_that_say_nothing_are_left_out_by_tensor(panel):
    one = panel.blocks["5m"]
    matrix = np.column_stack([one.matrix, -2.0 * one.matrix[:, 1], np.full(len(one.matrix), 7.0, np.float32)])
    widened = one._replace(matrix=matrix.astype(np.float32), columns=(*one.columns, "twin", "still"))
    still = np.full((len(panel), 2), 3.0, np.float32)
    panel = replace(panel, blocks={**panel.blocks, "5m": widened}, beside={"votes": still})
    kept = kept_columns(panel)
    assert kept["5m"][:3] == (0, 1, 2)
    assert 4 not in kept["5m"]
    assert 5 not in kept["5m"]
    assert kept["votes"] == (0,)
    assert set(kept) == {"5m", "15m", FLAT, "votes"}


def test_only_the_rows_given_decide_which_columns_are_kept(panel):
    """A column that moves outside the training rows alone is dull to whoever may not look there."""
    train = panel.only(panel.ts < np.quantile(panel.ts, 0.5))
    one = panel.blocks["15m"]
    matrix = one.matrix.copy()
    matrix[np.unique(train.blocks["15m"].at), 0] = 1.0
    assert 0 in kept_columns(panel)["15m"]
    assert (
        0
        not in kept_columns(replace(train, blocks={"15m": train.blocks["15m"]._replace(matrix=matrix)}))[
            "15m"
        ]
    )


def test_the_clock_moves_whatever_the_number_of_rows():
    """Every sixth of 120,000 four-hour rows is of one hour of the day."""
    hours = np.tile(np.arange(6), 20_000)
    clock = np.column_stack([np.sin(hours * np.pi / 3), np.cos(hours * np.pi / 3)]).astype(np.float32)
    nothing = np.zeros(len(hours))
    rows = Panel(
        spec=SPEC,
        instruments=("A/USD",),
        instrument=nothing.astype(np.int32),
        ts=hours,
        close=nothing,
        atr=nothing,
        volatility=nothing,
        momentum=nothing,
        weight=nothing,
        paid=Paid(nothing, nothing, hours, nothing > 0),
        followed={},
        blocks={},
        flat=clock,
    )
    assert kept_columns(rows) == {FLAT: (0, 1)}


def test_a_change_of_any_code_that_computes_a_panel_changes_its_name():
    """What the code that counts imports of training counts, too, but for structs and what only reads."""
    structs = {"training/provenance.py", "training/regime.py", "training/trades.py"}
    root = Path(building.__file__).parents[2]
    counted = {*building._CODE_FILES}
    for package in building._CODE:
        counted |= {str(path.relative_to(root)) for path in (root / package).rglob("*.py")}
    called = set()
    for name in counted:
        for node in ast.walk(ast.parse((root / name).read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("training"):
                module = str(node.module).replace(".", "/")
                here = (root / f"{module}.py").exists()
                called |= {f"{module}.py"} if here else {f"{module}/{one.name}.py" for one in node.names}
    assert called - counted == structs
