"""What a run reads, reckons and is told: panels, memory, listings, delay, the record."""

import shutil
from pathlib import Path

import msgspec
import pytest

from core.clock import DAY
from core.errors import UsageError
from core.events import Prediction, RequestOpinion
from core.market import Timeframe
from core.orders import Purpose
from core.signal import Opinion
from core.text import iso, parse_iso
from feeds.replay import replay
from feeds.universe import Listing, written
from inference.ensemble import load as load_model
from tests.inference.making import write_model
from trader.backtest.budget import Span, planned
from trader.backtest.card import in_sample, without_paths
from trader.backtest.delay import heard_later
from trader.backtest.listings import FILE, POINT_IN_TIME, SURVIVORS
from trader.backtest.opinion_table import NOT_READY
from trader.backtest.opinions import FoldedOpinions
from trader.backtest.parallel import each
from trader.backtest.record import ModelUsed
from trader.backtest.record import load as load_record
from trader.backtest.run import run
from trader.backtest.source import GridLake, Recorded, series_of
from trader.commands.backtest_run import alone
from trader.config import load

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
START = parse_iso("2024-06-03T00:00:00Z")
END = START + 2 * DAY
PAIRS = ("BTC/USDT", "SOL/USDT")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "fast"
    write_model(folder, "entry_5m", seed=2)
    return folder


@pytest.fixture(scope="module")
def config(model):
    return load(
        [],
        {},
        {
            "universe.instruments": list(PAIRS),
            "account.a.currency": "USDT",
            "account.a.cash": 10_000,
            "trader.t.code": "TT",
            "trader.t.account": "a",
            "trader.t.model": str(model),
            "trader.t.policy.min_confidence": 0.34,
            "trader.t.policy.min_expected_value": -0.05,
            "trader.t.policy.max_daily_loss": 0.25,
            "trader.t.policy.max_drawdown": 0.5,
        },
    )


@pytest.fixture(scope="module")
def plain(config):
    return run(config, MARKET, START, END)


def recorded(config, *, keep):
    lake = GridLake(MARKET, config)
    return Recorded(lake, series_of(lake, config), START - DAY, END, keep=keep)


@pytest.mark.parametrize("keep", [True, False])
def test_a_panel_gives_the_bars_of_a_replay(config, keep):
    bars = recorded(config, keep=keep)
    deciding = [Timeframe.M15, Timeframe.M5]
    instants = dict(replay(GridLake(MARKET, config), bars.series, START, END, timeframes=sorted_up(deciding)))
    seen = 0
    for panel in bars.panels(START, deciding, days=1):
        for instant, ts_close in enumerate(panel.closes.tolist()):
            assert panel.closed(range(2), instant) == instants[ts_close]
            assert panel.moved([1], instant) == [
                bar
                for bar in instants[ts_close]
                if bar.timeframe is Timeframe.M5 and bar.instrument == PAIRS[1]
            ]
            seen += 1
    assert seen == len(instants) == 2 * 288


def sorted_up(timeframes):
    return sorted(timeframes, key=lambda timeframe: timeframe.ns)


def test_the_hash_of_the_bars_is_that_of_every_bar(config):
    kept, read = (recorded(config, keep=keep) for keep in (True, False))
    assert kept.content_hash() == read.content_hash()
    before = kept.content_hash()
    kept.bars(kept.series[0], START, END).volume[7] += 1.0
    assert kept.content_hash() != before


# ---- memory ----


def test_memory_is_reckoned_before_anything_is_loaded(model):
    known = [load_model(model)]
    year = Span(18, Timeframe.M5, START - 60 * DAY, START, START + 365 * DAY)
    roomy = planned(year, known, 8_192, folds=True)
    assert roomy.keep
    assert roomy.panel_days == 365
    tight = planned(year, known, roomy.estimate_mb - 100, folds=True)
    assert not tight.keep
    assert 8 <= tight.panel_days <= 365
    assert tight.estimate_mb < roomy.estimate_mb
    with pytest.raises(
        UsageError, match=r"^memory: expected a budget of at least \d+ MB for 18 pairs and 365"
    ):
        planned(year, known, 500, folds=True)
    decade = year._replace(end=START + 3_650 * DAY)
    assert planned(decade, known, 65_536, folds=True).estimate_mb > 5 * roomy.estimate_mb - 5 * 420


def test_a_small_budget_ends_the_same(config):
    """Five pairs read again and again, in panels of eight days and one: the same as all at once."""
    universe = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "AVAX/USDT")
    picky = msgspec.structs.replace(config.traders[0].policy, min_confidence=0.42)
    trader = config.traders[0].model_copy(update={"instruments": universe, "policy": picky})
    named = config.universe.model_copy(update={"instruments": universe})
    wide = config.model_copy(update={"traders": (trader,), "universe": named})
    end = START + 9 * DAY
    whole = run(wide, MARKET, START, end)
    small = run(wide, MARKET, START, end, memory_mb=whole.estimate_mb - 1)
    assert small.estimate_mb < whole.estimate_mb
    same = msgspec.structs.replace(small, seconds=whole.seconds, estimate_mb=whole.estimate_mb)
    assert same == whole
    assert whole.orders > 10


def test_a_budget_that_cannot_be_kept_is_refused(config):
    with pytest.raises(UsageError, match="memory: expected a budget"):
        run(config, MARKET, START, END, memory_mb=100)


# ---- listings ----


@pytest.mark.parametrize("dense", [False, True])
def test_a_pair_is_entered_only_while_it_was_listed(config, tmp_path, plain, dense):
    lake = tmp_path / "lake"
    shutil.copytree(MARKET, lake)
    noon, late = START + DAY // 2, START + DAY
    history = [Listing(PAIRS[0], iso(START - DAY)), Listing(PAIRS[1], iso(noon), iso(late))]
    (lake / FILE).write_bytes(written(history))
    found = run(config, lake, START, END, dense=dense)
    entries = [int(o.prediction_id[2:].partition("-")[0]) * 10**9 for o in found.sent if entry(o, PAIRS[1])]
    assert entries
    assert noon <= min(entries)
    assert max(entries) < late
    assert any(entry(order, PAIRS[0]) for order in found.sent)
    assert found.refusals["instrument_status"] > 10
    assert found.card.assumptions[-1] == POINT_IN_TIME
    assert plain.card.assumptions[-1] == SURVIVORS


def entry(order, symbol):
    return order.purpose is Purpose.ENTRY and order.instrument == symbol


# ---- the record ----


def test_the_record_survives_its_folder_and_knows_no_path(plain, model, tmp_path):
    record = plain.record("trader backtest run")
    record.save(tmp_path)
    again = load_record(tmp_path)
    assert (again.card, again.trips) == (record.card, record.trips)
    assert again.curve.equals(record.curve)
    assert again.pairs.equals(record.pairs)
    assert again.card.command == "trader backtest run"
    assert again.card.counts["orders"] == plain.orders > 10
    assert len(again.trips) >= plain.round_trips
    assert str(model.parent).encode() not in msgspec.json.encode(again.card.config)
    assert sum(trip.net for trip in again.trips) == plain.equity - plain.cash


def test_a_run_without_a_card_has_no_record(plain):
    with pytest.raises(UsageError, match="expected a run over a lake"):
        msgspec.structs.replace(plain, card=None).record("x")


def test_a_model_that_has_seen_the_span_is_said_to():
    used = (ModelUsed("t", "m", "h", "5m", START + DAY), ModelUsed("u", "n", "h", "5m", START))
    (sentence,) = in_sample(used, START)
    assert sentence.startswith(f"In sample: m of trader t was trained on data until {iso(START + DAY)}")


def test_paths_are_taken_out_of_a_configuration(config):
    tree = config.tree()
    bare = without_paths(tree)
    assert "model" in tree["trader"][0]
    assert "model" not in bare["trader"][0]
    assert "directory" not in bare["journal"]
    assert bare["trader"][0]["policy"] == tree["trader"][0]["policy"]


# ---- delay ----


class Script:
    """Says how many questions it has heard."""

    def __init__(self):
        self.asked = 0

    def on_bars(self, bars):
        pass

    def answer(self, request):
        self.asked += 1
        p = self.asked / 10
        opinions = tuple(Opinion(s, True, p, 0.0, 1 - p, 1.0, 0.1, 100.0) for s in request.instruments)
        return Prediction(
            0, request.prediction_id, request.trader, request.ts_close, request.timeframe, "h", opinions
        )


def test_a_script_is_heard_a_bar_later():
    late = heard_later(Script(), 1)
    length = Timeframe.M5.ns
    requests = [RequestOpinion("t", f"{k}", Timeframe.M5, k * length, ("A/USDT",)) for k in (1, 2, 3, 5)]
    found = [late.answer(request).opinions[0] for request in requests]
    assert [(one.ready, one.p_down) for one in found] == [
        (False, 0.0),
        (True, 0.1),
        (True, 0.2),
        (False, 0.0),
    ]
    assert found[0].reason == NOT_READY


def test_tables_are_heard_a_bar_later(config, plain):
    bars = recorded(config, keep=True)
    known = {"t": load_model(config.traders[0].model)}
    opinions = FoldedOpinions(known, bars.histories(known["t"].timeframes), votes=False)
    late = heard_later(opinions, 1)
    closes = range(START, START + DAY, Timeframe.M5.ns)
    for ts_close in closes:
        now = RequestOpinion("t", "p", Timeframe.M5, ts_close, PAIRS)
        then = msgspec.structs.replace(now, ts_close=ts_close + Timeframe.M5.ns)
        assert late.answer(then).opinions == opinions.answer(now).opinions
    delayed = run(config, MARKET, START, END, delay_bars=1)
    assert delayed.sent != plain.sent
    assert "Delay: risk hears every opinion 1 decision bars after it was due." in delayed.card.assumptions


# ---- several at once ----


def traded(config):
    return run(config, MARKET, START, START + DAY)


def test_a_backtest_does_not_depend_on_how_many_work(config):
    configs = [alone(config, pair) for pair in reversed(PAIRS)]
    one, two = (each(traded, configs, workers=workers) for workers in (1, 2))
    for first, second, pair in zip(one, two, reversed(PAIRS), strict=True):
        assert first.card.instruments == (pair,)
        assert first.orders > 10
        assert msgspec.structs.replace(second, seconds=first.seconds) == first
