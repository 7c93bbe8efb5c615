"""Orders one by one: a client that follows the events holds the book of level 2, checksum for checksum."""

import zlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND
from tests.venue.loopback_client import BTC, XRP, Client, public, venue_at
from venue.loopback_level3 import Queues, changes
from venue.market_model import Ladder, Level


class NaiveOrders:
    """Orders by id as the documentation tells a client to keep them."""

    def __init__(self, depth):
        self.depth, self.sides = depth, {"bids": {}, "asks": {}}

    def apply(self, data):
        for side, orders in self.sides.items():
            for row in data[side]:
                match row.get("event", "add"):
                    case "add":
                        assert row["order_id"] not in orders
                        orders[row["order_id"]] = row
                    case "modify":
                        orders[row["order_id"]]["order_qty"] = row["order_qty"]
                    case "delete":
                        del orders[row["order_id"]]
            best = self.prices(side)[: self.depth]
            self.sides[side] = {key: row for key, row in orders.items() if row["limit_price"] in best}

    def prices(self, side):
        return sorted({row["limit_price"] for row in self.sides[side].values()}, reverse=side == "bids")

    def level(self, side, price):
        return [row for row in self.sides[side].values() if row["limit_price"] == price]

    def checksum(self):
        rows = [
            row for side in ("asks", "bids") for p in self.prices(side)[:10] for row in self.level(side, p)
        ]
        digits = [
            f"{row[key]:f}".replace(".", "").lstrip("0")
            for row in rows
            for key in ("limit_price", "order_qty")
        ]
        return zlib.crc32("".join(digits).encode())


def connected(account="paper"):
    venue, clock = venue_at()
    client = Client(venue, clock, account=account)
    client.desk = venue.level3
    client.desk.opened(client.connection)
    client.frames()
    return client


@pytest.mark.parametrize("depth", [10, 100])
def test_following_the_orders_gives_the_book(depth):
    client = connected()
    frames = client.ask("subscribe", channel="level3", symbol=[XRP], depth=depth)[1:]
    orders, kinds = NaiveOrders(depth), set()
    for _ in range(30):
        for frame in frames:
            data = frame["data"][0]
            kinds |= {row.get("event") for side in ("bids", "asks") for row in data[side]}
            orders.apply(data)
            assert orders.checksum() == data["checksum"]
        frames = client.wait(20 * SECOND)
    for frame in frames:
        orders.apply(frame["data"][0])
    assert kinds == {None, "add", "modify", "delete"}
    book = public(client.venue, "GroupedBook", pair=XRP)
    for side in ("bids", "asks"):
        sums = [(p, sum(row["order_qty"] for row in orders.level(side, p))) for p in orders.prices(side)[:10]]
        assert sums == [(Decimal(row["price"]), Decimal(row["qty"])) for row in book[side]]


def test_level3_wants_a_token_and_its_own_depths():
    client = connected()
    (refused,) = client.ask("subscribe", 1, channel="level3", symbol=[XRP], token="stolen")
    assert (refused["error"], refused["success"]) == ("ESession:Invalid session", False)
    (refused,) = client.ask("subscribe", 2, channel="level3", symbol=[XRP], depth=25)
    assert refused["error"] == "Subscription depth not supported"
    (refused,) = client.ask("subscribe", 3, channel="book", symbol=[XRP])
    assert refused["error"] == "Unsupported channel"
    acks = [f for f in client.ask("subscribe", 4, channel="level3", symbol=[XRP, BTC]) if "method" in f]
    assert [ack["success"] for ack in acks] == [True, True]
    client.ask("unsubscribe", 5, channel="level3", symbol=[XRP, BTC])
    assert client.wait(MINUTE) == []


def test_a_held_token_outlives_its_quarter_of_an_hour_and_belongs_to_one_account():
    client = connected()
    client.ask("subscribe", channel="level3", symbol=[XRP])
    client.wait(16 * MINUTE)
    assert client.ask("subscribe", channel="level3", symbol=[BTC])[0]["success"] is True
    other = client.venue.private._keys.issue("other", client.clock.monotonic())
    (refused,) = client.ask("subscribe", channel="level3", symbol=[BTC], token=other)
    assert refused["error"] == "ESession:Invalid session"
    client.desk.closed(client.connection)
    assert client.wait(MINUTE) == []


LEVELS = st.dictionaries(st.integers(1, 12), st.integers(1, 50), max_size=8)


@given(st.lists(LEVELS, min_size=1, max_size=8), st.integers(1, 6))
def test_events_lead_any_client_from_any_book_to_the_next(books, depth):
    queues, held, before = Queues("ANY/USD"), {}, {}
    for ts, levels in enumerate(books):
        asks = tuple(Level(ticks, levels[ticks]) for ticks in sorted(levels))
        queues.follow(Ladder(ts, (), asks))
        for event, order in changes(before, queues.asks, depth):
            if event == "delete":
                del held[order.order_id]
            else:
                assert (order.order_id in held) is (event == "modify")
                held[order.order_id] = order
        prices = sorted({order.ticks for order in held.values()})[:depth]
        held = {key: order for key, order in held.items() if order.ticks in prices}
        want = {order.order_id: order for p in sorted(levels)[:depth] for order in queues.asks[p]}
        assert held == want
        assert {p: sum(o.lots for o in queues.asks[p]) for p in levels} == levels
        before = queues.asks
