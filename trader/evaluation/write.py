"""All files of a run: figures, tables, pictures and the page, beside the record itself.

Must not know the engine. Called by `trader backtest run`, `trader backtest report` and by training's
walk-forward.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from core.errors import DataError, UsageError
from trader.backtest.record import RunRecord, load
from trader.evaluation import significance
from trader.evaluation.assessment import Assessment, judge
from trader.evaluation.market import CANDLES, CLOSES, Market, load_market
from trader.evaluation.page import write_page
from trader.evaluation.pictures import write_pictures
from trader.evaluation.tables import write_tables

METRICS, PAGE = "metrics.json", "report.html"
MADE = (METRICS, PAGE, CLOSES, CANDLES, significance.FILE, "*.csv", "*.png", "pairs/*.csv", "pairs/*.png")
"""What is made of a record and lies beside it."""


class Written(msgspec.Struct, frozen=True):
    """What was written, and in one line each what could not be."""

    figures: Assessment
    page: Path
    notes: tuple[str, ...]


def keep(record: RunRecord, folder: Path) -> None:
    """Save a record; what was made of another one that lay there would be taken for its own, and goes."""
    if not _lies_in(folder, record):
        for path in (path for name in MADE for path in folder.glob(name)):
            path.unlink()
    record.save(folder)


def write_report(
    record: RunRecord,
    folder: Path,
    market: Market | None = None,
    *,
    pictures: bool = True,
    on_picture: Callable[[int, int], None] | None = None,
) -> Written:
    """Write metrics.json, the CSV tables, the PNG pictures and report.html into a run's folder.

    Without `market` the one kept in the folder is used; where there is none, the page has no baseline,
    no regimes and no candles, and a note says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if market is None:
        market = load_market(folder)
    else:
        market.save(folder)
    judged = judge(record, market, significance.load(folder))
    (folder / METRICS).write_bytes(msgspec.json.format(msgspec.json.encode(judged.figures), indent=1) + b"\n")
    write_tables(record, judged, folder)
    notes = []
    if market is None:
        notes.append(
            f"{folder}: no bars of the market are kept here, so the report has no hold baseline, regimes and "
            "candles; name the lake with --data"
        )
    if pictures:
        try:
            write_pictures(judged, folder, on_picture)
        except UsageError as missing:
            notes.append(str(missing))
    write_page(record, judged, market, folder / PAGE)
    return Written(judged.figures, folder / PAGE, tuple(notes))


def _lies_in(folder: Path, record: RunRecord) -> bool:
    try:
        old = load(folder)
    except DataError:
        return False
    frames = old.curve.equals(record.curve) and old.pairs.equals(record.pairs)
    return frames and (old.card, old.trips) == (record.card, record.trips)
