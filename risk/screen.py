"""Which opinions risk could act on, for whole histories at once.

Must not know accounts, orders or where opinions come from. Called by the backtest, which looks closely
only where something can happen. It refuses only what edge.usable and limits.check_edge refuse whatever
the account holds and however narrow the spread is, under the same names; everything else passes.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from risk.policy import ModelTerms, RiskPolicy

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

PASSES: Final = 0
REFUSED: Final = ("", "not_ready", "model_gate", "wrong_model", "low_confidence", "expected_value")
"""What a code means; the names are those of risk.limits.RULES."""
_ROUNDING = 1e-9
"""Relative room for the last bits: the exact figure is computed in another order of operations."""


def screen(
    p: Floats,
    scales: Floats,
    usable: Flags,
    last: Floats,
    *,
    policy: RiskPolicy,
    terms: ModelTerms,
    off_by: float,
) -> Codes:
    """Give PASSES or the refusal of each opinion.

    `p` [..., 3] down, hold, up; `scales` [..., 3] atr, volatility, close; `last` [...] is the market's
    price at the decision, which for an opinion that is heard late is not its own close; `off_by` is how
    far the mid of the quote can lie below it, in price units. Where it is not known (NaN) nothing is
    refused for its worth.
    """
    down, up = p[..., 0], p[..., 2]
    atr, close = scales[..., 0], scales[..., 2]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        sound = usable & np.isfinite(p).all(axis=-1) & (atr > 0) & (close > 0)
        sound &= np.isfinite(atr) & np.isfinite(close) & ((p >= 0) & (p <= 1)).all(axis=-1)
        lean = np.abs(up - down)
        price = last - off_by
        best = lean * terms.barrier_atr * atr / price * (1 + _ROUNDING) - 2 * policy.taker_fee
        pays = ~(price > 0) | (best + _ROUNDING >= policy.min_expected_value)
    codes = np.where(pays, PASSES, REFUSED.index("expected_value")).astype(np.uint8)
    unlikely = (lean == 0) | (np.maximum(up, down) < policy.min_confidence)
    codes[unlikely] = REFUSED.index("low_confidence")
    codes[~sound] = REFUSED.index("not_ready")
    return codes
