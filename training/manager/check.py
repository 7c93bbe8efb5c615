"""The proof of the manager's pipeline: chance and no value on a null market, an edge found on a planted one.

Must not know the command line. Called by training.manager.cli and by tests. Sides are coin flips, so that
neither market tells the entries anything: whatever is found was found while the position was open.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from core.clock import MINUTE
from core.market import Timeframe
from feeds.lake import BarArrays
from inference.card import CLASSES, Interval, Kind
from training.guard.edge import Edge
from training.guard.market import null_market, planted_market
from training.guard.score import holds, share
from training.manager.entries import TradeTerms
from training.manager.recipe import Crafted, ManagerOrder, craft
from training.manager.rows import CONTINUE
from training.manager.value import BEYOND
from training.members.boosted import BoostedMaker
from training.members.kept import TEST, Kept, Subject
from training.members.member import Maker, silent
from training.members.persistence import PersistenceMaker
from training.panel.panel import Floats

MARKETS = ("null", "planted")
EDGE = Edge(Timeframe.M5, 0.3, 60)
"""Five-minute bars drift by 0.3 of their deviation, to the side of a slow average: it lasts for hours, and
turns, which is when a position should be left."""
PAIRS, DAYS = 3, 180
"""The last two fifths are tested on, and intervals are made of days: 24 of them were too few (of five random
walks of 60 days one had an AUC of .518, beyond its interval; over 180 days the same seed has .503)."""
TRADE = TradeTerms(stop_atr=2.0, target_atr=3.0, max_hold_s=2 * 3600, cooldown_s=0)
HEAD = (
    "| market | seed | looks | AUC | side named | side of the drift | gain of acting, bps | passed |\n"
    "|---|---:|---:|---:|---:|---:|---:|---|"
)


class Finding(msgspec.Struct, frozen=True):
    """One pipeline on one made market, on the test span.

    `side` is the share of looks whose direction was named, `oracle` that of those which went to the side of
    the planted drift at the look. `gain` is that of acting before fees, beyond leaving as many positions by
    chance; None without a threshold.
    """

    market: str
    seed: int
    rows: int
    auc: Interval
    side: Interval
    oracle: Interval | None
    gain: Interval | None
    passed: bool


def check(
    market: str,
    seed: int,
    *,
    pairs: int = PAIRS,
    days: int = DAYS,
    maker: Maker | None = None,
    out: Path | None = None,
) -> Finding:
    """Train on a `null` or `planted` market; the artifact goes to `out` where one is named."""
    planted = market == "planted"
    series = planted_market(pairs, days, seed, edge=EDGE) if planted else null_market(pairs, days, seed)
    made = crafted(series, seed, maker or BoostedMaker(), out)
    own = next(one for one in made.value.compared if not one.rival)
    gains = [one for one in made.value.gains if (one.policy, one.schedule) == (BEYOND, "gross")]
    gain = gains[0].bps if gains else None
    unseen = made.kept.only(made.kept.fold == TEST)
    hits = (unseen.p[:, CONTINUE] > 0.5) == (unseen.kind == CONTINUE)
    side = share(hits.astype(np.float64), unseen.ts)
    if planted:
        passed = _above(own.test.auc, 0.5) and gain is not None and _above(gain, 0.0)
    else:
        passed = holds(own.test.auc, 0.5) and (gain is None or holds(gain, 0.0))
    return Finding(
        market=market,
        seed=seed,
        rows=own.test.rows,
        auc=own.test.auc,
        side=side,
        oracle=oracle(unseen, series) if planted else None,
        gain=gain,
        passed=passed,
    )


def as_row(finding: Finding) -> str:
    """Give a line of the Markdown table."""
    shown = " | ".join(
        "-" if one is None or one.value is None else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        for one in (finding.auc, finding.side, finding.oracle, finding.gain)
    )
    said = "yes" if finding.passed else "NO"
    return f"| {finding.market} | {finding.seed} | {finding.rows:,} | {shown} | {said} |"


def oracle(unseen: Kept, series: Sequence[BarArrays]) -> Interval:
    """Give the share of looks that went to the side of the drift: looks lie on closes of the edge's bars."""
    hits = np.empty(len(unseen))
    for number, bars in enumerate(series):
        mine = unseen.instrument == number
        ts_close, distance = EDGE.state(bars)
        drift = distance[np.searchsorted(ts_close, unseen.ts[mine])]
        hits[mine] = (drift > 0) == (unseen.long_return[mine] > 0)
    return share(hits, unseen.ts)


def _above(figure: Interval, value: float) -> bool:
    return figure.low is not None and figure.low > value


def crafted(series: Sequence[BarArrays], seed: int, maker: Maker, out: Path | None = None) -> Crafted:
    """Run the recipe on entries of coin flips, one offered every quarter of an hour."""
    ts = series[0].ts_open
    start = int(ts[0] + (ts[-1] - ts[0]) * 6 // 10)
    order = ManagerOrder(name="manager-made", venue="made", trade=TRADE, test_start=start, seed=seed)
    coins = flips(series, start, seed)
    return craft(order, series, [maker], rivals=[PersistenceMaker()], out=out, say=silent, entries=coins)


def flips(series: Sequence[BarArrays], test_start: int, seed: int) -> Kept:
    """Give an entry model that flips a coin at every quarter of an hour; its ATR is that of 15 minutes."""
    quarters = [bars.ts_open[:: 15 * MINUTE // bars.timeframe.ns] for bars in series]
    ts = np.concatenate(quarters)
    instrument = np.repeat(np.arange(len(series), dtype=np.int32), [*map(len, quarters)])
    long = np.random.default_rng(seed).random(len(ts)) < 0.5
    p = np.where(long[:, None], (0.2, 0.2, 0.6), (0.6, 0.2, 0.2)).astype(np.float32)
    atr = np.concatenate([_ranges(bars, len(own)) for bars, own in zip(series, quarters, strict=True)])
    nothing = np.zeros(len(ts))
    subject = Subject(
        name="coin-flips",
        model="coins",
        kind=Kind.ENTRY.value,
        target="none",
        spec="none",
        decision=Timeframe.M15.value,
        venue="made",
        source=Timeframe.M1.value,
        instruments=tuple(bars.instrument for bars in series),
        classes=CLASSES,
        barrier_atr=0.0,
        horizon_bars=1,
        seed=seed,
        data_hash="",
        test_start=test_start,
        test_end=int(ts.max()),
    )
    return Kept(
        subject=subject,
        instrument=instrument,
        ts=ts,
        ts_end=ts,
        fold=np.where(ts < test_start, 1, TEST).astype(np.int8),
        kind=np.zeros(len(ts), np.int8),
        close=nothing,
        atr=atr,
        volatility=nothing,
        momentum=nothing,
        long_return=nothing,
        short_return=nothing,
        voices={"coins": p},
    )


def _ranges(bars: BarArrays, quarters: int) -> Floats:
    """Give the range of the quarter of an hour before each one, 0 for the first: known at its start."""
    high = bars.high[: quarters * 15].reshape(-1, 15).max(axis=1)
    low = bars.low[: quarters * 15].reshape(-1, 15).min(axis=1)
    return np.concatenate([[0.0], (high - low)[:-1]])
