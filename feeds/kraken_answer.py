"""What an answer of Kraken's public REST is worth to a download.

Must not know what was asked. Called by feeds.kraken_trades and feeds.kraken_bars.
Envelope and texts: https://docs.kraken.com/api/docs/guides/spot-rest-intro and /spot-errors.
"""

from typing import Any

import msgspec

from core.errors import LinkLost, NotPermitted, VenueError
from feeds.history_http import Answer, decoded, json_body
from feeds.history_pace import AskLater
from venue import outcomes

_THROTTLED_S = 3.0
"""The public counter gives back about one call a second."""


class _Body(msgspec.Struct):
    error: list[str] = []
    result: msgspec.Raw = msgspec.Raw()


def result(url: str, answer: Answer, kind: Any) -> Any:
    """Decode the result; LinkLost where asking again may help, else VenueError or NotPermitted."""
    body: _Body = decoded(url, json_body(url, answer), _Body)
    errors = [text for text in body.error if not text.startswith("W")]
    if errors:
        raise _judged(f"GET {url}: {', '.join(errors)}", outcomes.classify(errors[0]))
    if not bytes(body.result):
        raise LinkLost(f"GET {url}: expected a result, found {answer.body[:80]!r}")
    return decoded(url, bytes(body.result), kind)


def _judged(text: str, outcome: outcomes.Outcome) -> Exception:
    if outcome is outcomes.Outcome.RETRY_READ:
        return AskLater(text, _THROTTLED_S)
    if outcome is outcomes.Outcome.UNKNOWN:
        return LinkLost(text)
    return NotPermitted(text) if outcome is outcomes.Outcome.HALT else VenueError(text)
