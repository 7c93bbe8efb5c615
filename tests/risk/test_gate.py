"""The account's gate: room is a matter of figures, not of the order in which they come."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from risk.gate import Gate
from risk.state import RiskState
from tests.risk.test_bot import POLICY, D, instrument, view

SYMBOLS = ("AVAX/USDT", "BTC/USDT", "ETH/USDT")


class Ordered(frozenset[str]):
    """A set in a chosen order; otherwise the hash seed of the process chooses."""

    order: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)


@pytest.mark.parametrize("order", list(permutations(SYMBOLS)))
def test_what_is_in_flight_takes_the_same_room_in_every_order(order: tuple[str, ...]):
    listed = {s: instrument(s, max_leverage=x) for s, x in zip(SYMBOLS, (5, 3, 2), strict=True)}
    busy = Ordered(order)
    busy.order = order
    seen = view(equity="5.042864346949067070095814423", busy=busy)
    gate = Gate(seen, RiskState(), policy=POLICY, instruments=listed)
    assert gate._margin == D("1.302739956295175659774752060")
