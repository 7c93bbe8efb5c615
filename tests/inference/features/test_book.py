"""Columns of books against plain numpy, on made-up tops and on a recorded book."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.clock import MINUTE, SECOND
from core.market import Quote
from core.signal import BookState
from inference.features.book import COLUMNS, HOLE, WINDOW, BookColumns

BTC, ETH = "BTC/USD", "ETH/USD"
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "book" / "binance-coinm"


def quote(ts: int, bid: float, ask: float, bid_quantity: float = 1.0, ask_quantity: float = 1.0) -> Quote:
    figures = (Decimal(str(figure)) for figure in (bid, ask, bid_quantity, ask_quantity))
    return Quote(BTC, ts, *figures)


def named(columns: BookColumns, instrument: str = BTC) -> dict[str, float]:
    return dict(zip(COLUMNS, columns.row(instrument), strict=True))


def sampled(quotes: list[Quote], every: int) -> np.ndarray:
    """Give the row after each quote, each sampled `every` ns after the one before."""
    columns = BookColumns([ETH, BTC])
    rows = []
    for number, one in enumerate(quotes):
        columns.on_tops(number * every, [one])
        rows.append(columns.row(BTC))
    return np.array(rows)


def assert_equals_numpy(rows: np.ndarray, quotes: list[Quote]) -> None:
    tops = np.array([[float(f) for f in (q.bid, q.ask, q.bid_quantity, q.ask_quantity)] for q in quotes]).T
    spread = (tops[1] - tops[0]) / ((tops[1] + tops[0]) / 2)
    heavier = (tops[2] - tops[3]) / (tops[2] + tops[3])
    mean = [heavier[0]]
    for value in heavier[1:]:
        mean.append(mean[-1] + (value - mean[-1]) * 2 / 11)
    before = np.lib.stride_tricks.sliding_window_view(spread, WINDOW)[:-1]
    deviation = before.std(1)
    z = np.divide(
        spread[WINDOW:] - before.mean(1), deviation, out=np.zeros(len(deviation)), where=deviation > 1e-15
    )
    found = dict(zip(COLUMNS, rows.T, strict=True))
    assert found["spread"] == pytest.approx(spread, rel=1e-12)
    assert found["imbalance"] == pytest.approx(heavier, abs=1e-12)
    assert found["imbalance_mean"] == pytest.approx(mean, abs=1e-12)
    assert np.isnan(found["spread_z"][:WINDOW]).all()
    assert found["spread_z"][WINDOW:] == pytest.approx(z.clip(-20, 20), rel=1e-6, abs=1e-6)


def test_columns_equal_plain_numpy():
    random = np.random.default_rng(1)
    bids = random.integers(50_000, 50_100, 300)
    quotes = [
        quote(0, int(bid), int(bid) + int(width), *(int(q) for q in random.integers(1, 9, 2)))
        for bid, width in zip(bids, random.integers(1, 30, 300), strict=True)
    ]
    assert_equals_numpy(sampled(quotes, MINUTE), quotes)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded books beside the checkout")
def test_columns_equal_plain_numpy_on_a_recorded_book():
    tops = pl.read_parquet(RECORDED / "ETH-USD-PERP.parquet").filter(pl.col("kind") == 3)
    bids, asks = tops.filter(pl.col("side") == 1)[::50], tops.filter(pl.col("side") == -1)[::50]
    assert (bids["seq"] == asks["seq"]).all()
    pairs = zip(bids.iter_rows(named=True), asks.iter_rows(named=True), strict=True)
    quotes = [quote(b["recv_ns"], b["price"], a["price"], b["qty"], a["qty"]) for b, a in pairs]
    assert len(quotes) > 300
    assert_equals_numpy(sampled(quotes, SECOND), quotes)


def test_age_is_that_of_the_quote_when_it_was_sampled():
    columns = BookColumns([BTC])
    columns.on_tops(5 * MINUTE, [quote(5 * MINUTE - 7 * SECOND, 99, 101, 3, 1)])
    row = named(columns)
    assert (row["age_s"], row["spread"], row["imbalance"]) == (7.0, 0.02, 0.5)
    assert np.isnan(columns.row(ETH)).all()


def test_an_instrument_without_a_quote_is_unknown_and_goes_on_with_the_next():
    columns = BookColumns([BTC])
    columns.on_tops(0, [quote(0, 99, 101, 1, 0)])
    columns.on_tops(MINUTE, [])
    assert np.isnan(columns.row(BTC)).all()
    columns.on_tops(2 * MINUTE, [quote(0, 99, 101, 0, 1)])
    assert named(columns)["imbalance_mean"] == pytest.approx(1 - 2 * 2 / 11)
    columns.on_tops(2 * MINUTE + HOLE + 1, [quote(0, 99, 101, 0, 1)])
    assert named(columns)["imbalance_mean"] == -1.0


@pytest.mark.parametrize("bad", [(101, 99, 1, 1), (0, 99, 1, 1), (99, 101, 0, 0)])
def test_a_top_that_cannot_be_true_is_unknown_and_spoils_nothing(bad):
    good = [quote(0, 99, 101 + k % 3, 1 + k % 2, 2) for k in range(WINDOW + 20)]
    rows = sampled([*good[:70], quote(0, *bad), *good[70:]], MINUTE)
    assert np.isnan(rows[70, :-1]).all()
    np.testing.assert_array_equal(np.delete(rows, 70, 0)[:, :-1], sampled(good, MINUTE)[:, :-1])


def test_depth_is_weighed_over_the_levels_given_and_only_for_this_sample():
    columns = BookColumns([BTC])
    columns.on_tops(0, [quote(0, 99, 101)])
    bids = [(Decimal(99), Decimal(3)), (Decimal(98), Decimal(4))]
    asks = [(Decimal(101), Decimal(1))]
    columns.on_depths({BTC: (bids, asks), ETH: (bids, asks)})
    assert named(columns)["depth_imbalance"] == 0.75
    columns.on_depths({BTC: ([], [])})
    assert np.isnan(named(columns)["depth_imbalance"])
    columns.on_depths({BTC: (bids, asks)})
    columns.on_tops(MINUTE, [quote(0, 99, 101)])
    assert np.isnan(named(columns)["depth_imbalance"])


def test_instruments_do_not_touch_each_other():
    columns, alone = BookColumns([ETH, BTC]), BookColumns([BTC])
    for k in range(WINDOW + 5):
        one = quote(0, 99, 101 + k % 5, 1 + k % 3)
        other = Quote(ETH, 0, Decimal(5), Decimal(6 + k % 2), Decimal(1), Decimal(k % 4))
        columns.on_tops(k * MINUTE, [other, one])
        alone.on_tops(k * MINUTE, [one])
        np.testing.assert_array_equal(columns.row(BTC), alone.row(BTC))


def test_rules_are_told_what_is_known_and_nothing_that_was_sampled_before_their_close():
    columns = BookColumns([ETH, BTC])
    assert columns.since(0) == {}
    columns.on_tops(5 * MINUTE, [quote(5 * MINUTE - 7 * SECOND, 99, 101, 3, 1)])
    assert columns.since(5 * MINUTE) == {BTC: BookState(0.02, 0.5, 0.5, 7.0, None, None)}
    assert columns.since(5 * MINUTE + 1) == {}
    for k in range(6, 6 + WINDOW):
        columns.on_tops(k * MINUTE, [quote(k * MINUTE, 99, 101, 3, 1)])
    columns.on_depths({BTC: ([(Decimal(99), Decimal(1))], [(Decimal(101), Decimal(4))])})
    assert columns.since(0)[BTC] == BookState(0.02, 0.5, 0.5, 0.0, 0.0, -0.6)
    columns.on_tops(99 * MINUTE, [quote(99 * MINUTE, 101, 99)])  # crossed: none
    assert columns.since(0) == {}
