"""The engine: everything one account decides, as one synchronous function of events.

Must not know clocks, files, sockets or threads. Called by trader.desk only; the same code runs
live, on paper, in backtests, in recovery and under `replay --verify`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from core.clock import HOUR, SECOND
from core.events import (
    BarsClosed,
    Command,
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
    RequestOpinion,
    SessionStarted,
    SetupChanged,
    Severity,
    Stream,
    Timer,
)
from core.instrument import Instrument
from core.market import Quote
from core.orders import Approved, OrderIntent, OrderState, Purpose
from core.portfolio import Portfolio, apply_fill
from execution.manager import OrderManager
from execution.state import ExecutionState
from risk.bot import RiskBot
from risk.state import Mode, RiskState
from risk.view import AccountView
from trader.setup import AccountSetup, TraderSetup

ROUNDING = Decimal("0.01")
"""A smaller difference in cash is the venue's rounding of its ledger: adopted without a word."""

LENDING = Decimal("0.001")
"""Of what is borrowed: three times what a rollover costs at most. So much is no news in LENDING_PERIOD."""
LENDING_PERIOD = 4 * HOUR


class EngineState(msgspec.Struct):
    """All memory of one engine: plain data that a snapshot can hold and two runs can compare."""

    account: str
    portfolio: Portfolio
    risk: RiskState
    execution: ExecutionState
    quotes: dict[str, Quote] = {}
    received: dict[str, int] = {}
    listed: dict[str, Instrument] = {}
    public_up: bool = False
    private_up: bool = False
    private_since: int = 0  # when the private link last came up, or last had a gap
    reconciled: bool = False
    system: str = "online"
    asked_at: int = 0  # when an opinion was last asked for, and how many so far at that very time
    lots: int = 0
    quality: dict[str, tuple[str, ...]] = {}
    lent_since: int = 0  # and the share of what was borrowed that was paid for it since without a word
    lent: Decimal = Decimal(0)


class Engine:
    """One account, its trader, and the road from an event to commands."""

    def __init__(
        self,
        account: AccountSetup,
        trader: TraderSetup,
        *,
        instruments: Mapping[str, Instrument],
        state: EngineState | None,
    ) -> None:
        """Compose the stages around `state`, or around a fresh one."""
        self.state = state or EngineState(
            account.name, Portfolio(cash=account.cash), RiskState(), ExecutionState()
        )
        self._trader = trader
        self._instruments = tuple(instruments[s] for s in trader.instruments if s in instruments)
        mine = {i.symbol: self.state.listed.get(i.symbol, i) for i in self._instruments}
        self._mine = frozenset(mine)
        self._risk = RiskBot(trader.name, trader.policy, trader.terms, mine, state=self.state.risk)
        self._orders = OrderManager(
            account.name,
            trader.name,
            code=trader.code,
            instruments=mine,
            state=self.state.execution,
            timing=trader.timing,
        )
        self._now = 0

    def equity(self) -> Decimal:
        """Give the account's equity at the last quotes."""
        portfolio = self.state.portfolio
        return portfolio.equity(self._marks()) if portfolio.positions else portfolio.cash

    def in_play(self) -> frozenset[str]:
        """Give the instruments with a position or an order that may still do something."""
        orders = self.state.execution.orders.values()
        return frozenset(self.state.portfolio.positions).union(
            order.submit.instrument for order in orders if not order.state.terminal
        )

    def orders_under_way(self) -> bool:
        """Tell whether an entry may still fill, or a guard may not have reached the venue yet."""
        return any(
            order.state is OrderState.SUBMITTING
            or (order.submit.purpose is Purpose.ENTRY and not order.state.terminal)
            for order in self.state.execution.orders.values()
        )

    def obstacles(self) -> list[str]:
        """Give what keeps this account from trading; empty = nothing."""
        state, name = self.state, self.state.account
        found = {
            "public feed is down": not state.public_up,
            f"private link of {name} is down": not state.private_up,
            f"{name} is not reconciled with the venue": not state.reconciled,
            f"venue is {state.system}": state.system != "online",
            f"{name} is {self._risk.mode.value}": self._risk.mode is not Mode.ACTIVE,
        }
        return [reason for reason, holds in found.items() if holds]

    def concerns(self, event: Event) -> bool:
        """Tell whether the event is for this engine; market and control events are for all."""
        match event:
            case Prediction():
                return event.trader == self._trader.name
            case OrderUpdate() | Fill() | Reconciled():
                return event.account == self.state.account
            case LinkChange():
                return event.account in {"", self.state.account}
            case _:
                return True

    def on_event(self, event: Event) -> list[Command]:
        """Take one event in and give everything it makes this account ask for."""
        self._now = event.ts
        said: list[Command] = []
        intents: Sequence[Approved[OrderIntent]] = ()
        match event:
            case SessionStarted():
                self._on_session(event)
            case SetupChanged():
                pass  # the desk composed this engine anew around its state
            case InstrumentsChanged():
                self._on_instruments(event)
            case QualityChanged():
                self._on_quality(event)
            case Quotes():
                equity = self._on_quotes(event)
                intents, notices = self._risk.on_market(self._view(equity))
                said += notices
            case BarsClosed():
                said += self._ask_opinion(event)
            case Prediction():
                intents, decisions = self._risk.on_prediction(event, self._view())
                said.append(decisions)
            case OrderUpdate() | Fill():
                said += self._on_report(event)
            case LinkChange():
                said += self._on_link(event)
            case Reconciled():
                said += self._on_reconciled(event)
            case Timer():
                intents, notices = self._risk.on_market(self._view())
                said += [*notices, *self._ask_venue()]
            case Operator():
                said += self._risk.on_operator(event.verb, actor=event.actor, force=event.force)
                intents, notices = self._risk.on_market(self._view())
                said += notices
        return said + self._act(intents)

    def _act(self, intents: Sequence[Approved[OrderIntent]]) -> list[Command]:
        """Make the venue equal the intents, as far as it can be spoken to."""
        state = self.state
        commands: list[Command] = [*self._orders.on_intents(intents, self._now, state.portfolio)]
        commands += self._orders.replan(
            self._now,
            state.portfolio,
            state.quotes,
            entries_allowed=self._risk.entries_allowed,
            ready=state.private_up and (state.reconciled or self._waited_for_truth()),
            proved=state.reconciled,
        )
        return commands

    def _waited_for_truth(self) -> bool:
        """Tell whether REST has had its time: known positions are not left naked for its sake."""
        return self._now - self.state.private_since >= self._trader.timing.settle

    def _on_session(self, event: SessionStarted) -> None:
        state = self.state
        state.public_up = state.private_up = state.reconciled = False
        # What changed in an earlier session is part of what the venue lists at the start of this one.
        state.listed = {}
        state.quality = {}
        self._risk.on_instruments(self._instruments)
        self._orders.on_instruments(self._instruments)
        self._risk.on_session()
        self._orders.on_session(event.session)

    def _on_instruments(self, event: InstrumentsChanged) -> None:
        self.state.listed.update({i.symbol: i for i in event.instruments if i.symbol in self._mine})
        self._risk.on_instruments(event.instruments)
        self._orders.on_instruments(event.instruments)

    def _on_quality(self, event: QualityChanged) -> None:
        for change in event.changes:
            if change.verdicts and change.instrument in self._mine:
                self.state.quality[change.instrument] = change.verdicts
            else:
                self.state.quality.pop(change.instrument, None)

    def _on_quotes(self, event: Quotes) -> Decimal:
        """Take the touches in and give the equity at them."""
        for quote in event.quotes:
            if quote.instrument in self._mine:
                self.state.quotes[quote.instrument] = quote
                self.state.received[quote.instrument] = event.ts
        equity = self.equity()
        if equity > self.state.portfolio.peak_equity:
            self.state.portfolio = msgspec.structs.replace(self.state.portfolio, peak_equity=equity)
        return equity

    def _ask_opinion(self, event: BarsClosed) -> list[Command]:
        due = tuple(
            bar.instrument
            for bar in event.bars
            if bar.timeframe is self._trader.decision and bar.instrument in self._mine
        )
        if not due:
            return []
        return [
            RequestOpinion(
                trader=self._trader.name,
                prediction_id=self._prediction_id(event.ts_close),
                timeframe=self._trader.decision,
                ts_close=event.ts_close,
                instruments=due,
            )
        ]

    def _prediction_id(self, ts_close: int) -> str:
        """Name a question by its close, how long after it it is put, and its place among those put then.

        Nothing is counted over time: who wakes only now and then gives the same names.
        """
        state = self.state
        state.lots = state.lots + 1 if state.asked_at == self._now else 1
        state.asked_at = self._now
        return f"{self._trader.code}{ts_close // SECOND}-{self._now - ts_close}-{state.lots}"

    def _on_report(self, report: OrderUpdate | Fill) -> list[Command]:
        applied = self._orders.on_report(report)
        for fill in applied.fills:
            self._book(fill)
        for instrument in applied.refused:
            self._risk.on_refused(instrument, self._now)
        return [*applied.notices]

    def _book(self, fill: Fill) -> None:
        before = self.state.portfolio.quantity(fill.instrument)
        self.state.portfolio, _ = apply_fill(self.state.portfolio, fill)
        self._risk.on_fill(fill, before, self.state.portfolio.quantity(fill.instrument))

    def _on_link(self, event: LinkChange) -> list[Command]:
        state = self.state
        if event.stream is Stream.PUBLIC:
            state.public_up = event.up
            state.system = event.system
            return []
        state.private_up, state.private_since = event.up, self._now
        state.reconciled = False
        return [self._orders.request_reconcile(self._now)] if event.up else []

    def _on_reconciled(self, event: Reconciled) -> list[Command]:
        outcome = self._orders.on_reconciled(event, self.state.portfolio)
        for fill in outcome.fills:
            self._book(msgspec.structs.replace(fill, ts=event.ts))  # known from now on: cooldowns begin
        notices: list[Command] = [*outcome.notices]
        if not outcome.doubtful:
            notices += self._adopt_cash(event.cash)
        if outcome.mismatches:
            reason = f"the venue holds another position in {', '.join(outcome.mismatches)}"
            self._risk.on_halt(reason)
            notices.append(Notice(Severity.CRITICAL, "halted", reason, self._trader.name))
        # An answer from before a gap says nothing of what happened in it.
        asked_at = event.asked_at or self._now
        proved = asked_at >= self.state.private_since and not outcome.doubtful
        self.state.reconciled = self.state.reconciled or proved
        return notices

    def _adopt_cash(self, cash: Decimal) -> list[Command]:
        """Take the venue's cash for true: deposits, rollover fees and roundings are only known there."""
        portfolio = self.state.portfolio
        difference = cash - portfolio.cash
        if difference == 0:
            return []
        self.state.portfolio = msgspec.structs.replace(
            portfolio, cash=cash, peak_equity=max(Decimal(0), portfolio.peak_equity + difference)
        )
        if abs(difference) < ROUNDING or self._is_lending(-difference):
            return []
        self._risk.on_cash(difference)
        text = f"cash is {cash} at the venue, {portfolio.cash} here; the venue's figure counts"
        return [Notice(Severity.INFO, "cash_adopted", text, trader=self._trader.name)]

    def _is_lending(self, paid: Decimal) -> bool:
        """Tell whether lending explains a payment, together with what it has explained in its period."""
        state = self.state
        borrowed = sum((position.cost for position in state.portfolio.positions.values()), Decimal(0))
        if paid <= 0 or borrowed <= 0:
            return False
        if self._now - state.lent_since >= LENDING_PERIOD:
            state.lent_since, state.lent = self._now, Decimal(0)
        share = state.lent + paid / borrowed
        if share > LENDING:
            return False
        state.lent = share
        return True

    def _ask_venue(self) -> list[Command]:
        state = self.state
        if not state.private_up or not self._orders.needs_reconcile(self._now, state.portfolio):
            return []
        return [self._orders.request_reconcile(self._now, repeat=True)]

    def _marks(self) -> dict[str, Decimal]:
        quotes = self.state.quotes
        return {s: quotes[s].mid for s in self.state.portfolio.positions if s in quotes}

    def _view(self, equity: Decimal | None = None) -> AccountView:
        state = self.state
        return AccountView(
            now=self._now,
            equity=self.equity() if equity is None else equity,
            portfolio=state.portfolio,
            quotes=state.quotes,
            received=state.received,
            busy=self._orders.busy(state.portfolio),
            public_up=state.public_up,
            private_up=state.private_up,
            reconciled=state.reconciled,
            system=state.system,
            quality=state.quality,
        )
