"""How the loopback reads what Kraken's documents leave open.

Must not know who reads it otherwise. Called by whoever builds the loopback; the defaults are what
the documents say, the other value is what some client or recording says instead.
"""

import msgspec


class PublicSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """Market data: one field per disputed point.

    cost_min_text: an instrument's `cost_min` is text; the documented example is a number.
    margin_percent: `margin_initial` counts percent (20 is 5x); the example is a fraction (0.2).
    candle_begin: `timestamp` inside an ohlc row is the candle's begin; examples have its end.
    most_symbols: symbols in one subscribe, above which the request is refused as a whole; 0 is no
        limit, and none is documented.
    """

    cost_min_text: bool = False
    margin_percent: bool = False
    candle_begin: bool = False
    most_symbols: int = 0


class PrivateSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts and orders on WS: one field per disputed point.

    ws_leverage: `add_order` on WS takes a `leverage` ratio; documented is `margin` alone.
    batch_object: `batch_add` answers `{"orders": [...]}`; documented is a list.
    margin_uncapped: `margin: true` borrows as much as the pair allows; documented is 5 at most.
    fees_in_base: a fill's `fees` are told in the base asset; documented is quote only, though
        `fee_preference` knows both. What is charged stays the same amount of quote.
    """

    ws_leverage: bool = False
    batch_object: bool = False
    margin_uncapped: bool = False
    fees_in_base: bool = False


class AccessSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """Connections and keys: one field per disputed point.

    quiet_heartbeat: heartbeats fill silent seconds only, as the guide says; recordings have one
        in every second.
    history_cost: what the REST counter takes for fills and ledgers; older pages say 2.
    starter: the REST counter holds 15 and loses 0.33 a second, not 20 and 0.5.
    """

    quiet_heartbeat: bool = False
    history_cost: int = 4
    starter: bool = False


AS_SHOWN = PublicSwitches()
DOCUMENTED = PrivateSwitches()
ORDINARY = AccessSwitches()
