"""What `trader replay` does: count the steps of a journal, or prove them.

Must not know the engine. Called by trader.cli.
"""

from pathlib import Path
from typing import Any

import msgspec

from core.errors import UsageError


def replayed(path: Path, *, verify: bool) -> dict[str, Any]:
    """Give what is in a journal; with `verify` every step has been reproduced, or JournalError."""
    from trader.client import state_root
    from trader.journal_read import JournalReader
    from trader.recovery import verify as prove
    from trader.statedir import StatePaths

    database = StatePaths(state_root(path)).journal if path.is_dir() else path
    if not database.is_file():
        raise UsageError(f"{path}: expected a journal or a state directory; found none")
    if verify:
        return {"verified": True, **msgspec.to_builtins(prove(database))}
    reader = JournalReader(database)
    try:
        steps = sum(1 for _ in reader.steps())
        return {"verified": False, "journal": str(database), "steps": steps, "remains": reader.remains}
    finally:
        reader.close()
