"""A run's tables as CSV: round trips, months, folds, and each pair's daily profit.

Must not know pages or pictures. Called by trader.evaluation.write. Money keeps all its digits, times are
ISO-8601 UTC, an unknown figure is an empty cell.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.clock import DAY, SECOND
from core.text import iso
from trader.backtest.record import RunRecord, Trip
from trader.evaluation.assessment import FoldSlice, Judged, Slice

Row = Mapping[str, object]

_SUMS = ("gross", "fees", "margin_fees", "slippage", "net", "turnover")


def write_tables(record: RunRecord, judged: Judged, folder: Path) -> None:
    """Write trips.csv, monthly.csv, folds.csv and pairs/<BASE-QUOTE>.csv."""
    figures = judged.figures
    _write(folder / "trips.csv", [_trip(trip) for trip in record.trips], TRIP_COLUMNS)
    _write(
        folder / "monthly.csv", [{"month": one.name} | _slice(one) for one in figures.months], MONTH_COLUMNS
    )
    tuned = sorted({name for fold in figures.folds for name in fold.tuned})
    _write(
        folder / "folds.csv", [_fold(fold) for fold in figures.folds], (*FOLD_COLUMNS, *map(_tuned, tuned))
    )
    (folder / "pairs").mkdir(exist_ok=True)
    for instrument in record.card.instruments:
        path = folder / "pairs" / f"{file_name(instrument)}.csv"
        _write(path, _days(instrument, record, judged), DAY_COLUMNS)


def file_name(instrument: str) -> str:
    """Give `BTC-USDT` for `BTC/USDT`."""
    return instrument.replace("/", "-")


TRIP_COLUMNS = (
    *("number", "account", "trader", "instrument", "side", "opened", "closed", "hold_s", "quantity"),
    *("entry", "exit", *_SUMS, "ended_by", "reason", "fills", "prediction_id"),
)
MONTH_COLUMNS = (
    *("month", "days", "net_return", "max_drawdown", "sharpe", "trades", "trades_per_day", "win_rate"),
    *("avg_hold_s", *_SUMS),
)
FOLD_COLUMNS = ("fold", "start", "end", *MONTH_COLUMNS[1:])
DAY_COLUMNS = ("day", "net", "fees", "net_so_far", "fees_so_far", "trades")


def _trip(trip: Trip) -> dict[str, object]:
    exact = ("account", "trader", "instrument", "side", "quantity", "entry", "exit", *_SUMS)
    rest = ("ended_by", "reason", "fills", "prediction_id")
    return {name: getattr(trip, name) for name in (*exact, *rest)} | {
        "opened": iso(trip.opened),
        "closed": iso(trip.closed),
        "hold_s": (trip.closed - trip.opened) // SECOND,
    }


def _slice(part: Slice) -> dict[str, object]:
    trips = part.trips
    return {
        "days": part.returns.days,
        "net_return": part.returns.total,
        "max_drawdown": part.drawdown.depth if part.drawdown else 0.0,
        "sharpe": part.returns.sharpe,
        "trades": trips.trades,
        "trades_per_day": part.trades_per_day,
        "win_rate": trips.win_rate,
        "avg_hold_s": trips.average_hold_s,
        **{name: getattr(trips, name) for name in _SUMS},
    }


def _fold(fold: FoldSlice) -> dict[str, object]:
    span: dict[str, object] = {"fold": fold.number, "start": iso(fold.start), "end": iso(fold.end)}
    return span | _slice(fold) | {_tuned(name): value for name, value in fold.tuned.items()}


def _tuned(name: str) -> str:
    return f"tuned_{name}"


def _days(instrument: str, record: RunRecord, judged: Judged) -> Iterable[Row]:
    seen = judged.lines
    net, fees = seen.pairs[instrument], seen.pair_fees[instrument]
    opened: dict[int, int] = {}
    for trip in record.trips:
        if trip.instrument == instrument:
            # What answers the last close is opened after it and belongs to that day.
            day = (min(trip.opened, record.card.end - 1) - record.card.start) // DAY
            opened[day] = opened.get(day, 0) + 1
    for day in range(len(net) - 1):
        yield {
            "day": iso(int(seen.days[day]))[:10],
            "net": round(net[day + 1] - net[day], 8),
            "fees": round(fees[day + 1] - fees[day], 8),
            "net_so_far": round(net[day + 1], 8),
            "fees_so_far": round(fees[day + 1], 8),
            "trades": opened.get(day, 0),
        }


def _write(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({"number": number} | dict(row) if "number" in columns else row)
