"""One source over several ensembles: swapping, managing, going on after a restart."""

import math
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import DataError, InternalError, ModelError
from core.events import RequestOpinion
from core.market import Bar, Quote, Timeframe
from inference.artifact import Artifact
from inference.card import Kind
from inference.ensemble import load
from inference.ensemble_card import Policy
from inference.pipeline import OpinionSource
from inference.saved import State, decode, encode
from tests.inference.making import SHIPPED, write_ensemble, write_model

PAIRS = ("A/USD", "B/USD", "C/USD")
FRAME = Timeframe.M5
END = 100_000 * Timeframe.H4.ns
HISTORY = 720


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("one", "two", "three")):
        write_model(root / name, "entry_5m", seed=seed, pull=0.05)
    write_model(root / "manager", "entry_5m", Kind.MANAGER, seed=9, inputs={"x": SHAPE, "position": (5,)})
    write_ensemble(root / "pair", root / "one", root / "two", root / "manager")
    write_ensemble(root / "other", root / "one", root / "three", policy=CALM)
    return root


CALM = Policy(abstain="spread", max_spread=0.9)
SHAPE = (len(load(SHIPPED / "entry-5m").members[0].artifact.spec.names),)


def bars(timeframe: Timeframe, until: int, count: int) -> list[Bar]:
    """Give the last bars of every pair that closed by `until`; any cut of the same walk fits another."""
    made = []
    newest = timeframe.floor(until) // timeframe.ns
    for seed, name in enumerate(PAIRS):
        for number in range(newest - count, newest):
            rng = np.random.default_rng((seed, timeframe.minutes, number))
            noise, up, down = rng.normal(0, 0.2), rng.exponential(0.3), rng.exponential(0.3)
            opened = 100 + 5 * math.sin(number / 9.7 + seed)
            closed = 100 + 5 * math.sin((number + 1) / 9.7 + seed) + noise
            high, low = max(opened, closed) + up, min(opened, closed) - down
            ts_open, volume = number * timeframe.ns, float(rng.lognormal(2))
            made.append(Bar(name, timeframe, ts_open, opened, high, low, closed, volume, closed, 9))
    return made


def history(of: OpinionSource, until: int = END) -> list[Bar]:
    return [bar for timeframe in of.frame.timeframes for bar in bars(timeframe, until, HISTORY)]


def live(source: OpinionSource, first: int, count: int, *traders: str) -> list:
    """Close bars one instant after the other and ask each trader each time."""
    answers = []
    for ts in range(first, first + count * FRAME.ns, FRAME.ns):
        closed = [t for t in source.frame.timeframes if ts % t.ns == 0]
        source.on_bars([bar for t in closed for bar in bars(t, ts, 1)])
        answers += [source.answer(RequestOpinion(trader, "p", FRAME, ts, PAIRS)) for trader in traders]
    return answers


def records(of: OpinionSource) -> dict[str, int]:
    """Give how many predictions of each voter have been judged."""
    voters = [member for member in of._council.members if member.board]
    return {member.artifact.name: member.score(20.0).judged for member in voters}


@pytest.fixture
def source(shelf) -> OpinionSource:
    made = OpinionSource({"a": load(shelf / "pair"), "b": load(shelf / "one")}, PAIRS)
    made.warm(history(made))
    return made


def test_members_that_two_traders_share_say_the_same_and_have_one_record(source):
    pairs = live(source, END + FRAME.ns, 40, "a", "b")
    for both, alone in zip(pairs[::2], pairs[1::2], strict=True):
        for one, other in zip(both.opinions, alone.opinions, strict=True):
            assert one.ready
            assert msgspec.structs.astuple(one.votes[0])[:3] == msgspec.structs.astuple(other.votes[0])[:3]
    assert len(source._council.members) == 3
    judged = {
        member.artifact.name: member.score(20.0).judged for member in source._council.members if member.board
    }
    assert judged == {"one": 16 * 3, "two": 16 * 3}  # forty closes less a horizon of 24


# ---- books ----


def test_opinions_carry_the_book_of_their_close_and_models_do_not_see_it(source, shelf):
    blind = OpinionSource({"a": load(shelf / "pair"), "b": load(shelf / "one")}, PAIRS)
    blind.warm(history(blind))
    one, two = Decimal(1), Decimal(2)
    sampled = END + 3 * FRAME.ns
    quotes = [Quote(name, sampled, Decimal(99), Decimal(101), one, two) for name in (*PAIRS[:2], "OTHER/USD")]
    source.on_tops(sampled, quotes, {PAIRS[0]: ([(Decimal(99), two)], [(Decimal(101), one)])})
    found, plain = (live(each, END + FRAME.ns, 4, "a") for each in (source, blind))
    deep, thin, none = (opinion.book for opinion in found[2].opinions)
    assert (deep.imbalance, deep.depth_imbalance) == pytest.approx((-1 / 3, 1 / 3))
    assert (thin.imbalance, thin.depth_imbalance, none) == (pytest.approx(-1 / 3), None, None)
    assert all(opinion.book is None for opinion in found[3].opinions)  # it belongs to an older close
    bare = [[msgspec.structs.replace(opinion, book=None) for opinion in answer.opinions] for answer in found]
    assert bare == [list(answer.opinions) for answer in plain]


# ---- lots: bars of one instant that come one connection after the other ----


def in_lots(source: OpinionSource, first: int, count: int, trader: str) -> list:
    """Close bars as `live` does, but those of each pair alone and asked about at once, as the feed does."""
    answers = []
    for ts in range(first, first + count * FRAME.ns, FRAME.ns):
        found = []
        for pair in PAIRS:
            closed = [t for t in source.frame.timeframes if ts % t.ns == 0]
            source.on_bars([bar for t in closed for bar in bars(t, ts, 1) if bar.instrument == pair])
            found += source.answer(RequestOpinion(trader, "p", FRAME, ts, (pair,))).opinions
        answers.append(tuple(found))
    return answers


def test_bars_that_come_in_lots_are_answered_and_judged_as_those_that_come_at_once(source, shelf):
    other = OpinionSource({"a": load(shelf / "pair"), "b": load(shelf / "one")}, PAIRS)
    other.warm(history(other))
    together = [answer.opinions for answer in live(source, END + FRAME.ns, 30, "a")]
    apart = in_lots(other, END + FRAME.ns, 30, "a")
    assert all(opinion.ready for opinions in apart for opinion in opinions), apart[0]
    for step, (one, two) in enumerate(zip(together, apart, strict=True)):
        # Once there are outcomes, those of a later lot are not in the weights of an earlier one yet.
        near = 1e-6 if step < 24 else 1e-3
        assert [o.p_up for o in one] == pytest.approx([o.p_up for o in two], abs=near)
    assert records(source) == records(other) == {"one": 6 * 3, "two": 6 * 3}
    for one, two in zip(source._council.members, other._council.members, strict=True):
        if one.board:
            assert one.board.totals == pytest.approx(two.board.totals, rel=0.02)


# ---- swapping ----


def test_swapped_ensemble_answers_from_the_next_request_and_shared_members_keep_their_record(source, shelf):
    before = live(source, END + FRAME.ns, 30, "a")[-1]
    source.swap({"a": load(shelf / "other")})
    after = live(source, END + 31 * FRAME.ns, 1, "a")[0]
    assert (before.members, after.members) == (("one", "two"), ("one", "three"))
    assert after.model_hash == load(shelf / "other").model_hash != before.model_hash
    assert all(opinion.ready for opinion in after.opinions)
    judged = {
        member.artifact.name: member.score(20.0).judged for member in source._council.members if member.board
    }
    assert judged["one"] > 0
    assert judged["three"] == 0
    assert "two" not in judged


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda shelf: {"a": load(SHIPPED / "entry-1h")}, "a: expected a model on features that are kept"),
        (lambda shelf: {"nobody": load(shelf / "one")}, "nobody: expected a model on"),
        (lambda shelf: {"a": load(shelf / "one"), "b": load(SHIPPED / "entry-1h")}, "needs a restart"),
        (lambda shelf: {"a": forged(load(shelf / "three"))}, "expected golden rows within 1e-05"),
    ],
)
def test_swap_is_all_or_nothing(source, shelf, change, words):
    hashes = {trader: ensemble.model_hash for trader, ensemble in source.ensembles.items()}
    with pytest.raises(ModelError, match=words) as refused:
        source.swap(change(shelf))
    assert "\n" not in str(refused.value)
    assert {trader: ensemble.model_hash for trader, ensemble in source.ensembles.items()} == hashes
    assert {answer.model_hash for answer in live(source, END + FRAME.ns, 1, "a", "b")} == set(hashes.values())


def forged(ensemble):
    """Give an ensemble whose member's rows come out differently, as a spoilt memory would."""
    (member,) = ensemble.members
    model = member.artifact
    other = {name: array[::-1] for name, array in model.vectors.items()} | {"x": model.vectors["x"]}
    spoilt = Artifact(model.card, model.spec, model.model, other)
    return type(ensemble)(ensemble.card, (type(member)(member.ref, spoilt),))


# ---- managing ----


def test_manager_says_of_each_position_how_likely_it_goes_on(source):
    position = np.array([[0.5, 3, -0.2, 0.9, 1], [-0.7, 12, -0.8, 0.1, -1]], np.float32)
    found = source.manage("a", END, ("C/USD", "A/USD"), position)
    assert found.ready.all()
    assert found.p.shape == (2, 2)
    assert found.p.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-6)
    other = source.manage("a", END, ("C/USD", "A/USD"), position[::-1].copy())
    assert np.abs(found.p - other.p).max() > 1e-4  # the position matters,
    turned = source.manage("a", END, ("A/USD", "C/USD"), position[::-1].copy())
    assert np.abs(found.p - turned.p[::-1]).max() < 1e-6  # and belongs to its instrument


def test_manager_has_no_answer_without_features_and_says_why(source):
    position = np.zeros((1, 5), np.float32)
    found = source.manage("a", END + FRAME.ns, ("A/USD",), position)
    assert not found.ready[0]
    assert found.reason[0].startswith("5m: expected a bar closed at")
    assert found.p.tolist() == [[0.0, 0.0]]


def test_managing_without_a_manager_or_with_other_rows_is_our_own_mistake(source):
    with pytest.raises(InternalError, match="b: expected an ensemble with a manager"):
        source.manage("b", END, ("A/USD",), np.zeros((1, 5), np.float32))
    with pytest.raises(InternalError, match="expected 1 rows beside the features"):
        source.manage("a", END, ("A/USD",), np.zeros((2, 5), np.float32))


# ---- going on ----


def test_restored_source_goes_on_as_if_it_had_never_stopped(source, shelf):
    live(source, END + FRAME.ns, 30, "a", "b")
    raw = source.save()
    expected = live(source, END + 31 * FRAME.ns, 30, "a", "b")
    fresh = OpinionSource({"a": load(shelf / "pair"), "b": load(shelf / "one")}, PAIRS)
    assert fresh.restore(raw) == PAIRS
    fresh.warm(history(fresh, END + 30 * FRAME.ns))  # what a start fetches anyway
    found = live(fresh, END + 31 * FRAME.ns, 30, "a", "b")
    assert found == expected
    assert [m.score(20.0) for m in fresh._council.members] == [m.score(20.0) for m in source._council.members]


def test_stop_shorter_than_the_history_loses_no_judgement(source, shelf):
    live(source, END + FRAME.ns, 30, "a")
    raw = source.save()
    live(source, END + 31 * FRAME.ns, 12, "a")
    late = OpinionSource({"a": load(shelf / "pair"), "b": load(shelf / "one")}, PAIRS)
    late.restore(raw)
    late.warm(history(late, END + 42 * FRAME.ns))
    for one, other in zip(source._council.members, late._council.members, strict=True):
        found, expected = other.score(20.0), one.score(20.0)
        assert found.judged == expected.judged
        assert (found.skill, found.windows) == pytest.approx((expected.skill, expected.windows), rel=1e-9)


def test_state_finds_its_instruments_in_another_order(source, shelf):
    live(source, END + FRAME.ns, 30, "a")
    turned = OpinionSource({"a": load(shelf / "pair")}, (*PAIRS[::-1], "NEW/USD"))
    state = decode(source.save())
    from inference.saved import fitting

    for member, arrays in fitting(state, turned._council.seats, turned._row):
        member.restore(arrays)
    before, after = source._council.seats, turned._council.seats
    for key, member in after.items():
        assert np.array_equal(member.p[:3][::-1], before[key].p)
        assert not member.made[3]
        if member.board:
            assert np.array_equal(member.board.gain[:, :3][:, ::-1], before[key].board.gain)


def test_spoilt_state_is_refused_and_nothing_is_taken(source, shelf):
    live(source, END + FRAME.ns, 5, "a")
    raw = source.save()
    state = decode(raw)
    key, arrays = next((k, a) for k, a in state.members.items() if "board.gain" in a)
    short = msgspec.structs.replace(arrays["p"], raw=arrays["p"].raw[:-8])
    other = msgspec.structs.replace(arrays["made"], kind="<f8")
    for bad in (
        b"",
        raw[:-1],
        raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
        encode(msgspec.structs.replace(state, schema=9)),
        encode(with_member(state, key, arrays | {"p": short})),
        encode(with_member(state, key, arrays | {"made": other})),
        encode(with_member(state, key, {"p": arrays["p"]})),
        encode(msgspec.structs.replace(state, frame=b"nothing")),
    ):
        fresh = OpinionSource({"a": load(shelf / "pair")}, PAIRS)
        with pytest.raises(DataError) as refused:
            fresh.restore(bad)
        assert "\n" not in str(refused.value)
        assert not any(member.made.any() for member in fresh._council.members)


def with_member(state: State, key: str, arrays: dict) -> State:
    return msgspec.structs.replace(state, members=state.members | {key: arrays})


def test_models_that_are_new_start_anew_and_old_ones_are_passed_over(source, shelf):
    live(source, END + FRAME.ns, 30, "a")
    fresh = OpinionSource({"a": load(shelf / "other"), "b": load(shelf / "one")}, PAIRS)
    assert fresh.restore(source.save()) == PAIRS
    made = {member.artifact.name: bool(member.made.any()) for member in fresh._council.members}
    assert made == {"one": True, "three": False}
