"""How the loopback's private side reads what Kraken's documents leave open.

Must not know who reads it otherwise. Called by whoever builds the loopback; the defaults are what
the documents say, the other value is what some client or recording says instead.
"""

import msgspec


class PrivateSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """One field per disputed point.

    ws_leverage: `add_order` on WS takes a `leverage` ratio; documented is `margin` alone.
    batch_object: `batch_add` answers `{"orders": [...]}`; documented is a list.
    """

    ws_leverage: bool = False
    batch_object: bool = False


DOCUMENTED = PrivateSwitches()
