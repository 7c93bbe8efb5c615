"""What must be asked of the venue so that it equals the intent.

Must not know ids, accounts or how a command travels. Called by execution.manager for one
instrument at a time. Pure and idempotent: a plan that was carried out plans nothing.

Every order planned here only shrinks a position (reduce-only), so a doubtful case is settled by
asking once more: two stops can never open anything. Entries are not planned but emitted once, by
the manager, together with their stop.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.market import Quote
from core.orders import Order, OrderIntent, OrderState, OrderType, Purpose, Side
from execution.state import ZERO, unbooked


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument at `now`.

    `position` is the signed fold of fills, `orders` what is unfinished, oldest first (ended ones
    do no harm), `settle` in ns. Purposes in `held_back` were refused and wait. A stop that was
    refused `stop_refusals` times in a row stands no chance from the second time on.
    """

    instrument: Instrument
    now: int
    position: Decimal
    quote: Quote | None
    intent: OrderIntent | None
    orders: Sequence[Order]
    entries_allowed: bool
    settle: int
    held_back: frozenset[Purpose] = frozenset()
    stop_refusals: int = 0


class Place(msgspec.Struct, frozen=True):
    """A new reduce-only order."""

    purpose: Purpose
    side: Side
    quantity: Decimal
    order_type: OrderType
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None


class Resize(msgspec.Struct, frozen=True):
    """A new total quantity for a working order."""

    cl_ord_id: str
    quantity: Decimal


class Withdraw(msgspec.Struct, frozen=True):
    """A working order to be cancelled."""

    cl_ord_id: str


class Leave(msgspec.Struct, frozen=True):
    """The position cannot be guarded as intended: from now on the intent is to be flat."""

    reason: str


Draft = Place | Resize | Withdraw | Leave


def effective(position: Decimal, orders: Sequence[Order]) -> Decimal:
    """Give the position with fills that the venue has reported but not yet detailed."""
    return position + sum((unbooked(order) for order in orders), ZERO)


def plan(s: Situation) -> list[Draft]:
    """Give the drafts that make the venue equal the intent."""
    held = effective(s.position, s.orders)
    live = [order for order in s.orders if not order.state.terminal]
    entries = _of(live, Purpose.ENTRY)
    if held == 0 and not entries:
        return [Withdraw(o.submit.cl_ord_id) for o in live if _can_withdraw(o, s)]
    if held == 0 or s.intent is None:
        # Without an intent the position is not ours to touch; the reconciliation has reported it.
        return _doomed_entries(s, held, live)
    closing = s.intent.target * held <= 0
    reason = "" if closing else _cannot_guard(s, held, live)
    drafts: list[Draft] = [Leave(reason)] if reason else []
    drafts += _doomed_entries(s, held, live, leaving=bool(reason))
    if closing or reason:
        return drafts + _exit(s, held, live)
    growing = sum((o.remaining for o in entries), ZERO)
    drafts += _stops(s, held, growing, live)
    if not entries:
        drafts += _targets(s, held, live)
    return drafts


def counts(order: Order, now: int, settle: int) -> bool:
    """Tell whether an order may be relied upon: resting, or sent so lately that it may arrive."""
    match order.state:
        case OrderState.WORKING:
            return True
        case OrderState.SUBMITTING | OrderState.UNKNOWN:
            return now <= order.submit.deadline + settle
        case _:
            return False


def _of(orders: Sequence[Order], purpose: Purpose) -> list[Order]:
    return [order for order in orders if order.submit.purpose is purpose]


def _covering(s: Situation, live: Sequence[Order], purpose: Purpose, side: Side) -> list[Order]:
    return [o for o in _of(live, purpose) if o.submit.side is side and counts(o, s.now, s.settle)]


def _can_withdraw(order: Order, s: Situation) -> bool:
    if order.state is OrderState.CANCELLING:
        return s.now - order.changed >= s.settle
    return order.state is OrderState.WORKING


def _doomed_entries(
    s: Situation, held: Decimal, live: Sequence[Order], *, leaving: bool = False
) -> list[Draft]:
    """Take back entries that must not go on: brakes, a change of mind, a dead stop."""
    wanted = s.entries_allowed and not leaving and s.intent is not None and s.intent.target != 0
    drafts: list[Draft] = []
    for entry in _of(live, Purpose.ENTRY):
        guarded = held != 0 or _covering(s, live, Purpose.STOP, entry.submit.side.opposite)
        unsent = entry.state is OrderState.SUBMITTING
        if not (wanted and guarded) and (unsent or _can_withdraw(entry, s)):
            drafts.append(Withdraw(entry.submit.cl_ord_id))
    return drafts


def _cannot_guard(s: Situation, held: Decimal, live: Sequence[Order]) -> str:
    """Say why no stop can protect the position, or nothing: gone through, or refused."""
    assert s.intent is not None
    if _covering(s, live, Purpose.STOP, _closing_side(held)):
        return ""
    if s.stop_refusals > 1:
        return f"the stop was refused {s.stop_refusals} times"
    if s.quote is not None:
        through = s.quote.bid <= s.intent.stop if held > 0 else s.quote.ask >= s.intent.stop
        if through:
            return f"no stop rests and the price is through {s.intent.stop}"
    return ""


def _stops(s: Situation, held: Decimal, growing: Decimal, live: Sequence[Order]) -> list[Draft]:
    """Keep one stop that covers what is held and what an entry may still add."""
    assert s.intent is not None
    side = _closing_side(held)
    need = abs(held) + growing
    covering = _covering(s, live, Purpose.STOP, side)
    if sum((o.remaining for o in covering), ZERO) < need:
        if Purpose.STOP in s.held_back:
            return []
        quantity = _sendable(s, need)
        return [Place(Purpose.STOP, side, quantity, OrderType.STOP_LOSS, trigger_price=s.intent.stop)]
    resting = [o for o in _of(live, Purpose.STOP) if o.state is OrderState.WORKING]
    keeper = next((o for o in resting if o.submit.side is side and o.remaining >= need), None)
    if keeper is None:
        return []
    spare: list[Draft] = [Withdraw(o.submit.cl_ord_id) for o in resting if o is not keeper]
    return spare + _shrink(s, keeper, need)


def _targets(s: Situation, held: Decimal, live: Sequence[Order]) -> list[Draft]:
    """Keep one take-profit of the size that is held."""
    assert s.intent is not None
    if s.intent.take_profit == 0:
        return []
    side, need = _closing_side(held), abs(held)
    targets = _covering(s, live, Purpose.TARGET, side)
    if not targets:
        if Purpose.TARGET in s.held_back or any(not o.state.terminal for o in _of(live, Purpose.TARGET)):
            return []
        quantity = _sendable(s, need)
        return [Place(Purpose.TARGET, side, quantity, OrderType.LIMIT, limit_price=s.intent.take_profit)]
    keeper = targets[0]
    return _shrink(s, keeper, need) if keeper.state is OrderState.WORKING else []


def _exit(s: Situation, held: Decimal, live: Sequence[Order]) -> list[Draft]:
    """Close at market; what guards the position stays until it is gone."""
    side = _closing_side(held)
    # One of the other side was meant for a position that news has since corrected: it does nothing.
    exits = [order for order in _of(live, Purpose.EXIT) if order.submit.side is side]
    under_way = any(counts(o, s.now, s.settle) or o.state is OrderState.CANCELLING for o in exits)
    if under_way or Purpose.EXIT in s.held_back:
        return []
    return [Place(Purpose.EXIT, side, _sendable(s, abs(held)), OrderType.MARKET)]


def _shrink(s: Situation, order: Order, need: Decimal) -> list[Draft]:
    """Bring a working order to the size needed; never twice within the settling time.

    Dust is left alone: the venue would refuse so small an order, and reduce-only bounds it anyway.
    """
    settled = s.now - order.amended >= s.settle
    if order.remaining == need or _sendable(s, need) != need or not settled:
        return []
    return [Resize(order.submit.cl_ord_id, order.filled + need)]


def _closing_side(held: Decimal) -> Side:
    return Side.SELL if held > 0 else Side.BUY


def _sendable(s: Situation, quantity: Decimal) -> Decimal:
    """Raise dust to the venue's smallest order: reduce-only cuts it back to what is held."""
    price = s.quote.mid if s.quote else s.intent.stop if s.intent else ZERO
    least = s.instrument.minimum_quantity
    if price > 0:
        lots = s.instrument.quantity_down(s.instrument.minimum_cost / price)
        if lots * price < s.instrument.minimum_cost:
            lots += s.instrument.quantity_increment
        least = max(least, lots)
    return max(quantity, least)
