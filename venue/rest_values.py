"""Kraken REST answers that venue.rest has no own words for: each as the documented value, exact.

Must not know HTTP, signing, or what anyone does with an answer. Called with venue.rest.result_of by
importers, benchmarks and checks of a venue.

Source: https://docs.kraken.com/api/docs/rest-api/ (one page per endpoint; read 2026-11). Prices and
quantities come as JSON text there, rates of fees as text or number.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from core.errors import VenueError

R = TypeVar("R")


# ---- public ----


class SystemStatus(msgspec.Struct, frozen=True):
    """The engine's word, as on the WS status channel."""

    status: str
    timestamp: str


class Asset(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of Assets; `margin_rate` is percent of the amount lent per four hours."""

    aclass: str
    altname: str
    decimals: int
    display_decimals: int
    collateral_value: Decimal | None = None
    status: str | None = None
    margin_rate: Decimal | None = None


class Ticker(msgspec.Struct, frozen=True):
    """One pair of Ticker; pairs of figures are [today UTC, last 24 hours]."""

    ask: tuple[Decimal, Decimal, Decimal] = msgspec.field(name="a")  # price, whole lots, lots
    bid: tuple[Decimal, Decimal, Decimal] = msgspec.field(name="b")
    last: tuple[Decimal, Decimal] = msgspec.field(name="c")  # price, quantity
    volume: tuple[Decimal, Decimal] = msgspec.field(name="v")
    vwap: tuple[Decimal, Decimal] = msgspec.field(name="p")
    trades: tuple[int, int] = msgspec.field(name="t")
    low: tuple[Decimal, Decimal] = msgspec.field(name="l")
    high: tuple[Decimal, Decimal] = msgspec.field(name="h")
    open: Decimal = msgspec.field(name="o")


class DepthLevel(msgspec.Struct, frozen=True, array_like=True):
    """One level; quantities have three decimals here, too few for a checksum."""

    price: Decimal
    quantity: Decimal
    seconds: int


class Depth(msgspec.Struct, frozen=True):
    """One pair of Depth, best first."""

    asks: tuple[DepthLevel, ...]
    bids: tuple[DepthLevel, ...]


class PublicTrade(msgspec.Struct, frozen=True, array_like=True):
    """One print of Trades, oldest first; `trade_id` is absent on pages from before 2022."""

    price: Decimal
    quantity: Decimal
    seconds: Decimal
    side: Literal["b", "s"]
    order_type: Literal["m", "l"]
    misc: str
    trade_id: int = 0


class Spread(msgspec.Struct, frozen=True, array_like=True):
    """One row of Spread."""

    seconds: int
    bid: Decimal
    ask: Decimal


Page = Mapping[str, list[R] | str | int]
"""Rows under the pair's REST id, beside the cursor `last`; decode as `dict[str, list[Row] | str | int]`."""


def page(answer: Page[R]) -> tuple[str, list[R], str]:
    """Give pair, rows and cursor; the pair is the one key other than `last`, however it was asked for."""
    found = [(name, rows) for name, rows in answer.items() if isinstance(rows, list)]
    if len(found) != 1:
        raise VenueError(f"expected the rows of one pair, found {sorted(answer)}")
    (name, rows) = found[0]
    return name, rows, str(answer.get("last", ""))


# ---- account ----


class ExtendedBalance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One asset of BalanceEx; `hold_trade` counts spot orders only."""

    balance: Decimal
    hold_trade: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    credit_used: Decimal = Decimal(0)

    @property
    def available(self) -> Decimal:
        """Give what may still be spent."""
        return self.balance + self.credit - self.credit_used - self.hold_trade


class TradeBalance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Margin figures; `level` is percent and absent (or 0) without positions."""

    balances: Decimal = msgspec.field(name="eb")
    collateral: Decimal = msgspec.field(name="tb")
    used_margin: Decimal = msgspec.field(name="m")
    unrealised: Decimal = msgspec.field(name="n")
    cost: Decimal = msgspec.field(name="c")
    value: Decimal = msgspec.field(name="v")
    equity: Decimal = msgspec.field(name="e")
    free_margin: Decimal = msgspec.field(name="mf")
    level: Decimal | None = msgspec.field(default=None, name="ml")
    unexecuted: Decimal | None = msgspec.field(default=None, name="uv")


class FeeTier(msgspec.Struct, frozen=True):
    """Own fee of a pair in percent, and where the next tier begins."""

    fee: Decimal
    minfee: Decimal
    maxfee: Decimal
    nextfee: Decimal | None = None
    nextvolume: Decimal | None = None
    tiervolume: Decimal | None = None


class TradeVolume(msgspec.Struct, frozen=True):
    """Volume of 30 days and own fees: the only trustworthy source of them."""

    currency: str
    volume: Decimal
    fees: dict[str, FeeTier] = {}
    fees_maker: dict[str, FeeTier] = {}


class SocketToken(msgspec.Struct, frozen=True):
    """What authorises a private WS connection; seconds until it must have been used."""

    token: str
    expires: int

    def __repr__(self) -> str:
        return "SocketToken(...)"  # a secret never shows in a log or a traceback


# ---- orders ----


class PlacedText(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order and its close order in words."""

    order: str = ""
    close: str = ""


class Placed(msgspec.Struct, frozen=True, omit_defaults=True):
    """AddOrder's answer; no ids with `validate`."""

    descr: PlacedText
    txid: tuple[str, ...] = ()


class PlacedLeg(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order of AddOrderBatch: its id, or why it was refused."""

    txid: str = ""
    descr: PlacedText | None = None
    close: str = ""
    error: str = ""


class PlacedBatch(msgspec.Struct, frozen=True):
    """AddOrderBatch's answer, in the order of the request."""

    orders: tuple[PlacedLeg, ...]


class Amended(msgspec.Struct, frozen=True):
    """AmendOrder's answer."""

    amend_id: str


class Edited(msgspec.Struct, frozen=True, omit_defaults=True):
    """EditOrder's answer: the order lives on under a new id."""

    txid: str
    originaltxid: str
    status: str = ""
    volume: Decimal | None = None
    price: Decimal | None = None
    orders_cancelled: int | None = None
    descr: PlacedText | None = None


class Cancelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many orders CancelOrder, CancelAll or CancelOrderBatch took back."""

    count: int
    pending: bool | None = None


class SwitchSet(msgspec.Struct, frozen=True):
    """The dead man's switch; `trigger_time` is `0` once disarmed."""

    current_time: str = msgspec.field(name="currentTime")
    trigger_time: str = msgspec.field(name="triggerTime")
