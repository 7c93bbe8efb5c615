"""Binance's two public answers that ccxt needs for bars, as documented, made up from a formula.

Must not know the client. `/api/v3/exchangeInfo` and `/api/v3/klines`:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}


class FakeBinance:
    """Serves bars of all time before `now_ms`; the last one is running."""

    def __init__(self, symbols, now_ms):
        self.symbols = [symbol.split("/") for symbol in symbols]
        self.now_ms = now_ms
        self.klines = 0

    def serve(self, path, query, headers):
        """Answer one request."""
        match path:
            case "/api/v3/exchangeInfo":
                return {
                    "timezone": "UTC",
                    "rateLimits": [],
                    "symbols": [self._listed(*s) for s in self.symbols],
                }
            case "/api/v3/klines":
                return self._klines(**query)
        return 404, b"{}"

    def _listed(self, base, quote):
        return {
            "symbol": base + quote,
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": quote,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            ],
        }

    def _klines(self, symbol, interval, startTime, limit="500", **_):  # noqa: N803  # the wire's name
        self.klines += 1
        step = MINUTES[interval] * 60_000
        first = -(-int(startTime) // step) * step
        last = min(first + int(limit) * step, self.now_ms + 1)
        return [kline(ts, step) for ts in range(first, last, step)]


def kline(ts, step):
    """Give one row: a slow wave with a ripple, so that every indicator has something to say."""
    number = ts // step
    open_ = 100 + number % 97 * 0.25 + number % 5 * 0.5
    close = 100 + (number + 1) % 97 * 0.25 + (number + 1) % 5 * 0.5
    high, low = max(open_, close) + 0.75, min(open_, close) - 0.5
    volume = 1 + number % 13
    return [
        ts,
        f"{open_:.2f}",
        f"{high:.2f}",
        f"{low:.2f}",
        f"{close:.2f}",
        f"{volume:.5f}",
        ts + step - 1,
        f"{volume * close:.5f}",
        40 + number % 7,
        "1.0",
        "100.0",
        "0",
    ]
