"""Public REST answers of the loopback venue, as values.

Must not know HTTP, accounts or keys. Called by venue.loopback_rest. Every method takes the query
and gives the `result`; what cannot be answered raises RestError with Kraken's text.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.clock import MINUTE, SECOND, Clock
from core.instrument import Instrument
from core.market import Trade
from core.text import iso
from venue.exchange_account import leverage
from venue.exchange_orders import FeeSchedule
from venue.loopback_names import asset_altname, asset_id, find_pair, pair_name
from venue.loopback_public import INTERVALS
from venue.loopback_templates import units
from venue.market_candles import Candle, candles, last_day
from venue.market_model import Level, Tape

_CANDLES = 720
_TRADES = 1000
Query = Mapping[str, str]


class RestError(Exception):
    """Carries an error text of Kraken's to the edge of the REST desk."""


class PublicAnswers:
    """Answers about the market at the clock's time."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        tapes: Mapping[str, Tape],
        fees: FeeSchedule,
        clock: Clock,
    ) -> None:
        self._instruments = instruments
        self._tapes = tapes
        self._fees = fees
        self._clock = clock
        self.methods: dict[str, Callable[[Query], Any]] = {
            "Time": self._time,
            "SystemStatus": self._status,
            "Assets": self._assets,
            "AssetPairs": self._pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Depth": self._depth,
            "Trades": self._trades,
        }

    def _time(self, query: Query) -> Any:
        seconds = self._clock.now() // SECOND
        text = f"{datetime.fromtimestamp(seconds, tz=UTC):%a, %d %b %y %H:%M:%S} +0000"
        return {"unixtime": seconds, "rfc1123": text}

    def _status(self, query: Query) -> Any:
        return {"status": "online", "timestamp": f"{iso(self._clock.now())[:19]}Z"}

    def _assets(self, query: Query) -> Any:
        assets = dict.fromkeys(a for i in self._instruments.values() for a in (i.base, i.quote))
        return {asset_id(asset): _asset(asset) for asset in assets}

    def _pairs(self, query: Query) -> Any:
        wanted = self._wanted(query) if query.get("pair") else list(self._instruments.values())
        return {pair_name(pair).key: _pair(pair, self._fees) for pair in wanted}

    def _ticker(self, query: Query) -> Any:
        wanted = self._wanted(query) if query.get("pair") else list(self._instruments.values())
        return {pair_name(pair).key: self._level_one(pair) for pair in wanted}

    def _level_one(self, pair: Instrument) -> dict[str, Any]:
        tape, now = self._tapes[pair.symbol], self._clock.now()
        found = tape.at(now)
        if found is None:
            raise RestError("EService:Unavailable")
        quote, day = tape.quote(*found), last_day(tape, now)
        price, lots = pair.price_precision, pair.quantity_precision
        last = tape.latest(now, 1)
        return {
            "a": [f"{quote.ask:f}", "1", f"{quote.ask_quantity:.3f}"],
            "b": [f"{quote.bid:f}", "1", f"{quote.bid_quantity:.3f}"],
            "c": [f"{last[-1].price:f}", f"{last[-1].quantity:f}"] if last else ["0", "0"],
            "v": [units(day.lots, lots)] * 2,
            "p": [units(round(day.vwap), price)] * 2,
            "t": [day.trades] * 2,
            "l": [units(day.low, price)] * 2,
            "h": [units(day.high, price)] * 2,
            "o": units(day.open, price),
        }

    def _ohlc(self, query: Query) -> Any:
        pair, minutes = self._one(query), _integer(query, "interval", 1)
        if minutes not in INTERVALS:
            raise RestError("EGeneral:Invalid arguments")
        rows = candles(self._tapes[pair.symbol], minutes * MINUTE, self._clock.now(), _CANDLES)
        committed = rows[-2].ts_open if len(rows) > 1 else 0
        return {pair_name(pair).key: [_row(pair, row) for row in rows], "last": committed // SECOND}

    def _depth(self, query: Query) -> Any:
        pair = self._one(query)
        found = self._tapes[pair.symbol].at(self._clock.now())
        if found is None:
            return {pair_name(pair).key: {"asks": [], "bids": []}}
        ladder, count = self._tapes[pair.symbol].ladder(*found), _integer(query, "count", 100)
        seconds = ladder.ts // SECOND

        def rows(levels: tuple[Level, ...]) -> list[list[Any]]:
            price, lots = pair.price_precision, Decimal(1).scaleb(-pair.quantity_precision)
            return [[units(v.ticks, price), f"{v.lots * lots:.3f}", seconds] for v in levels[:count]]

        return {pair_name(pair).key: {"asks": rows(ladder.asks), "bids": rows(ladder.bids)}}

    def _trades(self, query: Query) -> Any:
        pair, now = self._one(query), self._clock.now()
        limit = min(_TRADES, _integer(query, "count", _TRADES))
        tape, since = self._tapes[pair.symbol], query.get("since")
        rows = tape.latest(now, limit) if since is None else tape.trades(_moment(since), now, limit)
        last = rows[-1].ts_event if rows else _moment(since or "0")
        return {pair_name(pair).key: [_trade(trade) for trade in rows], "last": str(last)}

    def _wanted(self, query: Query) -> list[Instrument]:
        return [self._named(text) for text in query["pair"].split(",")]

    def _one(self, query: Query) -> Instrument:
        return self._named(query.get("pair", ""))

    def _named(self, text: str) -> Instrument:
        found = find_pair(text, self._instruments)
        if found is None:
            raise RestError("EQuery:Unknown asset pair")
        return found


def _moment(text: str) -> int:
    """Read `since`: seconds, or nanoseconds as the `last` of an earlier page gave them."""
    head, _, fraction = text.partition(".")
    if not head.isdigit() or (fraction and not fraction.isdigit()):
        raise RestError("EGeneral:Invalid arguments")
    if len(head) > 12:
        return int(head)
    return int(head) * SECOND + int(fraction.ljust(9, "0")[:9] or 0)


def _integer(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise RestError("EGeneral:Invalid arguments")
    return int(text)


def _asset(asset: str) -> dict[str, Any]:
    return {
        "aclass": "currency",
        "altname": asset_altname(asset),
        "decimals": 8,
        "display_decimals": 5,
        "collateral_value": 1,
        "status": "enabled",
        "margin_rate": "0.01",
    }


def _pair(pair: Instrument, fees: FeeSchedule) -> dict[str, Any]:
    name, ratios = pair_name(pair), list(range(2, pair.max_leverage + 1))
    return {
        "altname": name.altname,
        "wsname": name.wsname,
        "aclass_base": "currency",
        "base": asset_id(pair.base),
        "aclass_quote": "currency",
        "quote": asset_id(pair.quote),
        "lot": "unit",
        "cost_decimals": 8,
        "pair_decimals": pair.price_precision,
        "lot_decimals": pair.quantity_precision,
        "lot_multiplier": 1,
        "leverage_buy": ratios,
        "leverage_sell": ratios,
        "fees": [[0, float(fees.taker * 100)]],
        "fees_maker": [[0, float(fees.maker * 100)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{pair.minimum_quantity:f}",
        "costmin": f"{pair.minimum_cost:f}",
        "tick_size": f"{pair.price_increment:f}",
        "status": pair.status,
        "long_position_limit": 1_000_000,
        "short_position_limit": 1_000_000,
    }


def _row(pair: Instrument, row: Candle) -> list[Any]:
    price = pair.price_precision
    return [
        row.ts_open // SECOND,
        *(units(value, price) for value in (row.open, row.high, row.low, row.close)),
        units(round(row.vwap), price) if row.trades else "0.0",
        units(row.lots, pair.quantity_precision),
        row.trades,
    ]


def _trade(trade: Trade) -> list[Any]:
    seconds = trade.ts_event / SECOND
    return [f"{trade.price:f}", f"{trade.quantity:f}", seconds, trade.side[0], "m", "", trade.trade_id]


def leverage_text(pair: Instrument, *, margin: bool) -> str:
    """Give leverage as REST spells it."""
    return f"{leverage(pair)}:1" if margin else "none"
