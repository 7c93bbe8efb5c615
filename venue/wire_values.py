"""Numbers and times of the wire, read and written, and which of them a market can have.

Must not know frames, channels or sessions.
Called by venue.wire and its parts, venue.book, and by whoever checks what a frame says.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated

import msgspec

from core.text import iso, parse_iso

Id64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A sequence number that tapes and tables can hold; a larger one is a defect of the sender."""

# ---- in ----


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    return parse_iso(text + "Z")


def timestamp_ns(text: str) -> int:
    """Give ns UTC of the venue's RFC 3339 text (micro- or nanoseconds); raises ValueError.

    Frames of one second share their first 19 characters, hence the cache.
    """
    return _second(text[:19]) + int(text[20:-1].ljust(9, "0")[:9] or 0)


_CEILING = Decimal(10) ** 18
_FLOOR = Decimal(10) ** -18
"""No venue quotes finer (core.instrument.PLACES); 1e-999999 would be a gigabyte as plain text."""


def possible(price: Decimal, quantity: Decimal) -> bool:
    """Tell whether a market could print this; JSON allows 1e308 and, as text, even NaN."""
    return (
        price.is_finite()
        and quantity.is_finite()
        and _FLOOR <= price < _CEILING
        and (_FLOOR <= quantity < _CEILING or quantity == 0)
    )


def countable(value: Decimal | None) -> bool:
    """Tell whether an amount can be added, compared and written; no amount at all can.

    NaN cannot be compared, 1e999999999 overflows, and 1e-999999999 is a gigabyte as plain text.
    """
    return value is None or (value.is_finite() and -30 < value.adjusted() < 18)


_END = parse_iso("2200-01-01T00:00:00Z")  # well inside a signed 64-bit integer


def datable(ts_event: int) -> bool:
    """Tell whether a market event can have this time at all, whatever the time is now."""
    return 0 < ts_event < _END


# ---- out ----


def number(value: Decimal) -> msgspec.Raw:
    """Write a JSON number: never an exponent, always a point (the venue checks for a float).

    Source: Kraken answers `Cash_order_qty field must be a number_float` to an integer (recorded
    2024); exponents were answered with `Invalid price` in the field.
    """
    text = format(value, "f")
    return msgspec.Raw((text if "." in text else text + ".0").encode())


def deadline_text(ts: int) -> str:
    """Give RFC 3339 with milliseconds, cut off rather than rounded: earlier is safer."""
    return iso(ts)[:23] + "Z"


def second_text(ts: int) -> str:
    """Give RFC 3339 with whole seconds, as start and expiry times want it."""
    return iso(ts)[:19] + "Z"
