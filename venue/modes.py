"""What the venue's engine takes in each of its states, and how far its clock is from ours.

Must not know links or why a command is wanted. Called by execution.live.
"""

from core.clock import SECOND
from core.orders import CancelOrder, SubmitOrder, VenueCommand

CLOCK_DOUBTFUL = SECOND // 4
CLOCK_WRONG = SECOND
"""Clocks further apart than this make deadlines mean something else: no entries."""


def forbidden(system: str, command: VenueCommand) -> bool:
    """Tell whether a request must not leave in this state (Kraken's page "status", WS v2).

    A state that we do not know takes cancels only.
    """
    match system:
        case "online":
            return False
        case "maintenance":
            return True
        case "post_only":
            resting = isinstance(command, SubmitOrder) and command.post_only
            return not (resting or isinstance(command, CancelOrder))
        case _:
            return not isinstance(command, CancelOrder)


def clock_lead(before: int, told: int, after: int) -> int:
    """Give how far (ns) the venue's clock surely is ahead of ours, negative behind, 0 if unproved.

    `told` is the venue's time cut to whole seconds, read between `before` and `after` on ours.
    """
    least, most = told - after, told + SECOND - before
    if least > 0:
        return least
    return min(0, most)
