"""The file in which a run's significance lies: what luck could have done, and whether this was more.

Must not know how the figures are made: training.significance makes them and writes the file, for the
libraries that do the statistics are part of the training set. Read by trader.evaluation for its pages.
"""

from pathlib import Path

import msgspec

from core.errors import DataError
from inference.card import Interval

FILE = "significance.json"


class Significance(msgspec.Struct, frozen=True, kw_only=True):
    """Daily returns of one run against luck; Sharpe ratios a year of 365 days, intervals 95 %.

    `trials` are all that the ledger counts on this data, `compared` those whose daily series are known
    for the whole span, `effective` what the compared ones are worth if correlation is taken off.
    `dsr` deflates by `trials`, `dsr_effective` by the effective number, `dsr_textbook` by `trials` with the
    whole spread of their Sharpe ratios, costs included; `luck` is the Sharpe ratio that the best of `trials`
    is expected to show without any skill. `pbo` is None with fewer than two trials.
    `spa` are Hansen's consistent p-values against hold, flat and random (entry at random with the run's own
    number of trades, holding times, sizes and costs). `min_track_days` is how long this record would
    have to be for its Sharpe ratio to be told from zero, None if no length would do; `min_backtest_days`
    the length below which as many trials reach this Sharpe ratio by luck alone.
    `failed` names the criteria that were not met; `sentence` says it in words.
    """

    schema: int = 1
    config_hash: str
    schedule: str
    days: int
    trips: int
    trials: int
    compared: int
    effective: float
    sharpe: Interval
    sharpe_error: float | None
    cagr: Interval
    mean_daily: Interval
    max_drawdown: Interval
    psr: float | None
    dsr: float | None
    dsr_textbook: float | None
    dsr_effective: float | None
    luck: float | None
    pbo: float | None
    pbo_blocks: int | None
    spa: dict[str, float | None]
    superior: bool
    """Whether the stepwise multiple test (5 %) names this run as better than each of the three."""
    min_track_days: int | None
    min_backtest_days: int | None
    passed: bool
    failed: tuple[str, ...]
    sentence: str
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write the file into a run's folder."""
        (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def load(folder: Path) -> Significance | None:
    """Read a run's file; None if nobody has asked yet, DataError in one line if it is not one."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Significance)
    except (OSError, msgspec.DecodeError) as wrong:
        reason = str(wrong).partition("\n")[0]
        raise DataError(f"{path}: expected figures of significance; {reason}") from wrong
