"""Faults on demand: which are armed, when they strike, and how often each has struck.

Must not know frames, sockets or how a fault is carried out; `now` is market time in ns. Pure and
seeded: the same calls strike at the same places. Called by the loopback's doors and REST shell.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from core.clock import SECOND
from core.errors import ConfigError
from venue.loopback_fault_catalogue import CATALOGUE, Kind, Point

SYSTEMS = ("online", "post_only", "cancel_only", "maintenance")
FIELDS = ("status", "price_increment", "quantity_increment", "minimum_quantity")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One armed fault. Without `count` and `duration_s` it strikes once.

    It waits for `start_s`, lasts `duration_s` (market time), and then strikes with `probability`
    at each place that `match` fits: a fact's name and its value, alternatives joined by `|`.
    """

    name: str
    count: int | None = None
    probability: float = 1.0
    start_s: float = 0.0
    duration_s: float | None = None
    match: dict[str, str] = {}
    seconds: float | None = None
    times: int | None = None
    code: int | None = None
    error: str | None = None
    value: str | None = None
    system: str | None = None
    stream: str | None = None
    account: str | None = None
    symbol: str | None = None
    fields: dict[str, str] | None = None

    @property
    def kind(self) -> Kind:
        """The row of the catalogue."""
        return CATALOGUE[self.name]

    def parameter(self, name: str) -> Any:
        """Give a parameter: what was asked for, else what the catalogue presets."""
        given = getattr(self, name, None)
        return self.kind.preset.get(name) if given is None else given


_COMMON = ("name", "count", "probability", "start_s", "duration_s", "match")


def checked(fault: Fault) -> Fault:
    """Give the fault back; raises ConfigError with one line that says what is wrong with it."""
    kind = CATALOGUE.get(fault.name)
    if kind is None:
        raise ConfigError(f"expected a fault of docs/faults.md, found {fault.name!r}")
    for field in fault.__struct_fields__:
        given = getattr(fault, field)
        if given is None or field in _COMMON:
            continue
        if field not in kind.takes:
            takes = ", ".join(kind.takes) or "no parameters"
            raise ConfigError(f"fault {fault.name}: expected {takes}, found {field}")
    for field in kind.needs:
        if not getattr(fault, field):
            raise ConfigError(f"fault {fault.name}: expected {field}, found none")
    if kind.lasting and fault.count is None and fault.duration_s is None:
        raise ConfigError(f"fault {fault.name}: expected count or duration_s, found neither")
    for expected, right in _ranges(fault):
        if not right:
            raise ConfigError(f"fault {fault.name}: expected {expected}, found {fault}")
    return fault


def _ranges(fault: Fault) -> Iterator[tuple[str, bool]]:
    yield "0 < probability <= 1", 0 < fault.probability <= 1
    yield "count of at least 1", fault.count is None or fault.count >= 1
    yield "start_s from 0 to 1e6", 0 <= fault.start_s <= 1e6
    yield "duration_s above 0, at most 1e6", fault.duration_s is None or 0 < fault.duration_s <= 1e6
    yield "seconds from -1e6 to 1e6", fault.seconds is None or abs(fault.seconds) <= 1e6
    signed = fault.name == "shifted_time" or (fault.seconds or 0) >= 0
    yield "seconds that are not negative", signed
    yield "times from 1 to 65536", fault.times is None or 1 <= fault.times <= 65_536
    yield "code from 1000 to 4999", fault.code is None or 1000 <= fault.code <= 4999
    yield f"system in {', '.join(SYSTEMS)}", fault.system is None or fault.system in SYSTEMS
    yield "stream public, private or level3", fault.stream in (None, "public", "private", "level3")
    for field, text in (fault.fields or {}).items():
        yield f"fields among {', '.join(FIELDS)}", field in FIELDS
        yield f"{field} to be a positive number", field == "status" or _positive(text)


def _positive(text: str) -> bool:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return False
    return value.is_finite() and value > 0


class _Armed(msgspec.Struct):
    """A fault with what is left of it."""

    fault: Fault
    number: int
    start: int
    end: int | None
    left: int | None
    chances: int = 0


class Schedule:
    """What is armed. Mutable; `fired` counts by name and outlives `clear`."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._armed: list[_Armed] = []
        self._numbers = 0
        self.fired: Counter[str] = Counter()

    @property
    def idle(self) -> bool:
        """Tell that nothing is armed: the quick way out of the hot path."""
        return not self._armed

    def add(self, faults: Iterable[Fault], now: int) -> None:
        """Arm faults, all or none; raises ConfigError for one that cannot be."""
        for fault in [checked(one) for one in faults]:
            self._numbers += 1
            start = now + round(fault.start_s * SECOND)
            end = None if fault.duration_s is None else start + round(fault.duration_s * SECOND)
            once = fault.count is None and fault.duration_s is None
            self._armed.append(_Armed(fault, self._numbers, start, end, 1 if once else fault.count))

    def clear(self, names: Iterable[str] = ()) -> int:
        """Disarm faults of these names, all without names; gives how many there were."""
        wanted, before = set(names), len(self._armed)
        self._armed = [one for one in self._armed if wanted and one.fault.name not in wanted]
        return before - len(self._armed)

    def listing(self) -> list[dict[str, Any]]:
        """Give what is armed, in order, with the strikes that are left."""
        return [
            {"number": one.number, "left": one.left, "fault": msgspec.to_builtins(one.fault)}
            for one in self._armed
        ]

    def expects(self, effect: str, now: int) -> Fault | None:
        """Give an armed fault of this effect without letting it strike."""
        self._forget(now)
        return next((one.fault for one in self._armed if one.fault.kind.effect == effect), None)

    def strike(self, point: Point, facts: Mapping[str, str], now: int) -> list[Fault]:
        """Give the faults that strike here and now, in the order of arming; each is counted."""
        if not self._armed:
            return []
        self._forget(now)
        struck = [one.fault for one in self._armed if self._strikes(one, point, facts, now)]
        self._armed = [one for one in self._armed if one.left != 0]
        self.fired.update(fault.name for fault in struck)
        return struck

    def _strikes(self, one: _Armed, point: Point, facts: Mapping[str, str], now: int) -> bool:
        fault, kind = one.fault, one.fault.kind
        if point not in kind.points or now < one.start:
            return False
        if any(facts.get(name) not in text.split("|") for name, text in (kind.match | fault.match).items()):
            return False
        one.chances += 1
        if self._draw(one) >= fault.probability:
            return False
        if one.left is not None:
            one.left -= 1
        return True

    def _forget(self, now: int) -> None:
        self._armed = [one for one in self._armed if one.end is None or now < one.end]

    def _draw(self, one: _Armed) -> float:
        """Give a number in [0, 1) that only the seed, the fault and the chance decide."""
        text = f"{self._seed}/{one.number}/{one.chances}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
