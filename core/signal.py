"""Opinions about the market and the signals read from them.

Must not know models, orders or money. Made by inference, read by risk.
"""

import enum

import msgspec


class Direction(enum.StrEnum):
    """What a model would do."""

    LONG = "long"
    SHORT = "short"
    HOLD = "hold"

    @property
    def sign(self) -> int:
        """Give +1, -1 or 0."""
        return {"long": 1, "short": -1, "hold": 0}[self.value]


class Opinion(msgspec.Struct, frozen=True, array_like=True):
    """One instrument's probabilities and the scales that risk needs with them.

    `atr` is in price units of the decision timeframe, `close` the last closed price. `ready` is
    false while features are not warm, not finite or too old; then nothing else may be used and
    `reason` says why.
    """

    instrument: str
    ready: bool
    p_down: float
    p_hold: float
    p_up: float
    atr: float
    volatility: float
    close: float
    reason: str = ""
