from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.instrument import Instrument
from venue import wire
from venue.book import Book, Fault

GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"


def instrument(symbol="BTC/USD", price_precision=1, quantity_precision=8):
    return Instrument.on_decimal_grid(
        symbol,
        price_precision,
        quantity_precision,
        minimum_quantity=Decimal("0.0001"),
        minimum_cost=Decimal("0.5"),
    )


def golden(name):
    (row,) = wire.decode((GOLDEN / f"{name}.json").read_bytes()).data
    return row


def level(price, quantity):
    return SimpleNamespace(price=Decimal(price), qty=Decimal(quantity))


def levels(pairs):
    return [level(price, quantity) for price, quantity in pairs]


def reference_checksum(bids, asks, price_precision, quantity_precision):
    """The guide's own recipe on text, spelt out slowly."""

    def text(value, precision):
        return f"{value:.{precision}f}".replace(".", "").lstrip("0")

    parts = [
        text(price, price_precision) + text(quantity, quantity_precision)
        for side in (asks[:10], bids[:10])
        for price, quantity in side
    ]
    return crc32("".join(parts).encode())


def filled(depth=10, bids=(("99.0", "1"), ("98.0", "2")), asks=(("101.0", "1"), ("102.0", "3"))):
    book = Book(instrument(), depth)
    book.replace(levels(bids), levels(asks), 0)
    assert book.replace(levels(bids), levels(asks), book.checksum()) is None
    return book


def apply(book, bids=(), asks=()):
    """Apply with whatever checksum results, so that only the other rules speak."""
    book.update(levels(bids), levels(asks), 0)
    return book.update((), (), book.checksum())


def test_worked_example_of_the_guide_verifies():
    row = golden("ws_book_checksum_wire_form")
    book = Book(instrument())
    assert book.replace(row.bids, row.asks, 3310070434) is None
    assert book.checksum() == row.checksum == 3310070434


def test_documented_snapshot_and_update_verify():
    book = Book(instrument("MATIC/USD", 4, 8))
    first, then = golden("ws_book_snapshot"), golden("ws_book_update")
    assert book.replace(first.bids, first.asks, 2439117997) is None
    assert book.update(then.bids, then.asks, 2114181697) is None
    quote = book.top(5)
    assert (quote.bid, quote.ask, quote.ts_event) == (Decimal("0.5666"), Decimal("0.5668"), 5)
    assert quote.instrument == "MATIC/USD"


def test_altered_digit_is_found():
    row = golden("ws_book_checksum_wire_form")
    altered = (level(row.bids[0].price, row.bids[0].qty + Decimal("0.00000001")), *row.bids[1:])
    assert Book(instrument()).replace(altered, row.asks, row.checksum) is Fault.CHECKSUM


def test_crossed_book_is_found_although_its_checksum_is_right():
    assert apply(filled(), bids=[("101.0", "1")]) is Fault.CROSSED
    assert apply(filled(), bids=[("100.9", "1")]) is None


def test_last_entry_of_a_price_wins_and_unknown_removal_is_legal():
    book = filled()
    assert apply(book, bids=[("99.0", "5"), ("97.0", "0"), ("99.0", "0"), ("99.0", "7")]) is None
    assert book.bids == ((Decimal("99.0"), Decimal(7)), (Decimal("98.0"), Decimal(2)))


def test_levels_beyond_depth_fall_out_without_a_removal():
    bids = [(f"{90 - i}.0", "1") for i in range(10)]
    book = filled(bids=bids)
    apply(book, bids=[("95.0", "1")])
    assert len(book.bids) == 10
    assert book.bids[0][0] == Decimal("95.0")
    assert book.bids[-1][0] == Decimal("82.0")


@pytest.mark.parametrize(
    "bad", [("0", "1"), ("-1", "1"), ("1", "-1"), ("NaN", "1"), ("1e300", "1"), ("1", "Infinity")]
)
def test_impossible_number_is_refused(bad):
    book = filled()
    assert book.update([level(*bad)], (), 0) is Fault.IMPOSSIBLE


def test_empty_side_has_no_top():
    book = filled()
    assert apply(book, asks=[("101.0", "0"), ("102.0", "0")]) is None
    assert book.top(1) is None
    assert book.asks == ()


def test_empty_book_has_the_checksum_of_nothing():
    assert Book(instrument()).checksum() == crc32(b"") == 0


changes = st.lists(
    st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 30), st.integers(0, 10**9)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(st.lists(changes, max_size=12), st.sampled_from([10, 25]))
def test_book_equals_a_naive_one(messages, depth):
    book = Book(instrument(), depth)
    naive = {"bid": {}, "ask": {}}
    for message in messages:
        rows = {"bid": [], "ask": []}
        for side, tick, lots in message:
            price = Decimal(1000 - tick if side == "bid" else 1000 + tick) / 10
            quantity = Decimal(lots).scaleb(-8)
            rows[side].append((price, quantity))
            naive[side].pop(price, None)
            if lots:
                naive[side][price] = quantity
        bids = sorted(naive["bid"].items(), reverse=True)[:depth]
        asks = sorted(naive["ask"].items())[:depth]
        naive = {"bid": dict(bids), "ask": dict(asks)}
        checksum = reference_checksum(bids, asks, 1, 8)
        assert book.update(levels(rows["bid"]), levels(rows["ask"]), checksum) is None
        assert book.bids == tuple(bids)
        assert book.asks == tuple(asks)
