"""Frames said differently mean the same, and our own session reads them."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND, ManualClock
from tests.venue.loopback_client import BTC, SETTINGS, START, XRP, Client
from venue.loopback import build
from venue.loopback_connection import Connection, read_request
from venue.loopback_dialect import Varied
from venue.public import Listed, Lost, Prints, PublicSession
from venue.session import Ignored, Ready

NUMBERS = st.sampled_from(["0.10000000", "1e-08", "62807.0", "0", "-0.00", "13834774380200032777", "5E-05"])
LEAVES = st.none() | st.booleans() | st.text() | NUMBERS.map(lambda text: msgspec.Raw(text.encode()))
KEYS = st.text(min_size=1, max_size=5).filter(lambda key: not key.startswith("x_new_"))
BODIES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    min_size=1,
    max_size=4,
)


def meant(frame):
    """Everything but the order and the news; numbers as the text they were written in."""

    def bare(value):
        if isinstance(value, dict):
            return {key: bare(inner) for key, inner in value.items() if not key.startswith("x_new_")}
        return [bare(inner) for inner in value] if isinstance(value, list) else value

    return bare(json.loads(frame, parse_float=lambda t: ("number", t), parse_int=lambda t: ("number", t)))


@given(BODIES, st.integers(0, 99))
def test_what_is_said_differently_means_the_same(body, seed):
    frame = msgspec.json.encode(body).decode()
    varied = Varied(seed)
    said = [varied(frame) for _ in range(5)]
    assert all(meant(text) == meant(frame) for text in said)
    assert said == [again(frame) for again in [Varied(seed)] for _ in range(5)]
    assert len(set(said)) > 1


def test_our_session_depends_on_neither_order_nor_unknown_keys():
    clock = ManualClock(START)
    client = Client(build(SETTINGS, clock), clock)
    client.connection = Connection(1, Varied(1))
    client.desk.opened(client.connection)
    session, events = PublicSession([XRP, BTC], depth=25), []
    session.connected(clock.now())
    for _ in range(60):
        while not client.connection.frames.empty():
            events += session.receive(client.connection.frames.get_nowait().encode(), clock.now())
        for request in session.outgoing():
            client.desk.receive(client.connection, read_request(request.decode()))
        clock.advance_to(clock.now() + SECOND)
        client.venue.pump()
    assert {type(event) for event in events} >= {Listed, Ready, Prints}
    assert not [event for event in events if isinstance(event, Lost | Ignored)]
