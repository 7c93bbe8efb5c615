"""Keys of the loopback: signatures, nonces, rights, the REST counter and the lockout."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND, ManualClock
from tests.venue.loopback_client import Client, rest, venue_at
from venue.loopback_keys import LOCKOUT_AFTER, TRADING, ApiKey, KeyRing, LoopbackAccount

SECRET = base64.b64encode(b"only for these tests").decode()
VECTOR = Path(__file__).parents[2].parent / "shared" / "kraken" / "samples" / "rest_signature_vector.json"


class Caller:
    """Signs calls as the guide says and shows what the ring answers."""

    def __init__(self, *keys):
        self.clock = ManualClock(10**18)
        account = LoopbackAccount("first", SECRET, Decimal(1), keys)
        self.ring = KeyRing({"desk": account}, self.clock)
        self.nonce = 0

    def call(self, method="Balance", *, key="first", nonce=None, secret=SECRET):
        self.nonce += 1
        text = str(self.nonce if nonce is None else nonce)
        path, body = f"/0/private/{method}", f"nonce={text}&otp=123456".encode()
        digest = hashlib.sha256(text.encode() + body).digest()
        mac = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512).digest()
        account, error = self.ring.authenticate(key, base64.b64encode(mac).decode(), path, body, text)
        assert bool(account) is not bool(error)
        return error


@pytest.mark.skipif(not VECTOR.is_file(), reason=f"no documented vector at {VECTOR}")
def test_the_documented_vector_passes_and_every_changed_byte_fails():
    vector = json.loads(VECTOR.read_text())
    path, body, nonce = vector["uri_path"], vector["encoded_payload"].encode(), vector["nonce"]
    sign = vector["expected_api_sign"]

    def ring():
        account = LoopbackAccount("doc", vector["private_key"], Decimal(1))
        return KeyRing({"doc": account}, ManualClock())

    assert ring().authenticate("doc", sign, path, body, nonce) == ("doc", "")
    for place in range(len(body)):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert ring().authenticate("doc", sign, path, changed, nonce) == ("", "EAPI:Invalid signature")
    assert ring().authenticate("doc", sign, path + "Batch", body, nonce)[1] == "EAPI:Invalid signature"


def test_a_refusal_names_the_first_thing_that_is_wrong():
    caller = Caller()
    wrong = base64.b64encode(b"another").decode()
    assert caller.call() == ""
    assert caller.call(key="nobody", secret=wrong, nonce=1) == "EAPI:Invalid key"
    assert caller.call(secret=wrong, nonce=1) == "EAPI:Invalid signature"
    assert caller.call(nonce=1) == "EAPI:Invalid nonce"


@pytest.mark.parametrize("nonce", ["", "x", "-1", "1.5", "²", str(1 << 64), "9" * 30])
def test_what_is_no_unsigned_64_bit_number_is_no_nonce(nonce):
    assert Caller().call(nonce=nonce) == "EAPI:Invalid nonce"


def test_the_highest_nonce_burns_the_key():
    caller = Caller()
    assert caller.call(nonce=(1 << 64) - 1) == ""
    assert caller.call(nonce=(1 << 64) - 2) == "EAPI:Invalid nonce"


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(0, 20))
def test_a_nonce_passes_above_all_others_or_unused_inside_the_window(nonces, window):
    caller = Caller(ApiKey(key="late", secret=SECRET, nonce_window=window))
    used, failures = set(), 0
    for nonce in nonces:
        fresh = not used or nonce > max(used) or (nonce >= max(used) - window and nonce not in used)
        if failures == LOCKOUT_AFTER:
            assert caller.call(key="late", nonce=nonce) == "EGeneral:Temporary lockout"
            continue
        assert caller.call(key="late", nonce=nonce) == ("" if fresh else "EAPI:Invalid nonce")
        failures = 0 if fresh else failures + 1
        used |= {nonce} if fresh else set()


@pytest.mark.parametrize(
    "right,opens",
    [
        ("query-funds", {"Balance", "BalanceEx", "TradeBalance", "TradeVolume"}),
        ("query-open-trades", {"OpenOrders", "OpenPositions", "QueryOrders"}),
        ("query-closed-trades", {"ClosedOrders", "TradesHistory", "QueryTrades", "QueryOrders"}),
        (
            "modify-trades",
            {"AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelAll"},
        ),
        ("close-trades", {"CancelOrder", "CancelOrderBatch", "CancelAll", "CancelAllOrdersAfter"}),
        ("query-ledger", {"Ledgers", "QueryLedgers"}),
        ("create-ws-token", {"GetWebSocketsToken"}),
    ],
)
def test_a_right_opens_its_methods_and_no_others(right, opens):
    others = {"Balance", "OpenOrders", "ClosedOrders", "AddOrder", "Ledgers", "GetWebSocketsToken"} - opens
    caller = Caller(ApiKey(key="narrow", secret=SECRET, permissions=(right,)))
    assert caller.call("GetApiKeyInfo", key="narrow") == ""
    assert {m for m in opens | others if caller.call(m, key="narrow") == ""} == opens
    assert caller.call("Balance", key="first") == ""


def test_the_counter_is_per_key_and_decays_in_market_time():
    caller = Caller(ApiKey(key="second", secret=SECRET))
    assert [caller.call() for _ in range(21)] == [""] * 20 + ["EAPI:Rate limit exceeded"]
    assert caller.call("AddOrder") == ""  # the engine counts orders, not this counter
    assert caller.call(key="second") == ""
    caller.clock.advance_to(caller.clock.now() + 2 * SECOND)
    assert [caller.call() for _ in range(2)] == ["", "EAPI:Rate limit exceeded"]
    caller.clock.advance_to(caller.clock.now() + 40 * SECOND)
    assert [caller.call("TradesHistory") for _ in range(6)] == [""] * 5 + ["EAPI:Rate limit exceeded"]


def test_failures_in_a_row_lock_the_key_out_for_15_minutes():
    caller = Caller(ApiKey(key="second", secret=SECRET))
    wrong = base64.b64encode(b"another").decode()
    for _ in range(LOCKOUT_AFTER - 1):
        assert caller.call(secret=wrong) == "EAPI:Invalid signature"
    assert caller.call() == ""  # a good call ends the row
    for _ in range(LOCKOUT_AFTER):
        assert caller.call(secret=wrong) == "EAPI:Invalid signature"
    assert caller.call() == "EGeneral:Temporary lockout"
    assert caller.call(key="second") == ""
    caller.clock.advance_to(caller.clock.now() + 15 * MINUTE - 1)
    assert caller.call() == "EGeneral:Temporary lockout"
    caller.clock.advance_to(caller.clock.now() + 1)
    assert caller.call() == ""


def test_unknown_keys_share_one_lockout():
    caller = Caller()
    for number in range(LOCKOUT_AFTER):
        assert caller.call(key=f"guess {number}") == "EAPI:Invalid key"
    assert caller.call(key="one more") == "EGeneral:Temporary lockout"
    assert caller.call() == ""


def test_key_info_is_about_the_key_that_asks():
    caller = Caller(
        ApiKey(key="second", secret=SECRET, name="bot", permissions=("query-funds",), nonce_window=5)
    )
    caller.call("GetApiKeyInfo", key="second", nonce=77)
    info = caller.ring.describe("desk")
    assert (info["apiKeyName"], info["apiKey"], info["nonce"]) == ("bot", "second", "77")
    assert (info["nonceWindow"], info["permissions"], info["ipAllowlist"]) == (
        5,
        ["query-funds"],
        ["127.0.0.1"],
    )
    assert info["lastUsed"] == str(10**9)
    caller.call("GetApiKeyInfo")
    assert caller.ring.describe("desk")["permissions"] == list(TRADING)


def test_a_token_lives_15_minutes_unless_held_and_has_the_rights_of_its_key():
    caller = Caller(
        ApiKey(key="watcher", secret=SECRET, permissions=("create-ws-token", "query-open-trades"))
    )
    caller.call("GetWebSocketsToken", key="watcher")
    token = caller.ring.issue("desk", 0)
    assert caller.ring.owner(token, 15 * MINUTE, held=False) == "desk"
    assert caller.ring.owner(token, 15 * MINUTE + 1, held=False) == ""
    assert caller.ring.owner(token, 10**15, held=True) == "desk"
    assert caller.ring.owner("never issued", 0, held=True) == ""
    assert caller.ring.permits(token, "subscribe")
    assert not caller.ring.permits(token, "add_order")
    assert not caller.ring.permits("never issued", "subscribe")


def test_the_private_desk_refuses_what_the_tokens_key_may_not():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    ring = venue.private._keys
    client.token = ring.issue("paper", clock.monotonic())
    narrow = ApiKey(key="narrow", secret=SECRET, permissions=("query-open-trades",))
    ring._tokens[client.token] = ("paper", clock.monotonic(), narrow)
    client.frames()
    order = {
        "order_type": "limit",
        "side": "buy",
        "symbol": "XRP/USDT",
        "order_qty": 50.0,
        "limit_price": 0.4,
    }
    (ack,) = client.ask("add_order", 4, **order)
    assert (ack["error"], ack["req_id"]) == ("EGeneral:Permission denied", 4)
    assert client.subscribed("executions")[0]["success"] is True
    assert rest(venue, "OpenOrders")["open"] == {}
