"""What a backtest found, and the ledgers it is read from.

Must not know the desk, the exchange or files. Filled by trader.backtest, printed by the command.
"""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

from core.errors import UsageError
from core.orders import SubmitOrder
from core.text import iso
from trader.backtest.ledger import CURVE, PAIRS, framed
from trader.backtest.record import RunCard, RunRecord, Trip


class SignalLine(msgspec.Struct, frozen=True, array_like=True):
    """One usable opinion and what risk read from it; probabilities are down, hold, up."""

    ts_close: int
    trader: str
    instrument: str
    direction: str
    p_down: float
    p_hold: float
    p_up: float


class BacktestResult(msgspec.Struct, frozen=True):
    """The figures of one run. `seconds` is machine time from reading bars to the end; money in quote.

    `curve` and `pairs` are the rows of the record's frames. `card` is there where the run began with a
    lake; `opinions` says whether the models' answers were kept from before.
    """

    start: int
    end: int
    bars: int
    active_bars: int
    seconds: float
    orders: int
    fills: int
    round_trips: int
    wins: int
    equity: Decimal
    cash: Decimal
    fees: Decimal
    max_drawdown: float
    decisions: int
    refusals: dict[str, int]
    notices: dict[str, int]
    models: dict[str, str]
    config_hash: str
    showcase: bool
    accounts: dict[str, Decimal]
    signals: list[SignalLine]
    sent: list[SubmitOrder]
    trips: tuple[Trip, ...]
    curve: tuple[tuple[Any, ...], ...]
    pairs: tuple[tuple[Any, ...], ...]
    card: RunCard | None = None
    opinions: str = ""
    estimate_mb: int = 0

    def record(self, command: str) -> RunRecord:
        """Give what a report is made from; UsageError for a run without a card."""
        if self.card is None:
            raise UsageError("record: expected a run over a lake; found one over instants of its caller")
        card = msgspec.structs.replace(self.card, command=command)
        return RunRecord(card, self.trips, framed(self.curve, CURVE), framed(self.pairs, PAIRS))

    @property
    def bars_per_s(self) -> float:
        """Source bars a second."""
        return self.bars / self.seconds if self.seconds > 0 else 0.0

    @property
    def total_return(self) -> float:
        """Fraction of the starting cash, over all accounts."""
        return float(self.equity / self.cash - 1)

    def report(self, *, signals: bool) -> dict[str, Any]:
        """Give the figures as JSON would hold them."""
        found: dict[str, Any] = {
            "start": iso(self.start),
            "end": iso(self.end),
            "bars": self.bars,
            "active_bars_share": round(self.active_bars / self.bars, 4) if self.bars else 0.0,
            "seconds": round(self.seconds, 3),
            "bars_per_s": round(self.bars_per_s),
            "orders": self.orders,
            "fills": self.fills,
            "round_trips": self.round_trips,
            "win_rate": round(self.wins / self.round_trips, 4) if self.round_trips else None,
            "cash": str(self.cash),
            "equity": str(self.equity),
            "return": round(self.total_return, 6),
            "max_drawdown": round(self.max_drawdown, 6),
            "fees": str(self.fees),
            "decisions": self.decisions,
            "showcase": self.showcase,
            "config_hash": self.config_hash,
            "refusals": self.refusals,
            "notices": self.notices,
            "models": self.models,
            "opinions": self.opinions,
            "estimate_mb": self.estimate_mb,
            "accounts": {name: str(equity) for name, equity in self.accounts.items()},
        }
        if signals:
            found["signals"] = [msgspec.to_builtins(line) for line in self.signals]
        return found


class Tally:
    """Counts while a backtest runs."""

    def __init__(self) -> None:
        self.bars = 0
        self.active = 0
        self.orders = 0
        self.decisions = 0
        self.refusals: Counter[str] = Counter()
        self.notices: Counter[str] = Counter()
        self.signals: list[SignalLine] = []
        self.sent: list[SubmitOrder] = []
