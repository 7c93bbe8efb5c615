"""What the live feed tells, and whom.

Must not know how any of it is found out. Implemented by trader.live; called by feeds.live.
"""

from typing import Protocol

from core.events import InstrumentQuality, Stream
from core.instrument import Instrument
from core.market import Bar, Quote, Trade


class FeedSink(Protocol):
    """Who wants to know. Calls come from one task, in the order in which things happened."""

    def on_trade(self, trade: Trade) -> None:
        """Take a print of this moment; one that was missed and caught up with only is in bars."""

    def on_quote(self, quote: Quote) -> None:
        """Take the newest best bid and ask of an instrument."""

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        """Take all bars of all timeframes that closed at one instant, smallest first.

        After an outage the bars of its minutes come late, made of trades that were fetched.
        """

    def on_link(self, stream: Stream, up: bool, system: str, reason: str) -> None:
        """Learn that all connections are down, that one is up again, or the venue's status word."""

    def on_hole(self, instruments: tuple[str, ...]) -> None:
        """Learn that bars of these have a hole, or a fault, before this moment.

        History alone fills it. The minute under way is never made here, so ask for history once
        that minute has closed, and say when it is in (`LiveFeed.repaired`).
        """

    def on_instruments(self, instruments: tuple[Instrument, ...]) -> None:
        """Take what is listed, or what changed of it."""

    def on_quality(self, changes: tuple[InstrumentQuality, ...]) -> None:
        """Learn what is wrong with the data of some instruments, or that nothing is any more."""


class Tap(Protocol):
    """Who keeps what comes in: every trade, missed ones late (and some again), and each best bid and ask."""

    def on_trades(self, trades: tuple[Trade, ...]) -> None:
        """Take trades."""

    def on_quote(self, quote: Quote) -> None:
        """Take the newest best bid and ask."""
