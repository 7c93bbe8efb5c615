"""What a trader may do: the policy of one risk bot, and the ceilings that no file can lift.

Must not know accounts, orders or where configuration comes from. Called by the composition
(which builds it) and by every module of risk (which obeys it).
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from core.clock import SECOND
from core.errors import ConfigError
from core.market import Timeframe

CEILINGS: Final[dict[str, tuple[float, float]]] = {
    "min_confidence": (0.0, 1.0),
    "min_expected_value": (-0.05, 0.05),
    "stop_atr": (0.25, 20.0),
    "target_atr": (0.0, 50.0),
    "risk_per_trade": (0.0, 0.05),
    "max_position_notional": (0.0, 3.0),
    "max_leverage": (0.0, 5.0),
    "max_open_positions": (0, 200),
    "max_drawdown": (0.001, 0.5),
    "max_daily_loss": (0.001, 0.25),
    "max_quote_age_s": (0.001, 120.0),
    "max_spread": (0.0, 0.02),
    "max_imbalance_against": (0.0, 1.0),
    "cooldown_s": (0.0, 7 * 86_400.0),
    "min_hold_s": (0.0, 7 * 86_400.0),
    "max_hold_bars": (0, 10_000),
    "max_trades_per_day": (0, 2_000),
    "max_refusals": (1, 20),
    "entry_collar": (0.0, 0.02),
    "taker_fee": (0.0, 0.01),
    "maker_fee": (-0.001, 0.01),
    "opinion_max_age_s": (0.001, 3_600.0),
}
"""Smallest and largest value that each field may have: a slip of units (2 for 2 %) ends here."""


class RiskPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trader's limits; every fraction is of 1, every time in seconds of market time.

    Raises ConfigError for a value outside CEILINGS (a NaN is outside of everything).
    """

    min_confidence: float = 0.45
    min_expected_value: float = 0.0005  # of notional after costs; below 0 only for a demonstration
    stop_atr: float = 2.0
    target_atr: float = 3.0  # 0 = no take-profit order
    risk_per_trade: float = 0.005  # of equity, lost if the stop fills at its trigger
    max_position_notional: float = 0.25  # of equity, one instrument
    max_leverage: float = 1.0  # gross notional of all positions over equity
    max_open_positions: int = 4
    max_drawdown: float = 0.10  # below the peak: everything is closed, then halted
    max_daily_loss: float = 0.03  # since 00:00 UTC: everything is closed, no entries until tomorrow
    max_quote_age_s: float = 5.0
    max_spread: float = 0.001  # of the mid
    max_imbalance_against: float = 0.0  # of bid and ask quantities, mean of ten closes; 0 = any
    cooldown_s: float = 900.0  # after a position was closed or an entry refused, per instrument
    min_hold_s: float = 300.0  # before an opposite opinion may close a position
    max_hold_bars: int = 0  # of the decision timeframe; 0 = the model's own horizon
    max_trades_per_day: int = 50
    max_refusals: int = 5  # entries that the venue refused within an hour
    entry_collar: float = 0.0005  # of the touch: how much worse an entry may fill
    taker_fee: float = 0.004
    maker_fee: float = 0.0025
    opinion_max_age_s: float = 20.0  # from the close of the bar to the decision

    def __post_init__(self) -> None:
        for name, (low, high) in CEILINGS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"risk.{name}: expected {low} to {high}, found {value}")


class ModelTerms(msgspec.Struct, frozen=True):
    """What a model's probabilities mean: `barrier_atr` x ATR, hit within `horizon_bars` bars."""

    model_hash: str
    name: str
    decision: Timeframe
    barrier_atr: float
    horizon_bars: int


@lru_cache(256, typed=True)  # 1 and 1.0 are written differently
def exact(fraction: float) -> Decimal:
    """Bring a configured number into money's arithmetic as the text that was written."""
    return Decimal(repr(fraction))


def ns(seconds: float) -> int:
    """Give a configured duration in ns."""
    return round(seconds * SECOND)
