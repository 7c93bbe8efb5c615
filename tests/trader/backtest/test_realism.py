"""Whole runs of desk and exchange: the money adds up at every instant, under every rule there is."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, MINUTE, SECOND
from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from core.portfolio import ZERO
from core.signal import Opinion
from core.text import parse_iso
from feeds.lake import Lake, Series
from feeds.replay import replay
from risk.policy import ModelTerms
from trader.backtest.schedules import with_schedule
from trader.backtest.world import World
from trader.config import load

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"
ROOT = Path(__file__).parents[3]
START = parse_iso("2024-06-03T00:00:00Z")
TERMS = {
    name: ModelTerms("scripted", name, decision, 2.0, 12)
    for name, decision in (("scalp", Timeframe.M5), ("swing", Timeframe.M15))
}


def configured(schedule="kraken", *, pairs=(BTC, ETH), **changes):
    only = {"universe.instruments": list(pairs)}
    only |= {key.replace("__", "."): value for key, value in changes.items()}
    return with_schedule(load([ROOT / "configs" / "two-traders.toml"], {}, only), schedule)


class Scripted:
    """Opinions by bar number: `lean(number)` is below 0 for down, above for up, 0 for nothing."""

    def __init__(self, lean, atr=0.003, order=()):
        self.lean, self.atr, self.closes = lean, atr, {}
        self.first = {symbol: place for place, symbol in enumerate(order, 1)}  # the bar of its first opinion

    def on_bars(self, bars):
        self.closes |= {bar.instrument: bar.close for bar in bars if bar.timeframe is Timeframe.M5}

    def answer(self, request: RequestOpinion) -> Prediction:
        number = request.ts_close // (5 * MINUTE)
        names = [symbol for symbol in request.instruments if symbol in self.closes]
        opinions = tuple(
            self.opinion(symbol, self.lean(number) if number >= self.first.get(symbol, 0) else 0)
            for symbol in names
        )
        return Prediction(
            0,
            request.prediction_id,
            request.trader,
            request.ts_close,
            request.timeframe,
            "scripted",
            opinions,
        )

    def opinion(self, symbol, lean):
        close = self.closes[symbol]
        down, up = {-1: (0.8, 0.1), 0: (0.1, 0.1), 1: (0.1, 0.8)}[lean]
        return Opinion(symbol, True, down, round(1 - down - up, 3), up, close * self.atr, 0.002, close)


def proved(world):
    """Insist that ledger and exchange tell the same money, reckoned in two ways."""
    for name, ledger in world.books.ledgers.items():
        portfolio = world._exchange.account(name).portfolio
        worth = sum((p.unrealised(ledger.marks[p.instrument]) for p in portfolio.positions.values()), ZERO)
        assert ledger.equity == portfolio.cash + worth
        assert ledger.fees == portfolio.fees >= 0


def lived(config, opinions, instants, *, start=0):
    world = World(config, TERMS, opinions, start=start, keep_signals=False)
    for ts_close, bars in instants:
        world.on_bars(ts_close, bars, [bar for bar in bars if bar.timeframe is Timeframe.M5])
        proved(world)
    result = world.result(ts_close, 1.0)
    trips = [trip for ledger in world.books.ledgers.values() for trip in ledger.trips]
    assert sum((trip.net for trip in trips), ZERO) == result.equity - result.cash
    assert sum((trip.fees + trip.margin_fees for trip in trips), ZERO) == result.fees
    return world, result, trips


@pytest.fixture(scope="module")
def two_days():
    patient = {"max_hold_bars": 40, "stop_atr": 20.0, "target_atr": 0.0}  # ten hours, and nothing in between
    config = configured(**{f"trader__swing__policy__{key}": value for key, value in patient.items()})
    series = [Series("binance", symbol, Timeframe.M5) for symbol in (BTC, ETH)]
    lake = Lake(ROOT / "configs" / "market")
    instants = replay(lake, series, START, START + 2 * DAY, timeframes=[Timeframe.M5, Timeframe.M15])
    # Twenty bars up, twenty down, and a long silence now and then, so that positions age.
    opinions = Scripted(lambda n: 0 if n // 120 % 2 and n % 120 > 12 else 1 if n // 20 % 2 else -1, 0.0015)
    return lived(config, opinions, instants, start=START)


def test_money_adds_up_at_every_instant_of_two_real_days(two_days):
    _, result, trips = two_days
    assert len(trips) > 20
    assert result.round_trips == sum(trip.ended_by != "end" for trip in trips)
    assert sum(trip.margin_fees for trip in trips) > 0


def test_trips_end_in_every_usual_way(two_days):
    _, _, trips = two_days
    assert {trip.ended_by for trip in trips} >= {"stop", "target", "opinion", "time"}
    assert all(trip.reason for trip in trips if trip.ended_by in {"opinion", "time"})
    assert all(trip.prediction_id for trip in trips)


def test_rollovers_reach_the_desk_without_a_notice_each(two_days):
    world, result, trips = two_days
    opening = {ETH: D("0.0002"), BTC: D("0.0001")}
    rolled = [t for t in trips if t.margin_fees > t.turnover * max(opening.values()) / 2 * D("1.5")]
    assert rolled, "expected a position older than four hours"
    assert "cash_adopted" not in result.notices
    for name in world.books.ledgers:
        desk = next(e.state for e in world._desk.engines if e.state.account == name)
        assert desk.portfolio.cash == world._exchange.account(name).portfolio.cash


def moving(symbol, prices, value=1e8):
    """Give bars of five minutes from one price to the next; `value` is traded in each, or one for each."""
    for number, (begin, end) in enumerate(pairwise(prices)):
        traded = value if isinstance(value, float) else value[number]
        high, low = max(begin, end), min(begin, end)
        yield Bar(symbol, Timeframe.M5, number * 5 * MINUTE, begin, high, low, end, traded / end, end, 10)


def together(*series):
    return [(bars[0].ts_close, bars) for bars in zip(*series, strict=True)]


def test_one_opinion_becomes_one_trip_of_known_size_and_price():
    """Risk, orders, fills and fees of the whole desk, worked out by hand."""
    config = configured("kraken", pairs=[BTC])
    prices = [100.0, 100.0, 100.0, 103.0, 103.0]
    opinion = Scripted(lambda n: int(n == 1), atr=0.01)
    _, result, (trip,) = lived(config, opinion, together(moving(BTC, prices)))
    # Half a spread of 0.0000502: 99.99 and 100.01. The entry may pay 0.001 more, 100.11, so that a tenth of
    # 10,000 buys 1000 / 100.11; the target lies two ATRs of 1.00 above the ask and is met as maker.
    quantity = D("9.98901208")
    assert (trip.quantity, trip.entry, trip.exit) == (quantity, D("100.01"), D("102.01"))
    assert (trip.trader, trip.side, trip.ended_by, trip.fills) == ("scalp", "long", "target", 2)
    assert trip.opened == 5 * MINUTE + 2 * SECOND // 200  # the stop first, then the entry, 5 ms each
    # 999.0010981208 x 0.004 and 1018.9791222808 x 0.0025, each to eight decimals
    assert trip.fees == D("3.99600439") + D("2.54744781")
    assert trip.margin_fees == D("0.19980022")  # 999.0010981208 x 0.0002
    assert trip.net == 2 * quantity - D("6.54345220") - D("0.19980022")
    assert result.accounts == {"scalp": 10_000 + trip.net, "swing": 10_000}


def test_a_crash_that_no_stop_survives_liquidates_the_oldest_position_and_the_desk_halts():
    big = {"max_position_notional": 1.5, "max_leverage": 5.0, "risk_per_trade": 0.05, "max_drawdown": 0.5}
    changes = {f"trader__scalp__policy__{key}": value for key, value in big.items()}
    config = configured("gross", **changes)
    # One instrument after the other is bought; then more than half of one price is gone in a bar in
    # which nearly nothing trades, so that its stop finds no buyers.
    calm, crash = [100.0] * 24, [100.0] * 4 + [42.0] * 20
    values = [1e8] * 3 + [1e3] * 20
    instants = together(moving(ETH, calm), moving(BTC, crash, values))
    opinions = Scripted(lambda n: 1, order=[ETH, BTC])
    _, result, trips = lived(config, opinions, instants)
    first = trips[0]
    assert (first.instrument, first.ended_by) == (ETH, "liquidation")
    assert first.exit == D("99.99")
    assert result.notices["halted"] >= 1
    assert result.notices["margin_call"] >= 1
    assert result.accounts["scalp"] < 3_000


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(-30, 30), min_size=20, max_size=60),
    st.lists(st.sampled_from([-1, 0, 1]), min_size=4, max_size=12),
    st.sampled_from(["gross", "vip9", "kraken"]),
    st.sampled_from([5, 800, 3_000]),
    st.floats(3.3, 8),
)
def test_money_adds_up_whatever_the_market_and_the_opinions(steps, leans, schedule, latency, magnitude):
    prices = [100.0]
    for step in steps:
        prices.append(round(prices[-1] * (1 + step / 1000), 2))
    config = configured(
        schedule,
        pairs=[BTC],
        exchange__latency_ms=latency,
        exchange__latency_sigma=0.7,
        trader__scalp__policy__cooldown_s=0.0,
    )
    opinions = Scripted(lambda n: leans[n // 3 % len(leans)], atr=0.004)
    lived(config, opinions, together(moving(BTC, prices, 10**magnitude)))


def test_an_entry_that_is_taken_back_while_it_waits_for_its_stop_is_never_sent():
    """The day's loss is spent at a bar's open, before the exchange has spoken of the stop."""
    policy = {"max_daily_loss": 0.002, "max_position_notional": 1.0, "max_leverage": 4.0}
    policy |= {"stop_atr": 20.0, "target_atr": 0.0, "risk_per_trade": 0.05, "entry_collar": 0.02}
    changes = {f"trader__scalp__policy__{key}": value for key, value in policy.items()}
    config = configured("gross", exchange__latency_ms=1_200, **changes)
    held, wanted = [100.0] * 5 + [99.0] * 3, [100.0] * 8
    bars = list(moving(ETH, held))
    bars[4] = msgspec.structs.replace(bars[4], open=99.0, high=99.0)
    opinions = Scripted(lambda n: 1, atr=0.004, order=[ETH, "", "", BTC])
    _, result, trips = lived(config, opinions, together(bars, moving(BTC, wanted)))
    assert result.notices["daily_loss"] == 1
    assert [order.instrument for order in result.sent if order.trader == "scalp"].count(BTC) == 2
    assert [trip.instrument for trip in trips if trip.trader == "scalp"] == [ETH]


@pytest.mark.parametrize("latency", [5, 800])
@pytest.mark.parametrize("lean", [1, -1])
def test_a_stop_and_a_target_in_the_bar_that_an_entry_fills_in_are_the_stop(lean, latency):
    """An order that is still on its way at the bar's open does not choose the way of the price."""
    near = {"stop_atr": 1.0, "target_atr": 1.0, "entry_collar": 0.01}
    changes = {f"trader__scalp__policy__{key}": value for key, value in near.items()}
    config = configured("gross", pairs=[BTC], exchange__latency_ms=latency, **changes)
    bars = list(moving(BTC, [100.0] * 5))
    bars[2] = msgspec.structs.replace(bars[2], high=104.0, low=96.0)
    opinions = Scripted(lambda n: lean if n == 2 else 0, atr=0.01)
    _, _, (trip,) = lived(config, opinions, together(bars))
    assert trip.ended_by == "stop"
    assert trip.gross < 0


def test_an_hour_ends_at_its_own_prices_although_something_fills_right_after_it():
    far = {"stop_atr": 20.0, "target_atr": 0.0, "min_hold_s": 0.0, "cooldown_s": 90_000.0}
    changes = {f"trader__scalp__policy__{key}": value for key, value in far.items()}
    config = configured("gross", pairs=[BTC], **changes)
    prices = [100.0] * 21 + [101.0, 102.0, 103.0, 104.0] + [104.0] * 2
    opinions = Scripted(lambda n: {20: 1, 24: -1}.get(n, 0), atr=0.01)  # out at two o'clock
    world, _, (trip,) = lived(config, opinions, together(moving(BTC, prices)))
    assert trip.closed == 2 * 60 * MINUTE + SECOND // 200
    (hour, equity, _, _), (after, _, _, _) = world.books.ledgers["scalp"].curve
    assert (hour, after) == (120 * MINUTE, 180 * MINUTE)
    assert equity == float(10_000 + trip.quantity * (D("104.00") - trip.entry))


def test_nothing_leaves_through_a_gap_in_the_bars_before_the_price_behind_it():
    """Held when its bars stop for ten hours while another market goes on; a fifth cheaper after them."""
    far = {"stop_atr": 20.0, "target_atr": 0.0, "max_daily_loss": 0.25, "max_drawdown": 0.5}
    changes = {f"trader__scalp__policy__{key}": value for key, value in far.items()}
    config = configured("gross", **changes)
    before, after = [100.0] * 6, [80.0] * 6
    gap = 120 * 5 * MINUTE
    bars = [*moving(BTC, before), *moving(ETH, [100.0] * 140)]
    bars += [msgspec.structs.replace(bar, ts_open=bar.ts_open + gap) for bar in moving(BTC, after)]
    closes = {}
    for bar in bars:
        closes.setdefault(bar.ts_close, []).append(bar)
    opinions = Scripted(lambda n: int(n == 5), atr=0.02, order=[BTC])
    opinions.first[ETH] = 1_000
    instants = [(ts, tuple(one)) for ts, one in sorted(closes.items())]
    _, _, (trip,) = lived(config, opinions, instants)
    assert (trip.instrument, trip.ended_by) == (BTC, "time")
    assert trip.closed > gap
    assert trip.exit == D("79.99")
