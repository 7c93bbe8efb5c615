"""Engine and arithmetic agree on what knowing nothing costs: fees and half the spread of all turnover."""

from pathlib import Path

import numpy as np
import pytest

from core.clock import DAY
from core.events import Prediction
from core.market import Timeframe
from core.signal import Opinion
from core.text import parse_iso
from trader.backtest.run import run
from trader.config import load
from trader.evaluation.daily import daily_returns
from trader.models import load_models
from training.significance.closes import daily, read_closes
from training.significance.runs import trades_of

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
START, DAYS = parse_iso("2024-06-03"), 3


class Coin:
    """Goes long or short three times in a hundred, whatever the bars say."""

    def __init__(self, hashes):
        self.hashes = hashes
        self.rng = np.random.default_rng(1)
        self.closes = {}

    def on_bars(self, bars):
        self.closes |= {bar.instrument: bar.close for bar in bars if bar.timeframe is Timeframe.M5}

    def answer(self, request):
        opinions = tuple(self.opinion(symbol) for symbol in request.instruments)
        return Prediction(
            0,
            request.prediction_id,
            request.trader,
            request.ts_close,
            request.timeframe,
            self.hashes[request.trader],
            opinions,
        )

    def opinion(self, symbol):
        drawn, close = self.rng.uniform(), self.closes[symbol]
        down, up = (0.1, 0.7) if drawn < 0.03 else (0.7, 0.1) if drawn < 0.06 else (0.1, 0.1)
        return Opinion(symbol, True, down, 1 - down - up, up, close * 0.003, 0.002, close)


@pytest.fixture(scope="module")
def record():
    config = load([ROOT / "configs" / "two-traders.toml"], {}, {})
    hashes = {name: model.model_hash for name, model in load_models(config).items()}
    return run(config, MARKET, START, START + DAYS * DAY, opinions=Coin(hashes)).record("test")


def sums(record, name):
    return float(sum(getattr(trip, name) for trip in record.trips))


def test_a_coin_loses_its_costs_and_nothing_else(record):
    assert len(record.trips) > 200
    turnover = sums(record, "turnover")
    costs = sums(record, "fees") + sums(record, "margin_fees") + sums(record, "slippage")
    lost = -sums(record, "net")
    # Base fee is 40 basis points to take and 25 to make; a market order pays half a spread beside it.
    assert 25 < sums(record, "fees") / turnover * 1e4 <= 40
    assert 0 < sums(record, "slippage") / turnover * 1e4 < 10
    moves = np.array([float(trip.gross + trip.slippage) for trip in record.trips])
    error = moves.std() * np.sqrt(len(moves))
    assert lost == pytest.approx(costs, abs=3 * error)
    # Three errors are 3 points of turnover here, so the costs of 42 are what the loss consists of.
    assert 3 * error / turnover * 1e4 < 5
    assert lost > 0.9 * costs


def test_the_arithmetic_on_closes_returns_what_the_engine_returned(record):
    start, end = record.card.start, record.card.end
    closes = read_closes(
        MARKET,
        venue="binance",
        timeframe=Timeframe.M5,
        instruments=record.card.instruments,
        start=start,
        end=end,
    )
    trades, _ = trades_of(record, closes)
    earned, paid = daily(trades, closes)
    engine = daily_returns(record)
    assert len(engine) == DAYS
    # Entries and exits inside bars are moved to closes: some points a day, against costs of hundreds.
    assert earned - paid == pytest.approx(engine, abs=0.006)
    assert paid.sum() > 0.1
