"""Time as people read it. Called by logs, pages and errors; decisions never parse text."""

from datetime import UTC, datetime

from core.clock import SECOND


def iso(ts: int) -> str:
    """Give ISO-8601 UTC with Z and microseconds, e.g. `2024-06-03T10:05:00.000000Z`."""
    whole, rest = divmod(ts, SECOND)
    return f"{datetime.fromtimestamp(whole, tz=UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def parse_iso(text: str) -> int:
    """Give ns UTC of an RFC 3339 text with up to nine decimals; raises ValueError."""
    try:
        return _parsed(text)
    except ValueError as error:
        msg = f"expected a time such as 2024-06-03T00:00:00Z; found {text!r}"
        raise ValueError(msg) from error


def _parsed(text: str) -> int:
    body = text.removesuffix("Z")
    if body == text:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * SECOND + moment.microsecond * 1000
    head, _, fraction = body.partition(".")
    whole = datetime.fromisoformat(head).replace(tzinfo=UTC)
    return int(whole.timestamp()) * SECOND + int(fraction.ljust(9, "0")[:9] or 0)
