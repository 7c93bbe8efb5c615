"""Which acknowledged subscriptions are dead while the socket lives: channels bear witness.

Must not know frames or requests; `now` is monotonic ns. Owned by venue.public. Heartbeats prove
the socket only. A candle is sent for trades alone, so it betrays a trade channel that says nothing
(and the other way round); a market in which much is traded moves its best bid or ask.
Seen in the wild: nautechsystems/nautilus_trader#4255, gmosx/kraken-sdk-rust#47.
"""

from core.clock import SECOND

LAG = 10 * SECOND
"""How much later than the other a channel may tell of the same trade."""
STILL = 60 * SECOND
STILL_TRADES = 50
"""So many trades in this time, and a top of book that never moved, do not go together."""


class Liveness:
    """When each channel of each symbol was last heard, and what one owes to the other."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin a new connection: nobody owes anything."""
        self._heard: dict[tuple[str, str], int] = {}
        self._owed: dict[tuple[str, str], int] = {}
        self._still: dict[str, tuple[int, int]] = {}

    def trade(self, symbol: str, now: int) -> None:
        """Note a trade."""
        self._hear("trade", "ohlc", symbol, now)
        count, since = self._still.get(symbol, (0, now))
        self._still[symbol] = (count + 1, since)

    def candle(self, symbol: str, now: int) -> None:
        """Note a candle that was traded in."""
        self._hear("ohlc", "trade", symbol, now)

    def top(self, symbol: str) -> None:
        """Note news of the best bid or ask."""
        self._still.pop(symbol, None)

    def settle(self, channel: str, symbol: str) -> None:
        """Forget what a channel owes: it is being fetched anew, or was never wanted."""
        self._owed.pop((channel, symbol), None)
        if channel in ("book", "ticker"):
            self._still.pop(symbol, None)

    def owing(self, now: int) -> list[tuple[str, str]]:
        """Give (channel, symbol) of what should have spoken by now; channel `top` is book or ticker."""
        dead = [key for key, since in self._owed.items() if now - since >= LAG]
        still = [
            ("top", symbol)
            for symbol, (count, since) in self._still.items()
            if count >= STILL_TRADES and now - since >= STILL
        ]
        return dead + still

    def _hear(self, channel: str, witness: str, symbol: str, now: int) -> None:
        self._heard[channel, symbol] = now
        self._owed.pop((channel, symbol), None)
        if now - self._heard.get((witness, symbol), -LAG) >= LAG:
            self._owed.setdefault((witness, symbol), now)
