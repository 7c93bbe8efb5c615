"""Why columns that say nearly the same are kept side by side.

Must not know how a column is computed. Called by trader.column_report, which refuses a pair of columns
whose linear correlation on real bars is above LIMIT and that no line here explains.
"""

from typing import NamedTuple

LIMIT = 0.98


class Kept(NamedTuple):
    """Columns of one timeframe that may be alike, each with each, and why all of them stay."""

    columns: frozenset[str]
    reason: str


KEPT: tuple[Kept, ...] = (
    Kept(
        frozenset({"ema_21", "rsi"}),
        "both weigh the last twenty bars alike; the RSI is bounded and tells how one-sided moves were, "
        "the distance to the average tells how far they went, and the ribbon needs it",
    ),
)


def reason_to_keep(first: str, second: str) -> str:
    """Give why both columns stay, `` if nothing says so. Names may carry a timeframe: `15m.rsi`."""
    pair = {first.rpartition(".")[2], second.rpartition(".")[2]}
    return next((kept.reason for kept in KEPT if pair <= kept.columns), "")
