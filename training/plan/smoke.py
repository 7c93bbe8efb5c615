"""A small member of every kind, from bars to orders: trained, exported, proved, and traded for some days.

Must not know how models are made. Called by `training smoke` and by the suite. The market that the
manager learns from is drawn, since the repository has no minutes.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from core.clock import DAY, SECOND, LiveClock
from core.market import Timeframe
from core.text import iso, parse_iso
from inference import artifact, ensemble
from inference.card import Kind
from inference.ensemble import ENSEMBLE_FILE
from trader.backtest.parallel import each
from trader.backtest.run import run
from training.guard.lake import write_lake
from training.plan import run as plans
from training.plan.job import Made, Place
from training.plan.schema import read_plan
from training.registry.handover import BATCHES, parity
from training.synthetic.market import market
from training.walkforward.desk import acting, desk

PLAN = Path("configs/train/smoke.toml")
MARKET = Path("configs/market")
DESK = Path("configs/walkforward/desk.toml")
VENUE, INSTRUMENTS = "binance", ("BTC/USDT", "ETH/USDT")
START, DAYS = "2024-07-10", 3
"""Of the backtests: behind every training row."""
DRAWN_PAIRS, DRAWN_DAYS, DRAWN_SEED = 2, 60, 1
CONFIDENCE = 0.34
"""Hardly more than a third: the desk shall act on what says next to nothing."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model: test rows, log loss beside the base rate's, size, largest parity error, and its orders.

    None where there is nothing to say: an ensemble has no figures of its own, a regime model no orders.
    """

    name: str
    kind: str
    seconds: float
    bytes: int
    hash: str
    rows: int | None = None
    log_loss: float | None = None
    log_loss_base: float | None = None
    parity: float | None = None
    orders: int | None = None
    decisions: int | None = None


class Smoke(msgspec.Struct, frozen=True):
    """All rows, and seconds in all."""

    rows: tuple[Row, ...]
    seconds: float


class _Trade(msgspec.Struct, frozen=True):
    """A model that is to be traded on a lake."""

    name: str
    folder: Path
    lake: Path
    desk: Path

    def __str__(self) -> str:
        return self.name


def smoke(
    folder: Path,
    *,
    plan: Path = PLAN,
    bars: Path = MARKET,
    desk_file: Path = DESK,
    workers: int = 2,
    on_done: Callable[[str], None] | None = None,
) -> Smoke:
    """Make everything in `folder`; any model that cannot be made, proved or traded raises as it does."""
    clock = LiveClock()
    began = clock.monotonic()
    lake = _lake(folder / "lake", bars)
    place = Place(lake, folder / "models", folder / "work")
    made = plans.train(read_plan(plan), plan, place, workers=workers, on_done=on_done)
    rows = [_row(one, place.out / one.name) for one in made]
    voting = [row.name for row in rows if row.kind in (Kind.ENTRY.value, "ensemble")]
    trades = [_Trade(name, place.out / name, lake, desk_file.resolve()) for name in voting]
    traded = dict(zip(voting, each(_traded, trades, workers=workers), strict=True))
    told = tuple(
        msgspec.structs.replace(row, decisions=traded[row.name][0], orders=traded[row.name][1])
        if row.name in traded
        else row
        for row in rows
    )
    return Smoke(told, round((clock.monotonic() - began) / SECOND, 1))


def lines(found: Smoke) -> list[str]:
    """Give the table."""
    head = f"{'model':10} {'kind':9} {'rows':>7} {'seconds':>8} {'log loss':>9} {'base':>9} {'bytes':>9}"
    told = [f"{head} {'parity':>8} {'decisions':>9} {'orders':>7}"]
    for row in found.rows:
        figures = (
            f"{_shown(row.rows, ',d'):>7} {row.seconds:8.1f} {_shown(row.log_loss, '.5f'):>9} "
            f"{_shown(row.log_loss_base, '.5f'):>9} {row.bytes:9,d} {_shown(row.parity, '.0e'):>8} "
            f"{_shown(row.decisions, ',d'):>9} {_shown(row.orders, ',d'):>7}"
        )
        told.append(f"{row.name:10} {row.kind:9} {figures}")
    start = parse_iso(START)
    told.append(
        f"all proved in batches of {', '.join(map(str, BATCHES))}; traded {iso(start)[:10]} to "
        f"{iso(start + DAYS * DAY)[:10]}; {found.seconds:.0f} s in all"
    )
    return told


def _lake(root: Path, bars: Path) -> Path:
    """Put the recorded bars and a drawn market side by side."""
    recorded = root / "ohlcv" / VENUE
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.unlink(missing_ok=True)
    recorded.symlink_to((bars / "ohlcv" / VENUE).resolve(), target_is_directory=True)
    write_lake(root, market(DRAWN_PAIRS, DRAWN_DAYS, DRAWN_SEED), Timeframe.M1)
    return root


def _row(made: Made, folder: Path) -> Row:
    proved = ensemble.verify(folder)
    row = Row(
        name=made.name,
        kind=str(proved["kind"]),
        seconds=made.seconds,
        bytes=made.bytes,
        hash=made.model_hash,
    )
    if (folder / ENSEMBLE_FILE).is_file():
        return row
    model = artifact.load(folder)
    return msgspec.structs.replace(
        row,
        rows=model.card.split.test_rows,
        log_loss=model.card.metrics.log_loss,
        log_loss_base=model.card.metrics.log_loss_base,
        parity=max(parity(model).errors.values()),
    )


def _traded(job: _Trade) -> tuple[int, int]:
    """Trade a model through the engine; give decisions and orders."""
    config = acting(desk(job.desk, VENUE, INSTRUMENTS, job.folder), "gross", CONFIDENCE)
    start = parse_iso(START)
    result = run(config, job.lake, start, start + DAYS * DAY)
    return result.decisions, result.orders


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
