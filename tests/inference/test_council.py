"""Opinions of an ensemble whose members say what the test wants, at closes and between them."""

import inspect

import msgspec
import numpy as np
import pytest

from core.market import Timeframe
from core.signal import GATES, Filter
from core.text import iso
from inference import sanity, sitting
from inference.artifact import Artifact
from inference.card import CLASSES_OF, Calibration, Conformal, Kind
from inference.council import Council
from inference.ensemble import Ensemble, Member
from inference.ensemble_card import EnsembleCard, MemberRef, Policy, Role, SanityLimits
from inference.features.spec import SPECS
from inference.members import Answers
from tests.inference import making

QUARTER, HOUR = Timeframe.M15.ns, Timeframe.H1.ns
NAMES = tuple(f"I{k}/USD" for k in range(10))
EVERY = np.arange(len(NAMES))
START = 40_000 * HOUR
LEANS = {"up": (0.2, 0.2, 0.6), "down": (0.6, 0.2, 0.2), "flat": (0.3, 0.4, 0.3)}


class Script:
    """Models that say by name what they are told; each row a little different, as real ones would be."""

    def __init__(self) -> None:
        self.says: dict[str, tuple[float, ...]] = {}
        self.cold: dict[str, set[int]] = {}
        self.asked: list[tuple[str, int]] = []
        self.takes = 0.9
        self.seen: list[np.ndarray] = []

    def answers(self, due):
        return [self._one(member, ts) for member, ts, _ in due]

    def _one(self, member, ts):
        name = member.artifact.name
        self.asked.append((name, ts))
        tilt = np.linspace(-1e-4, 1e-4, len(NAMES))
        p = np.tile(self.says[name], (len(NAMES), 1)).astype(np.float32)
        p[:, 0] += tilt + ts // QUARTER % 97 * 1e-6
        p[:, -1] -= tilt + ts // QUARTER % 97 * 1e-6
        ready = np.array([row not in self.cold.get(name, ()) for row in range(len(NAMES))])
        nothing = np.zeros(len(NAMES))
        atr, volatility, close = nothing + 1.0, nothing + 0.01, nothing + 100.0
        reason = ["" if good else "15m: 3 of 340 bars since the last hole" for good in ready]
        return Answers(p, ready, reason, nothing, atr, volatility, close, nothing)

    def take(self, model, ts_close, rows, given):
        self.seen.append(given["votes"])
        self.given = given
        return np.tile([1 - self.takes, self.takes], (len(rows), 1)).astype(np.float32), np.ones(
            len(rows), bool
        )


def member(name: str, spec: str = "entry_15m", kind: Kind = Kind.ENTRY, *, trained: str = "") -> Member:
    """Give a seat whose model is never run."""
    card = making.card(name, spec, kind, dict(SPECS[spec].shapes), model_hash=name)
    if trained:
        card = msgspec.structs.replace(card, split=msgspec.structs.replace(card.split, test_start=trained))
    assert card.classes == CLASSES_OF[kind]
    return Member(MemberRef(name, name, name, making.ROLES[kind]), Artifact(card, SPECS[spec], b""))


def ensemble(*members: Member, policy: Policy = Policy(), **changes) -> Ensemble:  # noqa: B008
    label = next(m.artifact.card.label for m in members if m.ref.role is Role.VOTE)
    card = EnsembleCard(1, "blend", "1", "hash", "", label, tuple(m.ref for m in members), policy, **changes)
    return Ensemble(card, members)


def sat(*members: Member, policy: Policy = Policy(), **changes) -> tuple[Council, Script]:  # noqa: B008
    script = Script()
    script.says = {m.ref.name: LEANS["up"] for m in members if m.ref.role is Role.VOTE}
    return Council({"t": ensemble(*members, policy=policy, **changes)}, NAMES, script), script


def decide(council: Council, ts: int = START):
    return council.decide("t", ts, EVERY)


def test_slow_member_is_asked_at_its_own_closes_alone_and_votes_between_them():
    council, script = sat(member("quarter"), member("hour", "entry_1h"))
    for step in range(6):
        found = decide(council, START + step * QUARTER)
        assert found.usable.all()
        assert found.vote_age_s[0].tolist() == [0.0, step % 4 * 900.0]
    asked = [ts for name, ts in script.asked if name == "hour"]
    assert asked == [START, START + HOUR]
    assert len(script.asked) == 6 + 2


def test_member_missed_at_its_close_is_asked_about_it_later():
    council, script = sat(member("quarter"), member("hour", "entry_1h"))
    found = decide(council, START + 2 * QUARTER)  # the daemon began at half past
    assert found.vote_age_s[0].tolist() == [0.0, 1800.0]
    assert ("hour", START) in script.asked


def test_instrument_that_warms_up_between_two_closes_of_a_slow_member_gets_its_vote():
    council, script = sat(member("quarter"), member("hour", "entry_1h"), policy=Policy(min_votes=2))
    script.cold["hour"] = {4}
    assert not decide(council).usable[4]
    del script.cold["hour"]
    found = decide(council, START + QUARTER)
    assert found.usable.all()
    assert found.vote_age_s[4].tolist() == [0.0, 900.0]
    assert decide(council, START + 2 * QUARTER).usable.all()
    assert script.asked.count(("hour", START)) == 2, "all have answered: it is not asked again"


def test_older_vote_weighs_less_as_it_ages():
    council, _ = sat(member("quarter"), member("hour", "entry_1h"))
    shares = [decide(council, START + step * QUARTER).weights[0, 1] for step in range(4)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.5, abs=0.01)
    assert shares[3] / (1 - shares[3]) == pytest.approx(0.5**0.75, rel=0.01)


def test_member_without_a_fresh_vote_is_left_out_and_said_to_be_stale_when_needed():
    council, script = sat(member("quarter"), member("hour", "entry_1h"), policy=Policy(min_votes=2))
    script.cold["hour"] = {4}
    found = decide(council)
    assert found.usable.tolist() == [row != 4 for row in range(10)]
    assert found.reason[4] == (
        "stale: 1 of 2 members younger than 1 of its bars; hour: 15m: 3 of 340 bars since the last hole"
    )
    assert found.weights[4].tolist() == [1.0, 0.0]
    assert council.counts["stale"] == 1


def test_vote_of_the_bar_before_does_not_count():
    council, script = sat(member("quarter"), member("hour", "entry_1h"))
    decide(council)
    script.cold["hour"] = set(EVERY.tolist())
    found = decide(council, START + HOUR)
    assert (found.weights == [1.0, 0.0]).all()
    assert found.vote_age_s[0].tolist() == [0.0, 3600.0]  # shown with its age, not counted


def test_features_that_are_cold_at_the_decision_refuse_whatever_others_say():
    council, script = sat(member("quarter"), member("hour", "entry_1h"))
    script.cold["quarter"] = {0}
    found = decide(council)
    assert not found.usable[0]
    assert found.reason[0] == "15m: 3 of 340 bars since the last hole"


def test_disagreement_beyond_the_limit_is_no_opinion():
    policy = Policy(abstain="spread", max_spread=0.25)
    council, script = sat(member("quarter"), member("hour", "entry_1h"), policy=policy)
    assert decide(council).usable.all()
    script.says["hour"] = LEANS["down"]
    found = decide(council, START + HOUR)
    assert not found.usable.any()
    assert found.reason[5] == "spread: members disagree by 0.80 > 0.25"
    assert (found.p == 0).all()
    assert council.counts["conflict"] == 10


def test_regime_members_refuse_markets_outside_their_band():
    policy = Policy(regime_low=0.2, regime_high=0.8)
    council, script = sat(member("quarter"), member("mood", "entry_1h", Kind.REGIME), policy=policy)
    told = {0.5: "", 0.1: "regime: low volatility, 0.10 < 0.20", 0.9: "regime: high volatility, 0.90 > 0.80"}
    for step, (high, reason) in enumerate(told.items()):
        script.says["mood"] = (1 - high, high)
        found = decide(council, START + step * HOUR)
        assert found.reason[5] == reason
        assert found.usable[5] == (not reason)
    script.cold["mood"] = {5}
    found = decide(council, START + 3 * HOUR)
    assert found.reason[5] == "regime: mood: 15m: 3 of 340 bars since the last hole"


def filtered(rule=msgspec.UNSET):
    """A voter behind two filters: volatility by the policy's bounds, volume by its own."""
    mood, crowd = member("mood", "entry_1h", Kind.REGIME), member("crowd", "entry_1h", Kind.VOLUME)
    crowd = Member(msgspec.structs.replace(crowd.ref, low=0.5, high=0.9), crowd.artifact)
    return sat(member("quarter"), mood, crowd, policy=Policy(regime_low=0.3, regime_rule=rule))


CALM = "low volatility, 0.10 < 0.30"
THIN = "volume not rising, 0.40 < 0.50"


@pytest.mark.parametrize(
    "high, rising, every, one",
    [
        (0.6, 0.6, "", ""),
        (0.1, 0.6, f"regime: {CALM}", ""),
        (0.6, 0.4, f"regime: {THIN}", ""),
        (0.1, 0.4, f"regime: {CALM}", f"regime: {CALM}; {THIN}"),
        (0.4, 0.4, f"regime: {THIN}", ""),
        (0.1, 0.95, f"regime: {CALM}", f"regime: {CALM}; volume rising, 0.95 > 0.90"),
    ],
)
def test_each_filter_has_its_bounds_and_the_rule_says_whether_one_is_enough(high, rising, every, one):
    for rule, reason in ((msgspec.UNSET, every), ("all", every), ("any", one)):
        council, script = filtered(rule)
        script.says |= {"mood": (1 - high, high), "crowd": (1 - rising, rising)}
        found = decide(council)
        assert found.reason[5] == reason
        assert found.usable[5] == (not reason)
        assert council.counts["regime"] == (len(NAMES) if reason else 0)


def test_filter_that_does_not_answer_lets_nobody_in():
    council, script = filtered("any")
    script.says |= {"mood": (0.9, 0.1), "crowd": (0.4, 0.6)}
    script.cold["crowd"] = {5}
    found = decide(council)
    assert found.reason[4] == ""
    assert found.reason[5] == f"regime: {CALM}; crowd: 15m: 3 of 340 bars since the last hole"


def test_meta_model_sees_blend_spread_and_agreement_and_may_skip():
    policy = Policy(min_take=0.6)
    council, script = sat(
        member("quarter"), member("hour", "entry_1h"), member("judge", kind=Kind.META), policy=policy
    )
    script.says["hour"] = LEANS["down"]
    found = decide(council)
    assert found.usable.all()
    votes = script.seen[0]
    assert votes[:, 3] == pytest.approx(found.spread)
    assert votes[:, 4] == pytest.approx(found.weights.max(axis=1), abs=1e-6)
    script.takes = 0.41
    found = decide(council, START + QUARTER)
    assert found.reason[0] == "meta: 0.41 < 0.60 to take it"
    assert council.counts["meta"] == 10


def test_meta_model_sees_each_voter_and_who_has_no_vote():
    council, script = sat(
        member("quarter"), member("hour", "entry_1h"), member("judge", kind=Kind.META), policy=Policy()
    )
    script.says["hour"] = LEANS["down"]
    script.cold["hour"] = {3}
    found = decide(council)
    seen = script.given["members"].reshape(len(NAMES), 2, 4)
    np.testing.assert_allclose(seen[4, 0], [*found.vote_p[4, 0], 1.0], atol=1e-7)
    np.testing.assert_allclose(seen[4, 1], [*found.vote_p[4, 1], 1.0], atol=1e-7)
    assert seen[3, 1].tolist() == [0.0] * 4
    assert seen.dtype == np.float32


def test_verdicts_say_what_each_filter_said():
    manager = member("hand", kind=Kind.MANAGER)
    mood = member("mood", "entry_1h", Kind.REGIME)
    policy = Policy(min_take=0.6, regime_low=0.2)
    council, script = sat(member("quarter"), mood, member("judge", kind=Kind.META), manager, policy=policy)
    script.says["mood"] = (0.7, 0.3)
    script.cold["mood"] = {3}
    script.cold["quarter"] = {2}
    decide(council)
    found = decide(council, START + QUARTER)
    assert council.filters("t") == (
        Filter("judge", "meta", "take", 0.6, 1.0),
        Filter("mood", "regime", "high", 0.2, 1.0),
        Filter("hand", "manager", "continue", 0.0, 1.0),
    )
    assert found.found.shape == (len(NAMES), 2, 2)
    np.testing.assert_allclose(found.found[5], [[0.9, 0.0], [0.3, 900.0]], atol=1e-3)
    assert np.isnan(found.found[3, 1, 0])
    assert found.found[3, 1, 1] == 0.0
    assert np.isnan(found.found[2, 0, 0]), "nobody voted, so the meta-model was not asked"
    assert "hand" not in {name for name, _ in script.asked}


def test_conformal_set_that_names_no_side_abstains():
    policy, sets = Policy(abstain="conformal"), Conformal(0.1, 0.75, 0.9, 0.5)
    council, script = sat(member("quarter"), policy=policy, conformal=sets)
    assert decide(council).usable.all()  # 0.6 is in, 0.2 is out
    script.says["quarter"] = LEANS["flat"]
    found = decide(council, START + QUARTER)
    assert found.reason[5] == "conformal: down and hold and up cannot be told apart at 90%"
    script.says["quarter"] = (0.1, 0.3, 0.6)
    assert decide(council, START + 2 * QUARTER).usable.all()
    strict, script = sat(
        member("quarter"), policy=Policy(abstain="conformal", single_class=True), conformal=sets
    )
    script.says["quarter"] = (0.1, 0.3, 0.6)
    assert decide(strict).reason[5] == "conformal: hold and up cannot be told apart at 90%"


def test_calibration_comes_after_the_blend():
    council, _ = sat(member("quarter"), calibration=Calibration(2.0, (0.0, 0.0, 0.0)))
    found = decide(council)
    raw = np.sqrt(found.vote_p[:, 0])
    assert np.abs(found.p - raw / raw.sum(axis=1, keepdims=True)).max() < 1e-6


def test_faulty_batch_stops_its_member_with_a_note_and_the_others_go_on():
    council, script = sat(member("quarter"), member("hour", "entry_1h"))
    script.says["hour"] = (0.0005, 0.0005, 0.999)
    found = decide(council)
    assert found.usable.all()
    assert (found.weights == [1.0, 0.0]).all()
    assert set(found.reason) == {"hour: sanity: saturated for 100% of 10 instruments"}
    script.says["hour"] = LEANS["up"]
    found = decide(council, START + HOUR)  # judged again at its next close
    assert set(found.reason) == {""}
    assert (found.weights > 0).all()


def test_lone_faulty_member_leaves_no_opinion():
    council, script = sat(member("quarter"))
    script.says["quarter"] = (0.0005, 0.0005, 0.999)
    found = decide(council)
    assert not found.usable.any()
    assert set(found.reason) == {"sanity: saturated for 100% of 10 instruments"}
    assert council.counts["sanity"] == 10


def test_same_answer_again_and_again_is_refused():
    limits = SanityLimits(repeats=3)
    council, script = sat(member("quarter"), policy=Policy(sanity=limits))
    script._one = lambda m, ts, one=script._one: one(m, START)  # the features moved, the answer did not
    for step in range(2):
        assert decide(council, START + step * QUARTER).usable.all()
    assert decide(council, START + 2 * QUARTER).reason[0] == "sanity: the same answer for 3 closes"


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_is_named_in_the_code_that_refuses(gate):
    text = inspect.getsource(sitting) + inspect.getsource(sanity)
    assert f'"{gate}: ' in text


# ---- fading (stale and wrong members) ----


def closes(council: Council, step: int, price: float, nxt: float) -> None:
    """Close the quarter that ends at START + step quarters, from `price` to `nxt`."""
    opened = np.full(len(NAMES), price)
    high, low = np.maximum(opened, nxt), np.minimum(opened, nxt)
    council.on_bars(Timeframe.M15, EVERY, START + step * QUARTER, np.stack([opened, high, low]))


def test_member_that_is_wrong_fades_to_the_floor_and_one_that_is_right_gains():
    council, script = sat(member("right"), member("wrong"), policy=Policy(skill_prior_windows=5.0))
    script.says["wrong"] = LEANS["down"]
    shares = []
    for step in range(420):  # the market only rises
        closes(council, step, 100.0 + step, 101.0 + step)
        shares.append(float(decide(council, START + step * QUARTER).weights[0, 1]))
    assert shares[0] == pytest.approx(0.5, abs=0.01)
    assert shares[-1] == pytest.approx(max(Policy().floor, 1 - Policy().cap))
    assert all(late <= early + 1e-9 for early, late in zip(shares[::60], shares[60::60], strict=False))


def test_member_that_was_wrong_comes_back_when_the_market_turns():
    policy = Policy(skill_prior_windows=5.0, skill_half_life_days=2.0)
    council, script = sat(member("bull"), member("bear"), policy=policy)
    script.says["bear"] = LEANS["down"]
    turn = 300
    price, shares = 1_000.0, []
    for step in range(2 * turn):
        nxt = price + (1.0 if step < turn else -1.0)
        closes(council, step, price, nxt)
        price = nxt
        shares.append(float(decide(council, START + step * QUARTER).weights[0, 1]))
    assert shares[turn - 1] < 0.35
    assert shares[-1] > 0.65


def test_gain_on_the_card_counts_only_after_the_span_that_it_was_measured_on():
    better = member("better")
    card = better.artifact.card
    gain = msgspec.structs.replace(card.metrics.log_loss_gain, value=0.2)
    split = msgspec.structs.replace(card.split, test_end=iso(START))
    card = msgspec.structs.replace(
        card, metrics=msgspec.structs.replace(card.metrics, log_loss_gain=gain), split=split
    )
    better = Member(better.ref, Artifact(card, better.artifact.spec, b""))
    council, _ = sat(
        better, member("other", trained="1970-01-01T00:00:00Z"), policy=Policy(half_life_days=1e6)
    )
    label = card.label.horizon_bars * QUARTER  # of the last row that was measured
    before, after = (decide(council, START + label - late).weights[0] for late in (QUARTER, 0))
    assert before == pytest.approx([0.5, 0.5], abs=0.01)
    assert after[0] == pytest.approx(0.7)  # the cap


def test_member_trained_long_ago_fades_beside_a_fresh_one():
    old, new = member("old", trained="1973-01-01T00:00:00Z"), member("new", trained="1974-06-30T00:00:00Z")
    council, _ = sat(old, new, policy=Policy(floor=0.0, cap=1.0))
    share = decide(council).weights[0, 0]
    assert share / (1 - share) == pytest.approx(0.5 ** (545 / 180), rel=0.01)
