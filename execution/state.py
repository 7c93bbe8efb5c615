"""What execution remembers: orders, intents, executions, and nothing that is not plain data.

Must not know the rules that move it. Owned by execution.manager, serialised by the engine.
"""

from decimal import Decimal

import msgspec

from core.clock import SECOND
from core.orders import Order, OrderIntent, Purpose

ZERO = Decimal(0)
ABSENT = "never reached the venue"
"""Reason of an order that was proved absent: not a refusal, so it may simply be asked again."""


class Timing(msgspec.Struct, frozen=True):
    """How long execution waits, in seconds of market time.

    `settle_s` is what is added to a deadline before absence proves anything, and the pause before
    a cancel or amend is asked again. While anything is open the venue's truth is polled every
    `poll_s`, because a report may be lost on a link that looks healthy. After a second refusal in
    a row a protective order waits `retry_s`, doubling to `retry_most_s`.
    """

    entry_deadline_s: float = 5.0
    protect_deadline_s: float = 2.0
    settle_s: float = 3.0
    ask_again_s: float = 15.0
    poll_s: float = 60.0
    retry_s: float = 1.0
    retry_most_s: float = 30.0

    @property
    def settle(self) -> int:
        """Settling time in ns."""
        return round(self.settle_s * SECOND)

    @property
    def poll(self) -> int:
        """Longest time without a comparison while anything is open, in ns."""
        return round(self.poll_s * SECOND)

    @property
    def ask_again(self) -> int:
        """Patience with an unanswered reconciliation, in ns."""
        return round(self.ask_again_s * SECOND)

    def deadline(self, purpose: Purpose) -> int:
        """Give how long after sending the venue may still match an order, in ns."""
        seconds = self.entry_deadline_s if purpose is Purpose.ENTRY else self.protect_deadline_s
        return round(seconds * SECOND)

    def backoff(self, refusals: int) -> int:
        """Give the pause in ns after so many refusals in a row; the first is retried at once."""
        if refusals <= 1:
            return 0
        return round(min(self.retry_s * 2.0 ** min(refusals - 2, 20), self.retry_most_s) * SECOND)


class Refusals(msgspec.Struct, frozen=True):
    """How often in a row one kind of protective order was refused, and when to try again."""

    count: int
    last: int
    retry_at: int


def lane(instrument: str, purpose: Purpose) -> str:
    """Name what is held back together: one purpose on one instrument."""
    return f"{instrument} {purpose.value}"


class ExecutionState(msgspec.Struct):
    """Durable memory of one order manager.

    `intents` holds the last intent of each instrument: it goes on guarding what its entry may
    still fill. `seen` maps each applied exec_id to the time of its fill. `crossed` are instruments whose
    position could not be compared because a fill crossed the question, `suspected` those that differed
    in the newest answer and not yet in the one before. `asked_at` is the newest
    unanswered question, last put at `put_at`, `open_since` the oldest: an answer may belong to
    either, so it is judged by the older.
    """

    session: int = 0
    counter: int = 0
    orders: dict[str, Order] = {}
    intents: dict[str, OrderIntent] = {}
    seen: dict[str, int] = {}
    strangers: dict[str, int] = {}
    refusals: dict[str, Refusals] = {}
    traded_at: dict[str, int] = {}
    crossed: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    asked_at: int = 0
    put_at: int = 0
    open_since: int = 0
    reconciled_at: int = 0


def unfinished(order: Order) -> bool:
    """Tell whether news of this order can still change a position."""
    return not order.state.terminal or order.booked < order.filled


def unbooked(order: Order) -> Decimal:
    """Give the signed quantity that the venue says has filled and no fill has told us of yet."""
    return (order.filled - order.booked) * order.submit.side.sign
