"""What people and their tools may ask of a running daemon.

Must not know HTTP, signals or the engine. Implemented by the live shell; called by the dashboard.
"""

from pathlib import Path
from typing import Any, Protocol

import msgspec

from core.events import Verb


class Health(msgspec.Struct, frozen=True):
    """`live` = the process works, `ready` = it may trade; `reasons` say what keeps it from that."""

    live: bool
    ready: bool
    reasons: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to know of a trader's models: about instruments (none = all), or rows.

    `rows` are the inputs of its model by name, each a list of rows.
    """

    trader: str
    instruments: tuple[str, ...] = ()
    rows: dict[str, list[Any]] = {}


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


class Models(Protocol):
    """What may be asked of the models, and done with them, while they trade."""

    async def predict(self, question: Question) -> dict[str, Any]:
        """Give opinions on the newest features, or probabilities of given rows; changes nothing.

        UsageError for what does not exist or fit, TemporaryError while the models are busy.
        """
        ...

    async def activate(self, trader: str, path: Path | None, actor: str) -> dict[str, Any]:
        """Let a trader use another model from now on; no path = the one that it had before.

        UsageError for an unknown trader, ModelError for a bad model: the old one then stays.
        """
        ...
