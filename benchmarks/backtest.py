"""The whole engine over a panel of 5m bars: features, model, risk and exchange.

`python -m benchmarks.backtest` prints the figures, `--profile` where the time of a warm run goes.
"""

import argparse
import os
import resource
import tempfile
from pathlib import Path
from time import perf_counter_ns, process_time_ns

from benchmarks.backtest_profile import profiled
from benchmarks.rows import Found
from core.market import Timeframe
from core.text import iso, parse_iso
from feeds.lake import Lake
from inference.ensemble import load as load_model
from trader.backtest.result import BacktestResult
from trader.backtest.run import run
from trader.config import Config, load

SHIPPED, PANEL = Path("configs/market"), Path("../shared/data")
MODEL = Path("configs/models/entry-15m").absolute()
BLEND = Path("configs/models/blend-15m").absolute()
START, END = parse_iso("2024-03-06T00:00:00Z"), parse_iso("2024-07-18T00:00:00Z")
POLICY = {
    "min_confidence": 0.50,  # a little more than a thousand orders over the span
    "min_expected_value": -0.02,
    "max_position_notional": 0.01,
    "max_drawdown": 0.5,
    "max_daily_loss": 0.25,
}


def measure() -> Found:
    lake = _lake()
    config = _config(lake, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        cold, first = _timed(config, lake)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        run(config, lake, START, END, cache=Path(folder))
        warm = min((run(config, lake, START, END, cache=Path(folder)) for _ in range(3)), key=_seconds)
    blend_s, blended = _timed(_config(lake, BLEND), lake)
    model = load_model(MODEL)
    knobs = ", ".join(f"{name} {value:g}" for name, value in POLICY.items())
    return Found(
        {
            "backtest.warm_bars_per_s": warm.bars / warm.seconds,
            "backtest.cold_bars_per_s": first.bars / cold,
            "backtest.cold_blend_bars_per_s": blended.bars / blend_s,
            "backtest.peak_mb": peak_mb,
        },
        f"{len(config.universe.instruments)} pairs, {first.bars:,} bars from {iso(START)[:10]} on; "
        f"model {model.name} {model.model_hash[:12]} at {model.decision.value}; {first.orders:,} orders, "
        f"{first.round_trips:,} round trips, {first.active_bars / first.bars:.2%} of bars active; {knobs}; "
        f"warm = reading and hashing bars, opinions of the cache ({warm.opinions}), risk, engine, exchange, "
        f"ledger; cold = everything from files; memory reckoned before loading {first.estimate_mb:,} MB; "
        f"blend {blended.models['bench'][:12]} with {blended.orders:,} orders",
    )


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    words.add_argument("--profile", action="store_true", help="print where the time of a warm run goes")
    if not words.parse_args().profile:
        found = measure()
        print(*(f"{key:<32} {value:>14,.0f}" for key, value in found.values.items() if value), sep="\n")
        print(found.notes)
        return
    lake = _lake()
    config = _config(lake, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        run(config, lake, START, END, cache=Path(folder))
        busy = process_time_ns()
        plain = run(config, lake, START, END, cache=Path(folder))
        busy_s = (process_time_ns() - busy) / 1e9
        print(profiled(plain, busy_s, lambda: run(config, lake, START, END, cache=Path(folder))))


def _timed(config: Config, lake: Path) -> tuple[float, BacktestResult]:
    began = perf_counter_ns()
    result = run(config, lake, START, END)
    return (perf_counter_ns() - began) / 1e9, result


def _seconds(result: BacktestResult) -> float:
    return result.seconds


def _lake() -> Path:
    usual = PANEL if (PANEL / "ohlcv").is_dir() else SHIPPED
    return Path(os.environ.get("SEAMARK_BENCH_LAKE", usual))


def _config(lake: Path, model: Path) -> Config:
    pairs = [one.instrument for one in Lake(lake).series() if one[::2] == ("binance", Timeframe.M5)]
    return load(
        [],
        {},
        {
            "universe.instruments": pairs,
            "exchange.lake": str(lake),
            "account.bench.currency": "USDT",
            "account.bench.cash": 1_000_000,
            "trader.bench.code": "BE",
            "trader.bench.account": "bench",
            "trader.bench.model": str(model),
            **{f"trader.bench.policy.{name}": value for name, value in POLICY.items()},
        },
    )


if __name__ == "__main__":
    main()
