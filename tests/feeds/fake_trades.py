"""Kraken's Trades endpoint as documented, over a tape that the test made.

Must not know the client. `inclusive` is the other reading of `since`; a page never holds more than
`count` rows, so a longer burst in one ns cannot be had in full from such a server.
"""

from typing import NamedTuple

from feeds.kraken_tape import TradeRow


class Print(NamedTuple):
    """One trade of the true tape; id 0 is an old row."""

    ts: int
    trade_id: int
    price: str = "100.5"
    quantity: str = "0.25"
    side: str = "b"

    def cells(self):
        """Give the row as JSON has it: the time is a float that has lost its last digits."""
        row = [self.price, self.quantity, self.ts / 1e9, self.side, "m", ""]
        return [*row, self.trade_id] if self.trade_id else row


class TradesServer:
    def __init__(self, tape, *, count=1000, inclusive=False):
        self.tape = tape
        self.count = count
        self.inclusive = inclusive
        self.asked = []

    def page(self, since, count=1000):
        self.asked.append(since)
        after = int(since) - (1 if self.inclusive else 0)
        found = [one for one in self.tape if one.ts > after][: min(count, self.count)]
        return found, str(found[-1].ts if found else since)


def decoded(found):
    """Give the rows as the client's decoder does."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode([one.cells() for one in found]), type=list[TradeRow])
