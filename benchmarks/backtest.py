"""The whole engine over a panel of 5m bars: features, model, risk and exchange."""

import os
from pathlib import Path
from time import perf_counter_ns

from benchmarks.rows import Found
from core.market import Timeframe
from core.text import iso, parse_iso
from feeds.lake import Lake
from inference.artifact import load as load_model
from trader.backtest.run import run, span_opinions
from trader.config import Config, load

SHIPPED = Path("configs/market")
MODEL = Path("configs/models/entry-15m").absolute()
START, END = parse_iso("2024-03-06T00:00:00Z"), parse_iso("2024-07-18T00:00:00Z")


def measure() -> Found:
    lake = Path(os.environ.get("SEAMARK_BENCH_LAKE", SHIPPED))
    config = _config(lake)
    model = load_model(MODEL)
    began = perf_counter_ns()
    first = run(config, lake, START, END, keep_signals=False)
    cold = (perf_counter_ns() - began) / 1e9
    cached = span_opinions(config, lake, START, END)
    runs = [run(config, lake, START, END, opinions=cached, keep_signals=False) for _ in range(2)]
    warm = min(one.seconds for one in runs)
    return Found(
        {"backtest.warm_bars_per_s": first.bars / warm, "backtest.cold_bars_per_s": first.bars / cold},
        f"{len(config.universe.instruments)} pairs, {first.bars:,} bars from {iso(START)[:10]} on; "
        f"model {model.name} {model.model_hash[:12]} at {model.decision.value}; {first.orders:,} orders, "
        f"{first.active_bars / first.bars:.1%} of bars active; warm = predictions cached, reading included; "
        f"cold = everything from files",
    )


def _config(lake: Path) -> Config:
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
            "trader.bench.model": str(MODEL),
            "trader.bench.policy.min_confidence": 0.45,
            "trader.bench.policy.min_expected_value": -0.02,
            "trader.bench.policy.max_position_notional": 0.01,
            "trader.bench.policy.max_drawdown": 0.5,
            "trader.bench.policy.max_daily_loss": 0.25,
        },
    )
