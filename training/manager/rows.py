"""Rows of open positions: what could be seen at a minute's close, and how the next minutes went on.

Must not know models or policies. Called by training.manager.recipe. The label reads the future on purpose
(docs/manager.md); features come from the fold that the daemon steps live, `position` from the minutes since
the entry alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import MINUTE
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.card import POSITION_COLUMNS
from inference.card_check import POSITION
from inference.features.fold import Folded, fold
from inference.features.spec import FeatureSpec
from training.manager.entries import Trades
from training.manager.walk import states
from training.panel.panel import UNKNOWN, Floats, Followed, Ints, Matrix, Paid, Panel, Windows
from training.targets.weights import uniqueness

REVERSE, CONTINUE = 0, 1
TARGET_NAME = "in_trade"
LATE_NAME = "in_trade_late"
"""The same question by somebody who leaves a minute later: what only the next open could earn was a price
that bounced between bid and ask."""


class InTradeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an open position is looked at, and what is asked of the minutes that follow (R084's 3 to 10).

    At the close of every `every`-th minute of it: does the mean of the closes of the coming minutes
    `soonest` to `latest` lie beyond the next open, where one could leave, by more than `band_atr` ATRs of
    a minute in the position's direction (continue) or against it (reverse)?
    """

    every: int = 5
    soonest: int = 3
    latest: int = 10
    band_atr: float = 0.5

    def __post_init__(self) -> None:
        if not (self.every >= 1 and 1 <= self.soonest <= self.latest and self.band_atr >= 0):
            raise UsageError(
                "in-trade terms: expected every >= 1, 1 <= soonest <= latest and band_atr >= 0; "
                f"found {self.every}, {self.soonest}, {self.latest}, {self.band_atr:g}"
            )

    @property
    def horizon_ns(self) -> int:
        """How long an answer takes to be known."""
        return self.latest * MINUTE

    @property
    def rule(self) -> str:
        """Give the label's sentence for the card."""
        return (
            f"continue: the mean close of the coming minutes {self.soonest} to {self.latest} lies beyond the "
            f"next open in the position's direction by more than {self.band_atr:g} ATR of a minute; reverse: "
            "against it by more than that; rows in between teach nothing and are not judged."
        )


@dataclass(frozen=True, eq=False)
class InTrade:
    """Rows of open positions as a panel; `trade` [rows] counts Trades, `minute` the instrument's minutes.

    The rows of a position follow each other in time order. `panel.momentum` is the move of the last minutes
    in the position's direction in ATRs, the rival's only argument. Rows of which the label is UNKNOWN are
    there, too: a policy has to act on them like on any other.
    """

    panel: Panel
    trade: Ints
    minute: Ints

    def __len__(self) -> int:
        return len(self.trade)

    def only(self, picked: npt.NDArray[np.bool_] | Ints) -> "InTrade":
        """Give some rows."""
        return InTrade(self.panel.only(picked), self.trade[picked], self.minute[picked])


class _Part(NamedTuple):
    """One instrument's rows."""

    trade: Ints
    minute: Ints
    ts: Ints
    close: Floats
    atr: Floats
    volatility: Floats
    momentum: Floats
    followed: Followed
    late: Followed
    moved: Floats
    """From the next open to the mean close of the label's minutes, a fraction; NaN = not known."""
    position: Matrix
    flat: Matrix
    blocks: Mapping[str, Windows]


def build(
    trades: Trades,
    series: Sequence[BarArrays],
    spec: FeatureSpec,
    terms: InTradeTerms,
    *,
    data_hash: str = "",
) -> InTrade:
    """Give the rows of all positions that have features; `series` are minutes, as `simulate` took them.

    UsageError for bars that are no minutes, DataError where no row has features.
    """
    parts: list[_Part] = []
    for number, bars in enumerate(series):
        if bars.timeframe is not Timeframe.M1 or spec.decision is not Timeframe.M1:
            raise UsageError(
                f"manager: expected 1m bars and a specification that decides at 1m; "
                f"found {bars.timeframe.value} and {spec.name} at {spec.decision.value}"
            )
        picked = np.flatnonzero(trades.instrument == number)
        if len(picked):
            folded = fold(spec, {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes})
            parts.append(_part(trades, picked, bars, folded, terms))
    if not any(len(part.trade) for part in parts):
        raise DataError("manager: expected open positions with features behind warm-up; found none")
    return _joined(parts, trades, series, spec, data_hash)


def looks(first: Ints, minute: Ints, every: int) -> tuple[Ints, Ints]:
    """Give (position, minute) of each look: closes of every `every`-th minute while it is still open.

    A position that ends in minute m was open at the close of m - 1.
    """
    count = np.maximum(minute - first, 0) // every
    of = np.repeat(np.arange(len(first)), count)
    step = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count) + 1
    return of, first[of] + step * every - 1


def followed(
    bars: BarArrays, minutes: Ints, side: Floats, atr: Floats, terms: InTradeTerms, *, leave: int = 1
) -> Followed:
    """Label looks at the close of `minutes` [rows] of positions on `side`; `atr` of a minute, in price units.

    `leave` is the coming minute at whose open one would be out. `value` is the move in the position's
    direction in ATRs. UNKNOWN inside the band, without an ATR, and where a minute is missing before the last
    that is asked for.
    """
    moved = _moved(bars, minutes, terms, leave)
    value = np.full(len(minutes), np.nan)
    known = np.isfinite(moved) & (atr > 0)
    np.divide(side * moved, atr, out=value, where=known)
    kind = np.full(len(minutes), UNKNOWN, np.int8)
    kind[known & (value > terms.band_atr)] = CONTINUE
    kind[known & (value < -terms.band_atr)] = REVERSE
    return Followed(kind, value, bars.ts_close[minutes] + terms.horizon_ns)


def _moved(bars: BarArrays, minutes: Ints, terms: InTradeTerms, leave: int = 1) -> Floats:
    """Give the mean close of the asked minutes less the open of `leave`, in price units; NaN = not known."""
    last = minutes + terms.latest
    inside = last < len(bars)
    last = np.where(inside, last, 0)
    covered = inside & (bars.ts_open[last] - bars.ts_open[minutes] == terms.horizon_ns)
    # Summed one by one: a difference of running sums over millions of closes would round.
    steps = np.arange(terms.soonest, terms.latest + 1)
    at = np.where(covered, minutes, 0)
    ahead = np.minimum(at[:, None] + steps, len(bars) - 1)
    level: Floats = bars.close[ahead].mean(axis=1) - bars.open[np.minimum(at + leave, len(bars) - 1)]
    return np.where(covered, level, np.nan)


def _part(trades: Trades, picked: Ints, bars: BarArrays, folded: Folded, terms: InTradeTerms) -> _Part:
    plans = trades.plans(picked)
    of, minutes = looks(plans.first, trades.minute[picked], terms.every)
    ready = folded.ready[minutes]
    position = states(bars, plans, of, minutes)[ready]
    of, minutes = of[ready], minutes[ready]
    side, atr = plans.side[of].astype(np.float64), folded.atr[minutes]
    back = np.maximum(minutes - terms.latest, 0)
    return _Part(
        trade=picked[of],
        minute=minutes,
        ts=bars.ts_close[minutes],
        close=bars.close[minutes],
        atr=atr,
        volatility=folded.volatility[minutes],
        momentum=side * (bars.close[minutes] - bars.close[back]) / np.where(atr > 0, atr, np.inf),
        followed=followed(bars, minutes, side, atr, terms),
        late=followed(bars, minutes, side, atr, terms, leave=2),
        moved=_moved(bars, minutes, terms) / bars.open[np.minimum(minutes + 1, len(bars) - 1)],
        position=position.astype(np.float32),
        flat=folded.rest[minutes],
        blocks={
            block.name: Windows(*_compact(matrix, at[minutes], block.window), block.window, block.columns)
            for block, matrix, at in folded.placed
        },
    )


def _compact(matrix: Matrix, at: Ints, window: int) -> tuple[Matrix, Ints]:
    """Keep only the slots that some window [at - window + 1, at] holds: much of the time nothing is open."""
    edges = np.zeros(len(matrix) + 1, np.int64)
    np.add.at(edges, at - window + 1, 1)
    np.add.at(edges, at + 1, -1)
    used = np.cumsum(edges[:-1]) > 0
    return matrix[used], (np.cumsum(used) - 1)[at]


def _joined(
    parts: Sequence[_Part], trades: Trades, series: Sequence[BarArrays], spec: FeatureSpec, data_hash: str
) -> InTrade:
    def whole(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    trade = np.concatenate([part.trade for part in parts])
    ts = np.concatenate([part.ts for part in parts])
    instrument = trades.instrument[trade]
    answers, late = _answers([part.followed for part in parts]), _answers([part.late for part in parts])
    moved = np.concatenate([part.moved for part in parts])
    panel = Panel(
        spec=spec,
        instruments=tuple(bars.instrument for bars in series),
        instrument=instrument,
        ts=ts,
        close=np.concatenate([part.close for part in parts]),
        atr=np.concatenate([part.atr for part in parts]),
        volatility=np.concatenate([part.volatility for part in parts]),
        momentum=np.concatenate([part.momentum for part in parts]),
        weight=uniqueness(instrument, ts, answers.ts_end, MINUTE),
        paid=Paid(moved, -moved, answers.ts_end, np.zeros(len(ts), np.bool_)),
        followed={TARGET_NAME: answers, LATE_NAME: late},
        blocks=_blocks([part.blocks for part in parts]),
        flat=np.concatenate([part.flat for part in parts]) if spec.names else None,
        beside={POSITION: np.concatenate([part.position for part in parts])},
        data_hash=data_hash,
    )
    assert panel.beside[POSITION].shape[1] == len(POSITION_COLUMNS)
    return InTrade(panel, trade, np.concatenate([part.minute for part in parts]))


def _answers(parts: Sequence[Followed]) -> Followed:
    return Followed(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _blocks(parts: Sequence[Mapping[str, Windows]]) -> dict[str, Windows]:
    joined = {}
    for name, one in parts[0].items():
        found = [part[name] for part in parts]
        starts = np.cumsum([0, *(len(each.matrix) for each in found[:-1])])
        at = np.concatenate([each.at + start for each, start in zip(found, starts.tolist(), strict=True)])
        joined[name] = Windows(np.concatenate([each.matrix for each in found]), at, one.window, one.columns)
    return joined
