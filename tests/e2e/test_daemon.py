"""The daemon as a process: kill -9 with open positions, recovery, drain, replay, and the backtest beside it.

One run on real sockets serves all tests of this file; its trades never end by themselves (wide
stops, no targets), so that what is compared is compared like with like.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from core.clock import DAY, MINUTE, SECOND
from core.events import Decisions, Fill, Prediction, Reconciled, RequestReconcile, SessionStarted
from core.market import Timeframe
from core.orders import Purpose, SubmitOrder
from feeds.lake import Lake
from feeds.replay import replay
from tests.e2e.world import ROOT, World, until
from trader.backtest.run import run as backtest
from trader.backtest.run import simulate, span_opinions
from trader.journal_read import JournalReader
from trader.models import load_models, terms_of
from trader.records import Record, decode_command, decode_event
from trader.recovery import verify

pytestmark = pytest.mark.e2e

HOLD = {
    "stop_atr": 20.0,
    "target_atr": 0.0,
    "max_hold_bars": 10_000,
    "min_hold_s": 600_000.0,
}
SPEED = 120
NOT_YET = {"model_error", "not_ready", "not_reconciled", "link_down", "late_opinion"}
"""Rules that say that the daemon was still starting."""
LATENCY = {"late_opinion", "stale_quote", "wide_spread"}
"""Rules that judge the moment at which an opinion arrives, which a backtest does not know."""
START = 1_717_372_800_000_000_000  # 2024-06-03T00:00:00Z, where configs/two-traders.toml begins


class Step(NamedTuple):
    """One step as the journal tells it; `session` counts processes from 1."""

    session: int
    event: Any
    commands: list[Any]


class Told:
    """What the journal of the run says."""

    def __init__(self, journal: Path) -> None:
        self.steps: list[Step] = []
        self.rows: list[Record] = []
        session = 0
        reader = JournalReader(journal)
        for stored in reader.steps():
            event = decode_event(stored.body)
            session += isinstance(event, SessionStarted)
            commands = [decode_command(r.body) for r in stored.records if r.idx > 0]
            self.steps.append(Step(session, event, commands))
            self.rows += stored.records
        reader.close()
        self.events = [step.event for step in self.steps]
        self.commands = [command for step in self.steps for command in step.commands]

    def fills(self) -> list[Fill]:
        """Give every fill; one whose row was lost with the process comes with the venue's answer."""
        answered = (fill for answer in self.of(Reconciled) for fill in answer.fills)
        return [*self.of(Fill), *answered]

    def of(self, kind: type) -> list[Any]:
        return [item for item in (*self.events, *self.commands) if isinstance(item, kind)]


class Run:
    """The run, and what was seen of it from outside."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.exit_code = -1
        self.told: Told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    settings = {f"trader.{name}.policy.{k}": v for name in ("scalp", "swing") for k, v in HOLD.items()}
    with World(tmp_path_factory.mktemp("world"), settings, speed=SPEED) as world:
        made = Run(world)
        world.start_daemon()
        until(lambda: guarded(world.shown()), "open positions with stops", process=world.daemon)
        made.before = world.shown()
        world.kill()
        world.start_daemon()
        until(lambda: bool(world.shown()["session"]), "the next session", process=world.daemon)
        until(lambda: world.shown()["state"]["state"] == "running", "a reconciled desk", process=world.daemon)
        made.after = world.shown()
        decided = decisions(made.after)
        until(lambda: decisions(world.shown()) > decided, "decisions", process=world.daemon)
        made.exit_code = world.terminate()
        made.told = Told(world.journal)
        yield made


def decisions(state: dict[str, Any]) -> int:
    """Give how many closing instants this process has decided on."""
    return int(state["latency"]["decision_ms"]["count"])


def guarded(state: dict[str, Any]) -> bool:
    """Tell whether both accounts hold positions and every one of them shows its stop."""
    accounts = {position["account"] for position in state["positions"]}
    return accounts == {"scalp", "swing"} and all(position["stop"] for position in state["positions"])


def by_key(state: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(p["account"], p["instrument"]): p for p in state["positions"]}


def test_positions_and_their_stops_survive_a_kill(run: Run):
    before, after = by_key(run.before), by_key(run.after)
    assert before
    for key, position in before.items():
        assert after[key]["quantity"] == position["quantity"], key
        assert after[key]["stop"] == position["stop"], key
        assert after[key]["side"] == position["side"], key


def test_no_order_was_sent_twice(run: Run):
    ids = [order.cl_ord_id for order in run.told.of(SubmitOrder)]
    assert ids
    assert len(set(ids)) == len(ids)
    filled = {fill.cl_ord_id for fill in run.told.fills()}
    entries = [o for o in run.told.of(SubmitOrder) if o.purpose is Purpose.ENTRY and o.cl_ord_id in filled]
    held = [(o.trader, o.instrument) for o in entries]
    assert len(set(held)) == len(held), "a position that is held for ever is entered once"


def test_every_entry_left_behind_its_stop(run: Run):
    orders = {order.cl_ord_id: order for order in run.told.of(SubmitOrder)}
    entries = [order for order in orders.values() if order.purpose is Purpose.ENTRY]
    assert entries
    for entry in entries:
        stop = orders[entry.after]
        assert stop.purpose is Purpose.STOP
        assert stop.reduce_only
        assert stop.quantity >= entry.quantity


def test_the_venue_was_asked_before_trading_went_on(run: Run):
    events = run.told.events
    starts = [i for i, event in enumerate(events) if isinstance(event, SessionStarted)]
    assert len(starts) == 2
    answers = [i for i, e in enumerate(events) if isinstance(e, Reconciled) and i > starts[1]]
    assert answers
    assert run.told.of(RequestReconcile)


def test_a_stop_by_signal_drains_and_exits_cleanly(run: Run):
    assert run.exit_code == 0
    assert "Traceback" not in run.world.log()


def test_the_journal_of_both_processes_replays_bit_for_bit(run: Run):
    verdict = verify(run.world.journal)
    assert verdict.sessions == 2
    assert verdict.steps == len(run.told.events)
    assert verdict.remains == ""


def test_two_traders_each_have_their_own_account(run: Run):
    assert {fill.account for fill in run.told.fills()} == {"scalp", "swing"}
    for order in run.told.of(SubmitOrder):
        assert order.account == order.trader
        assert order.cl_ord_id.startswith({"scalp": "SMSC", "swing": "SMSW"}[order.trader])
    traders = {row.trader for row in run.told.rows if row.kind == "submit"}
    assert traders == {"scalp", "swing"}
    assert all(
        row.model_hash and row.config_hash and row.stage for row in run.told.rows if row.kind == "submit"
    )


def test_the_backtest_has_the_same_opinions(run: Run):
    told = {
        (p.trader, p.ts_close, o.instrument): o
        for p in run.told.of(Prediction)
        for o in p.opinions
        if o.ready
    }
    assert len(told) >= 12
    result = backtest(run.world.config, ROOT / "configs" / "market", START, START + DAY, keep_signals=True)
    replayed = {(s.trader, s.ts_close, s.instrument): s for s in result.signals}
    for key, opinion in told.items():
        same = replayed[key]
        assert (same.p_down, same.p_hold, same.p_up) == pytest.approx(
            (opinion.p_down, opinion.p_hold, opinion.p_up), abs=1e-6
        ), key


def entered(orders: list[SubmitOrder]) -> dict[tuple[str, int, str], SubmitOrder]:
    """Give entries by trader, second of the bar's close (it is in the prediction id), instrument."""
    return {
        (o.trader, int(o.prediction_id[2:].partition("-")[0]), o.instrument): o
        for o in orders
        if o.purpose is Purpose.ENTRY
    }


def test_the_backtest_sends_the_same_entries(run: Run):
    """The same desk on the same bars enters on the same closes; what differs is what latency moved.

    The daemon's decisions until it was killed, against a backtest that begins flat at the first of
    them: same trader, close, instrument and side. The price at which an order left, and the size that
    follows from it, may differ by what the market did between the close and the order.
    """
    first_life = [s for s in run.told.steps if s.session == 1]
    decisions = [c for s in first_life for c in s.commands if isinstance(c, Decisions)]
    usable = [d.ts_close for d in decisions if all(row.rule not in NOT_YET for row in d.rows)]
    first, last = min(usable), max(usable)
    config, lake_root = run.world.config, ROOT / "configs" / "market"
    models = load_models(config)
    lake = Lake(lake_root)
    series = [s for s in lake.series() if s.instrument in config.universe.instruments]
    timeframes = sorted({t for model in models.values() for t in model.timeframes}, key=lambda t: t.ns)
    instants = replay(lake, series, START, START + DAY, timeframes=timeframes)
    result = simulate(
        config,
        {name: terms_of(model) for name, model in models.items()},
        span_opinions(config, lake_root, START, START + DAY),
        ((ts, bars) for ts, bars in instants if first <= ts <= last),
        start=first - MINUTE,
        end=last,
        source=Timeframe.M5,
    )
    # From a refusal that only a clock explains (a busy machine) the two go their own ways.
    slow = {
        (d.trader, row.instrument): d.ts_close // SECOND
        for d in reversed(decisions)
        for row in d.rows
        if first <= d.ts_close <= last and row.rule in LATENCY
    }
    live, tested = (
        {k: o for k, o in entered(orders).items() if k[1] < slow.get((k[0], k[2]), last // SECOND + 1)}
        for orders in (
            [c for s in first_life for c in s.commands if isinstance(c, SubmitOrder)],
            result.sent,
        )
    )
    assert live
    assert live.keys() == tested.keys()
    for key, order in live.items():
        twin = tested[key]
        assert order.side is twin.side, key
        assert order.limit_price is not None
        assert twin.limit_price is not None
        assert float(order.limit_price) == pytest.approx(float(twin.limit_price), rel=0.004), key
        assert float(order.quantity) == pytest.approx(float(twin.quantity), rel=0.02), key


def test_rows_can_be_read_without_the_program(run: Run):
    submit = next(row for row in run.told.rows if row.kind == "submit")
    assert msgspec.msgpack.decode(submit.body)["cl_ord_id"] == submit.cl_ord_id
