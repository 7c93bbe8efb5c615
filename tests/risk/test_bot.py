"""The risk bot: every rule by name, every exit, every brake."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, SECOND
from core.events import Fill, Prediction, Verb
from core.instrument import Instrument
from core.market import Quote, Timeframe
from core.orders import Side
from core.portfolio import Portfolio, Position
from core.signal import GATES, BookState, Direction, Opinion
from risk import edge, limits
from risk.bot import RiskBot
from risk.policy import ModelTerms, RiskPolicy
from risk.state import Mode, RiskState
from risk.view import AccountView

D = Decimal
BTC, ETH, XRP = "BTC/USDT", "ETH/USDT", "XRP/USDT"
NOW = 1_704_067_200 * SECOND + HOUR
TERMS = ModelTerms("hash", "entry-5m", Timeframe.M5, barrier_atr=1.5, horizon_bars=12)
POLICY = RiskPolicy(taker_fee=0.0001, min_expected_value=0.0002)


def instrument(symbol, **changes):
    listed = Instrument(
        symbol=symbol,
        base=symbol[:3],
        quote="USDT",
        price_increment=D("0.01"),
        quantity_increment=D("0.001"),
        price_precision=2,
        quantity_precision=3,
        minimum_quantity=D("0.01"),
        minimum_cost=D(5),
        max_leverage=5,
    )
    return msgspec.structs.replace(listed, **changes)


def bot(policy=POLICY, state=None, **changes):
    listed = {s: instrument(s, **changes) for s in (BTC, ETH, XRP)}
    return RiskBot("five", policy, TERMS, listed, state=state or RiskState())


def quote(symbol, bid="99.99", ask="100.01"):
    return Quote(symbol, NOW, D(bid), D(ask), D(5), D(5))


def view(*, now=NOW, equity="10000", held=None, opened=NOW - HOUR // 2, **changes):
    positions = {s: Position(s, D(q), abs(D(q)) * 100, opened) for s, q in (held or {}).items()}
    whole = AccountView(
        now=now,
        equity=D(equity),
        portfolio=Portfolio(cash=D(equity), positions=positions),
        quotes={s: quote(s) for s in (BTC, ETH, XRP)},
        received=dict.fromkeys((BTC, ETH, XRP), now),
    )
    return msgspec.structs.replace(whole, **changes)


def opinion(symbol=BTC, up=0.6, down=0.2, **changes):
    row = Opinion(symbol, True, down, 1 - up - down, up, 1.0, 0.01, 100.0)
    return msgspec.structs.replace(row, **changes)


def prediction(*opinions, now=NOW, **changes):
    answer = Prediction(now, "p1", "five", now - SECOND, Timeframe.M5, "hash", opinions)
    return msgspec.structs.replace(answer, **changes)


def judge(risk, *opinions, seen=None, **changes):
    seen = seen or view()
    intents, decisions = risk.on_prediction(prediction(*opinions, now=seen.now, **changes), seen)
    return [a.value for a in intents], decisions.rows


def rule(risk, *opinions, seen=None, **changes):
    intents, rows = judge(risk, *opinions, seen=seen, **changes)
    assert not intents
    assert rows[0].rule in limits.RULES
    return rows[0].rule


# ---- entering ----


def test_a_good_opinion_becomes_an_intent_with_stop_and_target():
    (intent,), (row,) = judge(bot(), opinion())
    assert (row.rule, row.direction) == ("", Direction.LONG)
    assert row.confidence == 0.6
    assert row.expected_value == pytest.approx(0.4 * 1.5 * 0.01 - 0.0002 - 0.0002)
    assert intent.target > 0
    assert intent.stop == D("98.01")
    assert intent.take_profit == D("103.01")
    assert intent.entry_limit == D("100.06")
    assert intent.prediction_id == "p1"
    assert NOW < intent.expires <= NOW + 20 * SECOND


def test_a_bearish_opinion_becomes_a_short():
    (intent,), (row,) = judge(bot(), opinion(up=0.2, down=0.6))
    assert row.direction is Direction.SHORT
    assert intent.target < 0
    assert intent.stop > 100 > intent.take_profit


def test_the_best_expected_value_gets_the_room_first():
    risk = bot(msgspec.structs.replace(POLICY, max_open_positions=1))
    intents, rows = judge(risk, opinion(BTC, 0.55), opinion(ETH, 0.7), opinion(XRP, 0.6))
    assert [i.instrument for i in intents] == [ETH]
    assert [r.rule for r in rows] == ["max_positions", "", "max_positions"]


def test_candidates_of_one_instant_share_the_exposure():
    risk = bot(
        msgspec.structs.replace(POLICY, max_leverage=0.3, max_position_notional=0.25, risk_per_trade=0.05)
    )
    intents, rows = judge(risk, opinion(BTC), opinion(ETH), opinion(XRP))
    assert sum(abs(i.target) * i.entry_limit for i in intents) <= D(3000)
    assert [r.rule for r in rows] == ["", "", "max_exposure"] or rows[2].rule == "below_minimum"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 30.0)), min_size=3, max_size=3),
    st.sampled_from([{}, {BTC: "5"}, {XRP: "-20"}]),
    st.sampled_from([frozenset(), frozenset({ETH})]),
)
def test_no_set_of_opinions_ever_breaks_the_account_s_limits(figures, held, busy):
    rows = [
        opinion(s, up=a / (a + b + 1), down=b / (a + b + 1), atr=atr)
        for s, (a, b, atr) in zip((BTC, ETH, XRP), figures, strict=True)
    ]
    policy = msgspec.structs.replace(
        POLICY, max_open_positions=2, min_expected_value=-0.05, min_confidence=0.0
    )
    seen = view(held=held, busy=busy)
    intents, decisions = judge(bot(policy), *rows, seen=seen)
    entries = [i for i in intents if i.target]
    taken = {s: abs(D(q)) * 100 for s, q in held.items()} | dict.fromkeys(busy, D(2500))
    assert len(entries) + len(taken) <= 2 or not entries
    gross = sum(taken.values()) + sum(abs(i.target) * max(i.entry_limit, D("100.01")) for i in entries)
    assert gross <= 10_000 or not entries
    for i in entries:
        assert i.instrument not in taken
        assert abs(i.target) * abs(i.entry_limit - i.stop) <= 50
    assert len(decisions) == 3
    assert all(r.rule == "" or r.rule in limits.RULES for r in decisions)


# ---- refusing ----


def test_every_rule_has_one_sentence():
    assert all(name.islower() and name.replace("_", "").isalpha() for name in limits.RULES)
    assert all(s.endswith(".") and s.count(".") == 1 for s in limits.RULES.values())


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({"late": True}, "late_opinion"),
        ({"ts_close": NOW - 60 * SECOND}, "late_opinion"),
        ({"ts_close": NOW + SECOND}, "late_opinion"),
        ({"model_hash": "other"}, "wrong_model"),
        ({"error": "boom"}, "model_error"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(changes, expected):
    assert rule(bot(), opinion(), **changes) == expected


def test_no_answer_at_all_is_a_decision_for_each_instrument():
    intents, rows = judge(bot(), error="the worker died")
    assert not intents
    assert [(r.instrument, r.rule) for r in rows] == [(s, "model_error") for s in (BTC, ETH, XRP)]


@pytest.mark.parametrize(
    "changes",
    [
        {"ready": False, "reason": "warming up"},
        {"ready": False},
        {"p_up": float("nan")},
        {"p_up": 1.5},
        {"p_down": -0.1},
        {"atr": float("inf")},
        {"atr": 0.0},
        {"close": 0.0},
        {"close": float("nan")},
    ],
)
def test_an_unusable_opinion_is_not_ready(changes):
    assert rule(bot(), opinion(**changes)) == "not_ready"


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_of_the_models_is_told_apart_from_features_that_are_cold(gate):
    refused = opinion(ready=False, reason=f"{gate}: in its own words")
    assert rule(bot(), refused) == "model_gate"
    assert rule(bot(), opinion(ready=False, reason="15m: 3 of 340 bars")) == "not_ready"


@pytest.mark.parametrize(
    "given_opinion,expected",
    [
        (opinion("DOGE/USDT"), "unknown_instrument"),
        (opinion(up=0.4, down=0.3), "low_confidence"),
        (opinion(up=0.5, down=0.5), "low_confidence"),
        (opinion(up=0.5, down=0.49), "expected_value"),
        (opinion(atr=0.01), "expected_value"),
    ],
)
def test_a_weak_opinion_is_refused_by_name(given_opinion, expected):
    assert rule(bot(), given_opinion) == expected


def test_a_stop_that_does_not_fit_is_refused_by_name():
    policy = msgspec.structs.replace(POLICY, min_expected_value=-0.05, stop_atr=0.25)
    assert rule(bot(policy), opinion(atr=0.01)) == "stop_distance"


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({"public_up": False}, "link_down"),
        ({"private_up": False}, "link_down"),
        ({"system": "cancel_only"}, "venue_status"),
        ({"reconciled": False}, "not_reconciled"),
        ({"busy": frozenset({BTC})}, "order_in_flight"),
        ({"quotes": {}}, "stale_quote"),
        ({"received": {}}, "stale_quote"),
        ({"received": {BTC: NOW + 1}}, "stale_quote"),
        ({"quotes": {BTC: quote(BTC, "100.02", "100.01")}}, "stale_quote"),
        ({"quotes": {BTC: quote(BTC, "99", "101")}}, "wide_spread"),
    ],
)
def test_an_account_or_market_that_is_not_in_order_is_refused_by_name(changes, expected):
    policy = msgspec.structs.replace(POLICY, min_expected_value=-0.05)
    assert rule(bot(policy), opinion(), seen=view(**changes)) == expected


def leaning(imbalance, age_s=1.0):
    """Give a book whose newest sample leans the other way than its mean."""
    return BookState(0.0002, -imbalance, imbalance, age_s)


@pytest.mark.parametrize(
    "bound,book,long,short",
    [
        (0.4, leaning(-0.5), "book_against", ""),
        (0.4, leaning(0.5), "", "book_against"),
        (0.4, leaning(-0.4), "", ""),  # as far as the bound allows
        (0.4, leaning(-0.5, age_s=5.1), "", ""),  # too old to say anything
        (0.4, None, "", ""),  # as in a backtest
        (0.0, leaning(-1.0), "", ""),  # off
    ],
)
def test_an_entry_against_a_heavy_fresh_book_is_refused(bound, book, long, short):
    policy = msgspec.structs.replace(POLICY, max_imbalance_against=bound)
    _, rows = judge(bot(policy), opinion(BTC, book=book), opinion(ETH, up=0.2, down=0.6, book=book))
    assert [row.rule for row in rows] == [long, short]
    assert [row.detail for row in rows if row.rule] == ["0.50 of 0.4"] * sum(map(bool, (long, short)))


def test_a_heavy_book_keeps_no_position_from_being_closed():
    policy = msgspec.structs.replace(POLICY, max_imbalance_against=0.1)
    against = opinion(up=0.2, down=0.6, book=leaning(1.0))
    (intent,), _ = judge(bot(policy), against, seen=view(held={BTC: "1"}))
    assert (intent.target, intent.reason) == (0, "opposite opinion")


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({"status": "post_only"}, "instrument_status"),
        ({"max_leverage": 1}, "not_marginable"),
        ({"minimum_quantity": D(1000)}, "below_minimum"),
    ],
)
def test_an_instrument_that_does_not_fit_is_refused_by_name(changes, expected):
    assert rule(bot(**changes), opinion()) == expected


def test_a_relisted_instrument_counts_from_the_next_opinion():
    risk = bot()
    risk.on_instruments((instrument(BTC, status="maintenance"), instrument("NEW/USDT")))
    assert rule(risk, opinion()) == "instrument_status"
    assert rule(risk, opinion("NEW/USDT")) == "unknown_instrument"


def test_entries_per_day_are_counted_per_utc_day():
    risk = bot(msgspec.structs.replace(POLICY, max_trades_per_day=1, cooldown_s=0.0))
    risk.on_market(view())
    assert judge(risk, opinion())[0]
    assert rule(risk, opinion()) == "max_trades_per_day"
    tomorrow = NOW + DAY
    risk.on_market(view(now=tomorrow))
    assert risk.state.entered_at == []
    assert judge(risk, opinion(), seen=view(now=tomorrow))[0]


def test_refused_entries_cool_the_instrument_and_then_stop_all():
    risk = bot(msgspec.structs.replace(POLICY, max_refusals=2))
    risk.on_refused(BTC, NOW)
    assert rule(risk, opinion()) == "cooldown"
    assert judge(risk, opinion(ETH))[0]
    risk.on_refused(ETH, NOW)
    assert rule(risk, opinion(XRP)) == "refused_too_often"
    later = NOW + 2 * HOUR
    assert judge(risk, opinion(XRP), seen=view(now=later))[0]


def test_a_drawn_down_account_takes_less_risk_and_then_none():
    risk = bot(msgspec.structs.replace(POLICY, max_drawdown=0.2, max_daily_loss=0.25))
    risk.on_market(view(equity="10000"))
    (full,), _ = judge(risk, opinion())
    (less,), _ = judge(risk, opinion(ETH), seen=view(equity="9000"))
    assert less.target < full.target * D("0.9")
    assert rule(risk, opinion(XRP), seen=view(equity="8000")) == "drawdown"


# ---- leaving ----


def test_an_opposite_opinion_closes_an_old_position():
    risk = bot()
    (intent,), (row,) = judge(risk, opinion(up=0.2, down=0.6), seen=view(held={BTC: "1"}))
    assert (intent.target, intent.reason, row.rule) == (0, "opposite opinion", "")
    assert rule(risk, opinion(up=0.2, down=0.6), seen=view(held={BTC: "1"})) == "closing"


@pytest.mark.parametrize(
    "row,held,opened,expected",
    [
        (opinion(), "1", NOW - HOUR // 2, "already_positioned"),
        (opinion(up=0.5, down=0.5), "1", NOW - HOUR // 2, "already_positioned"),
        (opinion(), "-1", NOW - SECOND, "min_hold"),
        (opinion(up=0.4, down=0.3), "-1", NOW - HOUR // 2, "low_confidence"),
    ],
)
def test_a_position_is_kept_for_a_named_reason(row, held, opened, expected):
    assert rule(bot(), row, seen=view(held={BTC: held}, opened=opened)) == expected


def test_an_opinion_closes_even_while_entries_are_paused():
    risk = bot()
    risk.on_operator(Verb.PAUSE)
    assert judge(risk, opinion(up=0.2, down=0.6), seen=view(held={BTC: "1"}))[0]


def test_a_position_is_closed_once_after_the_model_s_horizon():
    risk = bot()
    due = view(held={BTC: "1", ETH: "1"}, opened=NOW - HOUR)
    (first, second), _ = risk.on_market(due)
    assert {first.value.instrument, second.value.instrument} == {BTC, ETH}
    assert first.value.reason == "held for 12 bars of 5m"
    assert risk.on_market(due) == ([], [])
    assert risk.on_market(view(held={BTC: "1"}, opened=NOW - HOUR + 1))[0] == []
    longer = bot(msgspec.structs.replace(POLICY, max_hold_bars=24))
    assert longer.on_market(due)[0] == []


def test_a_closed_position_starts_its_cooldown():
    risk = bot()
    fill = Fill(NOW, "a", "T1", "c", "o", BTC, Side.SELL, D(100), D(1), D(0), maker=False, ts_event=NOW)
    risk.on_market(view(held={BTC: "1"}, opened=NOW - HOUR))
    risk.on_fill(fill, D(2), D(1))
    assert BTC in risk.state.closing
    risk.on_fill(fill, D(1), D(0))
    assert risk.state.closing == {}
    assert rule(risk, opinion()) == "cooldown"
    assert judge(risk, opinion(), seen=view(now=NOW + 900 * SECOND))[0]


# ---- brakes ----


def test_drawdown_closes_everything_and_halts_for_good():
    risk = bot()
    risk.on_market(view(equity="10000"))
    intents, notices = risk.on_market(view(equity="9000", held={BTC: "1"}, busy=frozenset({ETH})))
    assert [a.value.instrument for a in intents] == [BTC, ETH]
    assert [n.code for n in notices] == ["halted", "daily_loss"]
    assert risk.mode is Mode.HALTED
    assert rule(risk, opinion(), seen=view(equity="9000")) == "halted"
    assert risk.on_operator(Verb.RESUME, actor="me")[0].code == "resume_refused"
    assert risk.mode is Mode.HALTED
    assert risk.on_operator(Verb.RESUME, actor="me", force=True)[0].code == "resume"
    assert risk.on_market(view(equity="9000")) == ([], [])
    assert risk.mode is Mode.ACTIVE


def test_the_daily_loss_closes_everything_until_the_next_utc_day():
    risk = bot()
    risk.on_market(view(equity="10000"))
    intents, _ = risk.on_market(view(equity="9690", held={BTC: "1"}))
    assert [a.value.target for a in intents] == [0]
    assert risk.mode is Mode.REDUCING
    assert rule(risk, opinion()) == "daily_loss"
    _, notices = risk.on_market(view(now=NOW + DAY, equity="9690"))
    assert [n.code for n in notices] == ["new_day"]
    assert risk.mode is Mode.ACTIVE


def test_nothing_is_concluded_from_equity_before_reconciliation():
    risk = bot()
    assert risk.on_market(view(equity="0", reconciled=False)) == ([], [])
    assert risk.on_market(view(equity="0")) == ([], [])
    assert risk.state == RiskState()


def test_a_wiped_out_account_halts():
    risk = bot()
    risk.on_market(view())
    risk.on_market(view(equity="-5"))
    assert risk.mode is Mode.HALTED


def test_an_account_that_was_emptied_outlives_midnight():
    risk = bot()
    risk.on_market(view())
    for days in (0, 1, 2):
        risk.on_market(view(equity="0", now=NOW + days * DAY))
    assert risk.mode is Mode.HALTED


@pytest.mark.parametrize(
    "verb,mode,closes",
    [
        (Verb.PAUSE, Mode.PAUSED, False),
        (Verb.FLATTEN, Mode.PAUSED, True),
        (Verb.KILL, Mode.HALTED, True),
        (Verb.DRAIN, Mode.ACTIVE, False),
    ],
)
def test_operators_are_obeyed_and_said(verb, mode, closes):
    risk = bot()
    (notice,) = risk.on_operator(verb, actor="me")
    assert notice.code == verb.value
    assert risk.mode is mode
    assert not risk.entries_allowed
    intents, _ = risk.on_market(view(held={BTC: "1"}))
    assert bool(intents) is closes
    assert judge(risk, opinion(ETH))[0] == []


def test_resume_lifts_a_pause_and_a_session_lifts_a_drain():
    risk = bot()
    risk.on_operator(Verb.FLATTEN)
    risk.on_operator(Verb.RESUME)
    assert risk.on_market(view(held={BTC: "1"}))[0] == []
    risk.on_operator(Verb.DRAIN)
    assert rule(risk, opinion()) == "draining"
    risk.on_session()
    assert risk.entries_allowed


def test_a_halt_of_the_engine_keeps_what_is_protected():
    risk = bot()
    risk.on_halt("position mismatch")
    risk.on_halt("another")
    assert risk.state.halted == "position mismatch"
    assert risk.on_market(view(held={BTC: "1"})) == ([], [])
    assert rule(risk, opinion()) == "halted"


def test_brakes_survive_the_snapshot():
    risk = bot()
    risk.on_market(view())
    risk.on_operator(Verb.KILL)
    risk.on_market(view(held={BTC: "1"}))
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(risk.state), type=RiskState)
    assert state == risk.state
    again = bot(state=state)
    assert again.mode is Mode.HALTED
    assert again.on_market(view(held={BTC: "1"})) == ([], [])


probabilities = st.floats(0.0, 0.5)


@given(probabilities, probabilities, st.floats(0.01, 10.0))
def test_a_mirrored_opinion_is_worth_the_same_the_other_way(up, down, atr):
    one = edge.read(opinion(up=up, down=down, atr=atr), quote(BTC), terms=TERMS, taker_fee=0.001)
    two = edge.read(opinion(up=down, down=up, atr=atr), quote(BTC), terms=TERMS, taker_fee=0.001)
    assert one.expected_value == two.expected_value
    assert one.direction.sign == -two.direction.sign


def test_without_a_quote_the_close_is_the_price():
    worth = edge.read(opinion(up=0.6, down=0.2), None, terms=TERMS, taker_fee=0.0)
    assert worth.expected_value == pytest.approx(0.4 * 1.5 * 0.01)
