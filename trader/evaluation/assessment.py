"""A run judged: its figures as a whole, by month, fold, pair, account and regime, beside its baselines.

Must not know files, pages or commands. Called by trader.evaluation.write and trader.evaluation.compare.
A trade belongs to the day on which it was opened. Returns are those of daily equity, drawdowns are seen
at the end of every hour (pairs and holding: of every day).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from core.clock import DAY
from core.text import iso
from trader.backtest.record import Fold, RunCard, RunRecord, Trip
from trader.evaluation.baselines import Baseline, flat, hold
from trader.evaluation.daily import returns_of
from trader.evaluation.lines import Floats, Lines, lines
from trader.evaluation.market import Market
from trader.evaluation.metrics import Drawdown, ReturnFigures, drawdown, return_figures
from trader.evaluation.regimes import REGIMES, RULE, UNKNOWN, index_returns, regimes
from trader.evaluation.significance import Significance
from trader.evaluation.stress import Stress, stress
from trader.evaluation.trips import EndFigures, TripFigures, by_end, total, trip_figures
from trader.evaluation.words import Told, out_of_sample, verdict, warnings

SCHEMA = 1


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Some days of a run, or one of its pairs or accounts. `drawdown` is None where days do not adjoin."""

    name: str
    returns: ReturnFigures
    drawdown: Drawdown | None
    trips: TripFigures
    trades_per_day: float | None


class FoldSlice(Slice, frozen=True, kw_only=True):
    """The out-of-sample span of one fold, ns UTC, and what was tuned before it."""

    number: int
    start: int
    end: int
    tuned: dict[str, float]


class Monthly(msgspec.Struct, frozen=True):
    """The months of a run in short; a month that the run saw in part counts as one."""

    months: int
    mean: float | None
    best: float | None
    worst: float | None
    positive: float | None


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said about a run: `metrics.json`.

    `evidence` are the days in and out of sample, empty where all are of one kind. Where there are two, only
    those out of sample count: everything but `pooled`, `monthly`, `months` and `folds` speaks of them.
    `turnover_per_day` is in parts of the starting cash, `exposure` the mean notional over mean equity.
    `regimes` is empty and `hold` None where the market's own bars were not at hand.
    """

    schema: int = SCHEMA
    verdict: str
    warnings: tuple[str, ...]
    card: RunCard
    pooled: Slice
    monthly: Monthly
    exposure: float | None
    time_in_market: float | None
    turnover_per_day: float | None
    hold: Baseline | None
    flat: Baseline
    stress: Stress
    ended: tuple[EndFigures, ...]
    evidence: tuple[Slice, ...]
    months: tuple[Slice, ...]
    folds: tuple[FoldSlice, ...]
    pairs: tuple[Slice, ...]
    accounts: tuple[Slice, ...]
    regimes: tuple[Slice, ...]
    regime_rule: str = RULE
    significance: Significance | None = None

    @property
    def headline(self) -> Slice:
        """The days that count: out of sample where only a part is, otherwise all."""
        return self.evidence[-1] if self.evidence else self.pooled


class Judged(msgspec.Struct, frozen=True):
    """An assessment and the lines behind it. `day_regimes` [D] and `hold_equity` [D + 1] may be None."""

    figures: Assessment
    lines: Lines
    day_regimes: list[str] | None
    hold_equity: Floats | None


def judge(
    record: RunRecord, market: Market | None = None, significance: Significance | None = None
) -> Judged:
    """Work out all figures. `significance` is what `training significance run` left in the run's folder."""
    card, seen = record.card, lines(record)
    held = hold(card, market) if market else None
    names = _day_regimes(card, market) if market else None
    months = tuple(_span(name, seen, record.trips, *span) for name, span in _months(card))
    evidence = _evidence(card, seen, record.trips)
    # From here on only the days that count.
    start, end = out_of_sample(card)[0] if evidence else (card.start, card.end)
    part = seen.between(start, end)
    trips = [trip for trip in record.trips if start <= _opened(trip, card) < end]
    counted = msgspec.structs.replace(card, start=start, end=end)
    beside = hold(counted, market) if market else None
    whole = _span("all", seen, record.trips, card.start, card.end)
    kinds = names[(start - card.start) // DAY :] if names else None
    cash = total(card.cash.values()) if start == card.start else Decimal(repr(float(part.daily[0])))
    headline = evidence[-1] if evidence else whole
    figures = Assessment(
        verdict=verdict(
            Told(
                headline.returns,
                headline.trips.trades,
                part.total_before_fees,
                beside.figures.returns if beside else None,
                "Out of sample" if evidence else "" if out_of_sample(card) else "In sample",
            )
        ),
        warnings=warnings(card, headline.trips, headline.returns.days),
        card=card,
        pooled=whole,
        evidence=evidence,
        monthly=_monthly(months),
        exposure=part.exposure_share,
        time_in_market=part.time_in_market,
        turnover_per_day=float(headline.trips.turnover / cash) / headline.returns.days if cash else None,
        hold=beside.figures if beside else None,
        flat=flat(counted),
        stress=stress(trips, cash),
        ended=by_end(trips),
        months=months,
        folds=tuple(_fold(fold, seen, trips) for fold in card.folds),
        pairs=tuple(_pair(name, part, trips) for name in card.instruments),
        accounts=tuple(_account(name, part, trips) for name in sorted(card.cash)),
        regimes=_by_regime(kinds, part, trips) if kinds else (),
        significance=significance,
    )
    return Judged(figures, seen, names, held.equity if held else None)


def unseen_return(figures: Assessment) -> float | None:
    """Give the return of the days that no model was trained on; None without such days."""
    if figures.evidence:
        return figures.evidence[-1].returns.total
    return figures.pooled.returns.total if out_of_sample(figures.card) else None


def _evidence(card: RunCard, seen: Lines, trips: Sequence[Trip]) -> tuple[Slice, ...]:
    """Part the days at the end of the models' training."""
    spans = out_of_sample(card)
    if card.folds or not spans or spans[0][0] <= card.start:
        return ()
    ((start, end),) = spans
    return (
        _span("in sample", seen, trips, card.start, start),
        _span("out of sample", seen, trips, start, end),
    )


def _span(name: str, seen: Lines, trips: Sequence[Trip], start: int, end: int) -> Slice:
    """Cut whole days out of a run; `start` and `end` are midnights."""
    first, last = np.searchsorted(seen.days, [start, end])
    hours = slice(*np.searchsorted(seen.hours, [start, end + 1]))
    some = [trip for trip in trips if start <= min(trip.opened, int(seen.days[-1]) - 1) < end]
    return _slice(name, seen.returns[first:last], drawdown(seen.hours[hours], seen.equity[hours]), some)


def _opened(trip: Trip, card: RunCard) -> int:
    """Give when a trip was opened; what answers the last close arrives after it and belongs to that day."""
    return min(trip.opened, card.end - 1)


def _slice(name: str, daily: Floats, depth: Drawdown | None, trips: Sequence[Trip]) -> Slice:
    figures = trip_figures(trips)
    return Slice(
        name=name,
        returns=return_figures(daily),
        drawdown=depth,
        trips=figures,
        trades_per_day=figures.trades / len(daily) if len(daily) else None,
    )


def _fold(fold: Fold, seen: Lines, trips: Sequence[Trip]) -> FoldSlice:
    found = _span(str(fold.number), seen, trips, fold.test_start, fold.test_end)
    return FoldSlice(
        name=found.name,
        returns=found.returns,
        drawdown=found.drawdown,
        trips=found.trips,
        trades_per_day=found.trades_per_day,
        number=fold.number,
        start=fold.test_start,
        end=fold.test_end,
        tuned=fold.tuned,
    )


def _pair(name: str, seen: Lines, trips: Sequence[Trip]) -> Slice:
    """Judge one instrument: its daily profit over the whole equity that the day began with."""
    before = np.maximum(seen.daily[:-1], 0.0)
    profit = np.diff(seen.pairs[name])
    daily = np.divide(profit, before, out=np.zeros_like(profit), where=before > 0.0)
    path = np.concatenate(([1.0], np.cumprod(1.0 + daily)))
    return _slice(name, daily, drawdown(seen.days, path), [t for t in trips if t.instrument == name])


def _account(name: str, seen: Lines, trips: Sequence[Trip]) -> Slice:
    equity = seen.accounts[name]
    daily = returns_of(equity[np.searchsorted(seen.hours, seen.days)])
    return _slice(name, daily, drawdown(seen.hours, equity), [t for t in trips if t.account == name])


def _by_regime(names: Sequence[str], seen: Lines, trips: Sequence[Trip]) -> tuple[Slice, ...]:
    def day(trip: Trip) -> int:
        return min((trip.opened - int(seen.days[0])) // DAY, len(names) - 1)

    return tuple(
        _slice(
            regime,
            seen.returns[np.array([name == regime for name in names])],
            None,
            [trip for trip in trips if names[day(trip)] == regime],
        )
        for regime in REGIMES
        if regime in names
    )


def _day_regimes(card: RunCard, market: Market) -> list[str]:
    """Name the regime of each day of the run, in order."""
    names = dict(zip(market.ends.tolist(), regimes(index_returns(market.closes)), strict=True))
    return [names.get(end, UNKNOWN) for end in range(card.start + DAY, card.end + DAY, DAY)]


def _months(card: RunCard) -> Iterable[tuple[str, tuple[int, int]]]:
    """Give each UTC month's name and the part of it that the run saw."""
    begun = card.start
    for midnight in range(card.start + DAY, card.end + DAY, DAY):
        if midnight >= card.end or iso(midnight)[:7] != iso(begun)[:7]:
            yield iso(begun)[:7], (begun, midnight)
            begun = midnight


def _monthly(months: Sequence[Slice]) -> Monthly:
    totals = [month.returns.total for month in months if month.returns.total is not None]
    if not totals:
        return Monthly(0, None, None, None, None)
    positive = sum(one > 0 for one in totals) / len(totals)
    return Monthly(len(totals), float(np.mean(totals)), max(totals), min(totals), positive)
