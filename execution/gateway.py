"""The one shape of every way to trade: venue, paper, or a recording fake.

Must not know who is behind it. Called by trader.live, which journals first and sends after.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from core.events import RequestReconcile, VenueReport
from core.orders import VenueCommand

ReportSink = Callable[[VenueReport], None]
"""Takes reports in the order in which they happened, with `ts` 0: the shell stamps the time at
which they come through its door."""


class Gateway(Protocol):
    """Commands in, reports out.

    A command never raises for what the venue thinks of it. Whatever was sent ends in reports:
    accepted, refused, or UNKNOWN where nothing proves either; nothing is ever sent twice.
    """

    async def run(self) -> None:
        """Work until cancelled; a Fatal error ends it."""

    async def send(self, commands: Sequence[VenueCommand]) -> None:
        """Take journaled commands, in order; returns before the venue has answered."""

    async def reconcile(self, request: RequestReconcile) -> None:
        """Ask for the whole truth; exactly one Reconciled follows once it could be read."""

    async def close(self) -> None:
        """Give sockets back; call it after `run` has ended."""
