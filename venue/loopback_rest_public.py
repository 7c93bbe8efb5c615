"""Public REST answers of the loopback venue, as values.

Must not know HTTP, accounts or keys. Called by venue.loopback_rest. Every method takes the query
and gives the `result`; what cannot be answered raises RestError with Kraken's text. Shapes and
rules are those of https://docs.kraken.com/api/docs/rest-api/ (PROTOCOL 4.4).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from core.clock import DAY, MINUTE, SECOND, Clock
from core.instrument import Instrument
from core.market import Trade
from core.text import iso
from venue.exchange import Exchange
from venue.loopback_listing import INFO, rest_asset, rest_pair
from venue.loopback_names import asset_id, find_asset, find_pair, pair_name
from venue.loopback_public import INTERVALS
from venue.loopback_templates import taker_order_type, units
from venue.market_candles import Candle, candles, last_day
from venue.market_model import Ladder, Level, Tape

_CANDLES = 720
_TRADES = 1000
_DEPTH = 500
_SPREADS = 200
_GROUPED_DEPTHS = (10, 25, 100, 250, 1000)
_GROUPINGS = (1, 5, 10, 25, 50, 100, 250, 500, 1000)
_PRICE_DECIMALS = 5  # Ticker, Depth, Trades and Spread print at least as many; OHLC does not
Query = Mapping[str, str]


class RestError(Exception):
    """Carries an error text of Kraken's to the edge of the REST desk."""


class PublicAnswers:
    """Answers about the market at the clock's time."""

    def __init__(
        self,
        exchange: Exchange,
        tapes: Mapping[str, Tape],
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._instruments = exchange.instruments
        self._tapes = tapes
        self._clock = clock
        self._days = lru_cache(maxsize=4096)(self._day)
        self.methods: dict[str, Callable[[Query], Any]] = {
            "Time": self._time,
            "SystemStatus": self._status,
            "Assets": self._assets,
            "AssetPairs": self._pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Depth": self._depth,
            "GroupedBook": self._grouped,
            "Trades": self._trades,
            "Spread": self._spread,
        }

    def _time(self, query: Query) -> Any:
        seconds = self._clock.now() // SECOND
        text = f"{datetime.fromtimestamp(seconds, tz=UTC):%a, %d %b %y %H:%M:%S} +0000"
        return {"unixtime": seconds, "rfc1123": text}

    def _status(self, query: Query) -> Any:
        return {"status": self._exchange.system, "timestamp": f"{iso(self._clock.now())[:19]}Z"}

    # ---- what is listed ----

    def _assets(self, query: Query) -> Any:
        listed = dict.fromkeys(a for i in self._instruments.values() for a in (i.base, i.quote))
        if query.get("aclass", "currency") != "currency":
            return {}
        wanted = list(listed)
        if query.get("asset"):
            found = [find_asset(text, listed) for text in query["asset"].split(",")]
            wanted = [asset for asset in found if asset is not None]
            if len(wanted) < len(found):
                raise RestError("EQuery:Unknown asset")
        return {asset_id(asset): rest_asset(asset) for asset in wanted}

    def _pairs(self, query: Query) -> Any:
        """Give pairs by their key; one that was asked for as `BTC/USD` answers to that name."""
        info = query.get("info", INFO[0])
        if info not in INFO:
            raise RestError("EGeneral:Invalid arguments")
        if not query.get("pair"):
            rows = {pair_name(pair).key: pair for pair in self._instruments.values()}
        else:
            named = {text: self._named(text) for text in query["pair"].split(",")}
            rows = {text if text == p.symbol else pair_name(p).key: p for text, p in named.items()}
        return {key: rest_pair(pair, self._exchange.fees, info) for key, pair in rows.items()}

    # ---- prices ----

    def _ticker(self, query: Query) -> Any:
        asked = bool(query.get("pair"))
        wanted = [self._named(text) for text in query["pair"].split(",")] if asked else self._trading()
        return {pair_name(pair).key: self._level_one(pair) for pair in wanted}

    def _trading(self) -> list[Instrument]:
        now = self._clock.now()
        return [pair for pair in self._instruments.values() if self._tapes[pair.symbol].at(now) is not None]

    def _level_one(self, pair: Instrument) -> dict[str, Any]:
        tape, now = self._tapes[pair.symbol], self._clock.now()
        found = tape.at(now)
        if found is None:
            raise RestError("EService:Unavailable")
        quote, last = tape.quote(*found), tape.latest(now, 1)
        today, rolling = self._days(pair.symbol, now // MINUTE)
        places, lots = _places(pair), pair.quantity_precision
        return {
            "a": _touch(quote.ask, quote.ask_quantity, places),
            "b": _touch(quote.bid, quote.bid_quantity, places),
            "c": [f"{last[-1].price:.{places}f}", f"{last[-1].quantity:f}"] if last else ["0", "0"],
            "v": [units(day.lots, lots) for day in (today, rolling)],
            "p": [_price(pair, round(day.vwap)) for day in (today, rolling)],
            "t": [day.trades for day in (today, rolling)],
            "l": [_price(pair, day.low) for day in (today, rolling)],
            "h": [_price(pair, day.high) for day in (today, rolling)],
            "o": _price(pair, today.open),
        }

    def _day(self, symbol: str, minute: int) -> tuple[Candle, Candle]:
        """Give today since midnight UTC and the rolling 24 hours."""
        tape, now = self._tapes[symbol], minute * MINUTE
        rolling, today = last_day(tape, now), candles(tape, DAY, now, 1)
        return (today[-1] if today else rolling), rolling

    def _ohlc(self, query: Query) -> Any:
        """Give the newest candles, whatever `since` says; the last one is always the running one."""
        pair, minutes = self._one(query), _integer(query, "interval", 1)
        if minutes not in INTERVALS:
            raise RestError("EGeneral:Invalid arguments")
        rows = candles(self._tapes[pair.symbol], minutes * MINUTE, self._clock.now(), _CANDLES)
        committed = rows[-2].ts_open if len(rows) > 1 else 0
        since = _moment(query["since"]) if query.get("since") else -1
        shown = [_row(pair, row) for row in rows if row.ts_open > since or row is rows[-1]]
        return {pair_name(pair).key: shown, "last": committed // SECOND}

    # ---- book ----

    def _depth(self, query: Query) -> Any:
        """Give levels with volumes of three decimals: no checksum can be made of them."""
        pair, count = self._one(query), _integer(query, "count", 100)
        if not 1 <= count <= _DEPTH:
            raise RestError("EGeneral:Invalid arguments")
        ladder, lot = self._ladder(pair), Decimal(1).scaleb(-pair.quantity_precision)
        seconds = ladder.ts // SECOND

        def rows(levels: tuple[Level, ...]) -> list[list[Any]]:
            return [[_price(pair, v.ticks), f"{v.lots * lot:.3f}", seconds] for v in levels[:count]]

        return {pair_name(pair).key: {"asks": rows(ladder.asks), "bids": rows(ladder.bids)}}

    def _grouped(self, query: Query) -> Any:
        """Add the book up on a coarser grid: bids down, asks up.

        https://docs.kraken.com/api-reference/market-data/get-grouped-order-book
        """
        pair = self._one(query)
        depth, grouping = _integer(query, "depth", 10), _integer(query, "grouping", 1)
        if depth not in _GROUPED_DEPTHS or grouping not in _GROUPINGS:
            raise RestError("EGeneral:Invalid arguments")
        ladder = self._ladder(pair)

        def rows(levels: tuple[Level, ...], up: int) -> list[dict[str, str]]:
            sums: dict[int, int] = {}
            for level in levels:
                ticks = (level.ticks + up) // grouping * grouping
                sums[ticks] = sums.get(ticks, 0) + level.lots
            lots = pair.quantity_precision
            return [{"price": _price(pair, t), "qty": units(v, lots)} for t, v in sums.items()][:depth]

        return {
            "pair": pair.symbol,
            "grouping": grouping,
            "bids": rows(ladder.bids, 0),
            "asks": rows(ladder.asks, grouping - 1),
        }

    def _ladder(self, pair: Instrument) -> Ladder:
        tape, now = self._tapes[pair.symbol], self._clock.now()
        found = tape.at(now)
        return tape.ladder(*found) if found else Ladder(now, (), ())

    def _spread(self, query: Query) -> Any:
        """Give the latest changes of the touch; `since` includes its own second."""
        pair, now = self._one(query), self._clock.now()
        since = _moment(query.get("since") or "0")
        rows = [row for row in _touches(self._tapes[pair.symbol], now) if row[0] // SECOND >= since // SECOND]
        table = [[ts // SECOND, _price(pair, bid), _price(pair, ask)] for ts, bid, ask in rows]
        return {pair_name(pair).key: table, "last": table[-1][0] if table else since // SECOND}

    # ---- trades ----

    def _trades(self, query: Query) -> Any:
        """Give a page after `since`. A page never ends inside a burst of one timestamp.

        The cursor is a time, so what shares the last row's timestamp would be lost otherwise; such
        a page is longer than `count`.
        """
        pair, now = self._one(query), self._clock.now()
        limit = _integer(query, "count", _TRADES)
        if not 1 <= limit <= _TRADES:
            raise RestError("EGeneral:Invalid arguments")
        tape, since = self._tapes[pair.symbol], query.get("since")
        rows = tape.latest(now, limit) if not since else tape.trades(_moment(since), now, limit)
        last = rows[-1].ts_event if rows else _moment(since or "0")
        if len(rows) == limit:
            burst = [t for t in tape.trades(last - 1, last, 1 << 30) if t.trade_id > rows[-1].trade_id]
            rows = [*rows, *burst]
        return {pair_name(pair).key: [_trade(pair, trade) for trade in rows], "last": str(last)}

    # ---- names ----

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
    digits = head + fraction
    if not (head and digits.isascii() and digits.isdigit()) or len(digits) > 30:
        raise RestError("EGeneral:Invalid arguments")
    if len(head) > 12:
        return int(head)
    return int(head) * SECOND + int(fraction.ljust(9, "0")[:9] or 0)


def _integer(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise RestError("EGeneral:Invalid arguments")
    return int(text)


def _touches(tape: Tape, now: int) -> list[tuple[int, int, int]]:
    """Give the last changes of best bid and ask as (ts, bid, ask) in ticks, oldest first."""
    found: list[tuple[int, int, int]] = []
    while len(found) <= _SPREADS and (event := tape.at(now)) is not None:
        events, at = event
        row = (int(events.ts[at]), int(events.bid[at]), int(events.ask[at]))
        if found and found[-1][1:] == row[1:]:
            found.pop()  # nothing moved between these two: the change was earlier
        found.append(row)
        now = row[0] - 1
    return found[_SPREADS - 1 :: -1]


def _places(pair: Instrument) -> int:
    return max(_PRICE_DECIMALS, pair.price_precision)


def _price(pair: Instrument, ticks: int) -> str:
    return units(ticks * 10 ** (_places(pair) - pair.price_precision), _places(pair))


def _touch(price: Decimal, quantity: Decimal, places: int) -> list[str]:
    """Give price, whole lots and lots."""
    return [f"{price:.{places}f}", str(int(quantity)), f"{quantity:.3f}"]


def _row(pair: Instrument, row: Candle) -> list[Any]:
    price = pair.price_precision
    return [
        row.ts_open // SECOND,
        *(units(value, price) for value in (row.open, row.high, row.low, row.close)),
        units(round(row.vwap), price) if row.trades else "0.0",
        units(row.lots, pair.quantity_precision),
        row.trades,
    ]


def _trade(pair: Instrument, trade: Trade) -> list[Any]:
    price, kind = f"{trade.price:.{_places(pair)}f}", taker_order_type(trade)[0]
    seconds = trade.ts_event / SECOND
    return [price, f"{trade.quantity:f}", seconds, trade.side[0], kind, "", trade.trade_id]
