"""The ledgers of a backtest's accounts, written while the exchange trades.

Must not know orders' reasons beyond their words, files or pictures. Called by the exchange model, of
which it is the listener, and owned by trader.backtest.world.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from core.orders import Purpose
from trader.backtest.ledger import Ledger
from trader.tables import Account
from venue.exchange_orders import Change, ChangeKind, Execution

_OPPOSITE, _HELD, _UNGUARDED = "opposite opinion", "held for", "no stop rests"


class Books:
    """One ledger for each account. `why` gives the desk's words for being flat in an instrument."""

    def __init__(self, accounts: Iterable[Account], why: Callable[[str, str], str]) -> None:
        self.ledgers = {account.name: Ledger(account.name, account.cash) for account in accounts}
        self._why = why

    def on_change(self, change: Change) -> None:
        """Book a trade, a rollover or a margin call at the moment it happens."""
        if change.execution is not None:
            self._trade(change.account, change.execution)
        elif change.kind is ChangeKind.MARGIN_CALL:
            self.ledgers[change.account].margin_calls += 1
        elif change.kind is ChangeKind.ROLLED:
            ledger = self.ledgers[change.account]
            for line in change.ledger:
                ledger.on_rollover(change.ts, change.instrument, line.fee)

    def on_marks(self, ts: int, marks: Mapping[str, Decimal]) -> None:
        """Value what any account holds."""
        for ledger in self.ledgers.values():
            ledger.on_marks(ts, marks)

    def finish(self, ts: int, marks: Mapping[str, Decimal]) -> None:
        """End all trips."""
        for ledger in self.ledgers.values():
            ledger.finish(ts, marks)

    def margin_calls(self) -> Counter[str]:
        """Count the margin calls of all accounts as one more notice."""
        return Counter(margin_call=sum(ledger.margin_calls for ledger in self.ledgers.values()))

    def _trade(self, account: str, execution: Execution) -> None:
        fill, order = execution.fill, execution.order
        purpose, reason, ended_by = order.submit.purpose, "", ""
        if order.terms.liquidation:
            ended_by, reason = "liquidation", "margin level at the stop level"
        elif purpose is Purpose.EXIT:
            reason = self._why(account, fill.instrument)
            ended_by = ending(reason)
        self.ledgers[account].on_fill(
            fill, execution.mid, order.submit, lending=execution.lending, ended_by=ended_by, reason=reason
        )


def ending(reason: str) -> str:
    """Give the kind of an exit at market from the desk's own words for it."""
    if reason == _OPPOSITE:
        return "opinion"
    if reason.startswith(_HELD):
        return "time"
    return "stop" if reason.startswith(_UNGUARDED) else "brake"
