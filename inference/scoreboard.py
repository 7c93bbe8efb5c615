"""How good a member has been lately: its predictions against the bars that followed.

Must not know models or money. Driven by closed bars alone, so live and backtest agree; called by
inference.members. A prediction is judged as its label is made (docs/labels.md), on bars of the decision
timeframe: entry at the next bar's open, barriers in ATRs, a bar that meets both counts as neither
(hold), and a prediction whose path misses a bar is never judged. It is judged when its time limit is
over, also if a barrier was met before: quick outcomes would else be over-represented.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.market import Timeframe
from inference.card import LabelTerms

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_DOWN, _HOLD, _UP = 0, 1, 2
_LEAST_P = 0.01
"""Probabilities below this count as this much: one surprise must not undo a month."""


class Score(msgspec.Struct, frozen=True):
    """A member's record: skill in nats per prediction over the base rates, and what it rests on.

    `windows` counts independent outcomes (a label that spans 24 bars overlaps 23 others, and
    instruments move together), decayed like the skill; `judged` counts predictions, never decayed.
    """

    skill: float
    windows: float
    judged: int


class Scoreboard:
    """The record of one member over a fixed number of instruments."""

    def __init__(
        self, label: LabelTerms, shares: tuple[float, ...], size: int, *, half_life_days: float
    ) -> None:
        self._length = Timeframe(label.decision).ns
        self._barrier = label.barrier_atr
        self._horizon = label.horizon_bars
        self._half_life = half_life_days * DAY
        self._base = np.log(np.maximum(np.array(shares), _LEAST_P))
        # One slot more than the horizon: a bar that comes late finds what it is to judge.
        self._slots = self._horizon + 1
        slots = (self._slots, size)
        self.made = np.zeros(slots, np.int64)  # close that the prediction is about, 0 = free
        self.width = np.zeros(slots)  # barrier in price units
        self.upper = np.full(slots, np.nan)  # barriers, known with the next open
        self.lower = np.full(slots, np.nan)
        self.kind = np.full(slots, _HOLD, np.int8)
        self.met = np.zeros(slots, np.bool_)
        self.gain = np.zeros((*slots, 3))  # log p - log base of each class
        self.together = np.ones(self._slots, np.int64)  # predictions made at the same close
        self.newest = np.zeros(size, np.int64)  # close of each instrument's last bar
        self.totals = np.zeros(4)  # decayed gain, decayed windows, predictions judged, decayed up to

    def score(self, prior: float, prior_windows: float) -> Score:
        """Give the record; `prior` is the skill on the card, which counts for so many outcomes."""
        gain, windows, judged, _ = self.totals.tolist()
        skill = (prior_windows * prior + gain) / (prior_windows + windows)
        return Score(skill, windows, int(judged))

    def record(self, ts_close: int, p: npt.NDArray[np.floating], usable: Flags, atr: Floats) -> None:
        """Note the predictions p [N, 3] made at `ts_close` where `usable` holds; barriers in `atr` [N].

        Those that were noted at the same close before stay: predictions may come in several lots.
        """
        slot = self._slot(ts_close)
        fresh = self.made[slot] != ts_close
        good = usable & (atr > 0) & fresh
        self.made[slot] = np.where(good | ~fresh, ts_close, 0)
        self.together[slot] = max(1, int((good | ~fresh).sum()))
        self.width[slot, fresh] = np.where(good, self._barrier * atr, 0.0)[fresh]
        self.gain[slot, fresh] = (np.log(np.maximum(p, _LEAST_P)) - self._base)[fresh]
        self.kind[slot, fresh], self.met[slot, fresh] = _HOLD, False
        self.upper[slot, fresh] = self.lower[slot, fresh] = np.nan

    def on_bars(self, rows: Ints, ts_close: int, bars: Floats) -> None:
        """Take in open, high and low [3, n] of the bars of `rows` that closed at `ts_close`.

        Bars that were seen before are ignored.
        """
        order = np.argsort(rows)
        rows, bars = rows[order], bars[:, order]
        new = self.newest[rows] < ts_close
        rows, bars = rows[new], bars[:, new]
        if not len(rows):
            return
        follows = self.newest[rows] == ts_close - self._length
        self.made[:, rows[~follows]] = 0
        self.newest[rows] = ts_close
        if self.made.any():
            self._walk(rows, ts_close, bars)
            self._judge(rows, ts_close)

    def _walk(self, rows: Ints, ts_close: int, bars: Floats) -> None:
        opened, high, low = bars
        fresh = self._slot(ts_close - self._length)
        starts = self.made[fresh, rows] == ts_close - self._length
        begun, entry = rows[starts], opened[starts]
        self.upper[fresh, begun] = entry + self.width[fresh, begun]
        self.lower[fresh, begun] = entry - self.width[fresh, begun]
        # All instruments, which is the rule, are looked at in place.
        at = slice(None) if len(rows) == len(self.newest) else rows
        upper, lower = self.upper[:, at], self.lower[:, at]
        waits = (self.made[:, at] > 0) & ~self.met[:, at]
        rose, fell = waits & (high >= upper), waits & (low <= lower)
        hit = rose | fell
        if not hit.any():
            return
        # The open is the one price of a bar whose place in time is known: a gap decides by itself.
        over, under = opened >= upper, opened <= lower
        kind = np.where(over | (rose & ~fell), _UP, np.where(under | (fell & ~rose), _DOWN, _HOLD))
        self.kind[:, at] = np.where(hit, kind, self.kind[:, at])
        self.met[:, at] |= hit

    def _judge(self, rows: Ints, ts_close: int) -> None:
        made = ts_close - self._horizon * self._length
        slot = self._slot(made)
        due = rows[self.made[slot, rows] == made]
        if not len(due):
            return
        gains = self.gain[slot, due, self.kind[slot, due]]
        self.made[slot, due] = 0
        # All predictions of one close weigh one bar's share of a window, however their bars come in.
        weight = 1.0 / (self._horizon * int(self.together[slot]))
        gain, windows, judged, until = self.totals.tolist()
        now = max(float(ts_close), until)
        old, new = (0.5 ** ((now - ts) / self._half_life) for ts in (until or now, ts_close))
        self.totals[:] = (
            gain * old + weight * new * float(gains.sum()),
            windows * old + weight * new * len(due),
            judged + len(due),
            now,
        )

    def _slot(self, ts_close: int) -> int:
        return ts_close // self._length % self._slots
