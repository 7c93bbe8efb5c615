"""Feature specifications: which columns of which timeframes make one model's input.

Must not know how a column is computed. Called by frame, artifact and training.
The hash of a specification is what ties a model to the code that may feed it.
"""

import hashlib

import msgspec

from core.market import Timeframe
from inference.features.indicators import COLUMNS, KERNEL_VERSION

CLOCK_COLUMNS = ("day_sin", "day_cos", "week_sin", "week_cos")

WARM_UP = 340
"""Bars after which a column no longer remembers its start: Wilder's 13/14 twice over, below 1e-9."""
SLOW_WARM_UP = {"ema_50": 600}
"""Columns that remember longer. Kraken's REST serves 720 bars, so even these are warm at once."""


class Block(msgspec.Struct, frozen=True):
    """The columns that one timeframe contributes, in order."""

    timeframe: Timeframe
    columns: tuple[str, ...]

    @property
    def warm_up(self) -> int:
        """Bars without a hole, this one included, before the block may be used."""
        return max(SLOW_WARM_UP.get(column, WARM_UP) for column in self.columns)


class FeatureSpec(msgspec.Struct, frozen=True):
    """A model's input: blocks of columns, then where the close lies in its day and week.

    The first block is the decision timeframe; the others are context and count closed bars only.
    """

    name: str
    blocks: tuple[Block, ...]

    @property
    def decision(self) -> Timeframe:
        """The timeframe whose closing bar asks for an opinion."""
        return self.blocks[0].timeframe

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """All timeframes needed, decision first."""
        return tuple(block.timeframe for block in self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the vector's columns, e.g. `15m.rsi`."""
        blocks = (f"{block.timeframe.value}.{name}" for block in self.blocks for name in block.columns)
        return (*blocks, *(f"clock.{name}" for name in CLOCK_COLUMNS))

    @property
    def hash(self) -> str:
        """Hex sha256 over everything that decides a vector's numbers."""
        warm_up = [block.warm_up for block in self.blocks]
        body = msgspec.json.encode([KERNEL_VERSION, self.names, warm_up])
        return hashlib.sha256(body).hexdigest()


# Four-hour context leaves out the slowest column: it would cost 100 days of history, not 57.
_FAST = tuple(column for column in COLUMNS if column not in SLOW_WARM_UP)


def _spec(name: str, *blocks: tuple[Timeframe, tuple[str, ...]]) -> FeatureSpec:
    return FeatureSpec(name, tuple(Block(timeframe, columns) for timeframe, columns in blocks))


SPECS = {
    spec.name: spec
    for spec in (
        _spec("entry_5m", (Timeframe.M5, COLUMNS), (Timeframe.M15, COLUMNS), (Timeframe.H1, COLUMNS)),
        _spec("entry_15m", (Timeframe.M15, COLUMNS), (Timeframe.H1, COLUMNS), (Timeframe.H4, _FAST)),
        _spec("entry_1h", (Timeframe.H1, COLUMNS), (Timeframe.H4, _FAST)),
    )
}
