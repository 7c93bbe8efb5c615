"""The exchange as it was a while ago, for REST answers that lag behind the stream.

Must not know REST or when somebody asks. Called by the private answers in the exchange's place.
"""

import copy
from collections.abc import Iterable
from typing import Any

from core.clock import SECOND, Clock
from venue.exchange import Exchange
from venue.exchange_account import ExchangeAccount
from venue.exchange_orders import Change
from venue.loopback_faults import Schedule


class PastView:
    """An exchange to read from whose accounts are late while `rest_lag` is armed.

    Copies are kept only then: one when it is first seen armed, one after each change.
    """

    def __init__(self, exchange: Exchange, schedule: Schedule, accounts: Iterable[str], clock: Clock) -> None:
        self._exchange = exchange
        self._schedule = schedule
        self._names = tuple(accounts)
        self._clock = clock
        self._history: dict[str, list[tuple[int, ExchangeAccount]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def account(self, name: str) -> ExchangeAccount:
        """Give an account as it was, or as it is where nothing older is known."""
        lag = self._schedule.expects("lag", self._clock.now())
        if lag is None or name not in self._history:
            return self._exchange.account(name)
        then = self._clock.now() - round(lag.parameter("seconds") * SECOND)
        older = [kept for ts, kept in self._history[name] if ts <= then]
        return older[-1] if older else self._history[name][0][1]

    def watch(self, now: int) -> None:
        """Begin or end keeping copies; called with every beat of the pump."""
        if self._schedule.expects("lag", now) is None:
            self._history.clear()
        elif not self._history:
            self._history = {name: [(now, self._copy(name))] for name in self._names}

    def on_change(self, change: Change) -> None:
        """Keep what an account is after a change."""
        if change.account in self._history:
            self._history[change.account].append((change.ts, self._copy(change.account)))

    def _copy(self, name: str) -> ExchangeAccount:
        return copy.deepcopy(self._exchange.account(name))
