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

CLOCK_COLUMNS = ("day_sin", "day_cos", "week_sin", "week_cos")
FLAT = "x"
"""Name of the tensor [n, columns] that holds everything without a window."""


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns that one timeframe contributes, in order; the last `window` slots of each.

    `of` names the base of another instrument with the same quote whose columns they are, such as "BTC".
    """

    timeframe: Timeframe
    columns: tuple[str, ...]
    window: int = 1
    of: str = ""
    gap_limit: int | None = None

    @property
    def name(self) -> str:
        """What its columns' names begin with, and the name of its tensor if it has a window."""
        return f"{self.of}.{self.timeframe.value}" if self.of else self.timeframe.value

    @property
    def warm_up(self) -> int:
        """Bars since the last start, this one included, before the block may be used."""
        return max(warm_up_of(column, self.timeframe) for column in self.columns) + self.window - 1

    @property
    def missing_allowed(self) -> int:
        """How many of the last SLOTS bars may be absent."""
        return hole_limit(self.timeframe) if self.gap_limit is None else self.gap_limit


class FeatureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's input. Blocks count closed bars only; the clock is that of the decision's close."""

    name: str
    decision: Timeframe
    blocks: tuple[Block, ...]
    clock: tuple[str, ...] = CLOCK_COLUMNS

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """All timeframes needed, decision first."""
        return tuple(dict.fromkeys([self.decision, *(block.timeframe for block in self.blocks)]))

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
        return (*blocks, *(f"clock.{name}" for name in self.clock))

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
            for block in self.blocks
        ]  # fmt: skip
        body = msgspec.json.encode([KERNEL_VERSION, self.decision, blocks, self.names])
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
    if not spec.blocks:
        raise ModelError(f"feature spec {name}: expected blocks; found none")
    _only(name, "clock columns", spec.clock, CLOCK_COLUMNS)
    for block in spec.blocks:
        where = f"block {block.name}"
        if not block.columns:
            raise ModelError(f"feature spec {name}: {where}: expected columns; found none")
        _only(name, f"{where}: columns", block.columns, COLUMNS)
        if levels := [column for column in block.columns if column.startswith("level_")]:
            raise ModelError(
                f"feature spec {name}: {where}: expected columns without a price; found {levels}"
            )
        if block.window < 1:
            raise ModelError(
                f"feature spec {name}: {where}: expected a window of 1 or more; found {block.window}"
            )
        if not 0 <= block.missing_allowed <= SLOTS:
            raise ModelError(
                f"feature spec {name}: {where}: expected a gap_limit of 0 to {SLOTS}; found {block.gap_limit}"
            )
    _once(name, "column", chain.from_iterable(_long_names(block) for block in spec.blocks))
    _once(name, "tensor", (block.name for block in spec.windows))
    return spec


def _long_names(block: Block) -> tuple[str, ...]:
    kind = "window " if block.window > 1 else ""
    return tuple(f"{kind}{block.name}.{column}" for column in block.columns)


def _only(name: str, what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    known = frozenset(expected)
    if strange := [one for one in found if one not in known]:
        raise ModelError(f"feature spec {name}: expected {what} of the catalogue; found {strange}")


def _once(name: str, what: str, found: Iterable[str]) -> None:
    twice = [one for one, count in Counter(found).items() if count > 1]
    if twice:
        raise ModelError(f"feature spec {name}: expected each {what} once; found twice: {twice}")


SPECS = read(resources.files("inference.features").joinpath("specs.toml").read_text("utf-8"))
"""The shipped specifications by name."""
