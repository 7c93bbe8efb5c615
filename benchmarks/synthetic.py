"""Synthetic markets for benches: seeded, cheap, and shaped like the real thing.

Must not know what is measured. Called by the benches only.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.text import parse_iso

if TYPE_CHECKING:
    from feeds.lake import BarArrays

START = parse_iso("2024-01-01T00:00:00Z")
PRICE = 100.0


def symbols(count: int) -> tuple[str, ...]:
    """Give made-up pairs."""
    return tuple(f"A{number:04}/USDT" for number in range(count))


def instruments(count: int) -> tuple[Instrument, ...]:
    """Give marginable instruments with a fine grid."""
    return tuple(
        Instrument(
            symbol=symbol,
            base=symbol.partition("/")[0],
            quote="USDT",
            price_increment=Decimal("0.01"),
            quantity_increment=Decimal("0.00000001"),
            price_precision=2,
            quantity_precision=8,
            minimum_quantity=Decimal("0.001"),
            minimum_cost=Decimal("0.5"),
            max_leverage=5,
        )
        for symbol in symbols(count)
    )


def bars_at(names: Sequence[str], timeframe: Timeframe, ts_open: int, rng: np.random.Generator) -> list[Bar]:
    """Give one bar of each instrument."""
    steps = rng.normal(0, 0.002, (len(names), 3))
    close = PRICE * np.exp(steps[:, 0])
    high = np.maximum(close, PRICE) * (1 + abs(steps[:, 1]))
    low = np.minimum(close, PRICE) * (1 - abs(steps[:, 2]))
    columns = zip(names, high.tolist(), low.tolist(), close.tolist(), strict=True)
    return [Bar(name, timeframe, ts_open, PRICE, h, lo, c, 50.0, PRICE, 20) for name, h, lo, c in columns]


def quotes_at(names: Sequence[str], ts: int) -> tuple[Quote, ...]:
    """Give a tight touch of each instrument."""
    bid, ask, size = Decimal("99.99"), Decimal("100.01"), Decimal(1000)
    return tuple(Quote(name, ts, bid, ask, size, size) for name in names)


def history(timeframe: Timeframe, count: int) -> "BarArrays":
    """Give one instrument's random walk."""
    from feeds.lake import BarArrays  # polars, which a daemon does not load

    rng = np.random.default_rng(timeframe.minutes)
    close = PRICE * np.exp(np.cumsum(rng.normal(0, 0.001, count)))
    before = np.concatenate(([PRICE], close[:-1]))
    return BarArrays(
        instrument="A0000/USDT",
        timeframe=timeframe,
        ts_open=START + np.arange(count, dtype=np.int64) * timeframe.ns,
        open=before,
        high=np.maximum(before, close) * 1.0005,
        low=np.minimum(before, close) * 0.9995,
        close=close,
        volume=rng.uniform(1, 100, count),
        vwap=(before + close) / 2,
        trades=np.full(count, 20, np.int32),
    )
