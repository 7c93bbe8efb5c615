"""A run in sentences: the verdict at the top of a report, and what a reader must know before believing it.

Must not know pages or files. Called by trader.evaluation.assessment. Bad news is as plain as good news.
"""

from collections.abc import Iterable

import msgspec

from core.clock import DAY
from core.text import iso
from trader.backtest.record import RunCard
from trader.evaluation.metrics import ReturnFigures
from trader.evaluation.trips import TripFigures

FEW_TRADES = 100
FEW_DAYS = 180


class Told(msgspec.Struct, frozen=True):
    """What a verdict speaks of: days, their returns, trades, and `before` all fees; `evidence` in words."""

    returns: ReturnFigures
    trades: int
    before: float | None
    hold: ReturnFigures | None
    evidence: str = ""


def verdict(told: Told) -> str:
    """Say in one or two plain sentences what a run left, beside holding and before all fees."""
    beside = "" if told.hold is None else f"; holding {made(told.hold.total)}"
    span = f"in {told.returns.days:,} days"
    if not told.trades:
        return _begun(f"did not trade {span}{beside}.", told.evidence)
    first = _begun(f"{made(told.returns.total)} {span} after fees{beside}.", told.evidence)
    took = (told.before or 0.0) - (told.returns.total or 0.0)
    if took <= 0.0:
        return f"{first} No fee was charged: a real account pays one."
    return (
        f"{first} The same trades {made(told.before)} before fees, which took {percent(took)} of the money."
    )


def _begun(sentence: str, evidence: str) -> str:
    return f"{evidence}: {sentence}" if evidence else sentence[0].upper() + sentence[1:]


def made(fraction: float | None) -> str:
    """Say a return as a verb: `made 4.0 %`, `lost 12.3 %`."""
    if fraction is None or abs(fraction) < 0.0005:
        return "made nothing"
    return f"{'made' if fraction > 0 else 'lost'} {percent(abs(fraction))}"


def percent(fraction: float, places: int = 1) -> str:
    """Write a fraction as people read it; one that would round to nothing gets more places."""
    if fraction and abs(fraction) < 0.5 * 10 ** (-2 - places):
        places += 2
    return f"{fraction * 100:,.{places}f} %"


def warnings(card: RunCard, trips: TripFigures, days: int) -> tuple[str, ...]:
    """Give what stands against believing the figures, the gravest first; of the days that count."""
    return tuple(_warnings(card, trips, days))


def out_of_sample(card: RunCard) -> tuple[tuple[int, int], ...]:
    """Give the spans [from, to) in whole days, ns UTC, that no model of the run was trained on."""
    if card.folds:
        return tuple((fold.test_start, fold.test_end) for fold in card.folds)
    seen = max((model.trained_until for model in card.models), default=card.start)
    first = -(-max(seen, card.start) // DAY) * DAY
    return ((first, card.end),) if first < card.end else ()


def _warnings(card: RunCard, trips: TripFigures, counted: int) -> Iterable[str]:
    days = (card.end - card.start) // DAY
    inside = days - sum((end - start) for start, end in out_of_sample(card)) // DAY
    names = ", ".join(sorted({m.name for m in card.models if m.trained_until > card.start}))
    if inside >= days and names:
        yield f"In sample: {names} was trained on all of these days. These figures prove nothing."
    elif inside > 0 and names:
        newest = iso(max(model.trained_until for model in card.models))[:10]
        yield (
            f"In sample: {names} was trained on {inside:,} of these {days:,} days, up to {newest}. "
            "Only what follows counts."
        )
    for check in card.checks:
        if not check.passed:
            yield f"Check failed: {check.name}. {check.found}"
    if card.showcase:
        yield "Showcase thresholds: entries that are expected to lose money after fees were allowed."
    if 0 < trips.trades < FEW_TRADES:
        yield f"Few trades ({trips.trades}): luck alone explains figures of this kind."
    if counted < FEW_DAYS:
        yield f"A short span ({counted} days): one kind of market, and a wide error around every figure."
    if left := trips.ended.get("end", 0):
        yield f"{left} trade{'s' if left > 1 else ''} still open at the end, valued at the last mark."
