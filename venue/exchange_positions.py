"""Margin positions as Kraken keeps them, and the sums that decide about them.

Must not know orders, quotes or time. Called by the exchange's account and margin desk and by the
loopback's REST answers. Rules and the 80/40 levels: support article 203325763 and AssetPairs
(`margin_call`, `margin_stop`); fees: support article 206161568.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.clock import HOUR
from core.orders import OrderType, Side
from core.portfolio import cost_share

ZERO = Decimal(0)
FEE_GRID = Decimal("1E-8")
"""What fees are rounded to, half to even."""
_RATES = {"USD": "0.00025", "BTC": "0.0001", "SOL": "0.0003", "XRP": "0.00025"}
_COLLATERAL = {
    "USD": "1",
    "EUR": "1",
    "BTC": "0.99",
    "ETH": "0.99",
    "USDT": "0.995",
    "USDC": "0.995",
    "XRP": "0.95",
    "SOL": "0.925",
    "DOGE": "0.925",
    "XLM": "0.9",
}


class MarginRules(msgspec.Struct, frozen=True, kw_only=True):
    """How the exchange lends. Levels are percent; rates are fractions of what is lent.

    `rates` are charged once at opening and again every `period_ns`; `collateral` is the share of
    an asset's worth that counts, none for an asset that is not listed. `fees` off lends for free.
    """

    fees: bool = True
    call_level: Decimal = Decimal(80)
    stop_level: Decimal = Decimal(40)
    open_level: Decimal = Decimal(100)
    period_ns: int = 4 * HOUR
    rates: Mapping[str, Decimal] = msgspec.field(default_factory=lambda: _decimals(_RATES))
    other_rate: Decimal = Decimal("0.0002")
    collateral: Mapping[str, Decimal] = msgspec.field(default_factory=lambda: _decimals(_COLLATERAL))

    def rate(self, asset: str) -> Decimal:
        """Give the fraction that lending this asset costs, per opening and per period."""
        return self.rates.get(asset, self.other_rate) if self.fees else ZERO


class MarginPosition(msgspec.Struct, eq=False):
    """One position: what one opening trade borrowed, less what closed it since. Mutable.

    `position_id` is the id of the trade that opened it. `rate` is locked at execution. `released` is
    the cost of what was closed.
    """

    position_id: str
    order_id: str
    instrument: str
    side: Side
    order_type: OrderType
    opened: int
    leverage: int
    quantity: Decimal
    cost: Decimal
    fee: Decimal
    rate: Decimal
    rolls: int
    released: Decimal = ZERO
    closed: Decimal = ZERO
    proceeds: Decimal = ZERO
    closing_fee: Decimal = ZERO
    profit: Decimal = ZERO
    closing_ids: list[str] = []

    @property
    def remaining(self) -> Decimal:
        """What is still open."""
        return self.quantity - self.closed

    @property
    def open_cost(self) -> Decimal:
        """What the open part was entered for."""
        return self.cost - self.released

    @property
    def margin(self) -> Decimal:
        """Collateral that the open part ties up: cost over leverage."""
        return self.open_cost / self.leverage

    def unrealised(self, mark: Decimal) -> Decimal:
        """Profit of the open part if it closed at `mark`, before fees."""
        return (self.remaining * mark - self.open_cost) * self.side.sign

    def close(self, quantity: Decimal, price: Decimal, fee: Decimal, exec_id: str) -> Decimal:
        """Close a part and give its profit before fees."""
        share = cost_share(self.open_cost, quantity, self.remaining)
        profit = (quantity * price - share) * self.side.sign
        self.released += share
        self.closed += quantity
        self.proceeds += quantity * price
        self.closing_fee += fee
        self.profit += profit
        self.closing_ids.append(exec_id)
        return profit


class TradeBalance(msgspec.Struct, frozen=True):
    """An account's margin figures, all in the quote currency.

    https://docs.kraken.com/api/docs/rest-api/get-trade-balance names them eb, tb, m, n, c, v, uv.
    """

    everything: Decimal
    collateral: Decimal
    used: Decimal
    unrealised: Decimal
    cost: Decimal
    value: Decimal
    unexecuted: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        """Collateral plus unrealised profit (e)."""
        return self.collateral + self.unrealised

    @property
    def free(self) -> Decimal:
        """Equity that no position ties up (mf)."""
        return self.equity - self.used

    @property
    def level(self) -> Decimal | None:
        """Equity in percent of used margin (ml); none without positions."""
        return self.equity / self.used * 100 if self.used else None


def _decimals(table: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in table.items()}
