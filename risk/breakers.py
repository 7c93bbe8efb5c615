"""Brakes of the whole account: daily loss, drawdown, operator.

Must not know signals or orders. Called by risk.bot on every market event and operator order; it
changes RiskState and says so in notices, and never releases a stronger brake for a weaker one.
"""

from decimal import Decimal
from typing import assert_never

from core.clock import DAY
from core.events import Notice, Severity, Verb
from risk.policy import RiskPolicy, exact
from risk.state import RiskState
from risk.view import AccountView

ZERO = Decimal(0)


def watch(trader: str, state: RiskState, view: AccountView, *, policy: RiskPolicy) -> list[Notice]:
    """Follow equity: roll the UTC day, raise the peak, pull the brakes that are due.

    Before the first reconciliation equity means nothing, so nothing is concluded from it.
    """
    if not view.reconciled or (view.equity <= 0 and state.day_equity <= 0):
        return []
    notices = _roll(trader, state, view)
    state.peak_equity = max(state.peak_equity, view.equity)
    at_peak = view.equity == state.peak_equity
    if not (state.halted or at_peak) and drawdown(state, view.equity) >= exact(policy.max_drawdown):
        state.flatten = True
        state.halted = f"drawdown of {drawdown(state, view.equity):.2%} from {state.peak_equity:.2f}"
        notices.append(Notice(Severity.CRITICAL, "halted", f"{state.halted}; closing everything", trader))
    lost = 1 - view.equity / state.day_equity if state.day_equity > 0 else ZERO
    if not state.reducing and lost >= exact(policy.max_daily_loss):
        state.reducing = f"lost {lost:.2%} of {state.day_equity:.2f} since 00:00 UTC"
        notices.append(
            Notice(Severity.CRITICAL, "daily_loss", f"{state.reducing}; closing everything", trader)
        )
    return notices


def drawdown(state: RiskState, equity: Decimal) -> Decimal:
    """Give the fraction below the peak, 0 at or above it."""
    return max(ZERO, 1 - equity / state.peak_equity) if state.peak_equity > 0 else ZERO


def obey(trader: str, state: RiskState, verb: Verb, *, actor: str, force: bool) -> list[Notice]:
    """Apply an operator's order; only a forced resume lifts a halt or the day's loss limit."""
    match verb:
        case Verb.PAUSE:
            state.paused = f"by {actor}"
        case Verb.FLATTEN:
            state.paused, state.flatten = f"flattened by {actor}", True
        case Verb.KILL:
            state.halted, state.flatten = f"killed by {actor}", True
        case Verb.DRAIN:
            state.draining = True
        case Verb.RESUME:
            return _resume(trader, state, actor=actor, force=force)
        case _:
            assert_never(verb)
    return [Notice(Severity.WARNING, verb.value, f"{verb.value} by {actor}", trader)]


def _resume(trader: str, state: RiskState, *, actor: str, force: bool) -> list[Notice]:
    latched = state.halted or state.reducing
    if latched and not force:
        text = f"resume by {actor} refused: {latched}; a forced resume is needed"
        return [Notice(Severity.WARNING, "resume_refused", text, trader)]
    state.halted = state.reducing = state.paused = ""
    state.flatten = False
    state.refused_at.clear()
    if latched:
        # The operator accepts the loss: both measures start again from the next equity seen.
        state.peak_equity, state.day = ZERO, -1
    return [Notice(Severity.WARNING, "resume", f"resume by {actor}", trader)]


def _roll(trader: str, state: RiskState, view: AccountView) -> list[Notice]:
    day = view.now - view.now % DAY
    if day <= state.day:
        return []
    state.day, state.day_equity = day, view.equity
    state.entered_at = [ts for ts in state.entered_at if ts >= day]
    if not state.reducing:
        return []
    state.reducing = ""
    return [Notice(Severity.INFO, "new_day", "a new UTC day: the daily loss limit starts again", trader)]
