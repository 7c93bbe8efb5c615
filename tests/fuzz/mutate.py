"""One seed in, one damaged message out; what comes is a function of the generator's state."""

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    10**400,
    1e308,
    -1e308,
    5e-324,
    -0.0,
    "NaN",
    "Infinity",
    "-Infinity",
    "sNaN",
    "1e999999999",
    "-1e-999999999",
    "0x10",
    "",
    " ",
    "null",
    "BTC/USD",
    "XBT/USD",
    "A" * 300,
    "\x00\x1f",
    "\ud800",
    "🦑" * 20,
    "\u202e/\u0660\u0661",
    "9999-12-31T23:59:59.999999Z",
    "2300-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "2023-13-45T25:61:61.000000Z",
    "snapshot",
    "update",
    [],
    {},
    [[]],
    [None],
    {"": {}},
)
TOKENS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999999999",
    b"1e-999999999",
    b"-0",
    b"-0.0",
    b"01",
    b"1.",
    b".5",
    b"1E400",
    b"1e99999999999999999999",
    b"18446744073709551616",
    b"9" * 500,
    b"0." + b"0" * 500 + b"1",
    b"nul",
    b'"\\ud800"',
    b'"\\u0000"',
    b"[",
    b"}",
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_KEY = re.compile(rb'"(\w+)":')


LONGEST = 1 << 20
"""What the loopback's socket lets in; anything longer ends the connection unread."""

_CROWDED = 20_000  # the harness itself must not make what it then cuts off


def mutate(rng: Random, seed: bytes, others: Sequence[bytes]) -> bytes:
    """Give the seed after one to three mutations of any kind, rarely unharmed."""
    case = seed
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3))):
        case = rng.choice(_KINDS)(rng, case, others)[:LONGEST]
    return case


def _flip(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    if not case:
        return case
    at = rng.randrange(len(case))
    return case[:at] + bytes([case[at] ^ (1 << rng.randrange(8))]) + case[at + 1 :]


def _byte(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(case) + 1)
    return case[:at] + bytes([rng.choice(b'{}[]",:\\\x00\xff\xed0-e.')]) + case[at + rng.randrange(2) :]


def _truncate(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    return case[: rng.randrange(len(case) + 1)]


def _slice(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    low, high = sorted(rng.randrange(len(case) + 1) for _ in "12")
    return case[:low] + case[high:] if rng.random() < 0.5 else case[:high] + case[low:]


def _splice(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return case[: rng.randrange(len(case) + 1)] + other[rng.randrange(len(other) + 1) :]


def _nest(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    depth = rng.choice((10, 200, 1_500, 20_000))
    start, end = rng.choice(((b"[", b"]"), (b'{"data":', b"}"), (b'{"a":[', b"]}")))
    inner = rng.choice((case, b"1", b""))
    return start * depth + inner + end * rng.choice((depth, 0))


def _number(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(case))
    if not found:
        return case
    place = rng.choice(found)
    return case[: place.start()] + rng.choice(TOKENS) + case[place.end() :]


def _value(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    """Swap one value for one of another kind."""
    try:
        message = json.loads(case)
    except (ValueError, RecursionError):
        return case
    parent, key, at = None, None, message
    while isinstance(at, dict | list) and at and (parent is None or rng.random() < 0.85):
        parent, key = at, rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
        at = parent[key]
    if parent is None:
        return json.dumps(rng.choice(JUNK)).encode()
    if isinstance(parent, dict) and rng.random() < 0.15:
        del parent[key]
    elif isinstance(parent, list) and rng.random() < 0.2:
        parent.extend([at] * (1 if len(case) > _CROWDED else rng.choice((1, 5, 300))))
    else:
        parent[key] = rng.choice(JUNK)
    return json.dumps(message).encode()


def _twice(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    """Name one key twice, with another value."""
    found = list(_KEY.finditer(case))
    if not found:
        return case
    key, junk = rng.choice(found), json.dumps(rng.choice(JUNK)).encode()
    return case[: key.start()] + key.group() + junk + b"," + case[key.start() :]


def _giant(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    """Make one text very long; a megabyte is what a socket accepts."""
    places = [place.start() for place in re.finditer(rb'"', case)]
    if not places or rng.random() < 0.9:
        return case
    at = rng.choice(places) + 1
    return (
        case[:at]
        + rng.choice((b"A", b"\xf0\x9f\xa6\x91", b"\\n", b"9")) * rng.choice((5_000, 200_000))
        + case[at:]
    )


def _fresh(rng: Random, case: bytes, _: Sequence[bytes]) -> bytes:
    """Rename one id or name, so that state kept by name would grow."""
    found = list(re.finditer(rb'"([A-Z][A-Z0-9-]{5,}|[A-Z]{3,}/[A-Z]{3,})"', case))
    if not found:
        return case
    place = rng.choice(found)
    return case[: place.start()] + b'"%x"' % rng.getrandbits(48) + case[place.end() :]


_KINDS = (
    _flip,
    _byte,
    _truncate,
    _slice,
    _splice,
    _nest,
    _number,
    _value,
    _value,
    _value,
    _twice,
    _giant,
    _fresh,
)
