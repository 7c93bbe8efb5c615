"""Who may speak for an account: API keys, their rights and limits, and WebSocket tokens.

Must not know what requests mean or how they travel. Called by the REST and private desks. Limits
and lockouts pass in market time, the life of a token in machine time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from core.clock import MINUTE, SECOND, Clock
from core.errors import ConfigError
from venue.loopback_switches import ORDINARY, AccessSwitches

# https://docs.kraken.com/api-reference/account-data/get-api-key-info (read 2026-11)
TRADING = (
    "query-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "query-ledger",
    "create-ws-token",
)
"""What a trading client may need; nothing that moves money out."""
PERMISSIONS = (
    *TRADING,
    "add-funds",
    "withdraw-funds",
    "earn-funds",
    "export-data",
    "add-withdraw-address",
    "update-withdraw-address",
)

# Any of these rights opens the method; a method that is not here needs none.
_NEEDS: dict[str, tuple[str, ...]] = {
    "Balance": ("query-funds",),
    "BalanceEx": ("query-funds",),
    "TradeBalance": ("query-funds",),
    "TradeVolume": ("query-funds",),
    "OpenOrders": ("query-open-trades",),
    "OpenPositions": ("query-open-trades",),
    "QueryOrders": ("query-open-trades", "query-closed-trades"),
    "ClosedOrders": ("query-closed-trades",),
    "TradesHistory": ("query-closed-trades",),
    "QueryTrades": ("query-closed-trades",),
    "OrderAmends": ("query-open-trades", "query-closed-trades"),
    "Ledgers": ("query-ledger",),
    "QueryLedgers": ("query-ledger",),
    "AddOrder": ("modify-trades",),
    "AddOrderBatch": ("modify-trades",),
    "AmendOrder": ("modify-trades",),
    "EditOrder": ("modify-trades",),
    "CancelOrder": ("modify-trades", "close-trades"),
    "CancelOrderBatch": ("modify-trades", "close-trades"),
    "CancelAll": ("modify-trades", "close-trades"),
    "CancelAllOrdersAfter": ("modify-trades", "close-trades"),
    "GetWebSocketsToken": ("create-ws-token",),
    "Withdraw": ("withdraw-funds",),
    "add_order": ("modify-trades",),
    "amend_order": ("modify-trades",),
    "edit_order": ("modify-trades",),
    "batch_add": ("modify-trades",),
    "cancel_order": ("modify-trades", "close-trades"),
    "batch_cancel": ("modify-trades", "close-trades"),
    "cancel_all": ("modify-trades", "close-trades"),
    "cancel_all_orders_after": ("modify-trades", "close-trades"),
}
# https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits: history costs more, orders nothing here.
_COST = 1
_HISTORY = frozenset({"Ledgers", "QueryLedgers", "TradesHistory", "QueryTrades"})
_FREE = frozenset(
    {
        "AddOrder",
        "AddOrderBatch",
        "AmendOrder",
        "EditOrder",
        "CancelOrder",
        "CancelOrderBatch",
        "CancelAll",
        "CancelAllOrdersAfter",
    }
)
_STARTER, _INTERMEDIATE = (15, 0.33), (20, 0.5)  # limit of the REST counter, and its decay a second
LOCKOUT_AFTER = 10
"""Failures of one key in a row that lead to a lockout; Kraken names no number."""
_LOCKOUT = 15 * MINUTE
_TOKEN_LIFE = 15 * MINUTE
_NONCE_BOUND = 1 << 64


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of an account; the secret is base64, as Kraken's. `nonce_window` in nonce units."""

    key: str
    secret: str
    name: str = "loopback"
    permissions: tuple[str, ...] = TRADING
    nonce_window: int = 0
    ip_allowlist: tuple[str, ...] = ("127.0.0.1",)


class LoopbackAccount(msgspec.Struct, frozen=True):
    """One simulated client: its first key pair (with the rights to trade), its money, and further keys."""

    api_key: str
    api_secret: str
    cash: Decimal
    more_keys: tuple[ApiKey, ...] = ()

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """Every key that speaks for the account."""
        return ApiKey(key=self.api_key, secret=self.api_secret), *self.more_keys


class _Standing(msgspec.Struct):
    """What the venue remembers about a key. Times are market time."""

    nonces: list[int] = []
    """Accepted nonces inside the window, the highest last."""
    failures: int = 0
    locked_until: int = 0
    count: float = 0.0
    counted: int = 0
    last_used: int = 0


class _Holder(msgspec.Struct, frozen=True):
    account: str
    key: ApiKey
    secret: bytes


class KeyRing:
    """Checks private REST calls and hands out tokens. Mutable: standing of keys and live tokens."""

    def __init__(
        self, accounts: Mapping[str, LoopbackAccount], clock: Clock, switches: AccessSwitches = ORDINARY
    ) -> None:
        self._clock = clock
        self._switches = switches
        self._holders: dict[str, _Holder] = {}
        for name, account in accounts.items():
            for key in account.keys:
                self._admit(name, key)
        self._standing = {key: _Standing() for key in self._holders}
        self._strangers = _Standing()  # all unknown keys together, for they come from one address
        self._latest = {name: account.api_key for name, account in accounts.items()}
        self._tokens: dict[str, tuple[str, int, ApiKey]] = {}

    def _admit(self, account: str, key: ApiKey) -> None:
        if key.key in self._holders:
            raise ConfigError(f"expected a key of its own for each account, found one twice at {account}")
        if unknown := [right for right in key.permissions if right not in PERMISSIONS]:
            known = ", ".join(PERMISSIONS)
            raise ConfigError(f"expected permissions of {known}, found {unknown[0]!r} at account {account}")
        self._holders[key.key] = _Holder(account, key, _decoded(account, key.secret))

    # ---- REST ----

    def authenticate(
        self, api_key: str, signature: str, path: str, body: bytes, nonce: str
    ) -> tuple[str, str]:
        """Give (account, error); the error is empty for a call that is accepted.

        The signature is HMAC-SHA512 over path and SHA-256 of nonce and body (PROTOCOL 4.2). A
        wrong key, signature or nonce is remembered: too many in a row lock the key out for 15
        minutes of market time. A one-time password is not looked at.
        """
        now = self._clock.now()
        holder = self._holders.get(api_key)
        standing = self._standing.get(api_key, self._strangers)
        if now < standing.locked_until:
            return "", "EGeneral:Temporary lockout"
        error = _identity(holder, standing, signature, path, body, nonce)
        if error or holder is None:
            standing.failures += 1
            if standing.failures >= LOCKOUT_AFTER:
                standing.failures, standing.locked_until = 0, now + _LOCKOUT
            return "", error
        standing.failures, standing.last_used = 0, now
        method = path.rpartition("/")[2]
        if not _permits(holder.key.permissions, method):
            return "", "EGeneral:Permission denied"
        if not _charged(standing, method, now, self._switches):
            return "", "EAPI:Rate limit exceeded"
        self._latest[holder.account] = api_key
        return holder.account, ""

    def describe(self, account: str) -> dict[str, object]:
        """Answer GetApiKeyInfo about the key that this account called with last."""
        holder = self._holders[self._latest[account]]
        key, standing = holder.key, self._standing[holder.key.key]
        return {
            "apiKeyName": key.name,
            "apiKey": key.key,
            "nonce": str(standing.nonces[-1] if standing.nonces else 0),
            "nonceWindow": key.nonce_window,
            "permissions": list(key.permissions),
            "iban": "AA00 0000 0000 0000",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "0",
            "modifiedTime": "0",
            "ipAllowlist": list(key.ip_allowlist),
            "lastUsed": str(standing.last_used // SECOND),
        }

    # ---- WebSocket tokens ----

    def issue(self, account: str, now: int) -> str:
        """Give a new WebSocket token with the rights of the latest key; `now` is monotonic."""
        seed = f"{account}/{now}/{len(self._tokens)}".encode()
        token = base64.b64encode(hashlib.sha256(seed).digest()).decode()
        self._tokens[token] = (account, now, self._holders[self._latest[account]].key)
        return token

    def owner(self, token: object, now: int, *, held: bool) -> str:
        """Give the account of a token, empty if it is unknown or too old and not `held` open."""
        account, issued, _ = self._tokens.get(str(token), ("", 0, None))
        return account if held or now - issued <= _TOKEN_LIFE else ""

    def permits(self, token: object, method: str) -> bool:
        """Tell whether the key behind a known token has the right to this WS method."""
        return str(token) in self._tokens and _permits(self._tokens[str(token)][2].permissions, method)


def _identity(
    holder: _Holder | None, standing: _Standing, signature: str, path: str, body: bytes, nonce: str
) -> str:
    if holder is None:
        return "EAPI:Invalid key"
    digest = hashlib.sha256(nonce.encode(errors="replace") + body).digest()
    expected = base64.b64encode(hmac.new(holder.secret, path.encode() + digest, hashlib.sha512).digest())
    if not hmac.compare_digest(expected, signature.encode(errors="replace")):
        return "EAPI:Invalid signature"
    return "" if _fresh(standing, nonce, holder.key.nonce_window) else "EAPI:Invalid nonce"


def _fresh(standing: _Standing, text: str, window: int) -> bool:
    """Take an unsigned 64-bit nonce that is new: above all others, or unused inside the window."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) >= _NONCE_BOUND:
        return False
    nonce, highest = int(text), standing.nonces[-1] if standing.nonces else -1
    if nonce <= highest and (nonce < highest - window or nonce in standing.nonces):
        return False
    top = max(nonce, highest)
    standing.nonces = sorted(n for n in (*standing.nonces, nonce) if n >= top - window)
    return True


def _permits(permissions: Iterable[str], method: str) -> bool:
    needed = _NEEDS.get(method, ())
    return not needed or not set(needed).isdisjoint(permissions)


def _charged(standing: _Standing, method: str, now: int, switches: AccessSwitches) -> bool:
    """Add the cost of a call to the key's counter unless that would exceed the limit."""
    if method in _FREE:
        return True
    limit, decay = _STARTER if switches.starter else _INTERMEDIATE
    cost = switches.history_cost if method in _HISTORY else _COST
    passed = max(0, now - standing.counted) / SECOND
    level = max(0.0, standing.count - passed * decay)
    if level + cost > limit:
        return False
    standing.count, standing.counted = level + cost, now
    return True


def _decoded(account: str, secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except binascii.Error:
        raise ConfigError(f"expected a base64 secret, found something else for account {account}") from None
