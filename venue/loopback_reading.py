"""Values out of requests: numbers, choices, times, client ids.

Must not know which request they belong to. Called by the readers of WS and REST orders. What
cannot be read raises BadRequest with an error text in Kraken's words.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from core.clock import SECOND
from core.text import parse_iso
from venue.wire_values import countable

E = TypeVar("E", bound=StrEnum)

DEFAULT_DEADLINE = 5 * SECOND
LATEST_DEADLINE = 60 * SECOND
_USERREF_BOUND = 1 << 31
_USERREF_DIGITS = 10
_CLIENT_ID = re.compile(
    r"[\x21-\x7e]{1,18}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)


class BadRequest(Exception):
    """Carries an error text to the edge of a reader."""


def invalid(field: str) -> BadRequest:
    """Give the error about one field."""
    return BadRequest(f"EGeneral:Invalid arguments:{field}")


def only(params: Mapping[str, Any], known: frozenset[str], method: str) -> None:
    """Refuse fields that the method does not have."""
    for name in params:
        if name not in known:
            raise BadRequest(f"Unsupported field: '{name}' for the given msg type: {method}")


def choice(kind: type[E], value: object, field: str) -> E:
    """Read one of a closed set."""
    try:
        return kind(str(value))
    except ValueError:
        raise invalid(field) from None


def needed(value: Decimal | None, field: str) -> Decimal:
    """Refuse a value that is missing."""
    if value is None:
        raise invalid(field)
    return value


def ws_number(params: Mapping[str, Any], field: str) -> Decimal | None:
    """Read a JSON number; text is refused, as the venue's type check does."""
    value = params.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequest(f"{field.capitalize()} field must be a number_float")
    return Decimal(value)


def text_number(text: str, field: str) -> Decimal:
    """Read a decimal number from text; one that nobody could count is refused as no number."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise invalid(field) from None
    if not countable(value):
        raise invalid(field)
    return value


def rest_number(form: Mapping[str, str], field: str) -> Decimal | None:
    """Read a form's number."""
    text = form.get(field, "")
    return text_number(text, field) if text else None


def client_id(value: object) -> str:
    """Read a client order id: a UUID, 32 hex digits, or up to 18 printable characters."""
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not _CLIENT_ID.fullmatch(value):
        raise invalid("cl_ord_id")
    return value


def named_reference(text: str) -> int | None:
    """Give the user reference that a key spells, None where the key is anything else."""
    digits = text.removeprefix("-")
    spelt = digits.isascii() and digits.isdigit() and len(digits) <= _USERREF_DIGITS
    return int(text) if spelt else None


def user_reference(value: object, field: str) -> int:
    """Read a user reference: a signed 32-bit number, 0 if there is none."""
    if value in (None, ""):
        return 0
    try:
        number = int(str(value))
    except ValueError:
        raise invalid(field) from None
    if isinstance(value, bool) or not -_USERREF_BOUND <= number < _USERREF_BOUND:
        raise invalid(field)
    return number


def moment(text: object, field: str) -> int | None:
    """Read an RFC 3339 time."""
    if text in (None, ""):
        return None
    try:
        return parse_iso(str(text))
    except ValueError:
        raise invalid(field) from None


def deadline(text: object, now: int, soonest: int) -> int:
    """Read a deadline, which must lie between `soonest` and a minute from now; five seconds if none.

    The window is checked with the grain of the text, milliseconds.
    """
    found = moment(text, "deadline")
    if found is None:
        return now + DEFAULT_DEADLINE
    if found < now:
        raise BadRequest("EService:Deadline elapsed")  # it was held up on its way
    if not now + soonest - SECOND // 1000 <= found <= now + LATEST_DEADLINE + SECOND // 1000:
        raise invalid("deadline")
    return found
