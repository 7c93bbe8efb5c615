"""Rounding goes toward less risk, onto the grid and nowhere else."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.instrument import Instrument

D = Decimal
GRIDS = st.sampled_from([D("0.1"), D("0.00001"), D("0.5"), D("0.01"), D(1), D("0.025"), D("1E-8")])
VALUES = st.decimals(min_value=0, max_value=D("1e7"), places=9, allow_nan=False)
SIGNED = st.decimals(min_value=D("-1e7"), max_value=D("1e7"), places=9, allow_nan=False)


LISTED = Instrument("BTC/USD", "BTC", "USD", D("0.1"), D("0.001"), 1, 8, D("0.0001"), D(5))


def instrument(**grids):
    names = {"tick": "price_increment", "lot": "quantity_increment"}
    return msgspec.structs.replace(LISTED, **{names[key]: value for key, value in grids.items()})


def on_grid(value, increment):
    return value % increment == 0


@given(VALUES, GRIDS)
def test_a_quantity_never_grows_and_lies_on_the_grid(value, lot):
    rounded = instrument(lot=lot).quantity_down(value)
    assert on_grid(rounded, lot)
    assert rounded <= value < rounded + lot


@given(SIGNED, GRIDS)
def test_a_negative_quantity_shrinks_too(value, lot):
    assert abs(instrument(lot=lot).quantity_down(value)) <= abs(value)


@given(SIGNED, GRIDS)
def test_prices_enclose_the_value_within_one_tick(value, tick):
    one = instrument(tick=tick)
    low, high = one.price_down(value), one.price_up(value)
    assert on_grid(low, tick)
    assert on_grid(high, tick)
    assert low <= value <= high
    assert high - low in {0, tick}
    assert (high == low) is on_grid(value, tick)


@given(VALUES, GRIDS)
def test_rounding_twice_is_rounding_once(value, grid):
    one = instrument(tick=grid, lot=grid)
    for verb in (one.quantity_down, one.price_down, one.price_up):
        assert verb(verb(value)) == verb(value)


@given(st.floats(1e-6, 1e7), GRIDS, st.booleans())
def test_a_float_estimate_lands_on_the_side_that_was_asked_for(value, tick, up):
    price = instrument(tick=tick).price_from(value, up=up)
    exact = D(repr(value))
    assert on_grid(price, tick)
    assert exact <= price < exact + tick if up else exact - tick < price <= exact


def test_a_float_means_its_shortest_text():
    assert instrument().price_from(0.3, up=True) == D("0.3")  # binary 0.3 lies below, 0.1+0.2 above
    assert instrument().price_from(60_000.1, up=False) == D("60000.1")


@given(VALUES, VALUES)
def test_tradable_needs_the_quantity_and_the_cost(quantity, price):
    assume(quantity * price != 5)
    expected = quantity >= D("0.0001") and quantity * price > 5
    assert instrument().tradable(quantity, price) is expected


def test_the_minimum_itself_is_enough():
    assert instrument().tradable(D("0.0001"), D(50_000))


@pytest.mark.parametrize(
    "change",
    [
        {"price_increment": D(0)},
        {"quantity_increment": D("-1")},
        {"quantity_increment": D("NaN")},
        {"minimum_cost": D("Infinity")},
        {"minimum_quantity": D("-0.1")},
        {"price_precision": -1},
        {"quantity_precision": 10_000},
    ],
)
def test_grids_that_no_market_has_are_told_apart(change):
    assert LISTED.possible
    assert not msgspec.structs.replace(LISTED, **change).possible


def test_free_minimums_are_possible():
    assert msgspec.structs.replace(LISTED, minimum_cost=D(0), minimum_quantity=D(0)).possible
