"""A walk-forward in numbers: each schedule judged, beside holding, nothing at all, and chance.

Must not know Markdown or commands. Called by training.walkforward.cli; training.walkforward.page shows what
this gives. No machine time and no place is in it: the same folds give the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from core.clock import HOUR, SECOND
from core.text import iso
from inference.card import Interval
from trader.backtest.record import RunRecord
from trader.evaluation.assessment import FoldSlice, Judged, Slice, judge
from trader.evaluation.market import Market, read_market
from training.significance.intervals import intervals
from training.walkforward.chance import chance
from training.walkforward.fold import Done
from training.walkforward.run import Walked
from training.walkforward.study import Study

DIGITS = 6
UNSEEN = "not looked at"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some days, or one pair, of a run; fractions of the equity, per trade in bps of notional."""

    name: str
    days: int
    trades: int
    total: float | None
    cagr: float | None
    sharpe: float | None
    depth: float | None
    per_day: float | None
    hold_h: float | None
    win_rate: float | None
    right: float | None
    stops: float | None
    targets: float | None
    net_bps: float | None
    fees_bps: float | None


class FoldPart(Part, frozen=True, kw_only=True):
    """One fold: what it was tuned to, and what its model's report says."""

    start: str
    end: str
    pairs: int
    purged: int
    tuned: dict[str, float]
    metrics: dict[str, float | None]


class Chance(msgspec.Struct, frozen=True):
    """The same trades entered at random: the mean of many draws, and the middle 95 % of them."""

    draws: int
    total: Interval


class AtFees(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule. `fees_cash` is what fees took as a part of the starting cash, `gross` before them."""

    schedule: str
    pooled: Part
    sharpe: Interval
    cagr: Interval
    gross: float
    fees_cash: float
    slippage_cash: float
    acts: int
    """Folds whose validation said that acting pays."""
    vetoed: float | None
    """What is left if the other folds had stood aside; None of a finished model, which has no validation."""
    random: Chance
    folds: tuple[FoldPart, ...]
    pairs: tuple[Part, ...]
    regimes: tuple[Part, ...]
    config_hash: str
    showcase: bool
    assumptions: tuple[str, ...]


class Held(msgspec.Struct, frozen=True):
    """Holding all pairs in equal parts over the same days, at the first schedule's fees."""

    total: float | None
    cagr: float | None
    sharpe: float | None
    depth: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One study. `data` are SHA-256 of the bars of each fold, `aligned` counts of the look-ahead check."""

    study: str
    title: str
    model: str
    venue: str
    timeframe: str
    decision: str
    instruments: tuple[str, ...]
    start: str
    end: str
    vault: str
    data_hash: str
    models: tuple[str, ...]
    trained: bool
    aligned_rows: int
    aligned_sources: int
    latest_source_s: float | None
    regime_rule: str
    held: Held | None
    fees: tuple[AtFees, ...]


class Outcome(NamedTuple):
    """Figures, and the judged records behind them by schedule."""

    figures: Figures
    judged: Mapping[str, Judged]
    market: Market


def figures(walked: Walked, lake: Path) -> Outcome:
    """Judge every schedule of a walk-forward; reads the market's daily closes from the lake."""
    first = walked.records[walked.study.schedules[0]]
    market = read_market(first, lake)
    judged = {name: judge(record, market) for name, record in walked.records.items()}
    card, study = first.card, walked.study
    hold = judged[study.schedules[0]].figures.hold
    looks = [fold.alignment for fold in walked.folds]
    latest = [look.latest_ns for look in looks if look.latest_ns is not None]
    told = Figures(
        study=study.name,
        title=study.title or study.name,
        model=study.spec or study.fixed.rpartition("/")[2],
        venue=study.venue,
        timeframe=card.timeframe,
        decision=card.models[0].decision,
        instruments=card.instruments,
        start=iso(card.start)[:10],
        end=iso(card.end)[:10],
        vault=f"{iso(walked.shut.start)[:10]} to {iso(walked.shut.end)[:10]}"
        + (f", opened by version {walked.opened}" if walked.opened else f", {UNSEEN}"),
        data_hash=card.data_hash,
        models=tuple(model.model_hash for model in card.models),
        trained=bool(study.spec),
        aligned_rows=sum(look.rows for look in looks),
        aligned_sources=sum(look.sources for look in looks),
        latest_source_s=max(latest) / SECOND if latest else None,
        regime_rule=judged[study.schedules[0]].figures.regime_rule,
        held=None
        if hold is None
        else Held(
            hold.returns.total,
            hold.returns.cagr,
            hold.returns.sharpe,
            hold.drawdown.depth if hold.drawdown else 0.0,
        ),
        fees=tuple(
            _at(name, walked.records[name], judged[name], walked.folds, study=study, lake=lake)
            for name in study.schedules
        ),
    )
    return Outcome(told, judged, market)


def encoded(told: list[Figures]) -> bytes:
    """Give the JSON file: floats to six digits, so that it reads and compares well."""
    body = _rounded(msgspec.to_builtins(told))
    return msgspec.json.format(msgspec.json.encode(body), indent=1) + b"\n"


def _at(
    name: str, record: RunRecord, judged: Judged, folds: tuple[Done, ...], *, study: Study, lake: Path
) -> AtFees:
    found = judged.figures
    cash = float(sum(record.card.cash.values()))
    paid = found.pooled.trips
    tuned = [fold.tuned[name] for fold in folds]
    parts = tuple(_fold(part, done, name) for part, done in zip(found.folds, folds, strict=True))
    sure = intervals(judged.lines.returns, seed=study.seed)
    acted = [part.total or 0.0 for part, one in zip(parts, tuned, strict=True) if one.pays]
    return AtFees(
        schedule=name,
        pooled=_part(found.pooled),
        sharpe=sure.sharpe,
        cagr=sure.cagr,
        gross=float(paid.net + paid.fees + paid.margin_fees) / cash,
        fees_cash=float(paid.fees + paid.margin_fees) / cash,
        slippage_cash=float(paid.slippage) / cash,
        acts=sum(one.pays for one in tuned),
        vetoed=float(np.prod([1.0 + total for total in acted])) - 1.0 if study.spec else None,
        random=Chance(*chance(record, lake, study.seed)),
        folds=parts,
        pairs=tuple(_part(pair) for pair in found.pairs),
        regimes=tuple(_part(regime) for regime in found.regimes),
        config_hash=record.card.config_hash,
        showcase=record.card.showcase,
        assumptions=record.card.assumptions,
    )


def _part(one: Slice) -> Part:
    trips = one.trips
    return Part(
        name=one.name,
        days=one.returns.days,
        trades=trips.trades,
        total=one.returns.total,
        cagr=one.returns.cagr,
        sharpe=one.returns.sharpe,
        depth=one.drawdown.depth if one.drawdown else None,
        per_day=one.trades_per_day,
        hold_h=None if trips.average_hold_s is None else trips.average_hold_s * SECOND / HOUR,
        win_rate=trips.win_rate,
        right=trips.right_share,
        stops=trips.stop_rate,
        targets=trips.target_rate,
        net_bps=trips.expectancy_bps,
        fees_bps=trips.fees_bps,
    )


def _fold(part: FoldSlice, done: Done, schedule: str) -> FoldPart:
    fold = done.folds[schedule]
    return FoldPart(
        **msgspec.structs.asdict(_part(part)),
        start=iso(part.start)[:10],
        end=iso(part.end)[:10],
        pairs=len(done.instruments),
        purged=fold.purged_rows,
        tuned=fold.tuned,
        metrics=fold.metrics,
    )


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
