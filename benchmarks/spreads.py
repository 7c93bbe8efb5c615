"""How far a backtest's rule for spread, depth and impact is from the little order book that was recorded.

Must not know the desk. Run by hand, `python -m benchmarks.spreads [FOLDER]`, over a data folder with
`book/` and `trades/`; prints a table in Markdown. docs/results/spread-rule.md is its output. All figures
are half spreads or costs against the mid, in basis points of the price.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core.clock import MINUTE, SECOND
from core.market import Bar, Timeframe
from trader.backtest.exchange import IMPACT
from trader.backtest.quotes import DEPTH_S, half_spread

FOLDER = Path("../shared/data")
BPS = 1e4
CONTRACT = {"BTC": 100.0, "ETH": 10.0}  # dollars that one coin-margined contract is worth
SOON_MS = 2_000  # two prints of opposite takers, this close together, are a spread apart

Floats = npt.NDArray[np.float64]


class Row(NamedTuple):
    """One recording: what was seen, and what the rule says of the same minutes."""

    name: str
    seen: float
    ruled: float | None
    touch: float | None = None
    half_minute: float | None = None
    cost: float | None = None
    ruled_cost: float | None = None


def ruled(low: float, high: float, value: float, ns: int) -> float:
    """Give the rule's half spread for a range and a traded value over `ns`, as of a five-minute bar."""
    minutes = 5 * MINUTE / ns
    swing, close = (high - low) * minutes**0.5, (high + low) / 2
    volume = value * minutes / close
    bar = Bar("", Timeframe.M5, 0, close, close + swing / 2, close - swing / 2, close, volume, close, 1)
    return half_spread(bar) * BPS


def perpetual(folder: Path, base: str) -> Row:
    """Read a coin-margined perpetual: touch, tape and the first picture of its book."""
    rows = pl.read_parquet(folder / "book" / "binance-coinm" / f"{base}-USD-PERP.parquet")
    worth = CONTRACT[base]
    bid, ask = (
        rows.filter((pl.col("kind") == 3) & (pl.col("side") == side)).group_by("recv_ns", maintain_order=True)
        .last().select("recv_ns", "price", "qty")
        for side in (1, -1)
    )  # fmt: skip
    touch = bid.join(ask, on="recv_ns", suffix="_ask").filter(pl.col("price_ask") > pl.col("price"))
    times = touch["recv_ns"].to_numpy()
    held = np.diff(times, append=times[-1])
    half = (touch["price_ask"] - touch["price"]) / (touch["price_ask"] + touch["price"])
    tape = rows.filter(pl.col("kind") == 2)
    prices, ns = tape["price"].to_numpy(), int(times[-1] - times[0])
    value = float(tape["qty"].sum()) * worth
    rule = ruled(float(prices.min()), float(prices.max()), value, ns)
    half_minute = value * DEPTH_S * SECOND / ns
    return Row(
        f"Binance {base} perpetual, {ns / MINUTE:.1f} min of 2024-08-08",
        float(np.average(half.to_numpy(), weights=held)) * BPS,
        rule,
        float(np.average((touch["qty"] + touch["qty_ask"]).to_numpy() / 2 * worth, weights=held)),
        half_minute,
        _walked(rows.filter(pl.col("kind") == 0), half_minute / worth),
        rule + 2 * rule * float(IMPACT),
    )


def _walked(book: pl.DataFrame, contracts: float) -> float:
    """Give the mean cost of taking so many contracts from either side of a book."""
    sides = [book.filter(pl.col("side") == side).sort("price", descending=side > 0) for side in (1, -1)]
    mid = sum(float(side["price"][0]) for side in sides) / 2
    costs = []
    for side in sides:
        reached = np.minimum(np.cumsum(side["qty"].to_numpy()), contracts)
        taken = np.diff(reached, prepend=0.0)
        costs.append(abs(float((taken * side["price"].to_numpy()).sum()) / contracts - mid) / mid * BPS)
    return sum(costs) / len(costs)


def tape(folder: Path, name: str) -> Row:
    """Read a tape of Kraken's: the spread between prints of opposite takers, bar by bar."""
    rows = pl.read_parquet(folder / "trades" / "kraken" / f"{name}.parquet").sort("trade_id")
    ts, price, size = (rows[column].to_numpy() for column in ("ts", "price", "qty"))
    side = np.where(rows["buy"].to_numpy(), 1, -1)
    pair = (side[1:] != side[:-1]) & (ts[1:] - ts[:-1] <= SOON_MS)
    half = (np.diff(price) * side[1:] / (price[1:] + price[:-1]) * BPS)[pair]
    bars = pl.DataFrame({"bar": ts // 300_000, "price": price, "value": price * size}).group_by("bar")
    found = bars.agg(
        pl.col("price").min().alias("low"), pl.col("price").max().alias("high"), pl.col("value").sum()
    )
    rules = [ruled(low, high, value, 5 * MINUTE) for _, low, high, value in found.iter_rows()]
    name = f"Kraken {name} tape, November 2023 ({len(half)} pairs of prints)"
    return Row(name, float(half.mean()), float(np.median(rules)))


def captured(folder: Path) -> Iterator[Row]:
    """Read Kraken's raw spot books of thirty seconds in 2021; too short for a range or a volume."""
    rows = pl.read_parquet(folder / "book" / "kraken-raw" / "kraken-spot-ws-v1_20210417_30s.parquet")
    books: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
    halves: dict[str, list[float]] = {}
    for direction, text in rows.select("dir", "message").iter_rows():
        message = json.loads(text) if direction == "received" else {}
        if not isinstance(message, list) or not str(message[-2]).startswith("book"):
            continue
        sides = books.setdefault(message[-1], ({}, {}))
        for part in message[1:-2]:
            for key, levels in part.items():
                if key[0] in "ab" and isinstance(levels, list):
                    side = sides["ba".index(key[0])]
                    side.update({level[0]: float(level[1]) for level in levels})
        bid, ask = (
            pick(float(price) for price, size in side.items() if size)
            for pick, side in zip((max, min), sides, strict=True)
        )
        if bid < ask:
            halves.setdefault(message[-1], []).append((ask - bid) / (ask + bid) * BPS)
    for name, seen in sorted(halves.items()):
        yield Row(f"Kraken {name} book, 30 s of 2021-04-17", float(np.mean(seen)), None)


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    rows = [perpetual(folder, "BTC"), perpetual(folder, "ETH"), tape(folder, "BTC-USDT")]
    print(
        "| recording | half spread seen | by the rule | touch | 30 s of volume | cost of that | by the rule |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in [*rows, *captured(folder)]:
        figures = (row.seen, row.ruled, row.touch, row.half_minute, row.cost, row.ruled_cost)
        cells = ("-" if one is None else f"{one:,.0f}" if one > 1_000 else f"{one:.2f}" for one in figures)
        print(f"| {row.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
