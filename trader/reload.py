"""What a running daemon may take over from a changed configuration.

Must not know how it is applied. Called by the live shell on SIGHUP.
"""

from typing import Any

from trader.config import Config

RELOADABLE = "policy"
"""Only the limits inside `[trader.policy]` change without a restart."""


def changed_keys(old: Config, new: Config) -> list[str]:
    """Give the changed keys that need a restart, as dotted paths; empty = the change may be taken."""
    return sorted(
        key
        for key in _flat(old.tree()).keys() | _flat(new.tree()).keys()
        if _flat(old.tree()).get(key) != _flat(new.tree()).get(key) and f".{RELOADABLE}." not in key
    )


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
        items = {row["name"]: row for row in tree}.items()
    else:
        return {path: tree}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= _flat(value, f"{path}.{key}" if path else str(key))
    return flat
