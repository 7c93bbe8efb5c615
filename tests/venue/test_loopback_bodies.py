"""Bodies as clients write them: the signature is over the sent bytes, and their spelling is free."""

import base64
import hashlib
import hmac
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.venue.loopback_client import SECRET, venue_at
from venue.loopback import application

PATH = "/0/private/QueryOrders"


@pytest.mark.parametrize(
    "body",
    [
        b"nonce=5&txid=ONE-TWO-THREE",
        b"txid=ONE-TWO-THREE&nonce=5",
        b"nonce=5&txid=ONE%2DTWO%2DTHREE&otp=123+456",
        b"nonce=5&note=%C3%A9%20%2B&txid=ONE-TWO-THREE&trades=True",
        json.dumps({"nonce": "5", "txid": "ONE-TWO-THREE"}).encode(),
        json.dumps({"nonce": 5, "txid": "ONE-TWO-THREE", "trades": False}, indent=2).encode(),
        '{"nonce":5,"note":"é","txid":"ONE-TWO-THREE"}'.encode(),
    ],
)
async def test_any_spelling_is_signed_and_read_as_it_was_sent(body):
    venue, _ = venue_at()

    def headers(signed):
        digest = hashlib.sha256(b"5" + signed).digest()
        mac = hmac.new(base64.b64decode(SECRET), PATH.encode() + digest, hashlib.sha512).digest()
        return {"API-Key": "key", "API-Sign": base64.b64encode(mac).decode()}

    async with TestClient(TestServer(application(venue))) as http:
        async with http.post(PATH, data=body, headers=headers(body + b" ")) as response:
            assert (await response.json())["error"] == ["EAPI:Invalid signature"]
        async with http.post(PATH, data=body, headers=headers(body)) as response:
            assert (await response.json())["error"] == ["EOrder:Unknown order"]
        async with http.post(PATH, data=body, headers=headers(body)) as response:
            assert (await response.json())["error"] == ["EAPI:Invalid nonce"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{broken",
        b"[5]",
        b'{"nonce":{"a":5}}',
        b"\xff\xfe=1",
        b"nonce=%FF",
        b'{"nonce":"\\ud800"}',
        b'{"a":' * 100_000,
    ],
)
async def test_what_cannot_be_read_is_refused_and_not_answered(body):
    async with TestClient(TestServer(application(venue_at()[0]))) as http:
        async with http.post(PATH, data=body, headers={"API-Key": "key", "API-Sign": "é"}) as response:
            assert response.status == 200
            assert (await response.json())["error"] == ["EAPI:Invalid signature"]
        async with http.post(PATH, data=body) as response:
            assert (await response.json())["error"] == ["EAPI:Invalid key"]
