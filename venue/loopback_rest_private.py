"""Private REST answers of the loopback venue, as values: money and positions, and the rest by part.

Must not know HTTP, signatures or sockets. Called by venue.loopback_rest once a call is proved to
come from an account. https://docs.kraken.com/api/docs/rest-api/get-account-balance,
get-extended-balance, get-trade-balance, get-open-positions, get-trade-volume.
"""

import zlib
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from core.clock import HOUR, Clock
from core.instrument import Instrument
from core.orders import OrderType, Side
from core.portfolio import Position
from venue.exchange import Exchange
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_orders import ZERO, FeeTier, identifier
from venue.exchange_positions import MarginPosition
from venue.loopback_changes import Changes
from venue.loopback_keys import KeyRing
from venue.loopback_names import asset_id, find_pair, pair_name
from venue.loopback_rest_history import HistoryAnswers
from venue.loopback_rest_public import RestError
from venue.loopback_rest_rows import GRID, lots, money, position_row
from venue.loopback_rest_trading import TradingAnswers

_TOKEN_EXPIRES_S = 900
_PERCENT = 100
Form = Mapping[str, str]


class PrivateAnswers:
    """Answers about one account (`methods`), and its order requests (`orders`)."""

    def __init__(
        self, exchange: Exchange, changes: Changes, keys: KeyRing, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._keys = keys
        self._clock = clock
        self.methods: dict[str, Callable[[str, Form], Any]] = {
            "GetApiKeyInfo": self._key_info,
            "GetWebSocketsToken": self._token,
            "Balance": self._balance,
            "BalanceEx": self._balance_extended,
            "TradeBalance": self._trade_balance,
            "TradeVolume": self._trade_volume,
            "OpenPositions": self._open_positions,
            **HistoryAnswers(exchange).methods,
        }
        self.orders: dict[str, Callable[[str, Form], Awaitable[Any]]] = TradingAnswers(
            exchange, changes, clock, wake
        ).methods

    def _token(self, account: str, form: Form) -> Any:
        token = self._keys.issue(account, self._clock.monotonic())
        return {"token": token, "expires": _TOKEN_EXPIRES_S}

    def _key_info(self, account: str, form: Form) -> Any:
        return self._keys.describe(account)

    # ---- money ----

    def _balance(self, account: str, form: Form) -> Any:
        return {asset_id(asset): money(amount) for asset, amount in self._holdings(account).items()}

    def _balance_extended(self, account: str, form: Form) -> Any:
        book, listed = self._exchange.account(account), self._exchange.instruments
        return {
            asset_id(asset): {"balance": money(amount), "hold_trade": money(book.holds(asset, listed))}
            for asset, amount in self._holdings(account).items()
        }

    def _holdings(self, account: str) -> dict[str, Decimal]:
        book = self._exchange.account(account)
        quotes = dict.fromkeys(i.quote for i in self._exchange.instruments.values())
        return dict.fromkeys(quotes, book.portfolio.cash) | book.assets

    def _trade_balance(self, account: str, form: Form) -> Any:
        """Give the figures so rounded that e = tb + n and mf = e - m hold to the last digit."""
        book = self._exchange.account(account)
        found = book.trade_balance(self._exchange.instruments, self._exchange.marks(account))
        tb, m, n = (v.quantize(GRID) for v in (found.collateral, found.used, found.unrealised))
        figures = {
            "eb": found.everything,
            "tb": tb,
            "m": m,
            "n": n,
            "c": found.cost,
            "v": found.value,
            "e": tb + n,
            "mf": tb + n - m,
            "uv": found.unexecuted,
        }
        level = {"ml": f"{(tb + n) / m * _PERCENT:.2f}"} if m else {}
        return {name: money(value) for name, value in figures.items()} | level

    def _trade_volume(self, account: str, form: Form) -> Any:
        volume = self._exchange.account(account).volume.total(self._clock.now())
        answer: dict[str, Any] = {"currency": "ZUSD", "volume": f"{volume:.4f}"}
        names = [text for text in form.get("pair", "").split(",") if text]
        pairs = [find_pair(text, self._exchange.instruments) for text in names]
        keys = [pair_name(pair).key for pair in pairs if pair is not None]
        if len(keys) < len(names):
            raise RestError("EQuery:Unknown asset pair")
        if keys:
            answer["fees"] = dict.fromkeys(keys, self._fee(volume, lambda tier: tier.taker))
            answer["fees_maker"] = dict.fromkeys(keys, self._fee(volume, lambda tier: tier.maker))
        return answer

    def _fee(self, volume: Decimal, rate: Callable[[FeeTier], Decimal]) -> dict[str, str | None]:
        fees = self._exchange.fees
        own = fees.at(volume)
        tiers = fees.tiers or (own,)
        following = next((tier for tier in tiers if tier.volume > own.volume), None)
        return {
            "fee": f"{rate(own) * _PERCENT:.4f}",
            "minfee": f"{min(map(rate, tiers)) * _PERCENT:.4f}",
            "maxfee": f"{max(map(rate, tiers)) * _PERCENT:.4f}",
            "nextfee": f"{rate(following) * _PERCENT:.4f}" if following is not None else None,
            "nextvolume": f"{following.volume:.4f}" if following is not None else None,
            "tiervolume": f"{own.volume:.4f}",
        }

    # ---- positions ----

    def _open_positions(self, account: str, form: Form) -> Any:
        book, listed = self._exchange.account(account), self._exchange.instruments
        marks = self._exchange.marks(account) if form.get("docalcs", "").lower() == "true" else {}
        wanted = [text for text in form.get("txid", "").split(",") if text]
        positions = [p for p in _positions(book, listed) if not wanted or p.position_id in wanted]
        rows = {
            p.position_id: position_row(p, listed[p.instrument], marks.get(p.instrument)) for p in positions
        }
        if form.get("consolidation") == "market":
            return [_together(group, listed, marks) for group in _by_market(positions)]
        return rows


def _positions(book: ExchangeAccount, listed: Mapping[str, Instrument]) -> list[MarginPosition]:
    """Give the positions; where the account nets them, the net one of each pair."""
    if book.margin is not None:
        return list(book.positions.values())
    return [_netted(held, listed[held.instrument]) for held in book.portfolio.positions.values()]


def _netted(held: Position, pair: Instrument) -> MarginPosition:
    name = identifier("T", zlib.crc32(held.instrument.encode()))
    return MarginPosition(
        position_id=name,
        order_id=name,
        instrument=held.instrument,
        side=Side.BUY if held.quantity > 0 else Side.SELL,
        order_type=OrderType.MARKET,
        opened=held.opened,
        leverage=leverage(pair),
        quantity=abs(held.quantity),
        cost=held.cost,
        fee=held.fees,
        rate=ZERO,
        rolls=held.opened + 4 * HOUR,
    )


def _by_market(positions: list[MarginPosition]) -> list[list[MarginPosition]]:
    groups: dict[str, list[MarginPosition]] = {}
    for position in positions:
        groups.setdefault(position.instrument, []).append(position)
    return list(groups.values())


def _together(
    group: list[MarginPosition], listed: Mapping[str, Instrument], marks: Mapping[str, Decimal]
) -> dict[str, Any]:
    """Give the positions of one pair as one row."""
    first = group[0]
    pair = listed[first.instrument]
    row: dict[str, Any] = {
        "pair": pair_name(pair).key,
        "positions": str(len(group)),
        "type": first.side,
        "leverage": f"{first.leverage}",
        "cost": money(sum((p.cost for p in group), ZERO)),
        "fee": money(sum((p.fee for p in group), ZERO)),
        "vol": lots(sum((p.quantity for p in group), ZERO), pair),
        "vol_closed": lots(sum((p.closed for p in group), ZERO), pair),
        "margin": money(sum((p.margin for p in group), ZERO)),
    }
    mark = marks.get(first.instrument)
    if mark is not None:
        row["value"] = money(sum((p.remaining * mark for p in group), ZERO))
        row["net"] = f"{sum((p.unrealised(mark) for p in group), ZERO).quantize(GRID):+f}"
    return row
