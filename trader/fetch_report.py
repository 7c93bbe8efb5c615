"""What a download did, as rows for JSON and lines for people.

Must not know how it was done. Called by the command and by the log.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.market import Timeframe
from core.text import iso
from feeds.history import Fetched
from feeds.lake import Series

_TOTALS = ("rows", "added", "replaced", "repeated", "requests", "retries")


def row(result: Fetched) -> dict[str, Any]:
    """Give one series. `rows` came over the network; `added` were new to the lake."""
    gaps = [{"after": iso(gap.after_ts), "before": iso(gap.before_ts), "ids": gap.ids} for gap in result.gaps]
    return {
        "series": result.series,
        "since": iso(result.since),
        "until": iso(result.until),
        "reached": iso(result.reached),
        "complete": result.finished,
        **{name: getattr(result, name) for name in _TOTALS},
        "gaps": gaps,
    }


def summary(
    source: str, lake: str, results: Sequence[Fetched], failed: Sequence[str], *, interrupted: bool
) -> dict[str, Any]:
    """Give totals and every series."""
    return {
        "source": source,
        "lake": lake,
        **{name: sum(getattr(result, name) for result in results) for name in _TOTALS},
        "gaps": sum(len(result.gaps) for result in results),
        "interrupted": interrupted,
        "failed": list(failed),
        "series": [row(result) for result in results],
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Give what a person wants to read of a summary beside its totals."""
    for one in told["series"]:
        for gap in one["gaps"]:
            what = f"{gap['ids']} trades lacking" if gap["ids"] else "not served any more"
            yield f"gap in {one['series']}: {gap['after']} to {gap['before']}, {what}"
    check = told.get("check", {})
    for one in check.get("series", []):
        yield f"{one['series']}: {one['rows']:,} bars, {one['missing']:.2%} missing, {one['bytes']:,} bytes"
    for one in check.get("features", []):
        yield (
            f"{one['series']} {one['spec']}: {one['columns']} columns x {one['rows']:,} rows, "
            f"{one['ready']:,} ready, {one['non_finite_share']:.2%} not finite"
        )


def bar_series(results: Sequence[Fetched]) -> Iterator[Series]:
    """Give the series of bars that a download touched; trades may have been made into minutes."""
    for result in results:
        kind, venue, pair, *rest = result.series.split("/")
        if kind in {"ohlcv", "trades"}:
            timeframe = Timeframe(rest[0]) if rest else Timeframe.M1
            yield Series(venue, pair.replace("-", "/"), timeframe)
