"""Who may speak for an account: API keys, signatures, nonces and WebSocket tokens.

Must not know requests' meaning. Called by the REST and private desks. Durations are machine time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.clock import MINUTE
from core.errors import ConfigError

_TOKEN_LIFE = 15 * MINUTE


class LoopbackAccount(msgspec.Struct, frozen=True):
    """One simulated client: its key pair (the secret base64, as Kraken's) and its money."""

    api_key: str
    api_secret: str
    cash: Decimal


class KeyRing:
    """Checks private REST calls and hands out tokens. Mutable: last nonces and live tokens."""

    def __init__(self, accounts: Mapping[str, LoopbackAccount]) -> None:
        self._secrets = {a.api_key: (name, _decoded(name, a.api_secret)) for name, a in accounts.items()}
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, tuple[str, int]] = {}

    def authenticate(
        self, api_key: str, signature: str, path: str, body: bytes, nonce: str
    ) -> tuple[str, str]:
        """Give (account, error); the error is empty for a call that is accepted.

        The signature is HMAC-SHA512 over path and SHA-256 of nonce and body (PROTOCOL 4.2).
        """
        if api_key not in self._secrets:
            return "", "EAPI:Invalid key"
        account, secret = self._secrets[api_key]
        digest = hashlib.sha256(nonce.encode() + body).digest()
        expected = base64.b64encode(hmac.new(secret, path.encode() + digest, hashlib.sha512).digest())
        if not hmac.compare_digest(expected, signature.encode()):
            return "", "EAPI:Invalid signature"
        if not nonce.isdigit() or int(nonce) <= self._nonces.get(api_key, -1):
            return "", "EAPI:Invalid nonce"
        self._nonces[api_key] = int(nonce)
        return account, ""

    def issue(self, account: str, now: int) -> str:
        """Give a new WebSocket token; `now` is monotonic."""
        seed = f"{account}/{now}/{len(self._tokens)}".encode()
        token = base64.b64encode(hashlib.sha256(seed).digest()).decode()
        self._tokens[token] = (account, now)
        return token

    def owner(self, token: object, now: int, *, held: bool) -> str:
        """Give the account of a token, empty if it is unknown or too old and not `held` open."""
        account, issued = self._tokens.get(str(token), ("", 0))
        return account if held or now - issued <= _TOKEN_LIFE else ""


def _decoded(account: str, secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except binascii.Error:
        raise ConfigError(f"expected a base64 secret, found something else for account {account}") from None
