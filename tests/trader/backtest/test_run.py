from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from core.clock import DAY
from core.errors import DataError, UsageError
from core.events import Prediction, RequestOpinion
from core.market import Timeframe
from core.signal import Opinion
from core.text import iso, parse_iso
from feeds.lake import Lake, Series, aggregate
from feeds.replay import replay
from inference.ensemble import load as load_model
from inference.pipeline import OpinionSource
from risk.policy import ModelTerms
from trader.backtest.opinions import FoldedOpinions
from trader.backtest.run import run, simulate, whole_span
from trader.config import load

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
MODEL = ROOT / "configs" / "models" / "entry-15m"
START = parse_iso("2024-06-03T00:00:00Z")
PAIRS = ("BTC/USDT", "ETH/USDT")
TERMS = {
    name: ModelTerms("scripted", name, decision, 2.0, 12)
    for name, decision in (("scalp", Timeframe.M5), ("swing", Timeframe.M15))
}


@pytest.fixture(scope="module")
def config():
    only = {"universe.instruments": list(PAIRS)}
    return load([ROOT / "configs" / "two-traders.toml"], {}, only)


class Scripted:
    """Opinions that change their mind every twenty bars; what a model thinks does not matter here."""

    def __init__(self, confidence=0.7):
        self.confidence = confidence
        self.closes = {}

    def on_bars(self, bars):
        self.closes |= {bar.instrument: bar.close for bar in bars if bar.timeframe is Timeframe.M5}

    def answer(self, request: RequestOpinion) -> Prediction:
        up = request.ts_close // request.timeframe.ns // 20 % 2 == 0
        opinions = tuple(self.opinion(symbol, up=up) for symbol in request.instruments)
        return Prediction(
            0,
            request.prediction_id,
            request.trader,
            request.ts_close,
            request.timeframe,
            "scripted",
            opinions,
        )

    def opinion(self, symbol, *, up):
        close, c = self.closes[symbol], self.confidence
        down_up = (0.1, c) if up else (c, 0.1)
        return Opinion(symbol, True, down_up[0], 0.9 - c, down_up[1], close * 0.003, 0.002, close)


def simulated(config, opinions, *, days=1, **options):
    series = [Series("binance", symbol, Timeframe.M5) for symbol in PAIRS]
    timeframes = [Timeframe.M5, Timeframe.M15]
    end = START + days * DAY
    instants = replay(Lake(MARKET), series, START, end, timeframes=timeframes)
    return simulate(config, TERMS, opinions, instants, start=START, end=end, source=Timeframe.M5, **options)


@pytest.fixture(scope="module")
def result(config):
    return simulated(config, Scripted())


def test_a_day_is_traded_to_its_end(result):
    assert result.bars == 2 * 288
    assert result.round_trips > 2
    assert result.fills >= 2 * result.round_trips
    assert result.orders > result.fills
    assert 0 < result.wins + 1 <= result.round_trips + 1
    assert not {"stranger", "mismatch"} & result.notices.keys()


def test_money_is_accounted_for(result):
    assert result.cash == Decimal(20_000)
    assert result.equity == sum(result.accounts.values())
    assert result.fees > 0
    assert 0 <= result.max_drawdown < 0.25


def test_two_runs_are_equal_to_the_last_digit(config, result):
    again = simulated(config, Scripted())
    assert msgspec.structs.replace(again, seconds=result.seconds) == result


def test_every_opinion_becomes_a_decision_and_a_signal(result):
    assert result.decisions == 2 * 288 + 2 * 96 == len(result.signals)
    assert {line.trader for line in result.signals} == {"scalp", "swing"}
    assert {line.direction for line in result.signals} == {"long", "short"}
    assert all(a.ts_close <= b.ts_close for a, b in pairwise(result.signals))


def test_nothing_happens_without_conviction(config):
    quiet = simulated(config, Scripted(confidence=0.1), keep_signals=False)
    assert (quiet.orders, quiet.fills, quiet.active_bars) == (0, 0, 0)
    assert quiet.equity == quiet.cash
    assert quiet.signals == []
    assert sum(quiet.refusals.values()) == quiet.decisions


def test_the_report_is_plain(result):
    report = result.report(signals=True)
    assert report["bars"] == result.bars
    assert len(report["signals"]) == len(result.signals)
    assert "signals" not in result.report(signals=False)
    assert Decimal(report["equity"]) == result.equity


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs the shipped model entry-15m")
def test_folded_opinions_are_those_of_the_live_source():
    artifacts = {"swing": load_model(MODEL)}
    (member,) = artifacts["swing"].members
    spec = member.artifact.spec
    since, end = START - 70 * DAY, START + DAY
    series = [Series("binance", symbol, Timeframe.M5) for symbol in PAIRS]
    lake = Lake(MARKET)
    histories = {}
    for one in series:
        bars = lake.read(*one, start=since, end=end)
        histories[one.instrument] = {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes}
    folded = FoldedOpinions(artifacts, histories)
    live = OpinionSource(artifacts, PAIRS)
    ready = 0
    for ts_close, bars in replay(lake, series, since, end, timeframes=list(spec.timeframes)):
        live.on_bars(bars)
        if ts_close % spec.decision.ns or ts_close <= START:
            continue
        request = RequestOpinion("swing", "p", spec.decision, ts_close, PAIRS)
        expected, found = live.answer(request), folded.answer(request)
        ready += sum(opinion.ready for opinion in expected.opinions)
        for one, other in zip(expected.opinions, found.opinions, strict=True):
            assert msgspec.structs.replace(one, reason="") == msgspec.structs.replace(other, reason="")
    assert ready == 2 * 96


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs the shipped model entry-15m")
def test_an_instant_that_nobody_recorded_has_no_opinion():
    lake = Lake(MARKET)
    bars = lake.read("binance", "BTC/USDT", Timeframe.M5, start=START, end=START + DAY)
    artifacts = {"swing": load_model(MODEL)}
    timeframes = artifacts["swing"].timeframes
    table = FoldedOpinions(artifacts, {"BTC/USDT": {t: aggregate(bars, t) for t in timeframes}})
    later = RequestOpinion("swing", "p", Timeframe.M15, START + 5 * DAY, ("BTC/USDT",))
    (opinion,) = table.answer(later).opinions
    assert not opinion.ready
    assert opinion.reason


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs the shipped models")
def test_a_whole_configuration_runs_over_the_lake(config):
    found = run(config, MARKET, START, START + DAY, keep_signals=True)
    assert found.bars == 2 * 288
    assert len(found.signals) == found.decisions == 2 * 288 + 2 * 96
    assert found.models.keys() == {"scalp", "swing"}


@pytest.mark.parametrize("start, end", [(START + 1, START + DAY), (START, START), (START, START + DAY + 1)])
def test_a_span_is_whole_days(config, start, end):
    with pytest.raises(UsageError, match="whole UTC days"):
        run(config, MARKET, start, end)


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs the shipped models")
def test_a_lake_without_the_instruments_is_named(config, tmp_path):
    with pytest.raises(DataError, match="BTC/USDT, ETH/USDT; found none"):
        run(config, tmp_path, START, START + DAY)


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs the shipped models")
def test_instruments_share_a_timeframe(config, tmp_path):
    for symbol, timeframe in (("BTC-USDT", "5m"), ("ETH-USDT", "1m")):
        source = MARKET / "ohlcv" / "binance" / "BTC-USDT" / "5m.parquet"
        target = tmp_path / "ohlcv" / "binance" / symbol / f"{timeframe}.parquet"
        target.parent.mkdir(parents=True)
        target.write_bytes(source.read_bytes())
    with pytest.raises(DataError, match="all 2 instruments share"):
        run(config, tmp_path, START, START + DAY)


def test_the_whole_span_begins_when_features_are_warm_and_ends_with_a_whole_day():
    config = load([ROOT / "configs" / "two-traders.toml"], {}, {})
    start, end = whole_span(config, MARKET)
    assert start % DAY == 0
    assert end % DAY == 0
    assert iso(start)[:10] == "2024-03-09"
    assert iso(end)[:10] == "2024-07-18"
