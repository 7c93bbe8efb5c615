"""What a key may do: any spelling of the reply, and each reason to refuse it."""

import pytest

from core.errors import VenueError
from venue.key_info import KeyInfo, key_faults, key_info

RIGHT = (
    "query-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "websockets",
)
PAGE = (
    "Query Funds",
    "Query Open Orders & Trades",
    "Query Closed Orders & Trades",
    "Create & Modify Orders",
    "Cancel/Close Orders",
    "Access WebSockets API",
)


REPLY = (*RIGHT[:-1], "query-ledger", "create-ws-token")


@pytest.mark.parametrize("names", [RIGHT, PAGE, REPLY])
def test_a_key_that_trades_and_nothing_else_is_right(names):
    assert key_faults(KeyInfo(names, 0, ("127.0.0.1",)), any_address=False) == ()
    assert key_faults(KeyInfo(names, 0, ()), any_address=True) == ()


@pytest.mark.parametrize(
    "info, words",
    [
        (KeyInfo((*RIGHT, "withdraw-funds"), 0, ("1",)), "may withdraw funds"),
        (KeyInfo((*RIGHT, "Wallet Transfer"), 0, ("1",)), "may transfer funds"),
        (KeyInfo(RIGHT[1:], 0, ("1",)), "lacks the permission Query Funds"),
        (KeyInfo(RIGHT[:-1], 0, ("1",)), "lacks the permission WebSocket interface"),
        (KeyInfo(RIGHT, 5000, ("1",)), "nonce window of 0, found 5000"),
        (KeyInfo(RIGHT, 0, ()), "works from any address"),
    ],
)
def test_each_fault_is_one_sentence(info, words):
    (fault,) = key_faults(info, any_address=False)
    assert words in fault


@pytest.mark.parametrize(
    "reply, info",
    [
        (
            {"permissions": ["a"], "nonce_window": "0", "ip_allowlist": ["127.0.0.1"]},
            KeyInfo(("a",), 0, ("127.0.0.1",)),
        ),
        (
            {"permissions": {"a": True, "b": False}, "nonceWindow": 7, "ipWhitelist": "x"},
            KeyInfo(("a",), 7, ("x",)),
        ),
        ({"permissions": [], "nonce_window": 0}, KeyInfo((), 0, ())),
    ],
)
def test_the_reply_is_read_by_meaning(reply, info):
    assert key_info(reply) == info


@pytest.mark.parametrize("reply", [{}, {"permissions": ["a"]}, {"permissions": 3, "nonce_window": 0}])
def test_a_reply_that_proves_nothing_is_refused(reply):
    with pytest.raises(VenueError, match="expected permissions and nonce_window"):
        key_info(reply)
