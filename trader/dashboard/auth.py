"""Who may ask: one token, one-time login links, session cookies, and where a request comes from.

Must not know routes or what is being asked for. Called by trader.dashboard.server for every request.
All comparisons are of bytes and in constant time; on `str` a non-ASCII guess would raise.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping
from urllib.parse import urlsplit

from core.clock import MINUTE, Clock

LINK_LIFE = 15 * MINUTE
LINKS_KEPT = 16
FAILURES_ALLOWED = 20


class Gate:
    """Checks credentials; holds the outstanding login links and the newest failures."""

    def __init__(self, token: str, clock: Clock) -> None:
        """Raise ValueError for a token that could be guessed."""
        if len(token) < 32:
            raise ValueError(f"expected a token of at least 32 characters; found {len(token)}")
        self._token = token.encode()
        self._clock = clock
        self._links: OrderedDict[bytes, int] = OrderedDict()
        self._failed: deque[int] = deque(maxlen=FAILURES_ALLOWED)
        # Cookies ignore ports: two daemons on one machine must not overwrite each other's.
        self.cookie = f"seamark-{hashlib.sha256(self._token).hexdigest()[:8]}"

    def issue_link(self) -> str:
        """Give a secret that can be swapped for a session once, within LINK_LIFE."""
        link = secrets.token_urlsafe(32)
        self._links[_digest(link)] = self._clock.monotonic()
        while len(self._links) > LINKS_KEPT:
            self._links.popitem(last=False)
        return link

    def redeem(self, link: str) -> str | None:
        """Swap a login link for a cookie value; None if it is unknown, used or too old."""
        # Looked up by digest, so the time of the search says nothing about the secret.
        issued = self._links.pop(_digest(link), None)
        if issued is None or self._clock.monotonic() - issued > LINK_LIFE:
            return None
        nonce = secrets.token_urlsafe(16)
        return f"{nonce}.{self._sign(nonce)}"

    def has_bearer(self, header: str) -> bool:
        """Tell whether an Authorization header carries the token."""
        scheme, _, given = header.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(_bytes(given.strip()), self._token)

    def has_session(self, cookie: str) -> bool:
        """Tell whether a cookie is one that `redeem` gave out for this token."""
        nonce, _, mark = cookie.partition(".")
        return bool(nonce) and hmac.compare_digest(_bytes(mark), self._sign(nonce).encode())

    def note_failure(self) -> None:
        """Remember a wrong credential."""
        self._failed.append(self._clock.monotonic())

    @property
    def crowded(self) -> bool:
        """Tell whether too many guesses came within a minute; right credentials still pass."""
        full = len(self._failed) == FAILURES_ALLOWED
        return full and self._clock.monotonic() - self._failed[0] < MINUTE

    def _sign(self, nonce: str) -> str:
        return hmac.new(self._token, b"session:" + _bytes(nonce), hashlib.sha256).hexdigest()


def host_allowed(host: str, allowed: frozenset[str]) -> bool:
    """Check a Host header against the allow-list (names without port): stops DNS rebinding."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and name in allowed


def same_origin(headers: Mapping[str, str], *, cookie: bool) -> bool:
    """Check that a state change comes from our own page, or from a tool that is no browser.

    A browser always tells at least one of the two headers on a POST; with a cookie one of them is
    demanded, so that a cookie alone never changes anything.
    """
    site = headers.get("Sec-Fetch-Site")
    origin = headers.get("Origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    if origin is not None:
        return origin in {f"{scheme}://{headers.get('Host', '')}" for scheme in ("http", "https")}
    return site is not None or not cookie


def _digest(text: str) -> bytes:
    return hashlib.sha256(_bytes(text)).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
