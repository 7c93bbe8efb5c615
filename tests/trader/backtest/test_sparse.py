"""A sparse run ends where a dense one does, to the last bit, on made markets and on the real one."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import BarArrays
from risk.policy import ModelTerms, RiskPolicy
from trader.backtest import sparse
from trader.backtest.opinion_table import OpinionTable, TabledOpinions
from trader.backtest.panel import Panel
from trader.backtest.run import run, whole_span
from trader.backtest.world import World
from trader.config import load
from trader.desk import Desk, DeskState
from venue.exchange_listing import listed

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/USDT")
START = parse_iso("2024-06-03T00:00:00Z")
DAYS = 2
END = START + DAYS * DAY
PRICES = (60_000.0, 3_000.0, 0.15)
TERMS = {
    name: ModelTerms(f"made for {name}", name, decision, 2.0, 8)
    for name, decision in (("scalp", Timeframe.M15), ("swing", Timeframe.H1))
}


def fraction(low, high):
    return st.floats(low, high).map(lambda value: round(value, 4))


POLICIES = st.builds(
    RiskPolicy,
    min_confidence=fraction(0.3, 0.7),
    min_expected_value=fraction(-0.05, 0.01),
    stop_atr=fraction(0.25, 3),
    target_atr=st.one_of(st.just(0.0), fraction(0.3, 3)),
    risk_per_trade=fraction(0.001, 0.05),
    max_position_notional=fraction(0.02, 1.5),
    max_leverage=fraction(0.5, 4),
    max_open_positions=st.integers(1, 4),
    max_drawdown=st.sampled_from([0.002, 0.02, 0.4]),
    max_daily_loss=st.sampled_from([0.001, 0.005, 0.2]),
    max_quote_age_s=st.sampled_from([5.0, 60.0]),
    max_spread=st.sampled_from([0.0001, 0.001, 0.02]),
    cooldown_s=st.sampled_from([0.0, 900.0, 20_000.0]),
    min_hold_s=st.sampled_from([0.0, 3_600.0]),
    max_hold_bars=st.integers(0, 6),
    max_trades_per_day=st.integers(1, 30),
    entry_collar=st.sampled_from([0.0, 0.0005, 0.02]),
    taker_fee=st.sampled_from([0.0, 0.0004, 0.004]),
)


def walk(rng, symbol, price, gaps):
    """Make quarter hours of a random walk on the grid, some of which nobody recorded."""
    count = DAYS * 96
    steps = np.exp(np.cumsum(rng.normal(0, 0.004, count)))
    tick = float(listed([symbol])[symbol].price_increment)
    close = np.round(price * steps / tick) * tick
    opened = np.append(close[0], close[:-1])
    spread = np.abs(rng.normal(0, 0.003, (2, count))) * close
    high = np.round((np.maximum(opened, close) + spread[0]) / tick) * tick
    low = np.maximum(np.round((np.minimum(opened, close) - spread[1]) / tick) * tick, tick)
    kept = np.sort(rng.choice(count, count - gaps, replace=False))
    volume = rng.choice([0.0, 10.0, 1e6], count)
    columns = (opened, high, low, close, volume, close, np.ones(count, np.int32))
    ts_open = START + kept * Timeframe.M15.ns
    return BarArrays(symbol, Timeframe.M15, ts_open, *(column[kept] for column in columns))


def table(rng, name, terms, bars, boldness):
    """Make opinions about every close, a few of them unusable or unbelievable."""
    closes = np.arange(START + terms.decision.ns, END + 1, terms.decision.ns)
    shape = (len(closes), len(bars))
    p = rng.dirichlet([boldness, boldness, boldness], shape)
    p[rng.random(shape) < 0.05] = [0.4, 0.2, 0.4]
    at = [np.clip(np.searchsorted(one.ts_close, closes), 0, len(one) - 1) for one in bars]
    close = np.stack([one.close[row] for one, row in zip(bars, at, strict=True)], axis=1)
    usable = rng.random(shape) < 0.9
    scales = np.stack([close * rng.uniform(0.001, 0.02, shape), np.full(shape, 0.01), close], axis=-1)
    scales[rng.random(shape) < 0.02, 0] = np.nan
    return OpinionTable(
        model_hash=terms.model_hash if name != "stranger" else "another",
        decision=terms.decision,
        instruments=tuple(one.instrument for one in bars),
        members=(name,),
        ts_close=closes,
        usable=usable,
        reason=np.where(usable, 0, rng.integers(1, 3, shape)).astype(np.uint32),
        reasons=("", "not warm", "regime: low volatility"),
        p=p,
        scales=scales,
        spread=np.zeros(shape),
        age_s=np.zeros(shape),
    )


@pytest.fixture(scope="module")
def plain():
    return load([ROOT / "configs" / "two-traders.toml"], {}, {"universe.instruments": list(SYMBOLS)})


def lived(config, terms, opinions, bars, *, dense, chunk):
    """Run a market densely, or sparsely in panels of `chunk` days."""
    world = World(config, terms, opinions, start=START, keep_signals=False)
    deciding = [term.decision for term in terms.values()]
    spans = [(START, END)] if dense else [(at, at + chunk * DAY) for at in range(START, END, chunk * DAY)]
    panels = [Panel([one.between(*span) for one in bars], deciding, *span) for span in spans]
    instruments = listed(config.universe.instruments)
    if dense:
        (panel,) = panels
        rows = range(len(bars))
        for instant, ts_close in enumerate(panel.closes.tolist()):
            world.on_bars(ts_close, panel.closed(rows, instant), panel.moved(rows, instant))
        world.count(panel.bars)
    else:
        setup = config.desk_setup(terms, list(instruments.values()))
        seats = [sparse.Seat(trader, opinions.tables[trader.name]) for trader in setup.traders]
        sparse.live(world, panels, seats, instruments=instruments, wakes=(), on_day=None)
    return world, world.result(END, 1.0)


def remembered(world, held):
    """Give the desk's whole memory but for what only the last look at a bar leaves behind."""
    state = msgspec.msgpack.decode(world.desk.snapshot()[32:], type=DeskState)
    engines = []
    for engine in state.engines:
        known = msgspec.structs.replace(engine, asked_at=0, lots=0)
        known.quotes = {symbol: quote for symbol, quote in engine.quotes.items() if symbol in held}
        known.received = {symbol: ts for symbol, ts in engine.received.items() if symbol in held}
        engines.append(known)
    return msgspec.structs.replace(state, engines=tuple(engines))


SEEN: Counter[str] = Counter()


@settings(max_examples=28, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    policies=st.tuples(POLICIES, POLICIES),
    gaps=st.sampled_from([0, 3, 40]),
    boldness=st.sampled_from([1.0, 8.0, 60.0]),
    latency_ms=st.sampled_from([0, 5, 900, 4_000, 50_000]),
    latency_sigma=st.sampled_from([0.0, 1.0]),
    chunk=st.integers(1, 2),
    delay=st.sampled_from([0, 0, 1]),
    stranger=st.integers(0, 9).map(lambda k: k == 0),
)
def test_sparse_is_dense_to_the_last_bit(
    plain, seed, policies, gaps, boldness, latency_ms, latency_sigma, chunk, delay, stranger
):
    rng = np.random.default_rng(seed)
    bars = [walk(rng, *one, gaps) for one in zip(SYMBOLS, PRICES, strict=True)]
    traders = tuple(
        trader.model_copy(update={"policy": policy})
        for trader, policy in zip(plain.traders, policies, strict=True)
    )
    exchange = plain.exchange.model_copy(update={"latency_ms": latency_ms, "latency_sigma": latency_sigma})
    config = plain.model_copy(update={"traders": traders, "exchange": exchange})
    named = {"scalp": "stranger" if stranger else "scalp", "swing": "swing"}
    opinions = TabledOpinions(
        {name: table(rng, named[name], terms, bars, boldness) for name, terms in TERMS.items()}
    ).later(delay)
    whole, expected = lived(config, TERMS, opinions, bars, dense=True, chunk=DAYS)
    quick, found = lived(config, TERMS, opinions, bars, dense=False, chunk=chunk)
    assert found == expected
    held = quick.exposed
    assert held == whole.exposed
    assert remembered(quick, held) == remembered(whole, held)
    SEEN.update({"orders": expected.orders, "trips": expected.round_trips} | expected.refusals)
    SEEN.update({f"notice {code}": count for code, count in expected.notices.items()})


class Twice:
    """A desk, and beside it one that has just been restored: what is remembered beside the state must
    not show in what is asked for."""

    def __init__(self, desk):
        self.desk = desk
        self.events = 0

    def __getattr__(self, name):
        return getattr(self.desk, name)

    def on_event(self, event):
        twin = Desk.restore(self.desk.snapshot())
        asked = self.desk.on_event(event)
        assert twin.on_event(event) == asked
        assert twin.snapshot() == self.desk.snapshot()
        self.events += 1
        return asked


def test_a_desk_restored_before_every_event_asks_for_the_same(plain):
    rng = np.random.default_rng(3)
    bars = [walk(rng, symbol, price, 3) for symbol, price in zip(SYMBOLS, PRICES, strict=True)]
    opinions = TabledOpinions({name: table(rng, name, terms, bars, 1.0) for name, terms in TERMS.items()})
    world = World(plain, TERMS, opinions, start=START, keep_signals=False)
    world._desk = twice = Twice(world.desk)
    panel = Panel(bars, [Timeframe.M15, Timeframe.H1], START, END)
    for instant, ts_close in enumerate(panel.closes.tolist()[:45]):
        world.on_bars(ts_close, panel.closed(range(3), instant), panel.moved(range(3), instant))
    assert twice.events > 200
    assert world.result(END, 1.0).round_trips > 3


def test_a_loss_booked_after_the_last_price_pulls_the_brake_on_its_own_day(plain):
    """Left by opinion at 22:00, flat a moment later, nothing more is said: the brake must not wait a day."""
    rng = np.random.default_rng(7)
    bars = [walk(rng, symbol, price, 0) for symbol, price in zip(SYMBOLS, PRICES, strict=True)]
    for one in bars:
        one.volume[:] = 1e9
    hours = {name: table(rng, name, terms, bars, 1.0) for name, terms in TERMS.items()}
    for one in hours.values():
        one.usable[:] = False
    swing = hours["swing"]
    swing.scales[:, 0, 0] = 5_000.0  # stops and targets far away
    for hour, p in ((21, [0.1, 0.1, 0.8]), (22, [0.8, 0.1, 0.1])):
        swing.usable[hour - 1, 0], swing.p[hour - 1, 0] = True, p
    policy = RiskPolicy(
        min_hold_s=0.0, max_position_notional=2.0, max_leverage=3.0, risk_per_trade=0.05, max_daily_loss=0.003
    )
    traders = tuple(trader.model_copy(update={"policy": policy}) for trader in plain.traders)
    config = plain.model_copy(update={"traders": traders})
    opinions = TabledOpinions(hours)
    _, expected = lived(config, TERMS, opinions, bars, dense=True, chunk=DAYS)
    _, found = lived(config, TERMS, opinions, bars, dense=False, chunk=DAYS)
    assert found == expected
    assert found.notices["daily_loss"] == found.notices["new_day"] == 1


def test_an_opinion_heard_late_is_screened_at_the_price_of_its_hearing(plain):
    """Not worth its costs at its own close, worth them a bar later, after the price has fallen by 40 %."""
    rng = np.random.default_rng(1)
    bars = [walk(rng, symbol, price, 0) for symbol, price in zip(SYMBOLS, PRICES, strict=True)]
    for one in bars:
        one.volume[:] = 1e9
    fallen = bars[0]
    for prices in (fallen.open, fallen.high, fallen.low, fallen.close):
        prices[40:] = np.round(prices[40:] * 0.6 * 10) / 10
    hours = {name: table(rng, name, terms, bars, 8.0) for name, terms in TERMS.items()}
    for one in hours.values():
        one.usable[:] = False
    close, scalp = fallen.close[39], hours["scalp"]
    scalp.usable[39, 0], scalp.p[39, 0] = True, [0.1, 0.4, 0.5]
    scalp.scales[39, 0] = close * 0.005, 0.01, close  # worth 0.4 x 2 x 0.005 = 0.004, then 0.0067
    policy = RiskPolicy(min_confidence=0.35, min_expected_value=0.006, max_spread=0.02, taker_fee=0.0)
    traders = tuple(trader.model_copy(update={"policy": policy}) for trader in plain.traders)
    config = plain.model_copy(update={"traders": traders})
    late = TabledOpinions(hours).later(1)
    _, expected = lived(config, TERMS, late, bars, dense=True, chunk=DAYS)
    _, found = lived(config, TERMS, late, bars, dense=False, chunk=DAYS)
    assert expected.round_trips == 1
    assert found == expected


def test_the_made_markets_were_lively():
    if not SEEN:
        pytest.skip("runs behind the test above")
    assert SEEN["orders"] > 100
    assert {
        "daily_loss",
        "halted",
        "cooldown",
        "expected_value",
        "low_confidence",
        "model_gate",
    } <= SEEN.keys()
    assert {"wrong_model", "not_ready", "already_positioned", "max_positions"} <= SEEN.keys()
    assert SEEN["notice daily_loss"] > 0


@pytest.mark.skipif(not (ROOT / "configs" / "models").is_dir(), reason="needs the shipped models")
def test_sparse_is_dense_on_the_shipped_market():
    only = {"universe.instruments": ["BTC/USDT", "SOL/USDT"]}
    config = load([ROOT / "configs" / "two-traders.toml"], {}, only)
    start, _ = whole_span(config, MARKET)
    quick = run(config, MARKET, start, start + 2 * DAY)
    whole = run(config, MARKET, start, start + 2 * DAY, dense=True)
    assert msgspec.structs.replace(quick, seconds=0.0) == msgspec.structs.replace(whole, seconds=0.0)
    assert quick.trips
    assert quick.curve
    assert quick.orders > 50
    assert quick.equity != Decimal(20_000)
