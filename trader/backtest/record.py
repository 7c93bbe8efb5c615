"""What one backtest leaves behind: a folder that a report, a comparison and a statistic are made from.

Must not know the desk, the exchange, models or pictures. Written by trader.backtest.run, read by
trader.evaluation and by the training package. Everything in it follows from the inputs alone: no
machine time and no paths, so that the same run writes the same bytes.

`run.json` the card, `trips.json` round trips in exact decimals, `curve.parquet` (ts, account, equity,
exposure, fees) and `pairs.parquet` (ts, instrument, net, fees, exposure): one row at the end of each
UTC hour in which something changed, so a reader fills forward, from the card's cash and nothing on.
Money is in the quote currency, in the frames as float64: `net` and `fees` (margin fees too) are sums
since the start, `net` with open profit; `exposure` is gross in `curve` and signed in `pairs`.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from core.errors import DataError

CARD, TRIPS, CURVE, PAIRS = "run.json", "trips.json", "curve.parquet", "pairs.parquet"
SCHEMA = 1


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """One position from flat to flat, ns UTC. net = gross - fees - margin_fees, to the last digit.

    `gross` is the profit of prices, `slippage` the part of it that was paid against the mid of each
    fill's moment (positive = cost), `turnover` price x quantity over all fills. `ended_by` is stop,
    target, time, opinion, brake, liquidation or end (still open when the data ended, valued at the
    last mark; `exit` is that mark). `reason` is the engine's own sentence for the exit.
    """

    account: str
    trader: str
    instrument: str
    side: str
    opened: int
    closed: int
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    gross: Decimal
    fees: Decimal
    margin_fees: Decimal
    slippage: Decimal
    turnover: Decimal
    ended_by: str
    reason: str = ""
    fills: int = 0
    prediction_id: str = ""

    @property
    def net(self) -> Decimal:
        """What the account has earned by it."""
        return self.gross - self.fees - self.margin_fees


class ModelUsed(msgspec.Struct, frozen=True):
    """A trader's model; up to `trained_until` (ns UTC) the run is in sample."""

    trader: str
    name: str
    model_hash: str
    decision: str
    trained_until: int


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One out-of-sample span of a walk-forward run with what was decided before it; ns UTC.

    `tuned` are the values chosen on the validation span, `metrics` what the fold's report says.
    """

    number: int
    train_start: int
    train_end: int
    validation_start: int
    test_start: int
    test_end: int
    purged_rows: int
    tuned: dict[str, float]
    models: tuple[ModelUsed, ...] = ()
    metrics: dict[str, float | None] = {}


class RunCard(msgspec.Struct, frozen=True, kw_only=True):
    """What was run. `assumptions` are the sentences of the report's first page, in order.

    `config` is the resolved configuration without paths, `data_hash` a SHA-256 over the bars used,
    `counts` bars, active_bars, orders, fills, decisions; `checks` verdicts by name (look-ahead
    checks and the like), empty until somebody has made them.
    """

    schema: int = SCHEMA
    version: str
    command: str
    config_hash: str
    config: dict[str, Any]
    data_hash: str
    venue: str
    timeframe: str
    instruments: tuple[str, ...]
    start: int
    end: int
    cash: dict[str, Decimal]
    schedule: str
    models: tuple[ModelUsed, ...]
    assumptions: tuple[str, ...]
    counts: dict[str, int]
    refusals: dict[str, int]
    notices: dict[str, int]
    showcase: bool
    folds: tuple[Fold, ...] = ()
    checks: tuple["Check", ...] = ()


class Check(msgspec.Struct, frozen=True):
    """A named check of the run: what was done, what came out, and whether that is as it should be."""

    name: str
    passed: bool
    found: str
    figures: dict[str, float] = {}


class RunRecord(msgspec.Struct, frozen=True):
    """A run's folder in memory; the frames have the columns that the module names."""

    card: RunCard
    trips: tuple[Trip, ...]
    curve: pl.DataFrame
    pairs: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write the folder's files; an earlier run's are replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).write_bytes(_pretty(self.card))
        (folder / TRIPS).write_bytes(_pretty(self.trips))
        self.curve.write_parquet(folder / CURVE, compression="zstd")
        self.pairs.write_parquet(folder / PAIRS, compression="zstd")


def load(folder: Path) -> RunRecord:
    """Read a folder; DataError in one line if it is not a run's."""
    try:
        card = msgspec.json.decode((folder / CARD).read_bytes(), type=RunCard)
        trips = msgspec.json.decode((folder / TRIPS).read_bytes(), type=tuple[Trip, ...])
        curve, pairs = (pl.read_parquet(folder / name) for name in (CURVE, PAIRS))
    except (OSError, msgspec.DecodeError, pl.exceptions.PolarsError) as wrong:
        reason = str(wrong).partition("\n")[0]
        raise DataError(f"{folder}: expected a backtest's folder ({CARD}, {TRIPS}, ...); {reason}") from wrong
    return RunRecord(card, trips, curve, pairs)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
