"""The desk as people see it: a fold of engine steps and nothing else.

Must not know the engine, clocks, sockets or how it is shown. Extended by trader.state.ReadModel,
read by trader.state_view. Its memory is bounded by the number of instruments and orders.
"""

import enum
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from core.clock import SECOND
from core.events import (
    BarsClosed,
    Command,
    Decisions,
    Event,
    Fill,
    InstrumentsChanged,
    LinkChange,
    Notice,
    Operator,
    OrderUpdate,
    Prediction,
    QualityChanged,
    Quotes,
    Reconciled,
    SessionStarted,
    SetupChanged,
    Stream,
    Timer,
    Verb,
)
from core.market import Bar
from core.orders import AmendOrder, CancelOrder, Order, SubmitOrder
from core.portfolio import ZERO, Portfolio, Position
from trader.setup import DeskSetup
from trader.state_account import AccountBoard
from trader.state_market import MarketBoard
from trader.state_opinions import OpinionBoard

KEPT_NOTICES = 50
KEPT_CURVE = 240
CURVE_STEP_S = 2.0
WAITING = "waiting for the venue's view of every account"


class Phase(enum.StrEnum):
    """What the daemon is doing, in the words of page, CLI and metrics."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    REDUCING = "reducing"
    HALTED = "halted"
    STOPPING = "stopping"


STRENGTH = {phase: rank for rank, phase in enumerate(Phase)}
"""Later in the list = stronger: a weaker brake never hides a stronger one."""


class NoticeLine(msgspec.Struct, frozen=True):
    """A notice; one that repeats at once is counted instead of listed again."""

    ts: int
    notice: Notice
    times: int = 1


class Readiness(msgspec.Struct, frozen=True):
    """How many instruments can be decided on, of how many; `cold_start_s` once all can."""

    ready: int = 0
    wanted: int = 0
    cold_start_s: float | None = None


class Parity(msgspec.Struct, frozen=True):
    """How often live features were computed again offline, and what came of it."""

    checks: int = 0
    values: int = 0
    differing: int = 0


class LinkLine(msgspec.Struct, frozen=True):
    """The newest word on one stream."""

    up: bool
    since: int
    system: str
    reason: str


class DeskBoard:
    """A pure fold of steps: the same steps give the same view.

    `speed` is how many seconds of market time pass in a second of the wall; ages are told in
    seconds of the wall, for they are read by people.
    """

    def __init__(self, setup: DeskSetup, *, speed: float = 1.0) -> None:
        self.setup = setup
        self.speed = speed
        self.instruments = {i.symbol: i for i in setup.instruments}
        self.accounts = {a.name: AccountBoard(a.name, currency=a.quote, cash=a.cash) for a in setup.accounts}
        self.market = MarketBoard()
        self.opinions = OpinionBoard()
        self.notices: deque[NoticeLine] = deque(maxlen=KEPT_NOTICES)
        self.curve: list[tuple[int, Decimal]] = []
        self._curve_step = round(CURVE_STEP_S * SECOND * speed)
        self.quality: dict[str, tuple[str, ...]] = {}
        self.readiness = Readiness()
        self.parity = Parity()
        self.links: dict[tuple[Stream, str], LinkLine] = {}
        self.session: SessionStarted | None = None
        self.phase = Phase.STARTING
        self.why = WAITING
        self.phase_since = 0
        self._latched: tuple[Phase, str] | None = None
        self._flattening = False
        self.seq = 0
        self.now = 0
        self.revision = 0
        self.chart_revision = 0

    # ---- in ----

    def on_step(self, seq: int, event: Event, commands: Sequence[Command]) -> None:
        """Fold in one engine step: an event and the commands that it caused."""
        self.seq = seq
        self.now = event.ts
        self.revision += 1
        self._on_event(event)
        for command in commands:
            self._on_command(command)
        if isinstance(event, (Quotes, BarsClosed, Fill, Reconciled, Timer)):
            self._settle()

    def on_recovered(
        self, account: str, portfolio: Portfolio, orders: Iterable[Order], *, day_equity: Decimal
    ) -> None:
        """Take over what the last process left: portfolio, own orders, the day's opening equity."""
        self._account(account).on_recovered(portfolio, orders, day_equity=day_equity, ts=self.now)
        self.revision += 1

    def on_brake(self, phase: Phase, why: str) -> None:
        """Take over a brake that the last process left on (paused, reducing, halted)."""
        self._brake(phase, why)
        self.revision += 1

    def on_history(self, bars: Iterable[Bar]) -> None:
        """Show bars from before the session (warm start), oldest first."""
        self.market.on_history(bars)
        self.chart_revision += 1
        self.revision += 1

    def on_readiness(self, ready: int, wanted: int, cold_start_s: float | None) -> None:
        """Take how many instruments have their history; it comes one by one at the start."""
        self.readiness = Readiness(ready, wanted, cold_start_s)
        self.revision += 1

    def on_latency(self, ns: int, instruments: int) -> None:
        """Take one measured decision: last bar in to last intent out, monotonic ns."""
        self.opinions.on_latency(ns, instruments)
        self.revision += 1

    def on_stage(self, stage: str, ns: int) -> None:
        """Take how long one stage of a decision took, monotonic ns."""
        self.opinions.on_stage(stage, ns)
        self.revision += 1

    def on_parity(self, values: int, differing: int) -> None:
        """Take how many live feature values were compared so far, and how many differed just now."""
        self.parity = Parity(self.parity.checks + 1, values, differing)
        self.revision += 1

    def on_notice(self, notice: Notice) -> None:
        """Show what the shell has to say: it is no step of the engine, so the journal lacks it."""
        self._on_notice(notice)
        self.revision += 1

    # ---- out ----

    def marks(self, account: AccountBoard) -> dict[str, Decimal]:
        """Give the marks of an account's open positions."""
        return self.market.marks(account.portfolio.positions)

    def total_equity(self) -> Decimal:
        """Add up the accounts that share the first one's currency: others cannot be added."""
        currency = self.currency
        return sum(
            (a.portfolio.equity(self.marks(a)) for a in self.accounts.values() if a.currency == currency),
            ZERO,
        )

    @property
    def currency(self) -> str:
        """The currency of the headline figures."""
        return next((a.currency for a in self.accounts.values()), "")

    def held(self) -> Iterable[tuple[AccountBoard, Position]]:
        """Give every open position with its account."""
        return [(a, p) for a in self.accounts.values() for p in a.portfolio.positions.values()]

    def link(self, stream: Stream) -> LinkLine | None:
        """Give the worst link of a stream, None before the first word."""
        lines = [line for (kind, _), line in self.links.items() if kind is stream]
        return min(lines, key=lambda line: (line.up, line.since), default=None)

    def seconds(self, market_ns: int) -> float:
        """Turn a market duration into seconds of the wall."""
        return market_ns / SECOND / self.speed

    # ---- events ----

    def _on_event(self, event: Event) -> None:
        match event:
            case BarsClosed():
                self.market.on_bars(event.ts, event.bars)
                self.chart_revision += 1
            case Quotes():
                self.market.on_quotes(event.ts, event.quotes)
            case Prediction():
                self.opinions.on_prediction(event)
            case Fill():
                self._account(event.account).on_fill(event)
                self.chart_revision += 1
            case OrderUpdate():
                self._account(event.account).on_order(event)
                self.chart_revision += 1
            case Reconciled():
                account = self._account(event.account)
                account.on_reconciled(event, self.market.marks(p.instrument for p in event.positions))
                self.chart_revision += 1
            case LinkChange():
                key = (event.stream, event.account)
                self.links[key] = LinkLine(event.up, event.ts, event.system, event.reason)
            case QualityChanged():
                self._on_quality(event)
            case InstrumentsChanged():
                self.instruments.update({i.symbol: i for i in event.instruments})
            case SessionStarted():
                self._on_session(event)
            case Operator():
                self._on_operator(event)
            case SetupChanged():
                self._on_setup(msgspec.msgpack.decode(event.setup, type=DeskSetup))
            case Timer():
                pass

    def _on_session(self, event: SessionStarted) -> None:
        """Look at the venue first, as any new process must; brakes of the last one stay on."""
        self.session = event
        self.quality.clear()
        for account in self.accounts.values():
            account.reconciled = False
        if self.phase in {Phase.PAUSED, Phase.REDUCING, Phase.HALTED}:
            self._latched = (self.phase, self.why)
        self._enter(Phase.STARTING, WAITING)

    def _on_quality(self, event: QualityChanged) -> None:
        for change in event.changes:
            self.quality.pop(change.instrument, None)
            if change.verdicts:
                self.quality[change.instrument] = change.verdicts

    def _on_setup(self, setup: DeskSetup) -> None:
        self.setup = setup
        self.instruments.update({i.symbol: i for i in setup.instruments})
        self.opinions.on_setup({trader.name: trader.decision for trader in setup.traders})

    def _on_operator(self, event: Operator) -> None:
        """Show what was asked for. A resume may be refused, so its notice is waited for."""
        said = f"{event.verb} by {event.actor}" + (f": {event.reason}" if event.reason else "")
        match event.verb:
            case Verb.PAUSE:
                self._brake(Phase.PAUSED, said)
            case Verb.FLATTEN:
                if self.phase is not Phase.REDUCING:
                    self._flattening = self._brake(Phase.REDUCING, said)
            case Verb.KILL:
                self._brake(Phase.HALTED, said)
            case Verb.DRAIN:
                self._enter(Phase.STOPPING, said)
            case Verb.RESUME:
                pass

    # ---- commands ----

    def _on_command(self, command: Command) -> None:
        match command:
            case SubmitOrder():
                self._account(command.account).on_submit(self.now, command)
            case AmendOrder():
                self._account(command.account).on_amend(command)
            case CancelOrder():
                self._account(command.account).on_cancel(command)
            case Decisions():
                self.opinions.on_decisions(command)
            case Notice():
                self._on_notice(command)
            case _:
                pass

    def _on_notice(self, notice: Notice) -> None:
        match notice.code:
            case "halted":
                self._brake(Phase.HALTED, notice.text)
            case "daily_loss":
                self._brake(Phase.REDUCING, notice.text)
            case "resume" | "new_day":
                self._release(notice.code)
            case _:
                pass
        last = self.notices[-1] if self.notices else None
        if last is not None and last.notice == notice:
            self.notices[-1] = NoticeLine(self.now, notice, last.times + 1)
        else:
            self.notices.append(NoticeLine(self.now, notice))

    # ---- inside ----

    def _account(self, name: str) -> AccountBoard:
        if name not in self.accounts:
            self.accounts[name] = AccountBoard(name, currency=self.currency, cash=ZERO)
        return self.accounts[name]

    def _enter(self, phase: Phase, why: str) -> None:
        self.phase, self.why, self.phase_since = phase, why, self.now

    def _brake(self, phase: Phase, why: str) -> bool:
        """Pull a brake unless a stronger one is on; tells whether it was pulled."""
        if self.phase is Phase.STARTING:
            if self._latched is None or STRENGTH[phase] >= STRENGTH[self._latched[0]]:
                self._latched = (phase, why)
            return True
        if STRENGTH[phase] < STRENGTH[self.phase]:
            return False
        self._enter(phase, why)
        return True

    def _release(self, code: str) -> None:
        """Let go of a brake: a resume of any, a new day of the daily loss limit only."""
        daily = self.phase is Phase.REDUCING and not self._flattening
        if self.phase is Phase.STARTING:
            self._latched = None if code == "resume" else self._latched
        elif code == "resume" or daily:
            self._flattening = False
            self._enter(Phase.RUNNING, "")

    def _settle(self) -> None:
        """Bring the figures that depend on time and marks up to date."""
        for account in self.accounts.values():
            account.on_time(self.now, self.marks(account))
        if self.phase is Phase.STARTING and all(a.reconciled for a in self.accounts.values()):
            self._enter(*(self._latched or (Phase.RUNNING, "")))
            self._latched = None
        if self.phase is Phase.REDUCING and self._flattening and not self.held():
            self._flattening = False
            self._enter(Phase.PAUSED, f"flat after {self.why}")
        if not self.curve or self.now - self.curve[-1][0] >= self._curve_step:
            self._plot()

    def _plot(self) -> None:
        """Add a point to the equity curve; a full curve is thinned, so that it spans the session."""
        if len(self.curve) >= KEPT_CURVE:
            self.curve = self.curve[::2]
            self._curve_step *= 2
        self.curve.append((self.now, self.total_equity()))
