"""One model's part in ensembles: its last answer for each instrument, how old it is, how it has done.

Must not know other members, features or how answers are made. Called by inference.council; the same
object serves every trader whose ensemble holds the model.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.market import Timeframe
from inference.artifact import Artifact
from inference.card import Kind
from inference.ensemble_card import Policy
from inference.sanity import Inspection, Range, Repeats, inspect
from inference.scoreboard import Score, Scoreboard

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


BOARD = ("made", "width", "upper", "lower", "kind", "met", "gain", "together", "newest", "totals")
"""Arrays of a scoreboard."""
AXES = dict.fromkeys(("made", "p", "repeats.last", "repeats.run", "board.newest"), 0) | dict.fromkeys(
    tuple(f"board.{name}" for name in ("made", "width", "upper", "lower", "kind", "met", "gain")), 1
)
"""Which axis of each lasting array runs over instruments; the others have none."""


class Answers(NamedTuple):
    """What one model said of all instruments [N] at one close; `p` [N, K] counts where `ready` holds.

    `reason` says why a row is not ready, `outside` is the share of its features far outside the
    training range, `fault` what kept the model from running at all, the rest as in features.frame.Inputs.
    """

    p: npt.NDArray[np.float32]
    ready: Flags
    reason: Sequence[str]
    outside: Floats
    atr: Floats
    volatility: Floats
    close: Floats
    age_s: Floats
    fault: str = ""


class Due(NamedTuple):
    """What a member is to be asked: about the close at `ts_close`, and of which rows an answer is missing."""

    member: "Member"
    ts_close: int
    rows: Ints


class Member:
    """A model's votes and record over `size` instruments.

    `ran_at` is the close that it was last asked about, `fault` what was wrong with that batch; `made`
    is the close of each instrument's last believable answer `p`, 0 = none.
    """

    def __init__(self, artifact: Artifact, policy: Policy, size: int) -> None:
        card = artifact.card
        self.artifact = artifact
        self.length = artifact.decision.ns
        self.ran_at = 0
        self.fault = ""
        self.made = np.zeros(size, np.int64)
        self.p = np.zeros((size, len(card.classes)))
        self.ready = np.zeros(size, np.bool_)
        self.scales = np.zeros((4, size))  # atr, volatility, close, age_s
        self.repeats = Repeats(size, len(card.classes))
        self.board = (
            Scoreboard(
                card.label,
                card.metrics.class_shares,
                size,
                half_life_days=policy.skill_half_life_days,
            )
            if card.kind is Kind.ENTRY
            else None
        )
        self.range = Range(card, policy.sanity.outside_spread)
        self.keeps_record = True
        self._measured_by = card.tested_until + card.label.horizon_bars * self.length
        self._limits = policy.sanity
        self._reason: Sequence[str] = [""] * size
        self._why: dict[int, str] = {}

    @property
    def decision(self) -> Timeframe:
        """Timeframe at whose closes it speaks."""
        return self.artifact.decision

    def score(self, prior_windows: float, ts_close: int | None = None) -> Score:
        """Give its record as of a close (None = by now); a new member starts with the gain on its card.

        That gain was measured on the test span: before its last label had ended nobody could know it, and
        a backtest over the span must not weigh members by how they will do.
        """
        known = ts_close is None or ts_close >= self._measured_by
        gain = self.artifact.card.metrics.log_loss_gain.value or 0.0 if known else 0.0
        return self.board.score(gain, prior_windows) if self.board else Score(gain, 0.0, 0)

    def due(self, ts_close: int, rows: Ints) -> Due | None:
        """Give what to ask it for `rows` at `ts_close`, None if it has said all that it will.

        Of the newest of its own closes by then: everything at first, afterwards only what was not ready.
        Bars of one instant come in several lots, and an instrument may warm up between two closes.
        """
        own = self.decision.floor(ts_close)
        if own > self.ran_at:
            return Due(self, own, np.arange(len(self.made)))
        missing = rows[~(self.ready[rows] | (self.made[rows] == own))]
        return Due(self, own, missing) if own == self.ran_at and len(missing) else None

    def take(self, due: Due, answers: Answers) -> None:
        """Keep the answers to what was due that can be believed, and note them for the record."""
        ts_close, first = due.ts_close, due.ts_close > self.ran_at
        asked = np.zeros(len(self.made), np.bool_)
        asked[due.rows] = True
        ready = answers.ready & asked
        p = answers.p.astype(np.float64)
        repeats = self.repeats.count(p, ready)
        batch = Inspection(p, ready, repeats, answers.outside, answers.age_s)
        found = inspect(self.artifact.card.kind, batch, self._limits)
        fault = answers.fault or found.fault
        scales = np.stack([answers.atr, answers.volatility, answers.close, answers.age_s])
        if first:
            self.fault, self._reason, self._why = fault, answers.reason, found.why
            self.ready, self.scales = ready, scales
        else:
            self.fault, self._why = fault or self.fault, self._why | found.why
            told = zip(asked.tolist(), answers.reason, self._reason, strict=True)
            self._reason = [new if own else old for own, new, old in told]
            self.ready, self.scales = self.ready | ready, np.where(asked, scales, self.scales)
        self.ran_at = ts_close
        self.made = np.where(found.usable, ts_close, self.made)
        self.p = np.where(found.usable[:, None], p, self.p)
        if self.board and self.keeps_record:
            self.board.record(ts_close, p, found.usable, answers.atr)

    def shadow(self) -> "Member":
        """Give a member that starts where this one is and leaves no trace in it."""
        other = copy.copy(self)
        other.repeats = copy.copy(self.repeats)
        other.keeps_record = False
        return other

    @property
    def lasting(self) -> dict[str, npt.NDArray[Any]]:
        """What a restart must not lose, by name; the axis of the instruments is as in AXES."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "ran_at": np.array([self.ran_at]),
            "made": self.made,
            "p": self.p,
            "repeats.last": self.repeats.last,
            "repeats.run": self.repeats.run,
        }
        if self.board:
            arrays |= {f"board.{name}": getattr(self.board, name) for name in BOARD}
        return arrays

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `lasting` gave, of the same shapes."""
        self.ran_at = int(arrays["ran_at"][0])
        self.made, self.p = arrays["made"], arrays["p"]
        self.repeats.last, self.repeats.run = arrays["repeats.last"], arrays["repeats.run"]
        if self.board:
            for name in BOARD:
                setattr(self.board, name, arrays[f"board.{name}"])

    def on_bars(self, rows: Ints, ts_close: int, bars: Floats) -> None:
        """Judge earlier answers by open, high and low [3, n] of bars of its timeframe."""
        if self.board:
            self.board.on_bars(rows, ts_close, bars)

    def age_bars(self, ts_close: int, rows: Ints) -> Floats:
        """Give the age of the answers in bars of its own timeframe, inf where there is none."""
        made = self.made[rows]
        return np.where(made > 0, (ts_close - made) / self.length, np.inf)

    def data_age_days(self, ts_close: int) -> float:
        """Give the time since the end of its training data, never below 0."""
        return max(0.0, (ts_close - self.artifact.card.trained_until) / DAY)

    def why(self, row: int) -> str:
        """Say why it has no vote, or only an old one, for an instrument."""
        return self._why.get(row) or self._reason[row] or self.fault or "not asked yet"
