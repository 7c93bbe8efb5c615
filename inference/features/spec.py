"""Feature specifications: which columns of which timeframes make one model's input.

Must not know how a column is computed. Called by frame, fold, artifact and training. The shipped ones
are data: `specs.toml` beside this file. The hash of a specification is what ties a model to the code
that may feed it.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import resources
from itertools import chain
from typing import Any

import msgspec

from core.errors import ModelError
from core.market import Timeframe
from inference.features.catalogue import COLUMNS, KERNEL_VERSION, SLOTS, hole_limit, warm_up_of
from inference.features.cross import CROSS
from inference.features.known import MASK

CLOCK_COLUMNS = ("day_sin", "day_cos", "week_sin", "week_cos")
FLAT = "x"
"""Name of the tensor [n, columns] that holds everything without a window."""


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns that one timeframe contributes, in order; the last `window` slots of each.

    `of` names the base of another instrument with the same quote whose columns they are, such as "BTC".
    `lag` leaves out so many of the newest slots. It is not needed: a bar counts from when it has closed.
    """

    timeframe: Timeframe
    columns: tuple[str, ...]
    window: int = 1
    of: str = ""
    gap_limit: int | None = None
    lag: int = 0

    @property
    def name(self) -> str:
        """What its columns' names begin with, and the name of its tensor if it has a window."""
        lag = f"-{self.lag}" if self.lag else ""
        return f"{self.of}.{self.timeframe.value}{lag}" if self.of else f"{self.timeframe.value}{lag}"

    @property
    def warm_up(self) -> int:
        """Bars since the last start, this one included, before the block may be used."""
        return max(warm_up_of(column, self.timeframe) for column in self.columns) + self.window - 1 + self.lag

    @property
    def missing_allowed(self) -> int:
        """How many of the last SLOTS bars may be absent."""
        return hole_limit(self.timeframe) if self.gap_limit is None else self.gap_limit


class Cross(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column made from several timeframes, shortest first, at the decision; see cross.CROSS."""

    column: str
    timeframes: tuple[Timeframe, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What it needs of each timeframe."""
        return tuple(Block(timeframe, CROSS[self.column].needs) for timeframe in self.timeframes)


class Outside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series from outside the bars, and the age in seconds beyond which a value is no longer known."""

    name: str
    columns: tuple[str, ...]
    max_age_s: float


class FeatureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's input. Blocks count closed bars only; the clock is that of the decision's close."""

    name: str
    decision: Timeframe
    blocks: tuple[Block, ...]
    cross: tuple[Cross, ...] = ()
    known: tuple[Outside, ...] = ()
    clock: tuple[str, ...] = CLOCK_COLUMNS

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """All timeframes needed, decision first."""
        return tuple(dict.fromkeys([self.decision, *(block.timeframe for block in self.needed)]))

    @property
    def needed(self) -> tuple[Block, ...]:
        """Its blocks and those of its cross columns: all must be fit for a row to be ready."""
        return (*self.blocks, *(block for cross in self.cross for block in cross.blocks))

    @property
    def flat(self) -> tuple[Block, ...]:
        """The blocks without a window, whose columns are in tensor `x`."""
        return tuple(block for block in self.blocks if block.window == 1)

    @property
    def windows(self) -> tuple[Block, ...]:
        """The blocks that are tensors [n, window, columns] of their own."""
        return tuple(block for block in self.blocks if block.window > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of tensor `x`, e.g. `15m.rsi`."""
        blocks = (f"{block.name}.{column}" for block in self.flat for column in block.columns)
        cross = (f"cross.{cross.column}" for cross in self.cross)
        known = (f"known.{one.name}.{column}" for one in self.known for column in (*one.columns, MASK))
        return (*blocks, *cross, *known, *(f"clock.{name}" for name in self.clock))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each tensor's shape without the batch."""
        flat: dict[str, tuple[int, ...]] = {FLAT: (len(self.names),)} if self.names else {}
        return flat | {block.name: (block.window, len(block.columns)) for block in self.windows}

    @property
    def bases(self) -> frozenset[str]:
        """Bases of the other instruments that it looks at."""
        return frozenset(block.of for block in self.blocks if block.of)

    @property
    def hash(self) -> str:
        """Hex sha256 over everything that decides a number or whether it may be used."""
        blocks = [
            (
                block.name, block.columns, block.window, block.warm_up, block.missing_allowed,
                hole_limit(block.timeframe),
            )
            for block in self.needed
        ]  # fmt: skip
        ages = [one.max_age_s for one in self.known]
        body = msgspec.json.encode([KERNEL_VERSION, self.decision, blocks, self.cross, ages, self.names])
        return hashlib.sha256(body).hexdigest()


def read(text: str) -> dict[str, FeatureSpec]:
    """Read specifications from TOML; ModelError in one line names the specification and the key."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise ModelError(f"feature specs: expected TOML; found: {broken}") from broken
    return {name: _spec(name, body) for name, body in tables.items()}


def _spec(name: str, body: Any) -> FeatureSpec:
    if not isinstance(body, Mapping) or "name" in body:
        raise ModelError(f"feature spec {name}: expected a table without the key name; found {body!r:.80}")
    try:
        spec = msgspec.convert({"name": name, **body}, FeatureSpec)
    except msgspec.ValidationError as wrong:
        raise ModelError(f"feature spec {name}: {wrong}") from wrong
    check(spec)
    return spec


def check(spec: FeatureSpec) -> None:
    """Refuse a specification that no frame can follow; ModelError in one line."""
    if not spec.blocks:
        raise ModelError(f"feature spec {spec.name}: expected blocks; found none")
    if not any(block.timeframe is spec.decision and not block.of for block in spec.needed):
        raise _refused(spec, "blocks", f"one of the decision timeframe {spec.decision.value}", "none")
    _only(spec, "clock columns", spec.clock, CLOCK_COLUMNS)
    for block in spec.blocks:
        _check_block(spec, block)
    for cross in spec.cross:
        _check_cross(spec, cross)
    for outside in spec.known:
        if not outside.columns or not outside.max_age_s > 0:
            raise _refused(spec, f"known {outside.name}", "columns and a max_age_s above 0", outside)
    _once(spec, "column", chain.from_iterable(_long_names(block) for block in spec.blocks))
    _once(spec, "column", spec.names)
    _once(spec, "tensor", (block.name for block in spec.windows))


def _check_block(spec: FeatureSpec, block: Block) -> None:
    where = f"block {block.name}"
    if not block.columns:
        raise _refused(spec, where, "columns", "none")
    _only(spec, f"{where}: columns", block.columns, COLUMNS)
    if levels := [column for column in block.columns if column.startswith("level_")]:
        raise _refused(spec, where, "columns without a price", levels)
    if block.window < 1:
        raise _refused(spec, where, "a window of 1 or more", block.window)
    if block.lag < 0:
        raise _refused(spec, where, "a lag of 0 or more", block.lag)
    if not 0 <= block.missing_allowed < SLOTS:
        raise _refused(spec, where, f"a gap_limit of 0 to {SLOTS - 1}", block.gap_limit)


def _check_cross(spec: FeatureSpec, cross: Cross) -> None:
    _only(spec, "cross columns", [cross.column], CROSS)
    terms = CROSS[cross.column]
    lengths = [timeframe.ns for timeframe in cross.timeframes]
    if not terms.least <= len(lengths) <= terms.most or lengths != sorted(set(lengths)):
        found = [timeframe.value for timeframe in cross.timeframes]
        raise _refused(
            spec, f"cross {cross.column}", f"{terms.least} to {terms.most} timeframes, shortest first", found
        )


def _refused(spec: FeatureSpec, where: str, expected: str, found: object) -> ModelError:
    return ModelError(f"feature spec {spec.name}: {where}: expected {expected}; found {found}")


def _long_names(block: Block) -> tuple[str, ...]:
    kind = "window " if block.window > 1 else ""
    return tuple(f"{kind}{block.name}.{column}" for column in block.columns)


def _only(spec: FeatureSpec, what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    known = frozenset(expected)
    if strange := [one for one in found if one not in known]:
        raise ModelError(f"feature spec {spec.name}: expected {what} that there are; found {strange}")


def _once(spec: FeatureSpec, what: str, found: Iterable[str]) -> None:
    if twice := [one for one, count in Counter(found).items() if count > 1]:
        raise ModelError(f"feature spec {spec.name}: expected each {what} once; found twice: {twice}")


SPECS = read(resources.files("inference.features").joinpath("specs.toml").read_text("utf-8"))
"""The shipped specifications by name."""
