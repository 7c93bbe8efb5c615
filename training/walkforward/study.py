"""What one walk-forward is about: bars, model recipe or finished model, how time is cut, at whose fees.

Must not know how a fold is worked off. Read by training.walkforward.cli from a plan file or from options,
used by every module beside it.
"""

import tomllib
from pathlib import Path

import msgspec

from core.errors import ConfigError, UsageError
from core.market import Timeframe
from core.text import parse_iso
from inference.features.spec import SPECS
from training.folds import Cutting, Mode
from training.trades import SCHEDULES

NAMES = tuple(fees.name for fees in SCHEDULES)


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One walk-forward. Exactly one of `spec` (train an entry model per fold) and `fixed` is set.

    `fixed` is the folder of a finished model or ensemble that is run as it is over all spans after its own
    training, in mode walk_forward alone. Days are ISO dates, empty = from the data: `start` the first bar to
    use, `vault_start` what is shut away (else the newest `vault_months`), the other three for mode `dates`.
    """

    name: str
    title: str = ""
    venue: str = "binance"
    timeframe: Timeframe = Timeframe.M15
    instruments: tuple[str, ...] = ()
    spec: str = ""
    fixed: str = ""
    mode: Mode = "walk_forward"
    train_months: int = 12
    test_months: int = 3
    anchored: bool = False
    start: str = ""
    train_start: str = ""
    tune_start: str = ""
    test_start: str = ""
    vault_months: int = 3
    vault_start: str = ""
    schedules: tuple[str, ...] = NAMES
    barrier_atr: float = 3.0
    horizon_bars: int = 24
    max_rows: int = 60_000
    seed: int = 1

    def __post_init__(self) -> None:
        if bool(self.spec) == bool(self.fixed):
            raise self._refused("either spec or fixed", f"{self.spec!r} and {self.fixed!r}")
        if self.spec and self.spec not in SPECS:
            raise self._refused(f"a spec of {', '.join(SPECS)}", repr(self.spec))
        if self.fixed and self.mode != "walk_forward":
            raise self._refused("mode walk_forward for a finished model", repr(self.mode))
        strange = [name for name in self.schedules if name not in NAMES]
        if strange or not self.schedules:
            raise self._refused(f"schedules of {', '.join(NAMES)}", ", ".join(strange) or "none")
        if self.max_rows < 1 or self.horizon_bars < 1 or self.barrier_atr <= 0:
            raise self._refused("max_rows, horizon_bars and barrier_atr above 0", "one that is not")

    def _refused(self, expected: str, found: str) -> UsageError:
        return UsageError(f"study {self.name}: expected {expected}; found {found}")

    @property
    def cutting(self) -> Cutting:
        """How it cuts time."""
        return Cutting(
            mode=self.mode,
            train_months=self.train_months,
            test_months=self.test_months,
            anchored=self.anchored,
            train_start=day(self.train_start) or 0,
            tune_start=day(self.tune_start) or 0,
            test_start=day(self.test_start) or 0,
        )


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Studies to run after one another with one desk: a configuration file, relative to the plan."""

    desk: str
    study: tuple[Study, ...]


def read_plan(path: Path) -> Plan:
    """Read a plan's TOML; ConfigError in one line for what it does not know."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Plan)
    except OSError as missing:
        raise ConfigError(f"{path}: expected a plan of studies; found: {missing.strerror}") from missing
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise ConfigError(f"{path}: {wrong}") from wrong


def day(text: str) -> int | None:
    """Read a date as ns UTC, None of nothing; UsageError for what is none."""
    try:
        return parse_iso(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"study: expected a date like 2024-05-01; found {text!r}") from wrong
