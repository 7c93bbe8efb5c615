"""Trades and quotes of a whole venue, drawn a few seconds at a time for all pairs at once.

Must not know clients, candles or time of day. Called by venue.synthetic_market. A block is a pure
function of the seed, its number and the state that the block before it left behind, so the same
seed gives the same market whoever asks and however often.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from venue.market_candles import Floats, Ints
from venue.market_model import SPREAD, Events
from venue.synthetic_listing import Listing

BLOCK = 5 * SECOND
_MICROSECONDS = BLOCK // 1000
_MARGIN = 10_000  # microseconds at a block's end, so that trades moved apart stay inside it
_QUOTES_PER_S, _QUOTES_PER_TRADE = 0.1, 0.25  # quotes that move without a trade
_PULL = 0.0005  # of the way back to where a pair began, each block: prices keep their decimals


class Block(Events, frozen=True, eq=False):
    """Events of all pairs, pair after pair, each pair's in time order; `first_id` means nothing here.

    Pair i owns positions `starts[i]` to `starts[i + 1]`. `ids` holds the id of each trade, and of
    the trade before where only the quote moved.
    """

    number: int
    owners: npt.NDArray[np.int32]
    starts: Ints
    ids: Ints


class State(msgspec.Struct, frozen=True, eq=False):
    """What a block leaves to the next one: logarithm of the last price, id of the next trade."""

    price: Floats
    next_id: Ints


class Blocks:
    """Draws block after block from `born` on. Mutable: the state between two blocks."""

    def __init__(self, listings: Sequence[Listing], trades_per_s: float, born: int, seed: int) -> None:
        self.born = born
        self._seed = seed
        self._trades = np.array([one.share for one in listings]) * trades_per_s
        self._events = self._trades * (1 + _QUOTES_PER_TRADE) + _QUOTES_PER_S
        self._usual = np.array([one.usual_lots for one in listings])
        volatility = np.array([one.volatility for one in listings])
        self._step = volatility / np.sqrt(np.maximum(self._trades, 1e-9))  # of one trade
        self._step = np.minimum(self._step, 0.004)
        self._home = np.log([float(one.ticks) for one in listings])
        self._state = State(self._home.copy(), np.ones(len(listings), np.int64))
        self._number = 0

    @property
    def until(self) -> int:
        """First moment that no block covers yet."""
        return self.born + self._number * BLOCK

    def draw(self) -> Block:
        """Draw the next block."""
        number, state = self._number, self._state
        rng = np.random.default_rng((self._seed, 0xB10C, number))
        pairs = len(self._home)
        mood = rng.lognormal(-0.125, 0.5, pairs)
        counts = rng.poisson(self._events * mood * (BLOCK / SECOND)) + (number == 0)
        owners = np.repeat(np.arange(pairs, dtype=np.int32), counts)
        starts = np.concatenate(([0], np.cumsum(counts)))
        total = len(owners)
        draws = rng.random((5, total))
        moments = _moments(rng, owners, starts, opening=number == 0)
        traded = draws[0] < (self._trades / self._events)[owners]
        if number == 0:
            traded[starts[:-1]] = False  # what every pair begins with is a quote
        steps = rng.standard_normal(total) * self._step[owners] * traded
        path = state.price[owners] + _running(steps, starts, owners)
        numbers = state.next_id[owners] - 1 + _running(traded.astype(np.int64), starts, owners)
        usual = self._usual[owners]
        last = np.maximum(2, np.rint(np.exp(path))).astype(np.int64)
        lots = np.where(traded, 1 + (usual * rng.lognormal(-0.6, 1.1, total)).astype(np.int64), 0)
        buy = traded & (draws[1] < 0.5)
        width = np.maximum(
            1 + (draws[2] * 3).astype(np.int64), (last * SPREAD * (0.5 + draws[2])).astype(np.int64)
        )
        lean = np.where(traded, np.where(buy, 0.5, 0.0), 0.25) + draws[3] / 2
        bid = np.maximum(1, last - (lean * (width + 1)).astype(np.int64))
        self._leave(state, counts, starts, path, numbers)
        return Block(
            ts=self.born + number * BLOCK + moments * 1000,
            last=last.astype(np.int32),
            lots=lots,
            buy=buy,
            bid=bid.astype(np.int32),
            ask=(bid + width).astype(np.int32),
            bid_lots=1 + (usual * (0.5 + 8 * draws[4] ** 2)).astype(np.int64),
            ask_lots=1 + (usual * (0.5 + 8 * (1 - draws[4]) ** 2)).astype(np.int64),
            first_id=0,
            number=number,
            owners=owners,
            starts=starts,
            ids=numbers,
        )

    def _leave(self, state: State, counts: Ints, starts: Ints, path: Floats, numbers: Ints) -> None:
        some = counts > 0
        end = starts[1:][some] - 1
        price, next_id = state.price.copy(), state.next_id.copy()
        price[some], next_id[some] = path[end], numbers[end] + 1
        self._state = State(price + (self._home - price) * _PULL, next_id)
        self._number += 1


def _moments(rng: np.random.Generator, owners: npt.NDArray[np.int32], starts: Ints, *, opening: bool) -> Ints:
    """Give microseconds within the block, rising in each pair and never twice the same."""
    drawn = rng.integers(0, _MICROSECONDS - _MARGIN, len(owners))
    if opening:
        drawn[starts[:-1]] = 0
    places = owners.astype(np.int64) * _MICROSECONDS
    apart = np.sort(places + drawn) - np.arange(len(owners))  # so paging by time loses no trade
    return np.maximum.accumulate(apart) + np.arange(len(owners)) - places


def _running(values: npt.NDArray[Any], starts: Ints, owners: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Give sums that begin anew with each pair."""
    sums = np.concatenate((np.zeros(1, values.dtype), np.cumsum(values)))
    return sums[1:] - sums[starts[:-1]][owners]
