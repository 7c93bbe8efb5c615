"""Folds put end to end: one record of the whole out-of-sample time, its money multiplied on.

Must not know models, bars or files. Called by training.walkforward.run. Every fold starts with the same
cash, so that no fold's sizes depend on the luck of the one before; in the chain a fold's money counts times
what the folds before have made of one unit. Trips' net then adds up to the chained equity, but for rounding.
What fills a moment after a fold's last close is put to its end.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec
import polars as pl

from core.errors import DataError
from trader.backtest.record import Fold, RunCard, RunRecord, Trip

_PLACES = Decimal("1e-12")
_MONEY = ("quantity", "gross", "fees", "margin_fees", "slippage", "turnover")

ASSUMPTIONS = (
    (
        "Walk-forward: every fold knows only what lay before its test span and starts with the same cash; "
        "equity is chained by multiplying, and so are quantities and money of trades."
    ),
    (
        "A position open at the end of a fold is valued at its last mark and does not pay for a way out; the "
        "next fold starts flat."
    ),
)


def chain(records: Sequence[RunRecord], folds: Sequence[Fold], command: str) -> RunRecord:
    """Join records of adjoining spans, in time order, with one account each; DataError for anything else."""
    records = [_within(record) for record in records]
    cards = [record.card for record in records]
    if not records or any(one.end != after.start for one, after in pairwise(cards)):
        raise DataError("walk-forward: expected folds that adjoin; found a gap or none")
    if any(card.cash != cards[0].cash for card in cards) or len(cards[0].cash) != 1:
        raise DataError("walk-forward: expected one account with the same cash in every fold")
    (cash,) = cards[0].cash.values()
    factor = Decimal(1)
    paid: dict[str, tuple[float, float]] = {}
    trips: list[Trip] = []
    curve: list[pl.DataFrame] = []
    pairs: list[pl.DataFrame] = []
    for record in records:
        scaled = [_scaled(trip, factor) for trip in record.trips]
        trips += scaled
        curve.append(_curve(record, float(factor), paid.get("", (0.0, 0.0))[1]))
        pairs.append(_pairs(record, float(factor), paid))
        _add(paid, scaled)
        earned = sum((trip.net for trip in record.trips), Decimal(0))
        factor = max((factor * (1 + earned / cash)).quantize(_PLACES), Decimal(0))
    return RunRecord(_card(cards, folds, command), tuple(trips), pl.concat(curve), pl.concat(pairs))


def _within(record: RunRecord) -> RunRecord:
    """Give a fold that ends with its span: what answers its last close comes a moment later."""
    end = record.card.end

    def rows(frame: pl.DataFrame, of: str) -> pl.DataFrame:
        within = frame.with_columns(ts=pl.min_horizontal("ts", pl.lit(end, pl.Int64)))
        return within.unique(["ts", of], keep="last", maintain_order=True)

    trips = tuple(
        msgspec.structs.replace(trip, opened=min(trip.opened, end - 1), closed=min(trip.closed, end))
        for trip in record.trips
    )
    return RunRecord(record.card, trips, rows(record.curve, "account"), rows(record.pairs, "instrument"))


def _scaled(trip: Trip, factor: Decimal) -> Trip:
    if factor == 1:
        return trip
    return msgspec.structs.replace(trip, **{name: getattr(trip, name) * factor for name in _MONEY})


def _add(paid: dict[str, tuple[float, float]], trips: Iterable[Trip]) -> None:
    """Add net and fees of one fold's trips up by instrument, and of all under the empty name."""
    for trip in trips:
        for name in (trip.instrument, ""):
            net, fees = paid.get(name, (0.0, 0.0))
            paid[name] = net + float(trip.net), fees + float(trip.fees + trip.margin_fees)


def _curve(record: RunRecord, factor: float, fees: float) -> pl.DataFrame:
    scaled = record.curve.with_columns(
        pl.col("equity") * factor,
        pl.col("exposure") * factor,
        pl.col("fees") * factor + fees,
    )
    if not scaled.height or scaled["exposure"][-1] == 0.0:
        return scaled
    # What is still open ends here: the next fold is flat until its first trade.
    closed = scaled.tail(1).with_columns(ts=pl.lit(record.card.end, pl.Int64), exposure=pl.lit(0.0))
    return pl.concat([scaled.filter(pl.col("ts") < record.card.end), closed])


def _pairs(record: RunRecord, factor: float, paid: dict[str, tuple[float, float]]) -> pl.DataFrame:
    names = record.pairs["instrument"].to_list()
    before = [paid.get(name, (0.0, 0.0)) for name in names]
    scaled = record.pairs.with_columns(
        pl.col("net") * factor + pl.Series([net for net, _ in before], dtype=pl.Float64),
        pl.col("fees") * factor + pl.Series([fees for _, fees in before], dtype=pl.Float64),
        pl.col("exposure") * factor,
    )
    end = record.card.end
    last = scaled.group_by("instrument", maintain_order=True).last().filter(pl.col("exposure") != 0.0)
    closed = last.with_columns(ts=pl.lit(end, pl.Int64), exposure=pl.lit(0.0)).select(scaled.columns)
    gone = (pl.col("ts") == end) & pl.col("instrument").is_in(closed["instrument"].to_list())
    return pl.concat([scaled.filter(~gone), closed]).sort("ts", "instrument", maintain_order=True)


def _card(cards: Sequence[RunCard], folds: Sequence[Fold], command: str) -> RunCard:
    first = cards[0]
    models = {model.model_hash: model for fold in folds for model in fold.models}
    return msgspec.structs.replace(
        first,
        command=command,
        config_hash=_together(_configured(card) for card in cards),
        data_hash=_together(card.data_hash for card in cards),
        instruments=tuple(sorted({name for card in cards for name in card.instruments})),
        end=cards[-1].end,
        models=tuple(models.values()),
        assumptions=(*ASSUMPTIONS, *dict.fromkeys(line for card in cards for line in card.assumptions)),
        counts=_summed(card.counts for card in cards),
        refusals=_summed(card.refusals for card in cards),
        notices=_summed(card.notices for card in cards),
        folds=tuple(folds),
    )


def _together(hashes: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _configured(card: RunCard) -> str:
    """Give the hash of a configuration without its paths: folds lie wherever they were made."""
    return hashlib.sha256(msgspec.json.encode(card.config, order="sorted")).hexdigest()


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total.most_common())
