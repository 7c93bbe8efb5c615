"""A specification that holds every column there is, and recorded histories to run it over."""

import numpy as np

from core.market import Bar, Timeframe
from feeds.lake import BarArrays, Lake, aggregate
from inference.features.catalogue import COLUMNS, family_of
from inference.features.cross import CROSS
from inference.features.fold import Folded, fold
from inference.features.frame import FeatureFrame, Inputs
from inference.features.known import KnownSeries
from inference.features.spec import Block, Cross, FeatureSpec, Outside, check
from tests.inference.features.walk import MARKET

M5, M15, M30 = Timeframe.M5, Timeframe.M15, Timeframe.M30
PRICED = tuple(name for name in COLUMNS if not family_of(name).needs and not name.startswith("level_"))
"""Every column that a model may be given."""
BARS = 4_500
PAIR, BASE = "ETH/USDT", "BTC/USDT"

WHOLE = FeatureSpec(
    "whole",
    M5,
    (
        Block(M5, PRICED),
        Block(M15, PRICED),
        Block(M5, ("rsi", "return_1"), of="BTC"),
        Block(M15, ("return_1", "volume_z"), lag=2),
        Block(M5, ("return_1", "missing"), window=3, lag=4),
        Block(M30, ("rsi", "atr", "missing"), window=6),
        Block(M15, ("return_1", "volume_z", "missing"), window=5, of="BTC"),
    ),
    cross=tuple(Cross(name, (M15,) if cross.most == 1 else (M5, M15)) for name, cross in CROSS.items()),
    known=(Outside("funding", ("rate", "basis"), max_age_s=7_200.0),),
)
check(WHOLE)

Histories = dict[Timeframe, BarArrays]
Tensors = dict[str, np.ndarray]


def histories(pair: str, bars: int = BARS) -> Histories:
    """Give an instrument's recorded bars at the three timeframes."""
    whole = Lake(MARKET.parents[1]).read("binance", pair, M5)
    first = int(whole.ts_open[0])
    part = whole.between(first, first + bars * M5.ns)
    return {timeframe: aggregate(part, timeframe) for timeframe in (M5, M15, M30)}


def funding(until: int, count: int = 300) -> KnownSeries:
    """Give a made-up outside series that ends at `until`, with holes beyond its greatest age."""
    random = np.random.default_rng(5)
    known_at = np.sort(random.choice(np.arange(1, 4_000), count, replace=False))
    known_at = until - known_at[::-1] * 60_000_000_000 * 5 + 1_234_567
    return KnownSeries(np.sort(known_at), random.normal(size=(count, 2)))


def folded(own: Histories, base: Histories, known: KnownSeries) -> Folded:
    return fold(WHOLE, own, {"BTC": base}, {"funding": known})


def tensors(found: Folded) -> Tensors:
    """Give the tensors of all rows."""
    return found.tensors(np.arange(len(found.ts_close)))


def columns(name: str) -> list[str]:
    """Give the names of a tensor's columns."""
    if name == "x":
        return list(WHOLE.names)
    return [f"{name}.{column}" for block in WHOLE.windows if block.name == name for column in block.columns]


def assert_same(
    ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], rows: np.ndarray, why: str
) -> None:
    """Every value of those rows is the same bit for bit; the message names the first column and row."""
    for name, tensor in ours.items():
        unlike = tensor[rows].view(np.int32) != theirs[name][rows].view(np.int32)
        if unlike.any():
            place = np.argwhere(unlike)[0]
            what = columns(name)[place[-1]]
            at = (int(rows[place[0]]), *place[1:])
            raise AssertionError(f"{why}: {what}, row {at[0]}: {tensor[at]} and {theirs[name][at]}")


def live(
    own: Histories, base: Histories, known: KnownSeries, start: int
) -> tuple[FeatureFrame, dict[int, Inputs]]:
    """Warm a frame with what closed up to `start` and step it through the rest; give its inputs by close."""
    frame = FeatureFrame([WHOLE], (PAIR, BASE))
    bars: list[Bar] = [bar for one in (own, base) for series in one.values() for bar in series.bars()]
    frame.warm([bar for bar in bars if bar.ts_close <= start])
    closing: dict[int, list[Bar]] = {}
    for bar in sorted(bars, key=lambda bar: (bar.ts_close, bar.timeframe.ns)):
        if bar.ts_close > start:
            closing.setdefault(bar.ts_close, []).append(bar)
    told = 0
    answers = {}
    for ts_close, group in closing.items():
        while told < len(known.known_at) and known.known_at[told] <= ts_close:
            frame.on_known("funding", PAIR, int(known.known_at[told]), known.values[told].tolist())
            told += 1
        frame.on_bars(group)
        answers[ts_close] = frame.inputs(WHOLE, (PAIR,), ts_close)
    return frame, answers


def without(history: BarArrays, *gone: int) -> BarArrays:
    """Give a history that lacks some bars."""
    kept = ~np.isin(np.arange(len(history)), gone)
    return changed(history, lambda values: values[kept])


def changed(history: BarArrays, change) -> BarArrays:
    """Give a history each of whose arrays went through `change`."""
    names = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")
    arrays = {name: change(getattr(history, name)) for name in names}
    return BarArrays(history.instrument, history.timeframe, **arrays)
