"""REST over HTTP: public reads through aiohttp, signed calls through ccxt.

Must not know why an order is wanted.
Called by trader.live (history, instruments), execution.live (token, reconciliation, orders with a
leverage of their own), trader.doctor.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Self

import aiohttp
import msgspec
import stamina

from core.clock import MINUTE, SECOND, Clock
from core.errors import LinkLost, NotPermitted, Recoverable, VenueError
from core.events import Fill, VenueOrder, VenuePosition
from core.instrument import Instrument
from core.market import Bar, Timeframe
from core.orders import SubmitOrder
from core.text import iso
from core.version import VERSION
from venue import outcomes, rest, rest_market
from venue.ccxt_alone import alone
from venue.key_info import KeyInfo, key_info
from venue.limits import RestBudget
from venue.nonce import Nonces

KRAKEN_REST = "https://api.kraken.com"
TIMEOUT_S = 10.0
LOCKOUT = 15 * MINUTE
_LATE = SECOND // 20  # on top of a wait: this call may travel faster than the one that it waits for
_PAGE = 50


class PublicRest:
    """Kraken's public REST. Reads are repeated a few times; then LinkLost says why.

    Use as an async context manager, or call `close`.
    """

    def __init__(self, url: str = KRAKEN_REST, *, attempts: int = 4) -> None:
        self.url = url.rstrip("/")
        self.attempts = attempts
        self._http: aiohttp.ClientSession | None = None
        self._names: rest.PairNames | None = None
        self._assets: rest.AssetNames | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the sockets back."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def time(self) -> int:
        """Give the venue's clock in ns UTC (whole seconds)."""
        answer: rest.ServerTime = await self._get("Time", rest.ServerTime)
        return answer.unixtime * SECOND

    async def asset_pairs(self) -> dict[str, Instrument]:
        """Give every tradable pair by its v2 symbol."""
        pairs = await self._get("AssetPairs", dict[str, rest.Pair])
        self._names = rest.PairNames(pairs)
        return rest.instruments(pairs)

    async def assets(self) -> rest.AssetNames:
        """Give the map between spellings of assets, read once."""
        if self._assets is None:
            self._assets = rest.AssetNames(await self._get("Assets", dict[str, rest.Asset]))
        return self._assets

    async def names(self) -> rest.PairNames:
        """Give the map between spellings of pairs, read once."""
        if self._names is None:
            await self.asset_pairs()
        assert self._names is not None
        return self._names

    async def ohlc(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        """Give up to 719 closed bars, oldest first; older history is not served here."""
        names = await self.names()
        params = {"pair": names.altname(symbol), "interval": str(timeframe.minutes)}
        answer = await self._get("OHLC", dict[str, list[rest.OhlcRow] | int], **params)
        rows = next((value for value in answer.values() if isinstance(value, list)), None)
        if rows is None:
            raise VenueError(f"expected bars of {symbol}, found only {sorted(answer)}")
        return rest.bars(symbol, timeframe, rows)

    async def trades(self, symbol: str, since: str) -> rest_market.TradePage:
        """Give up to 1,000 trades after `since`: ns as text, or the `last` of the page before."""
        names = await self.names()
        answer = await self._get("Trades", dict[str, msgspec.Raw], pair=names.altname(symbol), since=since)
        return rest_market.trade_page(symbol, answer)

    async def turnovers(self) -> dict[str, Decimal]:
        """Give every pair's volume of the last 24 hours in quote currency."""
        names = await self.names()
        return rest_market.turnovers(await self._get("Ticker", dict[str, msgspec.Raw]), names)

    async def _get(self, path: str, kind: Any, **params: str) -> Any:
        body = b""
        async for attempt in stamina.retry_context(
            on=LinkLost, attempts=self.attempts, timeout=3 * TIMEOUT_S, wait_initial=0.3, wait_max=5.0
        ):
            with attempt:
                body = await self._body(f"{self.url}/0/public/{path}", params)
        return rest.result_of(body, kind)

    async def _body(self, url: str, params: Mapping[str, str]) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                headers={"User-Agent": f"seamark/{VERSION}"},
            )
        try:
            async with self._http.get(url, params=params) as response:
                body = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as broken:
            raise LinkLost(f"GET {url}: {str(broken) or f'no answer in {TIMEOUT_S:g} s'}") from broken
        errors = rest.errors_of(body)
        if status != 200 or errors is None:
            raise LinkLost(f"GET {url}: expected JSON, found HTTP {status} {body[:60]!r}")
        for error in errors:
            repeat = outcomes.classify(error) in (outcomes.Outcome.RETRY_READ, outcomes.Outcome.UNKNOWN)
            raise (LinkLost if repeat else VenueError)(f"GET {url}: {error}")
        return body


class Credentials(msgspec.Struct, frozen=True):
    """An API key; its repr shows nothing, so that no log or traceback can."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials(***)"


class _Refused(Exception):
    """The venue's error text; nothing is concluded from it yet."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


_NONCE = "EAPI:Invalid nonce"


class SignedRest:
    """Kraken's private REST over ccxt's signing. One call at a time, so nonces stay in order.

    Nothing here is retried, but for one read whose nonce was refused. LinkLost: no usable answer.
    VenueError: a definite no. NotPermitted: the key is wrong or lacks a right; asking again leads
    to a lockout.
    """

    def __init__(
        self, credentials: Credentials, clock: Clock, url: str = KRAKEN_REST, *, nonces: Nonces | None = None
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._url = url.rstrip("/")
        self._exchange: Any = None
        self._ccxt_error: Any = ()
        self._one_at_a_time = asyncio.Lock()
        self.nonces = nonces or Nonces(lambda: clock.now() // 1000)
        self._silent_until = 0
        self._throttled_until = 0
        self.budget = RestBudget()

    async def close(self) -> None:
        """Give the sockets back."""
        if self._exchange is not None:
            await self._exchange.close()
            self._exchange = None

    async def websocket_token(self) -> str:
        """Give a fresh token; use it within 15 minutes."""
        answer = await self._call("GetWebSocketsToken")
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise VenueError("expected a token from GetWebSocketsToken, found none")
        return token

    async def open_orders(self, names: rest.PairNames) -> dict[str, VenueOrder]:
        """Give all open orders by order id."""
        answer = await self._call("OpenOrders")
        return _orders(answer, "open", names)

    async def closed_orders(
        self, names: rest.PairNames, *, since: int | None = None, cl_ord_id: str = ""
    ) -> dict[str, VenueOrder]:
        """Give closed orders, all pages: the ones opened since `since` ns, or those of one id."""
        params: dict[str, Any] = {"closetime": "close"}
        if since is not None:
            params["start"] = str(max(0, since // SECOND - 1))
        if cl_ord_id:
            params["cl_ord_id"] = cl_ord_id
        found: dict[str, VenueOrder] = {}
        while True:
            page = _orders(await self._call("ClosedOrders", {**params, "ofs": len(found)}), "closed", names)
            if not page.keys() - found.keys():
                return found
            found |= page
            if len(page) < _PAGE:
                return found

    async def query_orders(self, names: rest.PairNames, order_ids: tuple[str, ...]) -> dict[str, VenueOrder]:
        """Give orders by order id, whatever their state; ids that do not exist are left out."""
        found: dict[str, VenueOrder] = {}
        for at in range(0, len(order_ids), _PAGE):
            page = await self._call("QueryOrders", {"txid": ",".join(order_ids[at : at + _PAGE])})
            found |= _orders({"any": page}, "any", names)
        return found

    async def trades_history(self, since: int) -> dict[str, rest.TradeRow]:
        """Give own fills since `since` ns by exec id, newest first, one row per execution."""
        params = {"start": str(max(0, since // SECOND - 1)), "consolidate_taker": "false"}
        found: dict[str, rest.TradeRow] = {}
        while True:
            answer = await self._call("TradesHistory", {**params, "ofs": len(found)}, cost=4.0)
            page = _convert(_table(answer, "trades"), dict[str, rest.TradeRow], "trades")
            if not page.keys() - found.keys():
                return found
            found |= page
            if len(page) < _PAGE:
                return found

    async def open_positions(self, names: rest.PairNames) -> tuple[VenuePosition, ...]:
        """Give net margin positions."""
        rows = _convert(await self._call("OpenPositions"), dict[str, rest.PositionRow], "OpenPositions")
        return rest.positions(rows.values(), names)

    async def balances(self) -> dict[str, Decimal]:
        """Give total balances by the venue's asset names."""
        return _convert(await self._call("Balance"), dict[str, Decimal], "Balance")

    async def key_info(self) -> KeyInfo:
        """Give what this key may do (needs no permission itself)."""
        answer = await self._call("GetApiKeyInfo")
        if not isinstance(answer, dict):
            raise VenueError(f"expected GetApiKeyInfo as a table, found {str(answer)[:80]!r}")
        return key_info(answer)

    async def add_order(self, order: SubmitOrder, names: rest.PairNames) -> str:
        """Send one order, once, and give its order id.

        VenueError and NotPermitted prove that it does not exist; LinkLost proves nothing.
        """
        form = rest.order_form(order, names)
        async with self._one_at_a_time:
            self._refuse_while_silent("AddOrder")
            if self._clock.now() >= order.deadline:
                raise VenueError("deadline elapsed before it was sent")
            try:
                answer = await self._request("AddOrder", form)
            except _Refused as refused:
                raise self._judged("AddOrder", refused.error, gate=VenueError) from refused
        ids = answer.get("txid") if isinstance(answer, dict) else None
        if not isinstance(ids, list) or not ids:
            raise LinkLost(f"AddOrder: expected an order id, found {str(answer)[:80]!r}")
        return str(ids[0])

    # ---- the call ----

    async def _call(self, path: str, params: Mapping[str, Any] | None = None, *, cost: float = 1.0) -> Any:
        # The venue's counter decays in the venue's time, which may run faster than the wall.
        wait = self.budget.wait_s(cost, self._clock.now())
        self.budget.charge(cost, self._clock.now())
        late = _LATE if wait else 0
        await asyncio.sleep(self._clock.wall_seconds(round(wait * SECOND) + late))
        async with self._one_at_a_time:
            self._refuse_while_silent(path)
            try:
                return await self._request(path, params or {})
            except _Refused as refused:
                if not refused.error.startswith(_NONCE):
                    raise self._judged(path, refused.error) from refused
            # Turned away at the gate, so a second try repeats nothing. A third would lead to a ban.
            self.nonces.resync()
            try:
                return await self._request(path, params or {})
            except _Refused as refused:
                raise self._judged(path, refused.error) from refused

    def _refuse_while_silent(self, path: str) -> None:
        if self._clock.monotonic() < self._silent_until:
            raise LinkLost(f"{path}: the key is locked out, silent for {LOCKOUT // MINUTE} min")
        if self._clock.now() < self._throttled_until:
            raise LinkLost(f"{path}: throttled until {iso(self._throttled_until)}")

    async def _request(self, path: str, params: Mapping[str, Any]) -> Any:
        """Send once. Raises _Refused with the venue's error text, LinkLost for everything else."""
        exchange = await self._signer()
        if self.nonces.due:
            await asyncio.to_thread(self.nonces.reserve)  # signing must not wait for the disk
        exchange.last_http_response = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await exchange.request(path, ["private"], "POST", dict(params))
        except TimeoutError as late:
            raise LinkLost(f"{path}: no answer in {TIMEOUT_S:g} s") from late
        except self._ccxt_error as broken:
            return _answer_of(path, exchange.last_http_response, broken)
        except (LookupError, TypeError, ValueError) as broken:  # ccxt on an empty or odd body
            raise LinkLost(f"{path}: expected JSON, ccxt failed with {broken!r}") from broken
        if not isinstance(answer, dict) or "result" not in answer:
            raise LinkLost(f"{path}: expected a result, found {str(answer)[:80]!r}")
        return answer["result"]

    def _judged(self, path: str, error: str, *, gate: type[Recoverable] = LinkLost) -> Exception:
        """Give what an error text means here, after falling as silent as it asks for.

        `gate` is raised for what was turned away before it did anything: a read may be repeated,
        an order is refused.
        """
        now = self._clock.now()
        if error.startswith("EGeneral:Temporary lockout"):
            self._silent_until = self._clock.monotonic() + LOCKOUT
            return gate(f"{path}: {error}")
        if named := outcomes.throttled_until(error):
            # A time far away (or in milliseconds) must not silence the key for good.
            self._throttled_until = min(named, now + LOCKOUT)
        if error.startswith("EAPI:Rate limit exceeded"):
            self.budget.exceeded(now)
        if error.startswith(_NONCE):
            return NotPermitted(
                f"{path}: {error}; another process uses this key, or its nonces ran ahead: make a new key"
            )
        match outcomes.classify(error):
            case outcomes.Outcome.HALT:
                return NotPermitted(f"{path}: {error}")
            case outcomes.Outcome.DEFINITE_REJECT:
                return VenueError(f"{path}: {error}")
            case outcomes.Outcome.RETRY_READ:
                return gate(f"{path}: {error}")
            case _:
                return LinkLost(f"{path}: {error}")

    async def _signer(self) -> Any:
        if self._exchange is None:
            # Importing ccxt takes a while; a thread keeps the loop alive meanwhile.
            kraken, self._ccxt_error = await asyncio.to_thread(alone, "kraken")
            exchange = kraken(
                {
                    "apiKey": self._credentials.key,
                    "secret": self._credentials.secret,
                    "enableRateLimit": False,  # RestBudget knows the real costs
                    "timeout": int(TIMEOUT_S * 1000),
                    "maxRetriesOnFailure": 0,
                }
            )
            exchange.urls["api"] = {**exchange.urls["api"], "public": self._url, "private": self._url}
            exchange.nonce = self.nonces.next
            self._exchange = exchange
        return self._exchange


def _answer_of(path: str, body: str | None, broken: Exception) -> Any:
    """Read the body that ccxt stumbled over: an error text, or only a warning beside a result."""
    errors = rest.errors_of((body or "").encode())
    if errors:
        raise _Refused(errors[0]) from broken
    try:
        answer = {} if errors is None else msgspec.json.decode(body or "")
    except msgspec.DecodeError:
        answer = {}
    if "result" not in answer:
        raise LinkLost(f"{path}: {str(broken)[:160]}") from broken
    return answer["result"]


def _orders(answer: Any, key: str, names: rest.PairNames) -> dict[str, VenueOrder]:
    rows = _convert(_table(answer, key), dict[str, rest.OrderRow], key)
    return {order_id: rest.venue_order(order_id, row, names) for order_id, row in rows.items()}


def _table(answer: Any, key: str) -> Any:
    """Give a table of an answer. One that is not there proves nothing: least of all that it is empty."""
    if not isinstance(answer, dict) or key not in answer:
        raise VenueError(f"expected {key} as documented, found {str(answer)[:80]!r}")
    return answer[key]


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Read ccxt's parsed JSON; its floats only ever are times, money is text."""
    try:
        return rest.vetted(msgspec.convert(value, kind, strict=False), where)
    except msgspec.ValidationError as broken:
        raise VenueError(f"expected {where} as documented, found something else: {broken}") from broken


def fills(
    account: str, trades: Mapping[str, rest.TradeRow], orders: Mapping[str, VenueOrder], names: rest.PairNames
) -> tuple[Fill, ...]:
    """Join own fills with the client ids of their orders, oldest first; strangers' have none."""
    named = {order_id: order.cl_ord_id for order_id, order in orders.items()}
    made = [
        rest.fill(account, exec_id, row, cl_ord_id=named.get(row.ordertxid, ""), names=names)
        for exec_id, row in trades.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.ts_event, one.exec_id)))
