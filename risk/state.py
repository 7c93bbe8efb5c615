"""What one risk bot remembers: plain data, so that it can be journaled and compared.

Must not know the rules that read it. Owned by risk.bot and risk.breakers, serialised by the engine.
Everything is a time or a reason, never a counter of calls, so a restart loses nothing.
"""

import enum
from decimal import Decimal

import msgspec

ZERO = Decimal(0)


class Mode(enum.StrEnum):
    """What the bot may do now, from free to nothing."""

    ACTIVE = "active"
    PAUSED = "paused"  # an operator asked for no entries
    REDUCING = "reducing"  # the day's loss is spent: closed, no entries until the next UTC day
    HALTED = "halted"  # killed or drawn down: closed, latched until a forced resume


class RiskState(msgspec.Struct):
    """Durable memory of one bot. An empty reason means that the brake is off."""

    halted: str = ""
    reducing: str = ""
    paused: str = ""
    flatten: bool = False
    draining: bool = False
    day: int = -1
    day_equity: Decimal = ZERO
    peak_equity: Decimal = ZERO
    closed_at: dict[str, int] = {}
    entered_at: list[int] = []
    refused_at: list[int] = []
    closing: dict[str, str] = {}

    @property
    def mode(self) -> Mode:
        """Give the strongest brake that is on."""
        if self.halted:
            return Mode.HALTED
        if self.reducing:
            return Mode.REDUCING
        return Mode.PAUSED if self.paused else Mode.ACTIVE

    @property
    def must_be_flat(self) -> bool:
        """Tell whether open positions have to be closed whatever the models say."""
        return bool(self.flatten or self.reducing)
