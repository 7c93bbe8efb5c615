"""Indicators per candle, ours beside others': python -m benchmarks.side_by_side [--json].

Three ways to have the same 13 columns after every closed bar: our step; TA-Lib over the last bars once
more, as is usual; and talipp's incremental objects. One run, one thread, smallest of several rounds.
Needs the test set (`./run setup test` or `./run test --co`).
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import START, symbols
from core.market import Bar, Timeframe
from inference.features.catalogue import Layout
from inference.features.family import CLOSE, DELTA, HIGH, INPUTS, LOW, OPEN, VOLUME
from inference.features.frame import FeatureFrame
from inference.features.live import Live
from inference.features.series import BarTable
from inference.features.spec import FLAT, Block, FeatureSpec

Floats = NDArray[np.float64]

COLUMNS = (
    "ema_5", "ema_9", "ema_21", "ema_50", "macd", "macd_histogram", "rsi", "atr", "adx", "di_plus",
    "di_minus", "bollinger_position", "bollinger_width",
)  # fmt: skip
SPANS = (5, 9, 21, 50)
LAST_BARS = (720, 200)
"""What TA-Lib is given: what Kraken's REST serves, and the least after which EMA 50 is roughly right."""
HISTORY = 1_000
ROUNDS = 5
INSTRUMENTS = 1_000
TIMEFRAME = Timeframe.M15


def walk(bars: int, seed: int = 1) -> Floats:
    """Give a random walk as the kernels take it: [INPUTS, bars]."""
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0, 0.002, bars)))
    values = np.empty((INPUTS, bars))
    values[OPEN] = np.concatenate(([100.0], close[:-1]))
    values[CLOSE] = close
    values[HIGH] = np.maximum(values[OPEN], close) * (1 + np.abs(random.normal(0, 0.001, bars)))
    values[LOW] = np.minimum(values[OPEN], close) * (1 - np.abs(random.normal(0, 0.001, bars)))
    values[VOLUME] = random.uniform(1, 100, bars)
    values[DELTA] = np.nan
    return values


def opened(bar: int, count: int) -> NDArray[np.int64]:
    return np.full(count, START + bar * TIMEFRAME.ns, np.int64)


# ---- three ways to the same columns; each yields after every candle ----


class Ours:
    """The frame's state of one timeframe, stepped by one candle of every instrument."""

    def __init__(self, instruments: int, columns: Sequence[str] = COLUMNS) -> None:
        self._live = Live(TIMEFRAME, columns, instruments)
        self._rows = np.arange(instruments)
        self._count = instruments

    @property
    def layout(self) -> Layout:
        return self._live.layout

    def step(self, values: Floats, bar: int) -> None:
        now = np.repeat(values[:, bar : bar + 1], self._count, axis=1)
        self._live.step(self._rows, BarTable(opened(bar, self._count), now))

    def columns(self, _last: float) -> dict[str, float]:
        out = self._live.work.out
        return {name: float(out[self.layout.rows[name], 0]) for name in COLUMNS}


class FromBars(Ours):
    """The same from Bar structs, as they come from the feed: what the daemon pays in all."""

    def __init__(self, instruments: int) -> None:
        self._names = symbols(instruments)
        spec = FeatureSpec("compared", TIMEFRAME, (Block(TIMEFRAME, COLUMNS),))
        self._frame = FeatureFrame([spec], self._names)
        self._spec = spec
        self._now = 0

    def step(self, values: Floats, bar: int) -> None:
        opened, high, low, close, volume = values[:5, bar].tolist()
        self._now = START + bar * TIMEFRAME.ns
        self._frame.on_bars(
            [
                Bar(name, TIMEFRAME, self._now, opened, high, low, close, volume, close, 20)
                for name in self._names
            ]
        )

    def columns(self, _last: float) -> dict[str, float]:
        x = self._frame.inputs(self._spec, self._names[:1], self._now + TIMEFRAME.ns).tensors[FLAT]
        return dict(zip(COLUMNS, x[0].tolist(), strict=False))


def talib_columns(values: Floats) -> dict[str, float]:
    """Compute all columns over the bars given, in our units, and keep the last of each."""
    import talib

    high, low, close = values[HIGH], values[LOW], values[CLOSE]
    averages = [talib.EMA(close, span) for span in SPANS]
    macd, _, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    atr = talib.ATR(high, low, close, 14)[-1]
    last = close[-1]
    found = [(last - average[-1]) / atr for average in averages]
    found += [macd[-1] / atr, histogram[-1] / atr, talib.RSI(close, 14)[-1] / 50.0 - 1.0, atr / last]
    found += [line(high, low, close, 14)[-1] / 100.0 for line in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)]
    found += [2.0 * (last - middle[-1]) / (upper[-1] - lower[-1]), (upper[-1] - lower[-1]) / middle[-1]]
    return dict(zip(COLUMNS, map(float, found), strict=True))


class Recomputed:
    """TA-Lib over the last bars, once more for every candle of every instrument."""

    def __init__(self, instruments: int, bars: int) -> None:
        self._count, self._bars = instruments, bars
        self.last: dict[str, float] = {}

    def step(self, values: Floats, bar: int) -> None:
        recent = values[:, max(0, bar + 1 - self._bars) : bar + 1]
        for _ in range(self._count):
            self.last = talib_columns(recent)

    def columns(self, _last: float) -> dict[str, float]:
        return self.last


class Incremental:
    """talipp's objects, one set per instrument; old values are thrown away as its manual advises."""

    def __init__(self, instruments: int) -> None:
        self._sets = [self._made() for _ in range(instruments)]

    @staticmethod
    def _made() -> tuple[list[Any], list[Any]]:
        from talipp.indicators import ADX, ATR, BB, EMA, MACD, RSI

        closes = [*(EMA(span) for span in SPANS), MACD(12, 26, 9), RSI(14), BB(20, 2.0)]
        return closes, [ATR(14), ADX(14, 14)]

    def step(self, values: Floats, bar: int) -> None:
        from talipp.ohlcv import OHLCV

        opened, high, low, close, volume = values[:5, bar].tolist()
        candle = OHLCV(opened, high, low, close, volume)
        for closes, candles in self._sets:
            for one in closes:
                one.add(close)
            for one in candles:
                one.add(candle)
            if bar % 100 == 0:
                for one in (*closes, *candles):
                    one.purge_oldest(max(len(one) - 100, 0))

    def columns(self, last: float) -> dict[str, float]:
        closes, (atr_line, adx_line) = self._sets[0]
        *averages, macd, rsi, band = (one[-1] for one in closes)
        atr, adx = atr_line[-1], adx_line[-1]
        found = [(last - average) / atr for average in averages]
        found += [macd.macd / atr, macd.histogram / atr, rsi / 50.0 - 1.0, atr / last]
        found += [adx.adx / 100.0, adx.plus_di / 100.0, adx.minus_di / 100.0]
        found += [2.0 * (last - band.cb) / (band.ub - band.lb), (band.ub - band.lb) / band.cb]
        return dict(zip(COLUMNS, found, strict=True))


# ---- measured ----


class Contest(NamedTuple):
    """How many candles are timed for one instrument and for all of them."""

    alone: int
    together: int
    history: int = HISTORY


def ns_per_candle(step: Callable[[Floats, int], None], values: Floats, first: int, candles: int) -> float:
    """Give the smallest mean of some rounds over consecutive candles, for as many as `candles`."""
    found = []
    share = candles // ROUNDS
    for number in range(ROUNDS):
        began = perf_counter_ns()
        for bar in range(first + number * share, first + (number + 1) * share):
            step(values, bar)
        found.append((perf_counter_ns() - began) / share)
    return min(found)


FULL = Contest(2_000, 100)


def measured(contest: Contest = FULL, instruments: int = INSTRUMENTS) -> dict[str, Any]:
    """Run all ways, for one instrument and for many, and compare their last numbers."""
    values = walk(contest.history + max(contest.alone, contest.together) + 1)
    last = contest.history + contest.alone
    found: dict[str, Any] = {"columns": list(COLUMNS), "instruments": instruments, "ns_per_candle": {}}
    ours = Ours(1)
    ways: dict[str, Any] = {
        "ours": ours,
        "ours, from Bar structs": FromBars(1),
        **{f"TA-Lib over {bars} bars": Recomputed(1, bars) for bars in LAST_BARS},
        "talipp": Incremental(1),
    }
    for name, way in ways.items():
        warm(way, values, contest.history)
        found["ns_per_candle"][name] = {
            "alone": ns_per_candle(way.step, values, contest.history, contest.alone)
        }
    close = float(values[CLOSE, last - 1])
    theirs = {name: way.columns(close) for name, way in ways.items()}
    found["largest_difference"] = {
        name: max(abs(theirs[name][column] - theirs["ours"][column]) for column in COLUMNS) for name in ways
    }
    found["computed_by_us"] = sorted(set(ours.layout.rows) - set(COLUMNS))
    del ways
    for name, (way, history) in _many(instruments, contest.history).items():
        warm(way, values, history)
        ns = ns_per_candle(way.step, values, history, contest.together if name.startswith("ours") else ROUNDS)
        found["ns_per_candle"][name]["together"] = ns / instruments
    return found


def _many(instruments: int, history: int) -> dict[str, tuple[Any, int]]:
    """Give each way for many instruments, with the bars that warm it (talipp takes a minute for all)."""
    return {
        "ours": (Ours(instruments), history),
        "ours, from Bar structs": (FromBars(instruments), 100),
        **{f"TA-Lib over {bars} bars": (Recomputed(instruments, bars), history) for bars in LAST_BARS},
        "talipp": (Incremental(instruments), min(history, 60)),
    }


def warm(way: Any, values: Floats, history: int) -> None:
    """Bring a way to where it is timed; recomputing remembers nothing."""
    if not isinstance(way, Recomputed):
        for bar in range(history):
            way.step(values, bar)


def lines(found: dict[str, Any]) -> list[str]:
    """Give the table as Markdown."""
    ours = found["ns_per_candle"]["ours"]
    text = [
        f"| way | one, ns a candle | ratio | {found['instruments']:,}, ns each | ratio | difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, ns in found["ns_per_candle"].items():
        text.append(
            f"| {name} | {ns['alone']:,.0f} | {ns['alone'] / ours['alone']:,.1f} | {ns['together']:,.0f} "
            f"| {ns['together'] / ours['together']:,.0f} | {found['largest_difference'][name]:.1e} |"
        )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    found = measured()
    print(json.dumps(found, indent=2) if parser.parse_args().json else "\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
