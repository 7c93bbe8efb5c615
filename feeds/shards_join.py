"""Which rows are left when stored rows and new ones meet: bars by time, trades by number or position.

Must not know files. Called by feeds.shards. Nothing here depends on which of two sources came first,
except where the newer row is asked for.
"""

from typing import NamedTuple

import polars as pl

from core.clock import SECOND

_LAST = 2**62
_SHARED = 50_000
"""How many moments that several sources tell are united at once: bounds the memory of a merge."""


class Join(NamedTuple):
    """The rows that are left, and how many stored ones gave way."""

    rows: pl.DataFrame
    replaced: int


def newer_rows(old: pl.DataFrame | None, rows: pl.DataFrame) -> Join:
    """Give each `ts` once; the last row wins."""
    both = rows if old is None else pl.concat([_like(old, rows), rows])
    best = both.unique("ts", keep="last", maintain_order=True).sort("ts")
    return Join(best, 0 if old is None else _changed(old, best, "ts"))


def fuller_bars(old: pl.DataFrame | None, rows: pl.DataFrame) -> Join:
    """Give each `ts` once; the bar of more trades, then of more volume, wins."""
    both = rows if old is None else pl.concat([_like(old, rows), rows])
    # Ties are broken by the values, so that the order of arrival never shows.
    rank = ("trades", "volume", "high", "low", "open", "close", "vwap")
    best = both.sort("ts", *rank, nulls_last=False).unique("ts", keep="last", maintain_order=True)
    return Join(best, 0 if old is None else _changed(old, best, "ts"))


def united_trades(old: pl.DataFrame | None, rows: pl.DataFrame) -> Join:
    """Give each trade once, in time order; see Shards.merge_trades."""
    if old is None and rows["ts"].is_sorted() and not (rows["trade_id"] > 0).any():
        return Join(rows, 0)
    if old is not None and (glued := _glued(old, rows)) is not None:
        return Join(glued, 0)
    back = (pl.col("ts").diff() < 0).fill_null(value=False)
    both = rows.with_columns(source=(back.cum_sum() + 1).cast(pl.UInt32))
    if old is not None:
        both = pl.concat([old.with_columns(source=pl.lit(0, pl.UInt32)), both])
    if not (both["trade_id"] > 0).any():
        return Join(_united(both).drop("source").sort("ts", maintain_order=True), 0)
    numbered = both.filter(pl.col("trade_id") > 0).unique("trade_id", keep="last", maintain_order=True)
    bare = both.filter(pl.col("trade_id") <= 0)
    seconds = numbered["ts"].unique() // SECOND
    displaced = (pl.col("ts") // SECOND).is_in(seconds.implode())
    replaced = bare.filter(displaced & (pl.col("source") == 0)).height
    if old is not None:
        replaced += _changed(old.filter(pl.col("trade_id") > 0), numbered.drop("source"), "trade_id")
    whole = pl.concat([_united(bare.filter(~displaced)), numbered]).drop("source")
    return Join(whole.sort("ts", "trade_id", maintain_order=True), replaced)


def _glued(old: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame | None:
    """Put two sources together where they tell the same about the time they share, which is usual.

    None where they do not, or where trades with numbers would have to displace others.
    """
    if not (old["ts"].is_sorted() and rows["ts"].is_sorted()):
        return None
    begin, end = max(old["ts"][0], rows["ts"][0]), min(old["ts"][-1], rows["ts"][-1])
    cuts = [
        (int(one["ts"].search_sorted(begin, "left")), int(one["ts"].search_sorted(end, "right")))
        for one in (old, rows)
    ]
    if begin > end:
        cuts = [(len(one), len(one)) if one["ts"][-1] < begin else (0, 0) for one in (old, rows)]
    (first, last), (other_first, other_last) = cuts
    shared = old.slice(first, last - first)
    if not shared.equals(rows.slice(other_first, other_last - other_first)):
        return None
    before = old.head(first) if first else rows.head(other_first)
    after = old.slice(last) if last < len(old) else rows.slice(other_last)
    if len(before) + len(shared) + len(after) == max(len(old), len(rows)):
        return old if len(old) >= len(rows) else rows
    if (old["trade_id"] > 0).any() or (rows["trade_id"] > 0).any():
        return None
    return pl.concat([before, shared, after])


def _united(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each trade without a number once, in the order of the source that tells most of its `ts`."""
    told = rows.select("ts", "source").filter(
        ((pl.col("ts").diff() != 0) | (pl.col("source").diff() != 0)).fill_null(value=True)
    )
    shared = told.filter(pl.col("ts").is_duplicated())["ts"].unique().sort()
    if shared.is_empty():
        return rows
    parts = [rows.filter(~pl.col("ts").is_in(shared.implode()))]
    for first in range(0, len(shared), _SHARED):
        some = rows.filter(pl.col("ts").is_in(shared[first : first + _SHARED].implode()))
        parts.append(_united_ts(some))
    return pl.concat(parts)


def _united_ts(rows: pl.DataFrame) -> pl.DataFrame:
    shared = rows.with_columns(
        place=pl.int_range(pl.len()).over("source", "ts"),
        nth=pl.int_range(pl.len()).over("source", "ts", "price", "qty"),
    )
    lists = shared.group_by("source", "ts", maintain_order=True).agg(
        pl.len().alias("told"), "price", "qty", "side", "market"
    )
    # Sources that tell as much and differ are ranked by their values: arrival must not show.
    descending = [False, True, False, False, False, False]
    ranked = lists.sort("ts", "told", "price", "qty", "side", "market", descending=descending).with_columns(
        rank=pl.int_range(pl.len()).over("ts")
    )
    return (
        shared.join(ranked.select("source", "ts", "rank"), on=["source", "ts"], maintain_order="left")
        .with_columns(place=pl.when(pl.col("rank") == 0).then("place").otherwise(_LAST))
        .sort("ts", "place", "price", "qty", "nth", "rank")
        .unique(["ts", "price", "qty", "nth"], keep="first", maintain_order=True)
        .select(rows.columns)
    )


def _changed(old: pl.DataFrame, new: pl.DataFrame, key: str) -> int:
    """Count the rows of `old` whose values differ in `new`."""
    kept = new.join(_like(old, new).select(key), on=key, how="semi")
    same = kept.join(_like(old, new), on=new.columns, how="semi", nulls_equal=True)
    return len(kept) - len(same)


def _like(rows: pl.DataFrame, model: pl.DataFrame) -> pl.DataFrame:
    """Give `rows` the columns of `model`; what they lack is null."""
    lacking = [
        pl.lit(None, kind).alias(name) for name, kind in model.schema.items() if name not in rows.columns
    ]
    return rows.with_columns(lacking).select(model.columns)
