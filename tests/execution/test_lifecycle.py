"""The order table: total over what a venue can say, strict about what we do."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InternalError
from core.orders import OrderState
from execution.lifecycle import SAID, TABLE, Happening, advance

OURS = {Happening.CANCEL_SENT}
TERMINAL = [state for state in OrderState if state.terminal]


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("happening", [h for h in Happening if h not in OURS])
def test_anything_a_venue_says_is_legal_in_every_state(state, happening):
    assert isinstance(advance(state, happening), OrderState)


@pytest.mark.parametrize("state", TERMINAL)
def test_cancelling_an_ended_order_is_our_bug(state):
    with pytest.raises(InternalError, match=f"{state.value} cannot see 'cancel sent'"):
        advance(state, Happening.CANCEL_SENT)


def test_table_and_translation_name_every_state():
    assert set(TABLE) == set(OrderState) == set(SAID)


@pytest.mark.parametrize("state,happening", [*itertools.product(OrderState, Happening)])
def test_news_said_twice_changes_nothing_more(state, happening):
    if state.terminal and happening in OURS:
        pytest.skip("illegal, see above")
    once = advance(state, happening)
    if once.terminal and happening in OURS:
        pytest.fail("a cancel request alone must never end an order")
    if (once, happening) == (OrderState.UNKNOWN, Happening.ABSENT):
        assert advance(once, happening) is OrderState.REJECTED  # the second query decides
        return
    assert advance(once, happening) is once


@pytest.mark.parametrize("state", [s for s in OrderState if not s.terminal])
def test_only_proof_ends_an_order(state):
    ended = {h for h in Happening if h not in OURS and advance(state, h).terminal}
    proofs = {Happening.FILLED, Happening.CANCELED, Happening.EXPIRED, Happening.REJECTED}
    assert proofs <= ended <= proofs | {Happening.ABSENT}


@given(st.lists(st.sampled_from([h for h in Happening if h not in OURS | {Happening.FOUND}])))
def test_ended_orders_stay_ended_unless_a_query_finds_them(happenings):
    state = OrderState.CANCELED
    for happening in happenings:
        state = advance(state, happening)
    assert state in {OrderState.CANCELED, OrderState.FILLED}


def test_phantom_cancel_is_undone_by_the_query_that_finds_the_order():
    assert advance(OrderState.CANCELED, Happening.FOUND) is OrderState.WORKING
    assert advance(OrderState.FILLED, Happening.FOUND) is OrderState.FILLED
