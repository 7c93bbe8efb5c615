"""Every reason not to trade, by name, and the checks that need one instrument only.

Must not know sizes or how a view was made. Called by risk.bot in the order of the table; the page
shows the table as it stands.
"""

from bisect import bisect_left
from typing import Final

from core.clock import DAY
from core.events import Prediction
from core.instrument import Instrument
from core.orders import Refused
from core.signal import Opinion
from risk.edge import Edge, spread
from risk.policy import ModelTerms, RiskPolicy, ns
from risk.state import RiskState
from risk.view import AccountView

RULES: Final[dict[str, str]] = {
    "model_error": "The model gave no answer for this bar.",
    "wrong_model": "The answer comes from another model than the one this trader is bound to.",
    "late_opinion": "The answer came too long after the bar had closed.",
    "unknown_instrument": "The instrument is not on this trader's list.",
    "not_ready": "Features are still warming up, incomplete or not finite.",
    "model_gate": "The models refuse by themselves: they disagree, cannot tell, or cannot be believed.",
    "low_confidence": "The likelier direction is not likely enough.",
    "expected_value": "After fees and spread the trade is not expected to earn enough.",
    "already_positioned": "A position in this direction is already open.",
    "min_hold": "The opposite position is too young to be closed for an opinion.",
    "closing": "The position is already being closed.",
    "halted": "The trader was killed or drew down too far; a forced resume is needed.",
    "daily_loss": "Today's loss limit is spent; entries resume on the next UTC day.",
    "paused": "An operator paused entries.",
    "draining": "The daemon is shutting down.",
    "link_down": "The market data or the private stream is down or stale.",
    "venue_status": "The venue is not in its normal mode.",
    "not_reconciled": "Orders and positions have not been compared with the venue yet.",
    "instrument_status": "The venue does not trade this instrument normally now.",
    "not_marginable": "The instrument cannot be traded on margin.",
    "order_in_flight": "An order on this instrument is under way or its outcome is not proved.",
    "data_quality": "The market data of this instrument cannot be trusted now.",
    "stale_quote": "There is no best bid and ask that is young enough.",
    "wide_spread": "Bid and ask are too far apart.",
    "book_against": "The order book leans too far against the direction.",
    "cooldown": "The last position closed, or was refused, too short a while ago.",
    "max_trades_per_day": "Today's number of entries is used up.",
    "refused_too_often": "The venue refused several entries within an hour.",
    "max_positions": "As many positions are open as the policy allows.",
    "stop_distance": "No stop fits between the quote and the volatility of this instrument.",
    "drawdown": "The account is too far below its peak to take new risk.",
    "max_exposure": "The account's exposure or margin is used up.",
    "below_minimum": "What the limits allow is smaller than the venue's smallest order.",
}
"""Name of each refusing rule -> one sentence for people, in the order in which they are asked."""

REFUSAL_WINDOW_S = 3_600.0


def check_prediction(
    prediction: Prediction, now: int, *, policy: RiskPolicy, terms: ModelTerms
) -> Refused | None:
    """Refuse an answer that is missing, foreign or late."""
    if prediction.error:
        return Refused("model_error", prediction.error)
    if prediction.model_hash != terms.model_hash:
        return Refused("wrong_model", f"expected {terms.model_hash:.12}, found {prediction.model_hash:.12}")
    age = now - prediction.ts_close
    if prediction.late or not 0 <= age <= ns(policy.opinion_max_age_s):
        return Refused("late_opinion", f"{age / 1e9:.1f} s after the close")
    return None


def check_edge(edge: Edge, policy: RiskPolicy) -> Refused | None:
    """Refuse a direction that is unlikely or does not pay."""
    if not edge.lean or edge.confidence < policy.min_confidence:
        return Refused("low_confidence", f"{edge.confidence:.3f} of {policy.min_confidence:.3f}")
    if edge.expected_value < policy.min_expected_value:
        return Refused("expected_value", f"{edge.expected_value:+.5f} of {policy.min_expected_value:+.5f}")
    return None


def check_account(state: RiskState, view: AccountView) -> Refused | None:
    """Refuse every entry while a brake is on or the venue's truth is not known."""
    brakes = (("halted", state.halted), ("daily_loss", state.reducing), ("paused", state.paused))
    for rule, reason in brakes:
        if reason:
            return Refused(rule, reason)
    if state.draining:
        return Refused("draining", "")
    if not (view.public_up and view.private_up):
        return Refused("link_down", "public stream" if view.private_up else "private stream")
    if view.system != "online":
        return Refused("venue_status", view.system)
    return None if view.reconciled else Refused("not_reconciled", "")


def check_instrument(instrument: Instrument, view: AccountView, *, policy: RiskPolicy) -> Refused | None:
    """Refuse an instrument that cannot be traded well at this moment."""
    symbol = instrument.symbol
    if instrument.status != "online":
        return Refused("instrument_status", instrument.status)
    if instrument.max_leverage <= 1:
        return Refused("not_marginable", "spot only")
    if symbol in view.busy:
        return Refused("order_in_flight", "")
    if wrong := view.quality.get(symbol):
        return Refused("data_quality", ", ".join(wrong))
    quote = view.quotes.get(symbol)
    age = view.now - view.received.get(symbol, 0)
    if quote is None or not 0 <= age <= ns(policy.max_quote_age_s):
        return Refused("stale_quote", f"{age / 1e9:.1f} s old" if quote else "no quote")
    if not 0 < quote.bid < quote.ask:
        return Refused("stale_quote", f"{quote.bid} / {quote.ask} is no market")
    wide = spread(quote)
    if wide > policy.max_spread:
        return Refused("wide_spread", f"{wide:.5f} of {policy.max_spread}")
    return None


def check_book(opinion: Opinion, edge: Edge, policy: RiskPolicy) -> Refused | None:
    """Refuse an entry against a heavy book. Without a fresh sample, as in a backtest, nothing is refused."""
    book, limit = opinion.book, policy.max_imbalance_against
    if limit == 0 or book is None or book.age_s > policy.max_quote_age_s:
        return None
    against = -edge.direction.sign * book.imbalance_mean
    return Refused("book_against", f"{against:.2f} of {limit:g}") if against > limit else None


def check_pace(symbol: str, state: RiskState, now: int, *, policy: RiskPolicy) -> Refused | None:
    """Refuse to trade again too soon or too often."""
    rest = state.closed_at.get(symbol, -ns(policy.cooldown_s)) + ns(policy.cooldown_s) - now
    if rest > 0:
        return Refused("cooldown", f"{rest / 1e9:.0f} s left")
    # In the order of time, so a busy day is not counted through for each of its candidates.
    today = len(state.entered_at) - bisect_left(state.entered_at, now - now % DAY)
    if today >= policy.max_trades_per_day:
        return Refused("max_trades_per_day", f"{today} today")
    refused = sum(ts > now - ns(REFUSAL_WINDOW_S) for ts in state.refused_at)
    if refused >= policy.max_refusals:
        return Refused("refused_too_often", f"{refused} within an hour")
    return None
