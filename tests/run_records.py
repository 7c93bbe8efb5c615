"""Records of backtests made by hand: small ones with known sums, and a long one drawn from a seed."""

from decimal import Decimal

import numpy as np
import polars as pl

from core.clock import DAY, HOUR
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import BarArrays
from trader.backtest.record import Check, Fold, ModelUsed, RunCard, RunRecord, Trip

START = parse_iso("2024-01-01T00:00:00Z")
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
ASSUMED = (
    "Orders reach the exchange after 5 ms.",
    "Half the spread is paid at every market order.",
    "A stop and a target inside one bar: the stop comes first.",
)


def day(number, hour=0):
    return START + number * DAY + hour * HOUR


def trip(
    net="0",
    *,
    fees="0",
    margin="0",
    slippage="0",
    opened=0,
    closed=None,
    instrument="BTC/USDT",
    side="long",
    ended_by="opinion",
    quantity="1",
    entry="100",
    **more,
):
    """Give a trip whose net is as asked; opened and closed are hours since START."""
    gross = Decimal(net) + Decimal(fees) + Decimal(margin)
    exit_price = Decimal(entry) + (gross if side == "long" else -gross) / Decimal(quantity)
    return Trip(
        account=more.pop("account", "main"),
        trader=more.pop("trader", "swing"),
        instrument=instrument,
        side=side,
        opened=START + opened * HOUR,
        closed=START + (opened + 1 if closed is None else closed) * HOUR,
        quantity=Decimal(quantity),
        entry=Decimal(entry),
        exit=round(exit_price, 4),
        gross=gross,
        fees=Decimal(fees),
        margin_fees=Decimal(margin),
        slippage=Decimal(slippage),
        turnover=Decimal(entry) * Decimal(quantity) * 2,
        ended_by=ended_by,
        **more,
    )


def card(days, **more):
    return RunCard(
        **{
            "version": "0.0.0",
            "command": "trader backtest run --data lake",
            "config_hash": "c" * 64,
            "config": {
                "exchange": {"taker_fee": 0.004},
                "trader": [
                    {
                        "name": "swing",
                        "policy": {"taker_fee": 0.004, "min_confidence": 0.45, "cooldown_s": 900.0},
                    }
                ],
            },
            "data_hash": "d" * 64,
            "venue": "binance",
            "timeframe": "5m",
            "instruments": PAIRS,
            "start": START,
            "end": day(days),
            "cash": {"main": Decimal(10000)},
            "schedule": "kraken",
            "models": (ModelUsed("swing", "entry-15m", "e" * 64, "15m", 0),),
            "assumptions": ASSUMED,
            "counts": {"bars": days * 288 * 3, "active_bars": 0, "orders": 0, "fills": 0, "decisions": 0},
            "refusals": {},
            "notices": {},
            "showcase": False,
        }
        | more
    )


def record(trips=(), days=10, **more):
    """Give a record whose equity moves when a trip closes, and at no other time."""
    made = card(days, **more)
    curve, pairs = [], []
    sums = {}
    for one in sorted(trips, key=lambda t: (t.closed, t.opened, t.instrument)):
        ts = min(-(-one.closed // HOUR) * HOUR, made.end)
        charged = one.fees + one.margin_fees
        net, fees = sums.get(one.account, (made.cash[one.account], Decimal(0)))
        sums[one.account] = (net + one.net, fees + charged)
        curve.append((ts, one.account, *map(float, sums[one.account]), 0.0))
        net, fees = sums.get(one.instrument, (Decimal(0), Decimal(0)))
        sums[one.instrument] = (net + one.net, fees + charged)
        pairs.append((ts, one.instrument, *map(float, sums[one.instrument]), 0.0))
    return RunRecord(
        made,
        tuple(trips),
        _frame(curve, ("account", "equity", "fees", "exposure")).select(
            "ts", "account", "equity", "exposure", "fees"
        ),
        _frame(pairs, ("instrument", "net", "fees", "exposure")).select(
            "ts", "instrument", "net", "fees", "exposure"
        ),
    )


def _frame(rows, names):
    schema = {"ts": pl.Int64, names[0]: pl.String, **dict.fromkeys(names[1:], pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(
        ["ts", names[0]], keep="last", maintain_order=True
    )


def random_record(days=200, trades=400, seed=7, **more):
    """Give trades drawn from a seed that lose a little after fees, in all ways of ending."""
    draw = np.random.default_rng(seed)
    prices = {"BTC/USDT": 60000.0, "ETH/USDT": 3300.0, "SOL/USDT": 160.0}
    trips = []
    for pair, price in prices.items():
        opens = np.sort(draw.choice(days * 24 - 12, trades // 3, replace=False))
        for hour in opens.tolist():
            notional, move = 1000.0, draw.normal(0.0004, 0.012)
            ended = (
                "stop" if move < -0.012 else "target" if move > 0.014 else draw.choice(["time", "opinion"])
            )
            fee = Decimal("6.4")
            trips.append(
                trip(
                    str(Decimal(f"{notional * move:.4f}") - fee),
                    fees=str(fee),
                    slippage="0.2",
                    opened=hour,
                    closed=hour + int(draw.integers(1, 9)),
                    instrument=pair,
                    side=str(draw.choice(["long", "short"])),
                    ended_by=str(ended),
                    quantity=f"{notional / price:.6f}",
                    entry=f"{price:.2f}",
                    reason="the trade is older than its limit" if ended == "time" else "",
                )
            )
    trips.sort(key=lambda t: (t.opened, t.instrument))
    return record(trips, days, **more)


def folds(count, days):
    return tuple(
        Fold(
            number=n,
            train_start=day(-200 + n * days),
            train_end=day(n * days - 20),
            validation_start=day(n * days - 20),
            test_start=day(n * days),
            test_end=day((n + 1) * days),
            purged_rows=96,
            tuned={"threshold": round(0.4 + n / 100, 2)},
        )
        for n in range(count)
    )


CHECKS = (Check("delay_one_bar", True, "gross per trade 1.2 bps, one bar later 1.1 bps"),)


def bars(instrument, days=260, first=-60, seed=1, price=100.0):
    """Give hourly bars of a random walk, from `first` days after START on."""
    draw = np.random.default_rng(seed)
    count = days * 24
    close = price * np.exp(np.cumsum(draw.normal(0.0, 0.008, count)))
    opened = np.append(price, close[:-1])
    apart = np.abs(draw.normal(0.0, 0.004, count)) * close
    return BarArrays(
        instrument=instrument,
        timeframe=Timeframe.H1,
        ts_open=day(first) + np.arange(count, dtype=np.int64) * HOUR,
        open=opened,
        high=np.maximum(opened, close) + apart,
        low=np.minimum(opened, close) - apart,
        close=close,
        volume=np.full(count, 10.0),
        vwap=close,
        trades=np.ones(count, np.int32),
    )


def write_lake(root, instruments=PAIRS, **more):
    """Write hourly bars for each instrument as a lake of venue binance."""
    for seed, name in enumerate(instruments, 1):
        made = bars(name, seed=seed, **more)
        folder = root / "ohlcv" / "binance" / name.replace("/", "-")
        folder.mkdir(parents=True)
        columns = {key: getattr(made, key) for key in ("open", "high", "low", "close", "volume")}
        pl.DataFrame({"ts": made.ts_open // 1_000_000, **columns}).write_parquet(folder / "1h.parquet")
    return root
