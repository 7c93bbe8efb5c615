"""A venue that says nonsense: whatever arrives, a session gives values and goes on."""

import json
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import Fill
from tests.venue import market_frames as public
from tests.venue import test_private as private
from venue.public import Listed

PRIVATE = (
    private.ack("executions", maxratecount=125),
    private.executions(private.full(), sequence=2),
    private.executions(private.fill(), sequence=2),
    private.balances({"asset": "USDT", "balance": 5.0}, sequence=2, kind="update"),
    private.answer(3, order_id="O1", cl_ord_id="SMaa2"),
    private.answer(3, error="EOrder:Insufficient margin"),
)
PUBLIC = (
    public.instruments(public.pair(public.BTC)),
    public.instruments(public.pair(public.BTC), kind="update"),
    public.ack("book", public.BTC),
    public.book_frame(),
    public.book_frame(kind="update"),
    public.trade(5),
)
JUNK = (
    st.none()
    | st.integers()
    | st.floats()
    | st.sampled_from(["NaN", 10**30, 1e-300])
    | st.text(max_size=5)
    | st.just([])
    | st.just({})
)


def paths(value, path=()):
    """Give the way to every leaf."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [way for key, child in inner for way in paths(child, (*path, key))]
    return found or [path]


def damaged(frames):
    """Give a frame with one byte or one value that is not what it was."""
    return st.sampled_from(frames).flatmap(lambda raw: with_a_byte(raw) | with_a_value(raw))


def with_a_byte(raw):
    places = st.integers(0, len(raw) - 1)
    return st.builds(
        lambda at, byte: raw[:at] + byte + raw[at + 1 :], places, st.binary(min_size=1, max_size=1)
    )


def with_a_value(raw):
    return st.builds(partial(put, raw), st.sampled_from(paths(json.loads(raw))), JUNK)


def put(raw, path, value):
    message = json.loads(raw)
    *way, last = path
    parent = message
    for key in way:
        parent = parent[key]
    parent[last] = value
    return json.dumps(message).encode()


@settings(max_examples=200, deadline=None)
@given(damaged(PRIVATE))
def test_no_damaged_frame_ends_the_private_session(raw):
    session = private.ready()
    private.asked(session, private.ENTRY)
    for event in session.receive(raw, 1):
        if isinstance(event, Fill):
            assert event.quantity > 0
            assert event.price > 0


@settings(max_examples=200, deadline=None)
@given(damaged(PUBLIC), st.booleans())
def test_no_damaged_frame_ends_the_public_session(raw, subscribed):
    session = public.ready() if subscribed else public.connected()
    for event in session.receive(raw, 1):
        if isinstance(event, Listed):
            assert all(one.possible for one in event.instruments)
