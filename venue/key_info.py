"""What an API key may do, and whether that is right for trading.

Must not know HTTP or configuration. Called by venue.client, execution.live and trader.doctor.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.errors import VenueError


class KeyInfo(msgspec.Struct, frozen=True):
    """What GetApiKeyInfo says of the key, in our own words.

    Its documentation names the content but shows no reply, so the fields are read by meaning:
    a list of permission names or a table of name to yes and no, whatever the spelling.
    """

    permissions: tuple[str, ...]
    nonce_window: int
    addresses: tuple[str, ...]


_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Query Funds": (("query", "fund"),),
    "Query Open Orders & Trades": (("query", "open"),),
    "Query Closed Orders & Trades": (("query", "closed"),),
    "Create & Modify Orders": (("modify",), ("create", "order")),
    "Cancel & Close Orders": (("cancel",), ("close", "order"), ("closetrade",)),
    "WebSocket interface": (("websocket",), ("ws", "token")),
}
"""By the name on Kraken's page "API keys": the words that any spelling of it has, alternatives."""
_FORBIDDEN = ("withdraw", "transfer")


def key_info(result: Mapping[str, Any]) -> KeyInfo:
    """Read GetApiKeyInfo; raises VenueError where permissions or nonce window are not told."""
    fields = {_plain(name): value for name, value in result.items()}
    granted = fields.get("permissions")
    if isinstance(granted, Mapping):
        granted = [name for name, given in granted.items() if given]
    window = fields.get("noncewindow")
    if not isinstance(granted, list) or not str(window).isdigit():
        raise VenueError(f"expected permissions and nonce_window of the key, found {sorted(result)}")
    listed = next((fields[name] for name in fields if name.startswith("ip")), None)
    addresses = listed if isinstance(listed, list) else [listed] if listed else []
    return KeyInfo(
        permissions=tuple(str(one) for one in granted),
        nonce_window=int(str(window)),
        addresses=tuple(str(one) for one in addresses),
    )


def key_faults(info: KeyInfo, *, any_address: bool) -> tuple[str, ...]:
    """Give what is wrong with a key for trading, one sentence each; empty = nothing."""
    plain = tuple(_plain(one) for one in info.permissions)
    faults = [
        f"the key may {word} funds: make one that may not"
        for word in _FORBIDDEN
        if any(word in one for one in plain)
    ]
    faults += [
        f"the key lacks the permission {name}"
        for name, spellings in _NEEDED.items()
        if not any(all(word in one for word in words) for one in plain for words in spellings)
    ]
    if info.nonce_window:
        faults.append(f"expected a nonce window of 0, found {info.nonce_window}: requests could be repeated")
    if not info.addresses and not any_address:
        faults.append("the key works from any address: restrict it, or set any_address for the account")
    return tuple(faults)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
