"""What each of Kraken's error texts proves.

Must not know requests, retries or HTTP. Called by venue.client (REST) and venue.private (WS).
"""

import enum
import re

from core.clock import SECOND


class Outcome(enum.StrEnum):
    """What may be concluded from an error text."""

    DEFINITE_REJECT = "definite reject"  # the request did nothing and never will
    UNKNOWN = "unknown"  # it may have been carried out, or may be later
    RETRY_READ = "retry read"  # turned away at the gate: nothing happened, a read may be repeated
    HALT = "halt"  # nothing happened; asking again makes it worse


_OUTCOMES: dict[Outcome, tuple[str, ...]] = {
    # Kraken's pages "Spot errors" and "API errors", read 2026-11, and the WS gateway's own texts.
    # An error is what the longest of these beginnings says; what none of them fits is UNKNOWN,
    # also within a category: a text that we never saw proves nothing.
    Outcome.DEFINITE_REJECT: (
        "EGeneral:Invalid arguments",
        "EGeneral:Unknown method",
        "EService:Market in",
        "EService:Deadline elapsed",
        "EOrder:Insufficient",
        "EOrder:Cannot open",
        "EOrder:Margin allowance exceeded",
        "EOrder:Margin level too low",
        "EOrder:Margin position size exceeded",
        "EOrder:Order minimum not met",
        "EOrder:Cost minimum not met",
        "EOrder:Tick size check failed",
        "EOrder:Invalid price",
        "EOrder:Trigger price",
        "EOrder:Rate limit exceeded",
        "EOrder:Orders limit exceeded",
        "EOrder:Domain rate limit exceeded",
        "EOrder:Positions limit exceeded",
        "EOrder:Scheduled orders limit exceeded",
        "EOrder:Unknown position",
        "EOrder:Unknown order",
        "EOrder:Invalid order",
        "EOrder:Reduce only",
        "EOrder:Post only",
        "EQuery:Unknown asset",
        "ETrade:Invalid request",
        "EBM:limit exceeded",
        "EFunding:",
        "ESession:Invalid session",
        # The WS gateway refuses before the engine sees anything.
        "Unsupported",
        "Token(s) not found",
        "Symbol(s) not found",
        "Currency pair not supported",
        "Subscription",
        "Event trigger not supported",
        "Malformed request",
    ),
    Outcome.UNKNOWN: ("EGeneral:Internal error", "EService:Unavailable", "EService:Busy"),
    Outcome.RETRY_READ: (
        "EAPI:Rate limit exceeded",
        "EAuth:Rate limit exceeded",
        "EAuth:Too many requests",
        "EService:Throttled",
        "EService: Throttled",
        "Exceeded msg rate",
    ),
    Outcome.HALT: (
        "EGeneral:Temporary lockout",
        "EGeneral:Permission denied",
        "EAPI:Invalid key",
        "EAPI:Invalid signature",
        "EAPI:Invalid nonce",
        "EAuth:Account temporary disabled",
        "EAuth:Account unconfirmed",
        "EAccount:Invalid permissions",
    ),
}
_BEGINNINGS = sorted(
    ((beginning, outcome) for outcome, listed in _OUTCOMES.items() for beginning in listed),
    key=lambda row: -len(row[0]),
)
_THROTTLED = re.compile(r"EService: ?Throttled: ?([0-9]{1,18})")


def classify(error: str) -> Outcome:
    """Tell what an error text proves; an unlisted text proves nothing."""
    if "field must be a number" in error:
        return Outcome.DEFINITE_REJECT
    found = (outcome for beginning, outcome in _BEGINNINGS if error.startswith(beginning))
    return next(found, Outcome.UNKNOWN)


def throttled_until(error: str) -> int | None:
    """Give the time (ns UTC) that a `Throttled` text names, None for any other text."""
    found = _THROTTLED.match(error)
    return int(found.group(1)) * SECOND if found else None


def unknown_order(error: str) -> bool:
    """Tell whether an amend or cancel failed because the order is not open (any more)."""
    return error.startswith(("EOrder:Unknown order", "EOrder:Invalid order"))
