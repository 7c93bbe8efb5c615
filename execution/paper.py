"""Trading on the exchange model: the same gateway, and nothing leaves the process.

Must not know why an order is wanted or what real venues say. Called by trader.live for accounts
that are simulated; the shell feeds it the quotes and trades that the market really makes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import assert_never

import msgspec

from core.clock import Clock
from core.events import Fill, LinkChange, OrderUpdate, RequestReconcile, Stream
from core.market import Quote, Trade
from core.orders import AmendOrder, CancelOrder, OrderState, SubmitOrder, VenueCommand
from execution.gateway import ReportSink
from venue.exchange import Exchange

NEVER_SENT = "never sent"


class PaperGateway:
    """One simulated account on an exchange model of its own."""

    def __init__(self, account: str, exchange: Exchange, clock: Clock, sink: ReportSink) -> None:
        self._account = account
        self._exchange = exchange
        self._clock = clock
        self._sink = sink
        self._held: list[SubmitOrder] = []
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Let requests arrive at their market time until cancelled."""
        self._sink(LinkChange(0, Stream.PRIVATE, up=True, account=self._account))
        while True:
            self._moved.clear()
            self.settle()
            await self._wait(self._next_due())

    async def send(self, commands: Sequence[VenueCommand]) -> None:
        """Send journaled commands, in order; an entry waits here for the stop it relies on."""
        now = self._clock.now()
        for command in commands:
            match command:
                case SubmitOrder():
                    self._submit(command, now)
                case AmendOrder():
                    self._exchange.amend(command, now)
                case CancelOrder():
                    self._cancel(command, now)
                case _:
                    assert_never(command)
        self._moved.set()

    async def reconcile(self, request: RequestReconcile) -> None:
        """Answer at once with the account as it is."""
        self.settle()
        found = self._exchange.reconcile(self._account, request.asked, request.since)
        self._sink(msgspec.structs.replace(found, ts=0, asked=request.asked, asked_at=request.asked_at))

    async def close(self) -> None:
        """Nothing to give back."""

    def on_quote(self, quote: Quote) -> None:
        """Show the exchange the market's touch."""
        self._tell(self._exchange.on_quote(quote))

    def on_trade(self, trade: Trade) -> None:
        """Show the exchange the market's print."""
        self._tell(self._exchange.on_trade(trade))

    def settle(self) -> None:
        """Let everything happen that is due by now."""
        now = self._clock.now()
        self._tell(self._exchange.advance(now))
        for order in [held for held in self._held if held.deadline < now]:
            self._drop(order, OrderState.REJECTED)

    def _submit(self, order: SubmitOrder, now: int) -> None:
        guard = self._exchange.account(self._account).find(order.after) if order.after else None
        if order.after and (guard is None or guard.state is not OrderState.WORKING):
            self._held.append(order)
        else:
            self._exchange.submit(order, now)

    def _cancel(self, command: CancelOrder, now: int) -> None:
        held = [order for order in self._held if order.cl_ord_id == command.cl_ord_id]
        for order in held:
            self._drop(order, OrderState.CANCELED)
        if not held:
            self._exchange.cancel(command, now)

    def _tell(self, reports: Iterable[OrderUpdate | Fill]) -> None:
        for report in reports:
            self._sink(msgspec.structs.replace(report, ts=0))
            if isinstance(report, OrderUpdate):
                self._release(report)

    def _release(self, news: OrderUpdate) -> None:
        """Let go of what waited for this order, or end it if it waits in vain."""
        for order in [held for held in self._held if held.after == news.cl_ord_id]:
            if news.state is OrderState.WORKING:
                self._held.remove(order)
                self._exchange.submit(order, self._clock.now())
                self._moved.set()
            else:
                self._drop(order, OrderState.REJECTED)

    def _drop(self, order: SubmitOrder, state: OrderState) -> None:
        self._held.remove(order)
        reason = f"{NEVER_SENT}: waited for {order.after}"
        self._sink(OrderUpdate(0, self._account, order.cl_ord_id, state, reason=reason))

    def _next_due(self) -> int | None:
        due = self._exchange.next_due()
        ends = [order.deadline + 1 for order in self._held]
        return min([*ends, due] if due is not None else ends, default=None)

    async def _wait(self, due: int | None) -> None:
        """Sleep until market time is `due` or something was sent."""
        pause = None if due is None else self._clock.wall_seconds(max(0, due - self._clock.now()))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._moved.wait()
