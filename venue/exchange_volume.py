"""Thirty days of traded volume, which decide an account's fee tier.

Must not know fees or orders. Called by the exchange's account. Counted in whole UTC days, as the
venue's own figure moves by the day: https://docs.kraken.com/api/docs/rest-api/get-trade-volume.
"""

from decimal import Decimal

from core.clock import DAY

_DAYS = 30


class Volume:
    """Traded value by day, in the quote currency. Mutable; days that no longer count are dropped."""

    def __init__(self) -> None:
        self._days: dict[int, Decimal] = {}

    def add(self, ts: int, value: Decimal) -> None:
        """Count one fill."""
        day = ts // DAY
        if day not in self._days:
            self._days = {past: worth for past, worth in self._days.items() if past > day - _DAYS}
        self._days[day] = self._days.get(day, Decimal(0)) + value

    def total(self, ts: int) -> Decimal:
        """Give the volume of the thirty days that end today."""
        first = ts // DAY - _DAYS
        return sum((value for day, value in self._days.items() if day > first), Decimal(0))
