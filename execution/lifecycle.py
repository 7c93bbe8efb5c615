"""The life of one order, as one table.

Must not know quantities, venues or time. Called by execution.reports and execution.manager.
Everything that a venue may say is legal in every state, in any order and twice; only what we do
ourselves can be illegal.
"""

import enum
from typing import Final

from core.errors import InternalError
from core.orders import OrderState


class Happening(enum.StrEnum):
    """What can happen to an order."""

    PENDING = "pending"  # the venue has the request and says nothing about the order yet
    ACCEPTED = "accepted"
    PART_FILLED = "part filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    LOST = "lost"  # the request or its answer may be lost: nothing is proved
    CANCEL_SENT = "cancel sent"  # by us
    FOUND = "found"  # a reconciliation query shows it open
    ABSENT = "absent"  # asked for after its deadline, and the venue has never had it


_S, _H = OrderState, Happening

_ENDS: Final = {
    _H.FILLED: _S.FILLED,
    _H.CANCELED: _S.CANCELED,
    _H.EXPIRED: _S.EXPIRED,
    _H.REJECTED: _S.REJECTED,  # even after an accept: venues check margin twice
}

# What an ended order ignores: late and repeated news. A fill still proves that it filled, and an
# order that a query shows open is open, whatever was said before (phantom cancels exist).
_OVER: Final = {
    _H.PENDING: None,
    _H.ACCEPTED: None,
    _H.PART_FILLED: None,
    _H.FILLED: _S.FILLED,
    _H.CANCELED: None,
    _H.EXPIRED: None,
    _H.REJECTED: None,
    _H.LOST: None,
    _H.FOUND: _S.WORKING,
    _H.ABSENT: None,
}


def _over(state: OrderState) -> dict[Happening, OrderState]:
    return {happening: after or state for happening, after in _OVER.items()}


TABLE: Final[dict[OrderState, dict[Happening, OrderState]]] = {
    _S.SUBMITTING: {
        _H.PENDING: _S.SUBMITTING,
        _H.ACCEPTED: _S.WORKING,
        _H.PART_FILLED: _S.WORKING,
        **_ENDS,
        _H.LOST: _S.UNKNOWN,
        _H.CANCEL_SENT: _S.CANCELLING,
        _H.FOUND: _S.WORKING,
        _H.ABSENT: _S.REJECTED,
    },
    _S.WORKING: {
        _H.PENDING: _S.WORKING,
        _H.ACCEPTED: _S.WORKING,
        _H.PART_FILLED: _S.WORKING,
        **_ENDS,
        _H.LOST: _S.UNKNOWN,
        _H.CANCEL_SENT: _S.CANCELLING,
        _H.FOUND: _S.WORKING,
        _H.ABSENT: _S.UNKNOWN,  # contradicts its acknowledgement: one more query decides
    },
    _S.CANCELLING: {
        _H.PENDING: _S.CANCELLING,
        _H.ACCEPTED: _S.CANCELLING,  # the late answer to the submit, not to the cancel
        _H.PART_FILLED: _S.CANCELLING,
        **_ENDS,
        _H.LOST: _S.UNKNOWN,
        _H.CANCEL_SENT: _S.CANCELLING,
        _H.FOUND: _S.WORKING,  # the cancel got lost; the planner asks again
        _H.ABSENT: _S.REJECTED,
    },
    _S.UNKNOWN: {
        _H.PENDING: _S.UNKNOWN,
        _H.ACCEPTED: _S.WORKING,
        _H.PART_FILLED: _S.UNKNOWN,  # it existed; whether it still rests is not said
        **_ENDS,
        _H.LOST: _S.UNKNOWN,
        _H.CANCEL_SENT: _S.UNKNOWN,
        _H.FOUND: _S.WORKING,
        _H.ABSENT: _S.REJECTED,
    },
    _S.FILLED: _over(_S.FILLED) | {_H.FOUND: _S.FILLED},
    _S.CANCELED: _over(_S.CANCELED),
    _S.EXPIRED: _over(_S.EXPIRED),
    _S.REJECTED: _over(_S.REJECTED),
}

SAID: Final[dict[OrderState, Happening]] = {
    _S.SUBMITTING: _H.PENDING,
    _S.WORKING: _H.ACCEPTED,
    _S.CANCELLING: _H.PENDING,
    _S.UNKNOWN: _H.LOST,
    _S.FILLED: _H.FILLED,
    _S.CANCELED: _H.CANCELED,
    _S.EXPIRED: _H.EXPIRED,
    _S.REJECTED: _H.REJECTED,
}
"""What a venue report of each state means."""


def advance(state: OrderState, happening: Happening) -> OrderState:
    """Give the state after `happening`; InternalError for what we must never do."""
    after = TABLE[state].get(happening)
    if after is None:
        raise InternalError(f"an order that is {state.value} cannot see '{happening.value}'")
    return after
