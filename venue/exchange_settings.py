"""Which of Kraken's rules the exchange model applies, and how it reads the disputed ones.

Must not know how a rule is applied. Called by whoever builds an Exchange: paper and backtest take
the plain defaults, the loopback takes KRAKEN.
"""

from decimal import Decimal

import msgspec

from venue.exchange_limits import TIERS, EngineTier
from venue.exchange_positions import MarginRules


class ExchangeRules(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of the model.

    margin: separate positions, lending fees, margin calls and liquidation; without it positions
        net at average cost and lending is free.
    tier: the matching engine's rate counter and its limit of open orders.
    prevents_self_trades: `stp_type` is obeyed.
    index: triggers may refer to an index price (here the mid); Kraken lists it for some pairs only.
    impact: how much further than the touch a taker pays who takes all of it, in spreads; less in
        proportion. For quotes that stand for more than the best level, as a backtest's do.
    queue: a resting order also fills at its own price, once what stood before it there has traded; for
        markets that show quantities and every trade. What is cancelled before it does not help it.
    reduce_only_needs_position: a reduce-only order without a position is refused on arrival; the
        documents leave open whether that or the cancel at the first fill is what happens.
    """

    margin: MarginRules | None = None
    tier: EngineTier | None = None
    prevents_self_trades: bool = False
    index: bool = False
    impact: Decimal = Decimal(0)
    queue: bool = False
    reduce_only_needs_position: bool = False


PLAIN_RULES = ExchangeRules()
KRAKEN = ExchangeRules(margin=MarginRules(), tier=TIERS["intermediate"], prevents_self_trades=True)
