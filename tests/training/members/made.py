"""A panel made of arrays, with an edge of known size: what the coming move will be shows in one column."""

from dataclasses import dataclass

import numpy as np

from core.clock import DAY
from core.market import Timeframe
from core.text import parse_iso
from inference.features.spec import SPECS
from training.labels import BarrierTerms
from training.members.member import Lesson
from training.panel.panel import Followed, Paid, Panel, Windows

START = parse_iso("2024-01-01")
BAR = Timeframe.M15.ns
HORIZON = 4
SPEC = SPECS["seq_15m"]
WINDOW, COLUMNS = SPEC.windows[0].window, SPEC.windows[0].columns
SIGNAL, AGITATED, STILL = (COLUMNS.index(name) for name in ("return_1", "volatility", "vwap_distance"))
FIRST, TWIN = (COLUMNS.index(name) for name in ("di_plus", "di_minus"))
TERMS = BarrierTerms(Timeframe.M15, 3.0, HORIZON)


@dataclass(frozen=True)
class Asked:
    """A target of made rows."""

    name: str = "barrier"
    classes: tuple[str, ...] = ("down", "hold", "up")
    horizon_ns: int = HORIZON * BAR
    percentile: float | None = None

    def followed(self, bars, ts_close, atr) -> Followed:
        raise NotImplementedError

    def bounds(self, values) -> tuple[float, ...]:
        return () if self.percentile is None else (float(np.quantile(values, self.percentile)),)


BARRIER = Asked()
HIGH = Asked("vol_high", ("normal", "high"), percentile=0.8)
MAGNITUDE = Asked("magnitude", ())
UP = Asked("volume_up", ("normal", "rising"))


def panel(rows: int = 3_000, pairs: int = 2, *, edge: float = 1.0, seed: int = 1) -> Panel:
    """Give `pairs` times `rows` decisions, one each quarter of an hour.

    Column SIGNAL of the newest bar says it: the score of class k is edge * (k - 1) * signal. Column STILL
    is constant, TWIN is FIRST doubled. Volatility ahead is what column AGITATED says, and noise.
    """
    rng = np.random.default_rng(seed)
    slots = rows + WINDOW
    matrices, at, owner = [], [], []
    for pair in range(pairs):
        x = rng.standard_normal((slots, len(COLUMNS))).astype(np.float32)
        for column in (SIGNAL, AGITATED, FIRST):
            x[:, column] = lasting(rng, slots)
        x[:, STILL], x[:, TWIN] = 0.0, 2.0 * x[:, FIRST]
        matrices.append(x)
        at.append(pair * slots + WINDOW + np.arange(rows))
        owner.append(np.full(rows, pair, np.int32))
    matrix, index = np.concatenate(matrices), np.concatenate(at)
    newest = matrix[index].astype(np.float64)
    kind = drawn(rng, edge * newest[:, SIGNAL])
    ahead = np.exp(0.5 * newest[:, AGITATED] + 0.5 * rng.standard_normal(len(kind)))
    ts = np.tile(START + (1 + np.arange(rows, dtype=np.int64)) * BAR, pairs)
    count = len(ts)
    ts_end = ts + rng.integers(1, HORIZON + 1, count) * BAR
    gain = (kind - 1) * 0.01 * np.abs(1 + 0.1 * rng.standard_normal(count))
    return Panel(
        spec=SPEC,
        instruments=tuple(f"G{pair}/USD" for pair in range(pairs)),
        instrument=np.concatenate(owner),
        ts=ts,
        close=np.full(count, 100.0),
        atr=np.ones(count),
        volatility=np.exp(0.5 * newest[:, AGITATED]),
        momentum=newest[:, SIGNAL] + rng.standard_normal(count),
        weight=np.ones(count),
        paid=Paid(gain, -gain, ts_end, np.zeros(count, np.bool_)),
        followed={
            "barrier": Followed(kind, np.full(count, np.nan), ts_end),
            "vol_high": Followed(np.full(count, -1, np.int8), ahead, ts + HORIZON * BAR),
            "magnitude": Followed(np.full(count, -1, np.int8), np.abs(gain) * 100, ts + HORIZON * BAR),
            "volume_up": Followed(
                (newest[:, FIRST] > 1).astype(np.int8), newest[:, FIRST], ts + HORIZON * BAR
            ),
        },
        blocks={"15m": Windows(matrix, index, WINDOW, COLUMNS)},
        flat=rng.standard_normal((count, len(SPEC.names))).astype(np.float32),
        data_hash="0" * 64,
    )


def lasting(rng: np.random.Generator, count: int, keep: float = 0.9) -> np.ndarray:
    """Draw a series of variance 1 that remembers: a window says it more than once."""
    fresh = rng.standard_normal(count) * np.sqrt(1 - keep**2)
    found = np.empty(count)
    value = rng.standard_normal()
    for t in range(count):
        value = keep * value + fresh[t]
        found[t] = value
    return found


def drawn(rng: np.random.Generator, score: np.ndarray) -> np.ndarray:
    """Draw classes with the chances of `chances`."""
    return (
        (rng.random(len(score))[:, None] > chances(score).cumsum(axis=1)[:, :2]).sum(axis=1).astype(np.int8)
    )


def chances(score: np.ndarray) -> np.ndarray:
    """Give the chances [n, 3] that the classes were drawn with."""
    odds = np.exp(np.column_stack([-score, 0 * score, score]))
    return odds / odds.sum(axis=1, keepdims=True)


def best(rows: Panel, edge: float) -> np.ndarray:
    """Give the chances that nothing can beat."""
    return chances(edge * rows.newest()[:, SIGNAL].astype(np.float64))


def lesson(rows: Panel) -> Lesson:
    """Give the rows with their barrier's class."""
    return Lesson(rows, rows.followed["barrier"].kind, rows.weight)


def halves(rows: Panel) -> tuple[Lesson, Lesson]:
    """Give the earlier three quarters of the rows, and the rest."""
    cut = np.quantile(rows.ts, 0.75)
    whole = lesson(rows)
    return whole.only(rows.ts <= cut - DAY), whole.only(rows.ts > cut)
