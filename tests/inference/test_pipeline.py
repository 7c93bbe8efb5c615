from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import InternalError
from core.events import RequestOpinion
from core.market import Timeframe
from feeds.lake import Lake, aggregate
from inference import golden
from inference.artifact import load
from inference.ensemble import alone
from inference.features.fold import fold
from inference.features.spec import SPECS
from inference.opinions import UNKNOWN
from inference.pipeline import OpinionSource
from inference.predictor import Predictor
from inference.sanity import NOT_FINITE
from tests.inference.making import write_model

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("BTC/USDT", "ETH/USDT")
DAYS = 32
LAST = 40  # source bars that are fed live after the warm-up


@pytest.fixture(scope="module")
def artifacts():
    return {name: load(CONFIGS / "models" / name) for name in ("entry-5m", "entry-15m")}


@pytest.fixture(scope="module")
def history():
    """Five-minute, quarter and hourly bars of both instruments, from the shipped market."""
    lake = Lake(CONFIGS / "market")
    whole = {name: lake.read("binance", name, Timeframe.M5).between(0, 2**62) for name in NAMES}
    start = int(whole[NAMES[0]].ts_open[0])
    cut = {name: bars.between(start, start + DAYS * Timeframe.D1.ns) for name, bars in whole.items()}
    frames = (Timeframe.M5, Timeframe.M15, Timeframe.H1)
    return {name: {frame: aggregate(bars, frame) for frame in frames} for name, bars in cut.items()}


@pytest.fixture(scope="module")
def fed(artifacts, history):
    """A source that was warmed by history and then saw the last closes one by one."""
    source = OpinionSource(
        {
            "fast": alone(artifacts["entry-5m"]),
            "twin": alone(artifacts["entry-5m"]),
            "slow": alone(artifacts["entry-15m"]),
        },
        NAMES,
    )
    closes = history[NAMES[0]][Timeframe.M5].ts_close[-LAST:].tolist()
    until = closes[0]
    every = [bar for frames in history.values() for bars in frames.values() for bar in bars.bars()]
    source.warm([bar for bar in every if bar.ts_close < until])
    live = [bar for bar in every if bar.ts_close >= until]
    answers = {}
    for ts_close in closes:
        now = [bar for bar in live if bar.ts_close == ts_close]
        source.on_bars(sorted(now, key=lambda bar: bar.timeframe.ns))
        answers[ts_close] = source.answer(ask("fast", ts_close))
    return source, answers


def ask(trader: str, ts_close: int, *, timeframe=Timeframe.M5, instruments=NAMES) -> RequestOpinion:
    return RequestOpinion(trader, f"{trader}-{ts_close}", timeframe, ts_close, tuple(instruments))


def test_live_opinions_equal_the_model_over_folded_history(fed, history, artifacts):
    _, answers = fed
    for column, name in enumerate(NAMES):
        folded = fold(artifacts["entry-5m"].spec, history[name])
        expected = Predictor(artifacts["entry-5m"]).predict({"x": folded.x[-LAST:]})
        opinions = [answer.opinions[column] for answer in answers.values()]
        assert folded.ready[-LAST:].all()
        assert all(opinion.ready and opinion.instrument == name for opinion in opinions)
        found = np.array([(o.p_down, o.p_hold, o.p_up) for o in opinions])
        assert np.abs(found - expected).max() < 1e-6
        assert [o.close for o in opinions] == folded.close[-LAST:].tolist()
        assert [o.atr for o in opinions] == pytest.approx(folded.atr[-LAST:].tolist(), rel=1e-9)
        assert [o.volatility for o in opinions] == pytest.approx(folded.volatility[-LAST:].tolist(), rel=1e-9)


def test_prediction_names_its_request_and_model(fed, artifacts):
    _, answers = fed
    ts_close, found = next(iter(answers.items()))
    assert (found.ts, found.ts_close, found.timeframe) == (0, ts_close, Timeframe.M5)
    assert (found.trader, found.prediction_id) == ("fast", f"fast-{ts_close}")
    assert found.model_hash == artifacts["entry-5m"].model_hash
    assert (found.latency_ns, found.late, found.error) == (0, False, "")


def test_asking_does_not_change_anything(fed):
    source, answers = fed
    ts_close, first = list(answers.items())[-1]
    again = source.answer(ask("fast", ts_close))
    twin = source.answer(ask("twin", ts_close))
    assert again == first
    assert twin.opinions == first.opinions


def test_opinions_come_in_the_order_asked_and_strangers_are_told_apart(fed):
    source, answers = fed
    ts_close, first = list(answers.items())[-1]
    found = source.answer(ask("fast", ts_close, instruments=("ETH/USDT", "NEW/USDT", "BTC/USDT")))
    assert found.opinions[0] == first.opinions[1]
    assert found.opinions[2] == first.opinions[0]
    assert (found.opinions[1].instrument, found.opinions[1].ready) == ("NEW/USDT", False)
    assert found.opinions[1].reason == UNKNOWN


def test_cold_features_say_why_and_give_no_probability(fed):
    source, answers = fed
    ts_close = max(answers) // Timeframe.M15.ns * Timeframe.M15.ns
    found = source.answer(ask("slow", ts_close, timeframe=Timeframe.M15))
    for opinion in found.opinions:  # four-hour bars were never given
        assert not opinion.ready
        assert (opinion.p_down, opinion.p_hold, opinion.p_up, opinion.close) == (0.0, 0.0, 0.0, 0.0)
        assert opinion.reason


def test_stale_close_is_not_answered_with_old_bars(fed):
    source, answers = fed
    found = source.peek(ask("fast", max(answers) + Timeframe.M5.ns))
    assert all(not opinion.ready and opinion.reason for opinion in found.opinions)


def test_close_before_the_last_answer_is_past(fed):
    source, answers = fed
    found = source.answer(ask("fast", max(answers) - Timeframe.M5.ns))
    assert {opinion.reason for opinion in found.opinions} == {"stale: a later close was asked about before"}


def test_peeking_leaves_no_trace(fed):
    source, answers = fed
    later = ask("fast", max(answers) + Timeframe.M5.ns)
    before = source.answer(ask("fast", max(answers)))
    seen, counts = source.peek(later), dict(source.counts)
    assert source.peek(later) == seen
    assert source.answer(ask("fast", max(answers))) == before
    assert source.counts == counts


def test_chances_of_given_rows_are_the_models_own(fed, artifacts):
    source, _ = fed
    vectors = artifacts["entry-5m"].vectors
    assert np.abs(source.chances("fast", vectors) - vectors[golden.ANSWERS]).max() < 1e-6
    with pytest.raises(InternalError, match="expected rows of"):
        source.chances("fast", {})
    with pytest.raises(InternalError, match="expected a trader of"):
        source.chances("nobody", vectors)


def test_one_voter_has_all_the_weight(fed):
    _, answers = fed
    for answer in answers.values():
        assert answer.members == ("entry-5m",)
        for opinion in answer.opinions:
            (vote,) = opinion.votes
            assert (vote.weight, vote.age_s, opinion.spread, opinion.age_s) == (1.0, 0.0, 0.0, 0.0)
            assert (vote.p_down, vote.p_hold, vote.p_up) == (opinion.p_down, opinion.p_hold, opinion.p_up)


def test_probabilities_that_are_not_finite_are_no_opinion(fed, history, tmp_path):
    """The model takes a root of the last return: where that fell there is no number."""
    column = SPECS["entry_5m"].names.index("5m.return_1")
    write_model(tmp_path / "rooted", "entry_5m", nan_below=column)
    _, answers = fed
    source = OpinionSource({"fast": alone(load(tmp_path / "rooted"))}, NAMES)
    every = [bar for frames in history.values() for bars in frames.values() for bar in bars.bars()]
    source.warm([bar for bar in every if bar.ts_close <= max(answers)])
    opinions = source.answer(ask("fast", max(answers))).opinions
    for name, opinion in zip(NAMES, opinions, strict=True):
        bars = history[name][Timeframe.M5]
        fell = bars.close[-1] < bars.close[-2]
        assert opinion.ready is not fell
        assert opinion.reason == (NOT_FINITE if fell else "")


def test_unknown_trader_and_wrong_timeframe_are_our_own_mistakes(fed):
    source, answers = fed
    with pytest.raises(InternalError, match="expected a trader of"):
        source.answer(ask("nobody", max(answers)))
    with pytest.raises(InternalError, match="fast: expected requests at 5m; found 1h"):
        source.answer(ask("fast", max(answers), timeframe=Timeframe.H1))


def test_prediction_survives_the_journal(fed):
    _, answers = fed
    found = next(iter(answers.values()))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=type(found)) == found
