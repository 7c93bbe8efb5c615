"""Kraken's REST answers and requests as values.

Must not know HTTP, signing or retries.
Called by venue.client and by everybody who reads what it gives.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from core.clock import SECOND
from core.errors import VenueError
from core.events import Fill, VenueOrder, VenuePosition
from core.instrument import PLACES, Instrument
from core.market import Bar, Timeframe
from core.orders import OrderState, OrderType, Side, SubmitOrder
from core.text import iso
from venue.wire_values import countable

# ---- envelope ----


class _Body(msgspec.Struct):
    error: list[str] = []
    result: msgspec.Raw = msgspec.Raw()


# An answer may be anything, an HTML page of the proxy included: bytes that are no text, brackets
# without end, numbers that no Decimal holds.
_BROKEN = (ValueError, ArithmeticError, RecursionError)


def errors_of(body: bytes) -> tuple[str, ...] | None:
    """Give the errors of an answer (warnings left out), or None if it is no such answer at all."""
    try:
        envelope = msgspec.json.decode(body, type=_Body)
    except _BROKEN:
        return None
    return tuple(text for text in envelope.error if not text.startswith("W"))


def result_of(body: bytes, kind: Any) -> Any:
    """Decode `result` of an answer without errors; raises VenueError where it does not fit."""
    try:
        return msgspec.json.decode(msgspec.json.decode(body, type=_Body).result, type=kind)
    except _BROKEN as broken:
        raise VenueError(f"expected a REST result of {kind}, found {body[:80]!r}: {broken}") from broken


def vetted(found: Any, where: str) -> Any:
    """Give an answer back whose every amount can be counted; raises VenueError for any other."""
    if (odd := _impossible(found)) is not None:
        raise VenueError(f"expected finite amounts in {where}, found {odd}"[:200])
    return found


def _impossible(value: Any) -> Decimal | None:
    """Find a number that nobody could add or compare: as text JSON carries NaN, and 1e999999 too."""
    match value:
        case Decimal():
            return None if countable(value) else value
        case dict():
            inner: Iterable[Any] = value.values()
        case list() | tuple():
            inner = value
        case msgspec.Struct():
            inner = (getattr(value, name) for name in value.__struct_fields__)
        case _:
            return None
    return next((odd for odd in map(_impossible, inner) if odd is not None), None)


# ---- public values ----


class ServerTime(msgspec.Struct, frozen=True):
    """The venue's clock, whole seconds."""

    unixtime: Annotated[int, msgspec.Meta(ge=0, lt=10**11)]


_RENAMED = {"XBT": "BTC", "XDG": "DOGE"}


class Pair(msgspec.Struct, frozen=True):
    """One row of AssetPairs, as far as it matters here."""

    altname: str
    pair_decimals: int
    lot_decimals: int
    ordermin: Decimal
    wsname: str = ""
    costmin: Decimal = Decimal(0)
    tick_size: Decimal | None = None
    leverage_buy: tuple[int, ...] = ()
    leverage_sell: tuple[int, ...] = ()
    status: str = "online"

    @property
    def symbol(self) -> str:
        """Give the WS v2 symbol; `wsname` is the one of v1."""
        base, _, quote = self.wsname.partition("/")
        return f"{_RENAMED.get(base, base)}/{_RENAMED.get(quote, quote)}"

    @property
    def written(self) -> bool:
        """Tell whether its numbers have as many decimals as a number can."""
        return 0 <= self.pair_decimals <= PLACES and 0 <= self.lot_decimals <= PLACES

    def instrument(self) -> Instrument:
        """Give the pair in our own words; leverage is what both sides allow."""
        base, _, quote = self.symbol.partition("/")
        both = min(max(self.leverage_buy, default=1), max(self.leverage_sell, default=1))
        tick = Decimal(1).scaleb(-self.pair_decimals) if self.tick_size is None else self.tick_size
        return Instrument(
            symbol=self.symbol,
            base=base,
            quote=quote,
            price_increment=tick,
            quantity_increment=Decimal(1).scaleb(-self.lot_decimals),
            price_precision=self.pair_decimals,
            quantity_precision=self.lot_decimals,
            minimum_quantity=self.ordermin,
            minimum_cost=self.costmin,
            max_leverage=both,
            status=self.status,
        )


class PairNames:
    """Any spelling of a pair (REST id, altname, v1 name, v2 symbol) to its v2 symbol."""

    def __init__(self, pairs: Mapping[str, Pair]) -> None:
        self._symbols: dict[str, str] = {}
        self._altnames: dict[str, str] = {}
        for rest_id, pair in pairs.items():
            if not pair.wsname:
                continue  # dark-pool relics: nobody can subscribe to them
            self._altnames[pair.symbol] = pair.altname
            for name in (rest_id, pair.altname, pair.wsname, pair.symbol):
                self._symbols[name] = pair.symbol

    def symbol(self, name: str) -> str:
        """Give the v2 symbol; an unlisted spelling comes back unchanged, to be seen as a stranger."""
        return self._symbols.get(name, name)

    def altname(self, symbol: str) -> str:
        """Give the name for REST requests; raises VenueError for a symbol that is not listed."""
        if symbol not in self._altnames:
            raise VenueError(f"expected a listed pair, found {symbol!r} among {len(self._altnames)} pairs")
        return self._altnames[symbol]


def instruments(pairs: Mapping[str, Pair]) -> dict[str, Instrument]:
    """Give all tradable instruments by symbol; rows with impossible grids count as not listed."""
    listed = (pair.instrument() for pair in pairs.values() if pair.wsname and pair.written)
    return {one.symbol: one for one in listed if one.possible}


OhlcRow = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, int]


def bars(symbol: str, timeframe: Timeframe, rows: Iterable[OhlcRow]) -> list[Bar]:
    """Give closed bars, oldest first: the last row is always the running candle and is dropped.

    A row without trades is a quiet bar; the venue writes its vwap as 0, ours is its close.
    """
    closed = vetted(list(rows), f"bars of {symbol}")[:-1]
    return [
        Bar(
            instrument=symbol,
            timeframe=timeframe,
            ts_open=seconds * SECOND,
            open=float(first),
            high=float(high),
            low=float(low),
            close=float(last),
            volume=float(volume),
            vwap=float(vwap if count else last),
            trades=count,
        )
        for seconds, first, high, low, last, vwap, volume, count in closed
    ]


# ---- private values ----


class OrderDescription(msgspec.Struct, frozen=True):
    """The `descr` of an order; `price` is the limit, or the trigger of a triggered type."""

    pair: str
    type: Side
    ordertype: str
    price: Decimal = Decimal(0)
    price2: Decimal = Decimal(0)


class OrderRow(msgspec.Struct, frozen=True):
    """One order of OpenOrders, ClosedOrders or QueryOrders."""

    status: str
    descr: OrderDescription
    vol: Decimal
    vol_exec: Decimal = Decimal(0)
    cl_ord_id: str | None = None
    reason: str | None = None


_STATES = {
    "pending": OrderState.WORKING,
    "open": OrderState.WORKING,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
}
_TRIGGERED = ("stop-loss", "take-profit", "trailing-stop")


def venue_order(order_id: str, row: OrderRow, names: PairNames) -> VenueOrder:
    """Give an order in our own words; raises VenueError for a status that is not documented."""
    state = _STATES.get(row.status)
    if state is None:
        raise VenueError(f"expected a known order status, found {row.status!r} on {order_id}")
    triggered = row.descr.ordertype.startswith(_TRIGGERED)
    trigger = row.descr.price if triggered else None
    limit = row.descr.price2 if triggered else row.descr.price
    return VenueOrder(
        cl_ord_id=row.cl_ord_id or "",
        order_id=order_id,
        instrument=names.symbol(row.descr.pair),
        side=row.descr.type,
        state=state,
        quantity=row.vol,
        filled=row.vol_exec,
        trigger_price=trigger,
        limit_price=limit or None,
        reason=row.reason or "",
    )


def order_form(order: SubmitOrder, names: PairNames) -> dict[str, str]:
    """Give AddOrder's form; every value is text in plain notation, `validate` is never there.

    Kraken's page "Add order": leverage is a ratio, price the limit or the trigger.
    """
    price = order.limit_price if order.limit_price is not None else order.trigger_price
    form = {
        "pair": names.altname(order.instrument),
        "type": order.side.value,
        "ordertype": order.order_type.value,
        "volume": f"{order.quantity:f}",
        "cl_ord_id": order.cl_ord_id,
        "deadline": iso(order.deadline)[:23] + "Z",
    }
    if price is not None:
        form["price"] = f"{price:f}"
    if order.order_type is OrderType.LIMIT:
        form["timeinforce"] = order.time_in_force.value.upper()
    if order.expires is not None:
        form["expiretm"] = str(order.expires // SECOND)
    if order.leverage is not None:
        form["leverage"] = str(order.leverage)
    if order.reduce_only:
        form["reduce_only"] = "true"
    if order.post_only:
        form["oflags"] = "post"
    return form


class TradeRow(msgspec.Struct, frozen=True):
    """One own fill of TradesHistory."""

    ordertxid: str
    pair: str
    time: Decimal
    type: Side
    price: Decimal
    fee: Decimal
    vol: Decimal
    maker: bool = False


def fill(account: str, exec_id: str, row: TradeRow, *, cl_ord_id: str, names: PairNames) -> Fill:
    """Give a fill in our own words; `exec_id` equals the one on the executions channel."""
    return Fill(
        ts=0,
        account=account,
        exec_id=exec_id,
        cl_ord_id=cl_ord_id,
        order_id=row.ordertxid,
        instrument=names.symbol(row.pair),
        side=row.type,
        price=row.price,
        quantity=row.vol,
        fee=row.fee,
        maker=row.maker,
        ts_event=int(row.time * SECOND),
    )


class PositionRow(msgspec.Struct, frozen=True):
    """One margin position; several of a pair net."""

    pair: str
    type: Side
    vol: Decimal
    cost: Decimal
    vol_closed: Decimal = Decimal(0)


def positions(rows: Iterable[PositionRow], names: PairNames) -> tuple[VenuePosition, ...]:
    """Net the open part of all positions per instrument, in order of first appearance.

    Raises VenueError for a row that no position can have.
    """
    net: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        if row.vol <= 0:  # an answer that cannot be is no proof of being flat
            raise VenueError(f"expected a position with a volume, found {row}")
        rest = row.vol - row.vol_closed
        if rest <= 0:
            continue
        quantity, cost = net.get(names.symbol(row.pair), (Decimal(0), Decimal(0)))
        net[names.symbol(row.pair)] = (
            quantity + rest * row.type.sign,
            cost + row.cost * rest / row.vol * row.type.sign,
        )
    return tuple(VenuePosition(symbol, quantity, abs(cost)) for symbol, (quantity, cost) in net.items())


class Asset(msgspec.Struct, frozen=True):
    """One row of Assets: the name people use for what a balance is listed under."""

    altname: str


class AssetNames:
    """Any spelling of an asset (REST id, altname, either with a suffix) to its WS v2 name.

    Letters are never stripped: which ids carry an X or Z only the venue's own list tells.
    """

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._names = {asset_id: row.altname for asset_id, row in assets.items()}

    def name(self, asset: str) -> str:
        """Give the WS v2 name; an unlisted one comes back as it is, without its suffix."""
        plain = asset.partition(".")[0]
        known = self._names.get(asset) or self._names.get(plain, plain)
        known = known.partition(".")[0]
        return _RENAMED.get(known, known)


SPENDABLE = ("", "F", "B", "M")
"""Suffixes of balances that can be traded at once; S is staked, HOLD is not ours yet."""


def cash(balances: Mapping[str, Decimal], currency: str, names: AssetNames) -> Decimal:
    """Add up one currency, with every suffix that is ours to spend."""
    spendable = (
        amount
        for asset, amount in balances.items()
        if names.name(asset) == currency and asset.partition(".")[2] in SPENDABLE
    )
    return sum(spendable, Decimal(0))
