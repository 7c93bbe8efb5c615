"""The risk bot: opinions in, approved intents out, and a named reason for every refusal.

Must not know how intents become orders. Called by the engine: `on_prediction` and `on_market` are
the two ways to an intent, the other verbs only inform it.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.events import Decision, Decisions, Fill, Notice, Prediction, Verb
from core.instrument import Instrument
from core.orders import Approved, OrderIntent, Refused
from core.signal import GATES, Opinion
from risk import breakers, edge, exits, limits
from risk.gate import Gate
from risk.policy import ModelTerms, RiskPolicy, ns
from risk.state import Mode, RiskState
from risk.view import AccountView

Intents = list[Approved[OrderIntent]]


class Verdict(msgspec.Struct, frozen=True):
    """What became of one opinion so far: a refusal, a close, or (neither) a candidate to enter."""

    opinion: Opinion
    edge: edge.Edge
    refused: Refused | None = None
    intent: OrderIntent | None = None


class RiskBot:
    """One trader's risk. All memory is in `state`; the rest is fixed for the session."""

    def __init__(
        self,
        trader: str,
        policy: RiskPolicy,
        terms: ModelTerms,
        instruments: Mapping[str, Instrument],
        *,
        state: RiskState,
    ) -> None:
        self.trader = trader
        self.policy = policy
        self.terms = terms
        self.state = state
        self._instruments = dict(instruments)

    @property
    def mode(self) -> Mode:
        """Give what the bot may do now."""
        return self.state.mode

    @property
    def entries_allowed(self) -> bool:
        """Tell whether entries that are already under way may go on."""
        return self.state.mode is Mode.ACTIVE and not self.state.draining

    def on_instruments(self, instruments: tuple[Instrument, ...]) -> None:
        """Learn of changed grids, minimums or status; instruments of others are ignored."""
        self._instruments.update({i.symbol: i for i in instruments if i.symbol in self._instruments})

    def on_session(self) -> None:
        """Begin a new process: what the last one drained is open again, brakes stay on."""
        self.state.draining = False

    def on_operator(self, verb: Verb, *, actor: str = "operator", force: bool = False) -> list[Notice]:
        """Obey an operator; RESUME lifts a halt or the day's loss limit only with `force`."""
        return breakers.obey(self.trader, self.state, verb, actor=actor, force=force)

    def on_halt(self, reason: str) -> None:
        """Latch a halt that the engine found necessary; what is open keeps its protection."""
        self.state.halted = self.state.halted or reason

    def on_cash(self, difference: Decimal) -> None:
        """Take a deposit out of the day's result: it is no profit to lose. What is missing is lost."""
        if self.state.day_equity > 0:
            self.state.day_equity += max(Decimal(0), difference)

    def on_fill(self, fill: Fill, before: Decimal, after: Decimal) -> None:
        """Note a position's end, where cooldowns begin; quantities are signed, around the fill."""
        if before != 0 and after == 0:
            self.state.closed_at[fill.instrument] = fill.ts
            self.state.closing.pop(fill.instrument, None)

    def on_refused(self, instrument: str, now: int) -> None:
        """Note that the venue refused an entry: this instrument cools down, many stop them all."""
        self.state.closed_at[instrument] = now
        horizon = now - ns(limits.REFUSAL_WINDOW_S)
        self.state.refused_at = [ts for ts in self.state.refused_at if ts > horizon] + [now]

    def on_market(self, view: AccountView) -> tuple[Intents, list[Notice]]:
        """Follow equity and time: pull brakes, close what is overdue or must not stay open."""
        notices = breakers.watch(self.trader, self.state, view, policy=self.policy)
        positions = view.portfolio.positions
        open_ = {*positions, *view.busy}
        if self.state.closing:
            self.state.closing = {k: v for k, v in self.state.closing.items() if k in open_}
        intents: Intents = []
        for symbol in sorted(open_ & self._instruments.keys()):
            reason = self._must_close(symbol, view)
            if reason and symbol not in self.state.closing:
                intents.append(self._close(symbol, view.now, "", reason))
        return intents, notices

    def on_prediction(self, prediction: Prediction, view: AccountView) -> tuple[Intents, Decisions]:
        """Judge every opinion of one closing instant; the best expected value gets room first."""
        opinions = prediction.opinions or (self._silence() if prediction.error else ())
        stale = limits.check_prediction(prediction, view.now, policy=self.policy, terms=self.terms)
        verdicts = [self._judge(o, view, stale=stale, source=prediction.prediction_id) for o in opinions]
        ranked = sorted(
            (v for v in verdicts if not v.refused and not v.intent),
            key=lambda v: (-v.edge.expected_value, v.opinion.instrument),
        )
        entered = self._enter(ranked, view, prediction)
        settled = [entered.get(v.opinion.instrument, v) for v in verdicts]
        intents = [Approved(v.intent) for v in settled if v.intent]
        rows = tuple(_decision(v) for v in settled)
        decisions = Decisions(
            self.trader, prediction.prediction_id, prediction.ts_close, prediction.timeframe, rows
        )
        return intents, decisions

    def _must_close(self, symbol: str, view: AccountView) -> str:
        state = self.state
        if state.must_be_flat:
            return state.halted or state.reducing or state.paused
        position = view.portfolio.positions.get(symbol)
        return exits.overdue(position, view.now, policy=self.policy, terms=self.terms) if position else ""

    def _close(self, symbol: str, now: int, source: str, reason: str) -> Approved[OrderIntent]:
        self.state.closing[symbol] = reason
        return Approved(exits.close(self.trader, symbol, now, prediction_id=source, reason=reason))

    def _silence(self) -> tuple[Opinion, ...]:
        return tuple(Opinion(s, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0) for s in self._instruments)

    def _judge(self, opinion: Opinion, view: AccountView, *, stale: Refused | None, source: str) -> Verdict:
        """Ask everything that concerns one instrument alone."""
        instrument = self._instruments.get(opinion.instrument)
        if instrument is None:
            return Verdict(opinion, edge.NONE, Refused("unknown_instrument", opinion.instrument))
        if stale is not None:
            return Verdict(opinion, edge.NONE, stale)
        unusable = edge.usable(opinion)
        if unusable:
            rule = "model_gate" if unusable.partition(":")[0] in GATES else "not_ready"
            return Verdict(opinion, edge.NONE, Refused(rule, unusable))
        quote = view.quotes.get(opinion.instrument)
        worth = edge.read(opinion, quote, terms=self.terms, taker_fee=self.policy.taker_fee)
        if opinion.instrument in view.portfolio.positions:
            return self._hold_or_close(opinion, worth, view, source)
        refused = (
            limits.check_edge(worth, self.policy)
            or limits.check_account(self.state, view)
            or limits.check_instrument(instrument, view, policy=self.policy)
            or limits.check_book(opinion, worth, self.policy)
            or limits.check_pace(opinion.instrument, self.state, view.now, policy=self.policy)
        )
        return Verdict(opinion, worth, refused)

    def _hold_or_close(self, opinion: Opinion, worth: edge.Edge, view: AccountView, source: str) -> Verdict:
        position = view.portfolio.positions[opinion.instrument]
        if opinion.instrument in self.state.closing:
            return Verdict(opinion, worth, Refused("closing", self.state.closing[opinion.instrument]))
        if not exits.opposes(worth.direction, position):
            return Verdict(opinion, worth, Refused("already_positioned", f"{position.quantity}"))
        if worth.confidence < self.policy.min_confidence:
            return Verdict(opinion, worth, limits.check_edge(worth, self.policy))
        if exits.too_young(position, view.now, self.policy):
            return Verdict(opinion, worth, Refused("min_hold", f"{(view.now - position.opened) / 1e9:.0f} s"))
        intent = self._close(opinion.instrument, view.now, source, "opposite opinion").value
        return Verdict(opinion, worth, None, intent)

    def _enter(self, ranked: list[Verdict], view: AccountView, prediction: Prediction) -> dict[str, Verdict]:
        """Give out what the account has room for, one candidate after the other."""
        gate = Gate(view, self.state, policy=self.policy, instruments=self._instruments)
        entered: dict[str, Verdict] = {}
        for candidate in ranked:
            symbol = candidate.opinion.instrument
            # Asked again: what was entered a moment ago counts toward the day.
            outcome = limits.check_pace(symbol, self.state, view.now, policy=self.policy) or gate.offer(
                candidate.opinion, candidate.edge
            )
            if isinstance(outcome, Refused):
                entered[symbol] = Verdict(candidate.opinion, candidate.edge, outcome)
                continue
            self.state.entered_at.append(view.now)
            intent = OrderIntent(
                trader=self.trader,
                instrument=symbol,
                target=outcome.quantity * candidate.edge.direction.sign,
                stop=outcome.prices.stop,
                take_profit=outcome.prices.take_profit,
                entry_limit=outcome.prices.entry_limit,
                expires=prediction.ts_close + ns(self.policy.opinion_max_age_s),
                prediction_id=prediction.prediction_id,
                reason=f"{candidate.edge.direction.value} at {candidate.edge.confidence:.3f}",
            )
            entered[symbol] = Verdict(candidate.opinion, candidate.edge, None, intent)
        return entered


def _decision(verdict: Verdict) -> Decision:
    refused = verdict.refused
    detail = refused.detail if refused else verdict.intent.reason if verdict.intent else ""
    return Decision(
        instrument=verdict.opinion.instrument,
        direction=verdict.edge.direction,
        confidence=verdict.edge.confidence,
        expected_value=verdict.edge.expected_value,
        rule=refused.rule if refused else "",
        detail=detail,
    )
