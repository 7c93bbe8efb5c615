"""Small run records made by hand, for tests of what is read from them."""

from decimal import Decimal

import polars as pl

from core.clock import DAY, HOUR
from core.text import parse_iso
from trader.backtest.record import ModelUsed, RunCard, RunRecord, Trip

START = parse_iso("2024-01-01")


def run_of(returns, *, start=START, cash="10000", config=None, schedule="kraken", trips=(), **changes):
    """Give a run of one account whose equity has these daily returns, its rows at each midnight."""
    equity = Decimal(cash)
    rows = []
    for day, moved in enumerate(returns, 1):
        equity += equity * Decimal(repr(float(moved)))
        rows.append((start + day * DAY, "a", float(equity), 0.0, 0.0))
    card = RunCard(
        version="1.0.0",
        command="trader backtest run",
        config_hash="c" * 64,
        config=config
        or {"exchange": {"taker_fee": "0.004"}, "trader": [{"name": "a", "policy": {"stop_atr": 2.0}}]},
        data_hash="d" * 64,
        venue="binance",
        timeframe="5m",
        instruments=("BTC/USDT", "ETH/USDT"),
        start=start,
        end=start + len(returns) * DAY,
        cash={"a": Decimal(cash)},
        schedule=schedule,
        models=(ModelUsed("a", "entry", "m" * 64, "5m", start - DAY),),
        assumptions=(),
        counts={},
        refusals={},
        notices={},
        showcase=False,
    )
    card = RunCard(**({name: getattr(card, name) for name in card.__struct_fields__} | changes))
    columns = ["ts", "account", "equity", "exposure", "fees"]
    curve = pl.DataFrame(rows, schema=columns, orient="row")
    kinds = {"ts": pl.Int64, "instrument": pl.String, "net": pl.Float64, "fees": pl.Float64}
    pairs = pl.DataFrame([], schema=kinds)
    return RunRecord(card, tuple(trips), curve, pairs)


def trip_of(
    instrument="BTC/USDT", *, opened=START, hours=5, side="buy", entry="40000", quantity="0.05", **changes
):
    """Give a round trip; fees are 0.4 % a side of a flat price unless told otherwise."""
    price, amount = Decimal(entry), Decimal(quantity)
    turnover = 2 * price * amount
    made = {
        "account": "a",
        "trader": "a",
        "instrument": instrument,
        "side": side,
        "opened": opened,
        "closed": opened + hours * HOUR,
        "quantity": amount,
        "entry": price,
        "exit": price,
        "gross": Decimal(0),
        "fees": turnover * Decimal("0.004"),
        "margin_fees": Decimal(0),
        "slippage": Decimal(0),
        "turnover": turnover,
        "ended_by": "time",
    }
    return Trip(**(made | changes))
