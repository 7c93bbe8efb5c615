"""The read model: what people see follows from the steps, and from nothing else."""

import json
import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, MINUTE, SECOND
from core.events import (
    BarsClosed,
    InstrumentsChanged,
    LinkChange,
    Notice,
    Operator,
    Prediction,
    Reconciled,
    SessionStarted,
    SetupChanged,
    Severity,
    Stream,
    Timer,
    Verb,
)
from core.market import Bar, Timeframe
from core.orders import Side
from core.signal import Opinion
from risk.policy import RiskPolicy
from tests import desk_story as story
from trader.state import ReadModel
from trader.state_desk import KEPT_CURVE, KEPT_NOTICES, Phase
from trader.state_market import CHART_BARS, BarRing
from trader.state_view import cents, headline, text


def folded(steps, **more):
    model = ReadModel(story.setup(**more), speed=60.0)
    feed(model, steps)
    return model


def feed(model, steps):
    for event, commands in steps:
        model.on_step(model.seq + 1, event, commands)


def operator(verb, *, ts=story.START + MINUTE, reason="because"):
    return Operator(ts, verb, "anna", reason)


def notice(code, *, severity=Severity.CRITICAL, body="words"):
    return Notice(severity, code, body, story.TRADER)


def bar(index, *, symbol="BTC/USDT", timeframe=Timeframe.M1, close=100.0):
    return Bar(symbol, timeframe, index * timeframe.ns, 99.0, 101.0, 98.0, close, 5.0, 99.5, 3)


# ---- the whole story ----


def test_the_hour_is_told_as_it_happened():
    view = folded(story.hour()).view()
    assert view["mode"]["badge"] == "PAPER - SIMULATED KRAKEN"
    assert view["state"]["state"] == "running"
    assert view["equity"]["round_trips"] == 4
    assert [p["instrument"] for p in view["positions"]] == ["BTC/USDT", "DOGE/USDT"]
    assert {o["purpose"] for o in view["orders"]} == {"stop", "target"}
    assert len(view["fills"]) == 10
    assert view["fills"][0]["instrument"] == "DOGE/USDT"
    assert view["session"]["version"] == "0.1.0"
    assert view["session"]["models"][0]["model"] == "entry-15m"


def test_a_position_shows_its_protection_and_how_far_it_is():
    btc = folded(story.hour()).view()["positions"][0]
    assert (btc["side"], btc["quantity"], btc["entry"]) == ("long", "0.036", "68325.1")
    assert (btc["stop"], btc["target"]) == ("67890.0", "69120.0")
    assert btc["stop_distance"] < 0 < btc["target_distance"]
    assert btc["trader"] == story.TRADER
    assert Decimal(btc["unrealised"]) == cents_of(
        (Decimal(btc["mark"]) - Decimal("68325.1")) * Decimal("0.036")
    )


def cents_of(value):
    return value.quantize(Decimal("0.01"))


def test_equity_is_cash_plus_unrealised():
    model = folded(story.hour())
    account = model.accounts[story.ACCOUNT]
    marks = model.marks(account)
    expected = account.portfolio.cash + sum(
        p.unrealised(marks[p.instrument]) for p in account.portfolio.positions.values()
    )
    assert model.view()["equity"]["total"] == cents(expected)


def test_money_is_text_and_the_view_is_json():
    view = folded(story.hour()).view()
    assert json.loads(json.dumps(view, allow_nan=False)) == json.loads(msgspec.json.encode(view))
    for row in [*view["positions"], *view["fills"], *view["orders"]]:
        for name in ("quantity", "price", "entry", "fee", "notional", "unrealised"):
            assert isinstance(row.get(name, ""), str | None)


def test_the_same_steps_give_the_same_view():
    assert folded(story.hour()).view() == folded(story.hour()).view()


def test_headline_says_the_main_figures():
    said = dict(headline(folded(story.hour()).view()))
    assert said["state"] == "running"
    assert said["round trips"].startswith("4, fees ")


def test_an_empty_model_has_a_view():
    view = ReadModel(story.setup()).view()
    assert view["state"]["state"] == "starting"
    assert view["feed"]["age_s"] is None
    assert dict(headline(view))["equity"] == "10000.00 USDT"
    json.dumps(view, allow_nan=False)


# ---- mode ----


def test_showcase_is_flagged_only_below_zero():
    class Loose(RiskPolicy):
        def __post_init__(self):
            """The ceilings are risk's matter; only the words are looked at here."""

    assert ReadModel(story.setup()).view()["mode"]["showcase"] == ""
    shown = ReadModel(story.setup(policy=Loose(min_expected_value=-0.0123))).view()["mode"]["showcase"]
    assert shown == "showcase thresholds: entries are allowed at an expected value of -1.23% after fees"


# ---- state ----


def test_running_begins_when_every_account_is_reconciled():
    steps = story.opening()
    assert folded(steps[:3]).phase is Phase.STARTING
    assert folded(steps[:4]).phase is Phase.RUNNING


@pytest.mark.parametrize(
    "verb, phase",
    [(Verb.PAUSE, Phase.PAUSED), (Verb.KILL, Phase.HALTED), (Verb.DRAIN, Phase.STOPPING)],
)
def test_an_operator_is_shown_with_name_and_reason(verb, phase):
    model = folded([*story.opening(), (operator(verb), [])])
    assert model.phase is phase
    assert model.why == f"{verb} by anna: because"


def test_flatten_reduces_until_flat_then_pauses():
    opened = story.position(
        5, "BTC/USDT", Side.BUY, "0.03600", prices=("68325.1", "67890.0", "69120.0"), ts=story.START
    )
    model = folded([*story.opening(), *opened, (operator(Verb.FLATTEN), [])])
    assert model.phase is Phase.REDUCING
    out = story.fill(
        "X1", "SMHB99991", "BTC/USDT", Side.SELL, "0.03600", "68300.0", ts=story.START + 2 * MINUTE
    )
    feed(model, [(out, [])])
    assert model.phase is Phase.PAUSED
    assert model.why == "flat after flatten by anna: because"


def test_breakers_are_shown_and_a_weaker_brake_hides_no_stronger_one():
    model = folded([*story.opening(), (Timer(story.START + 1), [notice("daily_loss", body="lost 3 %")])])
    assert (model.phase, model.why) == (Phase.REDUCING, "lost 3 %")
    feed(model, [(Timer(story.START + 2), [notice("halted", body="drawdown of 10 %")])])
    assert (model.phase, model.why) == (Phase.HALTED, "drawdown of 10 %")
    feed(model, [(operator(Verb.PAUSE), []), (operator(Verb.FLATTEN), [])])
    assert model.phase is Phase.HALTED


def test_a_resume_counts_only_once_it_is_granted():
    model = folded([*story.opening(), (operator(Verb.KILL), [])])
    feed(model, [(operator(Verb.RESUME), [notice("resume_refused")])])
    assert model.phase is Phase.HALTED
    feed(model, [(operator(Verb.RESUME), [notice("resume")])])
    assert (model.phase, model.why) == (Phase.RUNNING, "")


def test_a_new_day_lifts_the_daily_loss_but_no_halt():
    model = folded([*story.opening(), (Timer(story.START + 1), [notice("daily_loss")])])
    feed(model, [(Timer(story.START + 2), [notice("new_day", severity=Severity.INFO)])])
    assert model.phase is Phase.RUNNING
    feed(model, [(Timer(story.START + 3), [notice("halted")]), (Timer(story.START + 4), [notice("new_day")])])
    assert model.phase is Phase.HALTED


def test_a_halt_survives_a_restart():
    model = folded([*story.opening(), (operator(Verb.KILL), [])])
    feed(model, [(SessionStarted(story.START + DAY, 4, "0.1.0", "", b""), [])])
    assert model.phase is Phase.STARTING
    feed(model, [(Reconciled(story.START + DAY + 1, story.ACCOUNT, Decimal(9_000), (), (), ()), [])])
    assert (model.phase, model.why) == (Phase.HALTED, "kill by anna: because")


def test_a_recovered_brake_is_on_after_the_start_and_can_be_released():
    model = ReadModel(story.setup())
    model.on_brake(Phase.HALTED, "killed by anna")
    model.on_brake(Phase.PAUSED, "weaker")
    feed(model, story.opening())
    assert (model.phase, model.why) == (Phase.HALTED, "killed by anna")
    other = ReadModel(story.setup())
    other.on_brake(Phase.HALTED, "killed by anna")
    feed(other, [(operator(Verb.RESUME, ts=1), [notice("resume")]), *story.opening()])
    assert other.phase is Phase.RUNNING


# ---- market and opinions ----


def test_feed_age_is_told_in_seconds_of_the_wall():
    model = folded([*story.opening(), (Timer(story.START + 120 * SECOND), [])])
    assert model.view()["feed"]["age_s"] == pytest.approx(2.0)


def test_the_worst_link_is_the_one_shown():
    down = LinkChange(story.START + 1, Stream.PRIVATE, up=False, account="other", reason="reset by peer")
    feed_view = folded([*story.opening(), (down, [])]).view()["feed"]
    assert feed_view["private"] | {"since": ""} == {
        "up": False,
        "since": "",
        "system": "online",
        "reason": "reset by peer",
    }
    assert feed_view["public"]["up"] is True


def test_chart_holds_bars_fills_and_lines_of_the_open_position():
    model = folded([])
    model.on_history(story.history())
    feed(model, story.hour())
    chart = model.chart("BTC/USDT", Timeframe.M5)
    assert len(chart["bars"]["time"]) == CHART_BARS
    assert chart["bars"]["time"] == sorted(chart["bars"]["time"])
    assert [f["side"] for f in chart["fills"]] == ["buy", "sell", "buy"]
    assert [line["kind"] for line in chart["lines"]] == ["entry", "stop", "target"]
    assert model.chart("NOPE/USDT", Timeframe.M5)["bars"]["time"] == []
    json.dumps(chart, allow_nan=False)


def test_the_mark_is_the_last_close_until_there_is_a_quote():
    model = folded([(BarsClosed(MINUTE, MINUTE, (bar(0, close=100.5),)), [])])
    shown = {row["instrument"]: row["mark"] for row in model.view()["instruments"]}
    assert shown["BTC/USDT"] == "100.5"
    assert shown["ETH/USDT"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 8))
def test_a_ring_holds_the_last_bars_in_order(indices, length):
    ring, kept = BarRing(length), []
    for index in indices:
        ring.push(bar(index, close=float(index)))
        if not kept or index > kept[-1]:
            kept.append(index)
    columns = ring.columns()
    assert columns["time"] == [i * 60_000 for i in kept[-length:]]
    assert columns["close"] == [float(i) for i in kept[-length:]]


def test_old_bars_never_replace_new_ones():
    model = ReadModel(story.setup())
    model.on_history([bar(5), bar(2)])
    assert len(model.chart("BTC/USDT", Timeframe.M1)["bars"]["time"]) == 1


def test_a_grid_change_reaches_the_page():
    finer = msgspec.structs.replace(story.instrument("BTC/USDT"), price_precision=3, status="cancel_only")
    model = folded([*story.opening(), (InstrumentsChanged(story.START + 1, (finer,)), [])])
    row = next(r for r in model.view()["instruments"] if r["instrument"] == "BTC/USDT")
    assert (row["status"], row["mark"][-4]) == ("cancel_only", ".")


def test_a_reloaded_setup_replaces_the_old_one():
    loose = story.setup(policy=RiskPolicy(max_drawdown=0.2))
    model = folded(
        [*story.opening(), (SetupChanged(story.START + 1, "new", msgspec.msgpack.encode(loose)), [])]
    )
    assert model.view()["equity"]["drawdown_limit"] == 0.2


def test_numbers_that_json_cannot_hold_become_null():
    opinion = Opinion("BTC/USDT", False, math.nan, math.inf, 0.0, 1.0, 1.0, 1.0, "not finite")
    late = Prediction(
        story.START + 1,
        "P",
        story.TRADER,
        story.START,
        Timeframe.M15,
        "m",
        (opinion,),
        9_000_000,
        late=True,
        error="worker died",
    )
    view = folded([*story.opening(), (late, [])]).view()
    assert (view["opinions"][0]["down"], view["opinions"][0]["hold"]) == (None, None)
    assert (view["latency"]["late"], view["latency"]["errors"], view["latency"]["last_error"]) == (
        1,
        1,
        "worker died",
    )
    json.dumps(view, allow_nan=False)


def test_why_no_trade_has_rule_sentence_and_figures():
    rows = folded(story.hour()).view()["decisions"]
    assert len(rows) == len(story.PRICES)
    assert [r["confidence"] for r in rows] == sorted((r["confidence"] for r in rows), reverse=True)
    cooldown = next(r for r in rows if r["rule"] == "cooldown")
    assert cooldown["detail"] == "431 s left"
    assert cooldown["sentence"].endswith(".")


def test_latency_percentiles_come_from_what_was_measured():
    model = folded(story.opening())
    for ms in range(1, 101):
        model.on_latency(ms * 1_000_000, 6)
    figures = model.view()["latency"]
    assert figures["decision_ms"] == {"p50": 51.0, "p99": 100.0, "count": 100}
    assert figures["instruments"] == 6
    assert figures["inference_ms"]["p50"] is None


# ---- bounds ----


def test_repeated_notices_are_counted_and_their_list_is_bounded():
    model = folded(story.opening())
    for _ in range(3):
        feed(model, [(Timer(story.START + 1), [notice("same", severity=Severity.INFO)])])
    assert [(n["code"], n["times"]) for n in model.view()["notices"]] == [("same", 3)]
    for number in range(2 * KEPT_NOTICES):
        feed(model, [(Timer(story.START + 2), [notice(f"n{number}", severity=Severity.INFO)])])
    assert len(model.view()["notices"]) == KEPT_NOTICES


def test_the_equity_curve_spans_the_session_in_bounded_points():
    model = folded(story.opening())
    for minute in range(2_000):
        feed(model, [(Timer(story.START + minute * 2 * MINUTE), [])])
    curve = model.view()["equity"]["curve"]
    assert len(curve) <= KEPT_CURVE
    assert curve[0][0] == story.START // 1_000_000
    assert curve[-1][0] > (story.START + 1_900 * 2 * MINUTE) // 1_000_000


@pytest.mark.parametrize(
    "value, shown",
    [("10.500", "10.5"), ("1E+3", "1000"), ("-0.0", "0"), ("0.00000001", "0.00000001"), ("0", "0")],
)
def test_money_is_written_in_plain_digits(value, shown):
    assert text(Decimal(value)) == shown
