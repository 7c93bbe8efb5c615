from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY
from core.errors import DataError
from core.instrument import Instrument
from feeds.universe import Filters, Market, Universe, chosen, read, written

NOW = 20_000 * DAY


def pair(symbol, **more):
    base, _, quote = symbol.partition("/")
    plain = Instrument(
        symbol, base, quote, Decimal("0.1"), Decimal("0.1"), 1, 1, Decimal(1), Decimal("0.5"), 5
    )
    return msgspec.structs.replace(plain, **more)


MARKET = Market(
    {
        one.symbol: one
        for one in (
            pair("BTC/USD"),
            pair("ETH/EUR"),
            pair("DOGE/USD", max_leverage=1),
            pair("DEAR/USD", minimum_cost=Decimal(50)),
            pair("OFF/USD", status="cancel_only"),
            pair("THIN/USD"),
        )
    },
    {"BTC/USD": Decimal(9_000_000), "ETH/EUR": Decimal(5_000_000), "DOGE/USD": Decimal(6_000_000)}
    | {"DEAR/USD": Decimal(7_000_000), "OFF/USD": Decimal(8_000_000), "THIN/USD": Decimal(10)},
)


@pytest.mark.parametrize(
    "filters, expected",
    [
        (Filters(), "BTC DEAR DOGE ETH THIN"),
        (Filters(quotes=("EUR",)), "ETH"),
        (Filters(minimum_turnover=Decimal(1000)), "BTC DEAR DOGE ETH"),
        (Filters(maximum_minimum_cost=Decimal(1)), "BTC DOGE ETH THIN"),
        (Filters(minimum_leverage=2), "BTC DEAR ETH THIN"),
        (Filters(statuses=()), "BTC OFF DEAR DOGE ETH THIN"),
        (Filters(quotes=("EUR",), include=("OFF/USD", "NO/PE")), "OFF ETH"),
        (Filters(exclude=("BTC/USD",)), "DEAR DOGE ETH THIN"),
    ],
)
def test_pairs_are_filtered_and_the_most_traded_come_first(filters, expected):
    found = chosen(MARKET, filters, Universe(), NOW)
    assert " ".join(symbol.partition("/")[0] for symbol in found) == expected


def test_young_listings_wait_but_what_was_there_at_the_beginning_counts_as_old():
    universe = Universe()
    universe.observe(["BTC/USD"], NOW)
    universe.observe(["BTC/USD", "ETH/EUR"], NOW + DAY)
    filters = Filters(minimum_age_days=7)
    assert chosen(MARKET, filters, universe, NOW + 2 * DAY) == ("BTC/USD",)
    assert chosen(MARKET, filters, universe, NOW + 8 * DAY) == ("BTC/USD", "ETH/EUR")


def test_history_knows_what_was_listed_then():
    universe, file = Universe(), b""
    for day, symbols in enumerate((["A/USD", "B/USD"], ["A/USD"], ["A/USD"], ["A/USD", "B/USD", "C/USD"])):
        file += written(universe.observe(symbols, NOW + day * DAY))
    for one in (universe, read(file, "listings")):
        assert one.at(NOW - 1) == frozenset()
        assert one.at(NOW) == {"A/USD", "B/USD"}
        assert one.at(NOW + 2 * DAY) == {"A/USD"}
        assert one.at(NOW + 3 * DAY) == {"A/USD", "B/USD", "C/USD"}
    assert file.count(b"\n") == 5


@given(st.lists(st.sets(st.sampled_from(["A/USD", "B/USD", "C/USD"])), max_size=8))
def test_history_that_is_read_again_says_the_same(days):
    universe, file = Universe(), b""
    for day, symbols in enumerate(days):
        file += written(universe.observe(symbols, NOW + day * DAY))
    again = read(file, "listings")
    for day, symbols in enumerate(days):
        assert again.at(NOW + day * DAY) == symbols
    if days:
        assert again.observe(days[-1], NOW + len(days) * DAY) == []


def test_torn_line_is_not_there_and_a_damaged_one_is_named():
    file = written(Universe().observe(["A/USD"], NOW))
    assert read(file + b'{"symbol":"B', "listings").at(NOW) == {"A/USD"}
    with pytest.raises(DataError, match="listings: line 2: expected a listing"):
        read(file + b"[]\n", "listings")
