"""Logs without secrets, figures without guesses."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from core.clock import MINUTE, SECOND, ManualClock
from core.events import BarsClosed, LinkChange, Stream, Timer
from core.market import Bar, Timeframe
from core.orders import OrderState, Side
from core.version import VERSION
from tests import desk_story as story
from trader.state import ReadModel
from trader.telemetry import ORDERS_WATCHED, REDACTED, Redactor, Telemetry, set_up_logging

CANARY = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def logs():
    """Give a configured log and put the process's logging back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []

    def configure(stream=None, **more):
        out = stream or io.StringIO()
        set_up_logging(ManualClock(story.START), stream=out, **more)
        return out

    yield configure
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


# ---- logs ----


def test_a_line_is_json_with_market_time_and_context(logs):
    out = logs(mode="paper", run_id="7")
    structlog.get_logger("trader").info("order_sent", order="SM1")
    assert lines(out) == [
        {
            "ts": "2024-05-27T09:00:00.000000Z",
            "mode": "paper",
            "run_id": "7",
            "order": "SM1",
            "event": "order_sent",
            "level": "info",
            "logger": "trader",
        }
    ]


def test_no_secret_passes_whoever_logs_it(logs):
    out = logs(secrets=["plain-known-secret"])
    log = structlog.get_logger("trader")
    log.warning(
        "request", headers={"API-Key": "abcdefgh", "nested": [{"token": "x"}]}, url="http://h/#t=" + "a" * 43
    )
    careless = f"header was Bearer {CANARY}"
    log.error(careless, body=CANARY.encode(), known="plain-known-secret")
    logging.getLogger("ccxt").warning("sent %s", {"secret": CANARY})
    try:
        int(CANARY)
    except ValueError:
        log.exception("failed")
    text = out.getvalue()
    for secret in (CANARY, CANARY[:40], "abcdefgh", "plain-known-secret", "a" * 43):
        assert secret not in text
    assert text.count(REDACTED) >= 7


def test_ordinary_words_stay():
    line = {
        "cl_ord_id": "SMHB00001",
        "prediction_id": "HB1",
        "monkey": "fur",
        "count": 3,
        "ok": True,
        "none": None,
    }
    assert Redactor(["short"])(None, "info", dict(line)) == line


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.text(max_size=20) | st.just(CANARY) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    )
)
def test_a_known_secret_never_survives_any_nesting(value):
    assert CANARY not in repr(Redactor([CANARY]).clean(value))


def test_levels_and_library_lines(logs):
    out = logs(level="warning")
    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").warning("loud %d", 1)
    assert [(line["event"], line["level"]) for line in lines(out)] == [("loud 1", "warning")]
    with pytest.raises(ValueError, match="expected debug, info"):
        logs(level="chatty")


def test_under_journald_each_line_has_its_priority(logs):
    out = logs(journald=True, stream=Terminal())
    structlog.get_logger("a").error("boom")
    assert out.getvalue().startswith('<3>{"ts"')


def test_on_a_terminal_lines_are_for_people(logs):
    out = logs(stream=Terminal())
    log = structlog.get_logger("a")
    log.info("hello", x=1)
    try:
        int(CANARY)
    except ValueError:
        log.exception("failed")
    assert "hello" in out.getvalue()
    assert not out.getvalue().startswith("{")
    assert "ValueError" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_a_log_file_holds_json_and_the_terminal_nothing(logs, tmp_path):
    out = logs(stream=Terminal(), path=tmp_path / "daemon.log")
    structlog.get_logger("a").info("hello")
    logging.getLogger().handlers[0].close()
    assert json.loads((tmp_path / "daemon.log").read_text("utf-8"))["event"] == "hello"
    assert out.getvalue() == ""


# ---- metrics ----


def counted(steps):
    model = ReadModel(story.setup(), speed=60.0)
    metrics = Telemetry(model)
    for seq, (event, commands) in enumerate(steps, 1):
        model.on_step(seq, event, commands)
        metrics.on_step(seq, event, commands)
    return model, metrics


def samples(metrics):
    text = metrics.exposition().decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def value(metrics, series, **labels):
    return samples(metrics)[series, tuple(sorted(labels.items()))]


def test_the_hour_in_figures():
    model, metrics = counted(story.hour())
    assert value(metrics, "trader_build_info", version=VERSION, mode="paper") == 1
    assert value(metrics, "trader_state", state="running") == 1
    assert value(metrics, "trader_state", state="halted") == 0
    assert value(metrics, "trader_equity_usd", account=story.ACCOUNT) == pytest.approx(
        float(model.total_equity())
    )
    assert value(metrics, "trader_position_notional_usd", symbol="DOGE/USDT") < 0
    assert value(metrics, "trader_fills_total", symbol="BTC/USDT", side="buy") == 2
    assert value(metrics, "trader_orders_total", symbol="BTC/USDT", side="buy", status="filled") == 2
    assert value(metrics, "trader_risk_rejections_total", rule="cooldown") == 1
    assert value(metrics, "trader_decision_seconds_count", stage="inference") == 3
    assert value(metrics, "trader_model_info", trader=story.TRADER, name="entry-15m", sha="5f3a9c0e71d2") == 1


def test_the_first_report_is_the_acknowledgement():
    wish = story.submit("SM1", "BTC/USDT", Side.BUY, "1")
    ts = story.START
    _, metrics = counted(
        [
            (Timer(ts), [wish]),
            (story.order_update("SM1", OrderState.WORKING, ts=ts + SECOND // 50), []),
            (story.order_update("SM1", OrderState.FILLED, ts=ts + 60 * SECOND), []),
            (story.order_update("SM1", OrderState.FILLED, ts=ts + 61 * SECOND), []),
            (story.order_update("SMSTRANGE", OrderState.WORKING, ts=ts), []),
        ]
    )
    assert value(metrics, "trader_order_ack_seconds_count") == 1
    assert value(metrics, "trader_order_ack_seconds_sum") == pytest.approx(0.02)


def test_only_a_link_that_came_back_is_a_reconnect():
    def link(up):
        return (LinkChange(story.START, Stream.PUBLIC, up=up), [])

    _, metrics = counted([link(True), link(False), link(True), link(False), link(True)])
    assert value(metrics, "trader_ws_reconnects_total", stream="public") == 2


def test_bar_age_is_in_seconds_of_the_wall():
    bar = Bar("BTC/USDT", Timeframe.M5, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
    closed = 5 * MINUTE
    _, metrics = counted([(BarsClosed(closed, closed, (bar,)), []), (Timer(closed + 60 * SECOND), [])])
    assert value(metrics, "trader_bar_age_seconds", symbol="BTC/USDT", tf="5m") == pytest.approx(1.0)


def test_what_the_shell_measures():
    _, metrics = counted([])
    metrics.on_latency(3_000_000)
    metrics.on_loop_lag(0.25)
    assert value(metrics, "trader_decision_seconds_sum", stage="decision") == pytest.approx(0.003)
    assert value(metrics, "trader_event_loop_lag_seconds") == 0.25


def test_a_closed_position_leaves_no_figure_behind():
    _, metrics = counted(story.hour())
    assert ("trader_position_notional_usd", (("symbol", "BTC/USDT"),)) in samples(metrics)
    out = story.fill("X", "SMX", "BTC/USDT", Side.SELL, "0.03600", "68000", ts=story.START)
    metrics._model.on_step(999, out, [])
    assert ("trader_position_notional_usd", (("symbol", "BTC/USDT"),)) not in samples(metrics)


def test_orders_that_never_end_are_forgotten_in_the_end():
    wishes = [story.submit(f"SM{n}", "BTC/USDT", Side.BUY, "1") for n in range(ORDERS_WATCHED + 50)]
    _, metrics = counted([(Timer(story.START), wishes)])
    assert len(metrics._asked_at) == ORDERS_WATCHED


def test_two_registries_do_not_know_each_other():
    assert counted([])[1].registry is not counted([])[1].registry
