"""What a synthetic pair did before its tape begins: bars of every grain that fit together.

Must not know trades or blocks. Called by venue.synthetic_market. A pure function of seed, pair and
moment: a walk backwards from the price at which the tape begins, minutes for a day, coarser bars
before that, each coarser grain made of the finer one where both exist.
"""

import zlib

import numpy as np

from core.clock import DAY, HOUR, MINUTE, SECOND
from venue.market_candles import Ints, Pieces, joined
from venue.synthetic_listing import Listing

GRAINS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY)
_SPANS = (DAY, 3 * DAY, 8 * DAY, 60 * DAY, 730 * DAY)
"""How far back each grain reaches: 720 candles of each interval, save a few between the grains."""
_CALM = 0.35  # of the tape's volatility: a walk of two years must not leave the price's decimals


def history(
    listing: Listing, trades_per_s: float, born: int, seed: int, *, grains: int = len(GRAINS)
) -> dict[int, Pieces]:
    """Give closed bars before `born` by grain, in ticks and lots; only the finest `grains` of them."""
    rng = np.random.default_rng((seed, zlib.crc32(listing.instrument.symbol.encode())))
    made: dict[int, Pieces] = {}
    price, until, finer = listing.ticks, born - born % MINUTE, joined([])
    for grain, span in tuple(zip(GRAINS, _SPANS, strict=True))[:grains]:
        start = born - span - (born - span) % (DAY if grain >= HOUR else HOUR)
        before = _walk(rng, listing, trades_per_s, (start, until), grain, price)
        made[grain] = joined([before, folded(finer, grain, born)]) if len(finer.ts) else before
        price, until, finer = int(before.open[0]), start, made[grain]
    return made


def folded(pieces: Pieces, grain: int, until: int) -> Pieces:
    """Make bars of `grain` out of finer ones without a hole, but for the one that runs at `until`."""
    complete = pieces.ts < until - until % grain
    first = np.flatnonzero(np.diff(pieces.ts[complete] // grain, prepend=-1) > 0)
    if not len(first):
        return joined([])
    last = np.concatenate((first[1:], [np.count_nonzero(complete)])) - 1
    columns = {name: getattr(pieces, name)[complete] for name in Pieces.__struct_fields__}
    return Pieces(
        ts=columns["ts"][first] // grain * grain,
        open=columns["open"][first],  # a walk opens where it closed, so quiet bars do no harm
        high=np.maximum.reduceat(columns["high"], first),
        low=np.minimum.reduceat(columns["low"], first),
        close=columns["close"][last],
        lots=np.add.reduceat(columns["lots"], first),
        value=np.add.reduceat(columns["value"], first),
        trades=np.add.reduceat(columns["trades"], first),
    )


def _walk(
    rng: np.random.Generator,
    listing: Listing,
    trades_per_s: float,
    span: tuple[int, int],
    grain: int,
    price: int,
) -> Pieces:
    """Walk from `price` at the end of the span back to its start; a bar without trades does not move."""
    start, until = span
    count = (until - start) // grain
    seconds = grain / SECOND
    trades: Ints = rng.poisson(trades_per_s * listing.share * seconds * rng.lognormal(-0.2, 0.6, count))
    deviation = _CALM * listing.volatility * seconds**0.5
    steps = rng.normal(0.0, deviation, count) * (trades > 0)
    after = np.concatenate((np.cumsum(steps[::-1])[::-1], [0.0]))  # from each bar's open to the end
    path = np.maximum(1, np.rint(price * np.exp(-after))).astype(np.int64)
    path[-1] = price
    opens, closes = path[:-1], path[1:]
    beyond = np.abs(rng.normal(0.0, 0.6 * deviation, (2, count))) * (trades > 2)
    high = (np.maximum(opens, closes) * (1 + beyond[0])).astype(np.int64)
    low = np.maximum(1, (np.minimum(opens, closes) * (1 - beyond[1])).astype(np.int64))
    lots = trades + (trades * (listing.usual_lots - 1) * rng.lognormal(-0.1, 0.4, count)).astype(np.int64)
    typical = (high + low + closes) / 3
    ts = start + np.arange(count) * grain
    return Pieces(ts, opens, high, low, closes, lots, typical * lots, trades)
