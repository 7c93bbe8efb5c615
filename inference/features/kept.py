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
    Kept(
        frozenset({"sma_20", "ema_21", "vwap_distance"}),
        "a simple average drops a jump after 20 bars, an exponential one fades it, a volume-weighted one "
        "counts it by what was traded: they part after jumps and where volume comes in bursts",
    ),
    Kept(
        frozenset({"sma_50", "ema_50", "vwap_60"}),
        "as those of 20 bars: one drops a jump, one fades it, one counts it by what was traded",
    ),
    Kept(
        frozenset({"ema_cross", "macd"}),
        "9/21 belongs to the ribbon's order, 12/26 to its own signal line and histogram",
    ),
    Kept(
        frozenset({"cci", "bollinger_position"}),
        "the mean absolute deviation of typical prices against the standard deviation of closes: "
        "one far bar moves the second more, and on short timeframes they part",
    ),
    Kept(
        frozenset({"rv_60", "bipower_60"}),
        "they are one but for jumps; their difference is the jump share, and a forecast of volatility "
        "wants the part without jumps by itself",
    ),
    Kept(
        frozenset({"volatility", "rv_24"}),
        "the deviation about the mean of 20 returns sizes positions, the root of 24 squares is the day that "
        "the minute's ratio is taken to",
    ),
    Kept(
        frozenset({"level_support", "level_resistance"}),
        "they are prices, which no model gets; what is taken of them is each one's distance in ATR",
    ),
)


def reason_to_keep(first: str, second: str) -> str:
    """Give why both columns stay, `` if nothing says so. Names may carry one timeframe: `15m.rsi`."""
    (where, _, one), (there, _, other) = first.rpartition("."), second.rpartition(".")
    alike = where == there and one != other
    return next((kept.reason for kept in KEPT if alike and {one, other} <= kept.columns), "")
