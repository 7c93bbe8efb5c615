"""The backtest's opinions are the live source's: several members, gates, records and all."""

import math
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import DAY
from core.events import RequestOpinion
from core.market import Timeframe
from feeds.lake import Lake, aggregate
from inference.card import Calibration, Conformal, Kind
from inference.ensemble import load
from inference.ensemble_card import Policy, SanityLimits
from inference.features.spec import SPECS
from inference.pipeline import OpinionSource
from tests.inference.making import SHIPPED, write_ensemble, write_model
from trader.backtest.opinion_cache import key_of
from trader.backtest.opinions import NOT_READY, FoldedOpinions, entangled

MARKET = Path(__file__).parents[3] / "configs" / "market"
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
START = 1_714_521_600 * 10**9  # 2024-05-01
TRADED = 3 * DAY


@pytest.fixture(scope="module")
def ensembles(tmp_path_factory):
    """A quarter-hour blend of real and made voters with every gate, and one of its members alone."""
    root = tmp_path_factory.mktemp("models")
    for name in ("entry-15m", "entry-1h"):
        shutil.copytree(SHIPPED / name, root / name)
    write_model(root / "fast", "entry_5m", seed=2, calibration=Calibration(1.3, (0.0, 0.1, 0.0)))
    write_model(root / "regime", "entry_1h", Kind.REGIME, seed=4, pull=0.1)
    inputs = {"votes": (5,), "members": (12,), **SPECS["entry_15m"].shapes}
    voters = ("entry-15m", "entry-1h", "fast")
    write_model(root / "meta", "entry_15m", Kind.META, seed=5, inputs=inputs, pull=0.1, voters=voters)
    write_ensemble(
        root / "blend",
        *(root / name for name in ("entry-15m", "entry-1h", "fast", "regime", "meta")),
        policy=Policy(
            abstain="either",
            max_spread=0.25,
            regime_low=0.1,
            regime_high=0.9,
            min_take=0.4,
            skill_prior_windows=2.0,
        ),
        calibration=Calibration(0.9, (0.0, 0.0, 0.05)),
        conformal=Conformal(0.1, 0.72, 0.9, 0.5),
    )
    return {"blend": load(root / "blend"), "hour": load(root / "entry-1h")}


@pytest.fixture(scope="module")
def both(ensembles):
    """What the live source answered, asked at every close, and what the fold says: (live, pairs).

    Each timeframe begins as long before START as its columns need, so nobody answers earlier.
    """
    lake, end = Lake(MARKET), START + TRADED
    blocks = [b for e in ensembles.values() for m in e.members for b in m.artifact.spec.blocks]
    needed = {t: max(b.warm_up for b in blocks if b.timeframe is t) for t in {b.timeframe for b in blocks}}
    read = {name: lake.read("binance", name, Timeframe.M5, start=START - 80 * DAY, end=end) for name in PAIRS}
    histories = {
        name: {t: aggregate(bars, t).between(START - count * t.ns, end) for t, count in needed.items()}
        for name, bars in read.items()
    }
    folded = FoldedOpinions(ensembles, histories)
    live = OpinionSource(ensembles, PAIRS)
    every = [bar for frames in histories.values() for bars in frames.values() for bar in bars.bars()]
    live.warm([bar for bar in every if bar.ts_close <= START])
    closes = defaultdict(list)
    for bar in sorted(every, key=lambda bar: bar.timeframe.ns):
        closes[bar.ts_close].append(bar)
    answers = []
    for ts_close in sorted(ts for ts in closes if ts >= START):
        live.on_bars(closes[ts_close])
        for trader, ensemble in ensembles.items():
            if ts_close % ensemble.decision.ns == 0:
                asked = RequestOpinion(trader, "p", ensemble.decision, ts_close, PAIRS[::-1])
                answers.append((live.answer(asked), folded.answer(asked)))
    return live, answers


def close(one: object, other: object) -> bool:
    """Compare nested plain values; floats may differ in their last digits."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other


def test_folded_ensemble_answers_as_the_live_source_does(both):
    _, answers = both
    ready = 0
    for expected, found in answers:
        assert (expected.members, expected.model_hash) == (found.members, found.model_hash)
        for one, other in zip(expected.opinions, found.opinions, strict=True):
            if one.ready or one.votes:
                assert close(msgspec.to_builtins(one)[:8], msgspec.to_builtins(other)[:8]), (one, other)
                assert close(msgspec.to_builtins(one)[9:], msgspec.to_builtins(other)[9:]), (one, other)
                assert other.reason in (one.reason, NOT_READY)
            else:
                assert not other.ready
            ready += one.ready
    assert ready > 100


def test_filters_are_told_beside_the_votes_live_and_folded(both):
    _, answers = both
    told = [(live, folded, one) for live, folded in answers for one in live.opinions if live.filters]
    assert {tuple((f.name, f.role, f.says) for f in live.filters) for live, _, _ in told} == {
        (("meta", "meta", "take"), ("regime", "regime", "high"))
    }
    assert all(live.filters == folded.filters for live, folded, _ in told)
    asked = [one.findings for _, _, one in told if one.ready]
    assert {finding.age_s for _, finding in asked} == {0.0, 900.0, 1800.0, 2700.0}
    assert all(take.chance >= 0.4 and 0.1 <= high.chance <= 0.9 for take, high in asked)
    refused = [one for _, _, one in told if one.reason.startswith("meta: 0.")]
    assert refused
    assert all(f"{one.findings[0].chance:.2f}" in one.reason for one in refused)


def test_every_gate_had_its_say(both):
    live, answers = both
    reasons = {o.reason.partition(":")[0] for answer, _ in answers for o in answer.opinions}
    assert {"meta", "regime", "spread", "conformal"} <= reasons
    assert live.counts["conflict"] > 0
    assert live.counts["spread"] > 0


def test_slow_members_vote_between_their_closes_with_their_age(both):
    _, answers = both
    ages = {
        opinion.votes[1].age_s
        for answer, _ in answers
        for opinion in answer.opinions
        if answer.trader == "blend" and opinion.votes
    }
    assert ages == {0.0, 900.0, 1800.0, 2700.0}


def test_records_moved_the_weights(both):
    live, _ = both
    scores = {member.artifact.name: member.score(20.0) for member in live._council.members if member.board}
    assert scores["fast"].judged > scores["entry-15m"].judged > scores["entry-1h"].judged > 100
    assert len({score.skill for score in scores.values()}) == len(scores)


def test_member_of_two_ensembles_sits_once(both):
    live, _ = both
    names = [member.artifact.name for member in live._council.members]
    assert sorted(names) == ["entry-15m", "entry-1h", "fast", "meta", "regime"]


def test_one_voter_alone_is_worked_out_as_the_council_decides():
    """Every close of the shipped model, with gates set so that each of them has something to refuse."""
    lake = Lake(MARKET)
    known = load(SHIPPED / "entry-15m")
    sanity = SanityLimits(saturated=0.52, saturated_share=0.5, batch=3, repeats=1_000, outside=0.02)
    policy = msgspec.structs.replace(
        known.card.policy, sanity=sanity, max_age_bars=3.0, abstain="conformal", single_class=True
    )
    terms = Conformal(0.1, 0.6, 0.9, 0.5)
    alone = replace(known, card=msgspec.structs.replace(known.card, policy=policy, conformal=terms))
    histories = {}
    for name in PAIRS:
        bars = lake.read("binance", name, Timeframe.M5, start=START - 80 * DAY, end=START + 10 * DAY)
        histories[name] = {t: aggregate(bars, t) for t in alone.timeframes}
    walked = FoldedOpinions({"t": alone}, histories, votes=True).tables["t"]
    quick = FoldedOpinions({"t": alone}, histories, votes=False).tables["t"]
    for name in ("ts_close", "usable", "p", "scales", "spread", "age_s"):
        assert np.array_equal(getattr(quick, name), getattr(walked, name)), name
    said, expected = (np.array(one.reasons)[one.reason] for one in (quick, walked))
    assert (said == expected).all()
    heads = {reason.partition(":")[0] for reason in walked.reasons}
    assert {"sanity", "conformal", ""} <= heads
    assert 0.05 < walked.usable.mean() < 0.95
    assert walked.votes is not None
    assert quick.votes is None


def hourly(**changes):
    """Give the shipped hourly model under another policy."""
    known = load(SHIPPED / "entry-1h")
    policy = msgspec.structs.replace(known.card.policy, **changes)
    return replace(known, card=msgspec.structs.replace(known.card, policy=policy))


@pytest.fixture(scope="module")
def hours():
    lake, timeframes = Lake(MARKET), load(SHIPPED / "entry-1h").timeframes
    read = {n: lake.read("binance", n, Timeframe.M5, start=START - 70 * DAY, end=START) for n in PAIRS[:2]}
    return {name: {t: aggregate(bars, t) for t in timeframes} for name, bars in read.items()}


def test_one_model_under_two_limits_is_judged_by_each(hours):
    strict = hourly(sanity=SanityLimits(outside=0.05, outside_spread=0.05))
    loose = hourly(sanity=SanityLimits(outside=0.05, outside_spread=50.0))
    alone = FoldedOpinions({"b": strict}, hours, votes=False).tables["b"]
    beside = FoldedOpinions({"a": loose, "b": strict}, hours, votes=False).tables
    assert np.array_equal(beside["b"].usable, alone.usable)
    assert alone.usable.mean() < beside["a"].usable.mean() == 1.0


def test_one_voter_alone_is_too_few_where_two_are_asked_for(hours):
    assert not FoldedOpinions({"t": hourly(min_votes=2)}, hours, votes=False).tables["t"].usable.any()


@pytest.fixture(scope="module")
def slow_and_quick(tmp_path_factory):
    """An hourly blend that hears a quarter-hour voter, and that voter alone."""
    root = tmp_path_factory.mktemp("shared")
    for name in ("entry-1h", "entry-15m"):
        shutil.copytree(SHIPPED / name, root / name)
    write_ensemble(
        root / "slow", root / "entry-1h", root / "entry-15m", policy=Policy(skill_prior_windows=2.0)
    )
    return {"slow": load(root / "slow"), "quick": load(root / "entry-15m")}


def test_a_voter_that_is_asked_more_often_by_another_trader_has_the_longer_record(slow_and_quick):
    lake, timeframes = Lake(MARKET), {t for model in slow_and_quick.values() for t in model.timeframes}
    bars = lake.read("binance", PAIRS[0], Timeframe.M5, start=START - 76 * DAY, end=START)
    histories = {PAIRS[0]: {t: aggregate(bars, t) for t in timeframes}}
    walked = FoldedOpinions(slow_and_quick, histories, votes=True).tables["slow"]
    found = FoldedOpinions(slow_and_quick, histories, votes=False).tables["slow"]
    alone = FoldedOpinions({"slow": slow_and_quick["slow"]}, histories, votes=False).tables["slow"]
    assert np.array_equal(found.p, walked.p)
    assert not np.array_equal(found.p, alone.p)


def test_only_ensembles_that_show_in_each_other_are_kept_together(slow_and_quick):
    slow, quick = slow_and_quick.values()
    assert entangled([slow, quick])
    assert not entangled([slow])
    assert not entangled([quick, quick])
    assert key_of(slow, "bars", beside=[slow, quick]) != key_of(slow, "bars")
    assert key_of(slow, "bars", beside=[quick, slow]) == key_of(slow, "bars", beside=[slow, quick])
