from decimal import Decimal

import pytest

from core.errors import UsageError
from core.market import Timeframe
from tests.trader.backtest.by_hand import configured
from trader.backtest.assumptions import sentences
from trader.backtest.schedules import with_schedule
from venue.exchange_fees import SCHEDULES


def told(schedule="kraken", timeframe=Timeframe.M5, **exchange):
    return "\n".join(sentences(configured(schedule, **exchange), timeframe))


def test_everything_that_decides_about_a_fill_is_named():
    firsts = [line.partition(" ")[0].rstrip(":") for line in sentences(configured(), Timeframe.M15)]
    assert firsts == [
        "Latency", "Spread", "Depth", "Partial", "Path", "Stops", "Queue", "Fees", "Margin", "Liquidation",
        "Sizes", "Not",
    ]  # fmt: skip


def test_the_figures_are_those_of_the_configuration():
    text = told(latency_ms=120, latency_sigma=0.5, seed=7)
    assert "120 ms (median, log-normal with a sigma of 0.5 and drawn from seed 7)" in text
    assert "an entry, which is sent when its stop has been accepted, after two such times" in text
    assert "40 bps taker, 25 bps maker" in text
    assert "10.000% of a 5m bar" in text
    assert "every 4 hours" in text
    assert "2.5 bps USD" in text
    assert "at 40 % the exchange closes positions" in text


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"latency_ms": 9}, "9 ms (median without variation)"),
        ({"margin": False}, "lending is free, and there are no margin calls"),
        ({"schedule": "gross"}, "Margin fees: none."),
        ({"schedule": "vip4"}, "5.4 bps taker, 5.4 bps maker"),
        ({"timeframe": Timeframe.H1}, "0.833% of a 1h bar"),
    ],
)
def test_another_configuration_has_another_sentence(options, sentence):
    assert sentence in told(**options)


def test_a_schedule_reaches_the_exchange_and_what_risk_reckons_with():
    for name, schedule in SCHEDULES.items():
        config = configured(name)
        assert config.exchange.fees == schedule.fees
        assert {trader.policy.taker_fee for trader in config.traders} == {float(schedule.fees.taker)}
        assert {trader.policy.maker_fee for trader in config.traders} == {float(schedule.fees.maker)}
    assert list(SCHEDULES) == ["gross", "vip9", "vip4", "legacy16", "kraken"]
    assert [s.fees.taker * 10_000 for s in SCHEDULES.values()] == [0, 2, Decimal("5.4"), 16, 40]
    assert SCHEDULES["kraken"].fees.maker == Decimal("0.0025")


def test_without_a_schedule_the_two_rates_count():
    config = configured()
    table = config.exchange.model_copy(update={"schedule": "", "taker_fee": Decimal("0.001")})
    assert table.fees.taker == Decimal("0.001")
    assert table.rules.margin.fees


def test_an_unknown_schedule_is_refused_in_one_line():
    with pytest.raises(UsageError, match="gross, vip9, vip4, legacy16, kraken; found 'vip1'"):
        with_schedule(configured(), "vip1")
