"""What people and their tools may ask of a running daemon.

Must not know HTTP, signals or the engine. Implemented by the live shell; called by the dashboard.
"""

from typing import Protocol

import msgspec

from core.events import Verb


class Health(msgspec.Struct, frozen=True):
    """`live` = the process works, `ready` = it may trade; `reasons` say what keeps it from that."""

    live: bool
    ready: bool
    reasons: tuple[str, ...] = ()


class Control(Protocol):
    """The two verbs of the control door."""

    async def submit(self, verb: Verb, actor: str, reason: str, *, force: bool = False) -> None:
        """Put an operator's wish through the engine's door; returns once it is journaled.

        `force` belongs to RESUME: it also lifts a halt and the day's loss limit.
        Raises SeamarkError where the wish cannot be taken (the journal is full, the daemon ends).
        """
        ...

    def health(self) -> Health:
        """Tell at once, from what is known, whether the daemon lives and may trade."""
        ...
