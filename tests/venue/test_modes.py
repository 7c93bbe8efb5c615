"""The venue's states, and how sure the distance of its clock is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND
from core.orders import AmendOrder, CancelOrder
from tests.venue.test_client import ORDER
from venue.modes import clock_lead, forbidden

QUIET = msgspec.structs.replace(ORDER, post_only=True)
CANCEL = CancelOrder("main", "a", "SM1", "BTC/USD")
AMEND = AmendOrder("main", "a", "SM1", "BTC/USD", 2**62)


@pytest.mark.parametrize(
    "system, allowed",
    [
        ("online", {"order", "quiet", "cancel", "amend"}),
        ("post_only", {"quiet", "cancel"}),
        ("cancel_only", {"cancel"}),
        ("maintenance", set()),
        ("a new word", {"cancel"}),
    ],
)
def test_what_each_state_takes(system, allowed):
    commands = {"order": ORDER, "quiet": QUIET, "cancel": CANCEL, "amend": AMEND}
    assert {name for name, one in commands.items() if not forbidden(system, one)} == allowed


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_clocks_distance_is_never_overstated(lead, there, back, fraction):
    ours = 10**15 + fraction
    theirs = ours + there + lead
    found = clock_lead(ours, theirs // SECOND * SECOND, ours + there + back)
    assert abs(found) <= abs(lead)
    assert found * lead >= 0
    assert abs(lead) - abs(found) <= SECOND + there + back
