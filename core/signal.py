"""Opinions about the market and the signals read from them.

Must not know models, orders or money. Made by inference, read by risk.
"""

import enum

import msgspec

GATES = ("sanity", "stale", "meta", "regime", "spread", "conformal")
"""First words (before a colon) of the reasons for which the models' own gates refuse an opinion."""


class Direction(enum.StrEnum):
    """What a model would do."""

    LONG = "long"
    SHORT = "short"
    HOLD = "hold"

    @property
    def sign(self) -> int:
        """Give +1, -1 or 0."""
        return {"long": 1, "short": -1, "hold": 0}[self.value]


class Vote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One member's part in a blended opinion: its calibrated probabilities and what they weighed.

    `weight` is its share of the blend (0 = shown, not counted), `age_s` the seconds between the close
    that it spoke about and the close that was asked about.
    """

    p_down: float
    p_hold: float
    p_up: float
    weight: float
    age_s: float


class Filter(msgspec.Struct, frozen=True):
    """A member that does not vote: the chance that it gives of `says` must lie within `low` and `high`.

    `role` is meta (whether to take the blend), regime (what the market is like) or manager, which speaks
    of open positions only and bounds nothing.
    """

    name: str
    role: str
    says: str
    low: float
    high: float


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one filter said of an instrument; None = it was not asked, or had nothing fresh to say.

    `age_s` is as a vote's.
    """

    chance: float | None
    age_s: float


class BookState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an order book looked like when the bar closed (inference.features.book); None = not known.

    `spread` is a fraction of the mid, imbalances run from -1 (all ask) to 1 (all bid), `age_s` is how old
    the quote was by the venue's stamp.
    """

    spread: float
    imbalance: float
    imbalance_mean: float
    age_s: float
    spread_z: float | None = None
    depth_imbalance: float | None = None


class Opinion(msgspec.Struct, frozen=True, array_like=True):
    """One instrument's probabilities and the scales that risk needs with them.

    `atr` is in price units of the decision timeframe, `close` the last closed price. `ready` is
    false while features are not warm, not finite or too old, or a gate refused what the models said;
    then nothing else may be used and `reason` says why. `votes` has an entry for each name in the
    prediction's `members`, `spread` is how far they disagree on p_up - p_down, and `age_s` the age of
    the newest input. No model sees `book`; None = none was sampled at that close, as in every backtest.
    `findings` are those of the prediction's `filters`, in their order; managers have none.
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
    votes: tuple[Vote, ...] = ()
    spread: float = 0.0
    age_s: float = 0.0
    book: BookState | None = None
    findings: tuple[Finding, ...] = ()
