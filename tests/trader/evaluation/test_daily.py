import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.errors import DataError
from tests.evaluation_runs import START, run_of
from trader.evaluation.daily import annual_sharpe, daily_returns, returns_of


def with_rows(rows, *, days, cash):
    made = run_of([0.0] * days)
    card = type(made.card)(
        **({name: getattr(made.card, name) for name in made.card.__struct_fields__} | {"cash": cash})
    )
    curve = pl.DataFrame(rows, schema=["ts", "account", "equity", "exposure", "fees"], orient="row")
    return type(made)(card, (), curve, made.pairs)


def test_days_without_a_row_return_nothing_and_midnight_belongs_to_the_day_before():
    rows = [
        (START + 5 * HOUR, "a", 110.0, 0.0, 0.0),
        (START + DAY, "a", 120.0, 0.0, 0.0),
        (START + 2 * DAY + HOUR, "a", 90.0, 0.0, 0.0),
    ]
    assert daily_returns(with_rows(rows, days=4, cash={"a": 100})).tolist() == [
        pytest.approx(0.2),
        0.0,
        pytest.approx(-0.25),
        0.0,
    ]


def test_a_long_run_keeps_its_last_day():
    assert len(daily_returns(run_of([0.001] * 400))) == 400


def test_accounts_are_one_purse():
    rows = [(START + DAY, "a", 110.0, 0.0, 0.0), (START + 2 * DAY, "b", 250.0, 0.0, 0.0)]
    found = daily_returns(with_rows(rows, days=2, cash={"a": 100, "b": 300}))
    assert found == pytest.approx([410 / 400 - 1, 360 / 410 - 1])


def test_what_was_wiped_out_is_lost_once():
    assert returns_of(np.array([100.0, 50.0, -3.0, 20.0, 0.0])).tolist() == [-0.5, -1.0, 0.0, 0.0]


@given(st.lists(st.floats(-0.9, 3.0), min_size=1, max_size=40))
def test_returns_chain_to_the_last_equity(moves):
    equity = 100.0 * np.cumprod(np.append(1.0, 1.0 + np.array(moves)))
    assert np.prod(1.0 + returns_of(equity)) == pytest.approx(equity[-1] / 100.0, rel=1e-9)


def test_sharpe_counts_365_days_and_is_unknown_where_nothing_moves():
    days = np.array([0.01, -0.01, 0.02, 0.02])
    assert annual_sharpe(days) == pytest.approx(0.01 / np.sqrt(2e-4) * np.sqrt(365))
    assert annual_sharpe(np.full(9, 0.003)) is None
    assert annual_sharpe(np.zeros(1)) is None


def test_a_run_of_half_days_is_refused():
    with pytest.raises(DataError, match="whole UTC days"):
        daily_returns(run_of([0.1, 0.1], end=START + DAY + HOUR))
