"""Folds put end to end, and the same trades entered at random: golden numbers by hand."""

from decimal import Decimal

import msgspec
import polars as pl
import pytest

from core.clock import DAY, HOUR
from core.errors import DataError
from core.text import parse_iso
from trader.backtest.record import Fold, RunCard, RunRecord, Trip
from trader.evaluation.assessment import judge
from training.walkforward.chain import ASSUMPTIONS, chain
from training.walkforward.chance import chance

START = parse_iso("2024-03-01")


def trip(opened: int, *, gross: str, fees: str = "0", instrument: str = "BTC/USDT") -> Trip:
    return Trip(
        account="walk",
        trader="walk",
        instrument=instrument,
        side="long",
        opened=opened,
        closed=opened + 5 * HOUR,
        quantity=Decimal(2),
        entry=Decimal(100),
        exit=Decimal(100) + Decimal(gross) / 2,
        gross=Decimal(gross),
        fees=Decimal(fees),
        margin_fees=Decimal(0),
        slippage=Decimal(1),
        turnover=Decimal(400) + Decimal(gross),
        ended_by="target",
    )


def record(start: int, days: int, trips: tuple[Trip, ...], *, exposure: float = 0.0) -> RunRecord:
    """A run on 1,000 whose curve has a row for each trip's end, and a last one with this exposure."""
    equity, fees, rows, pairs = 1000.0, 0.0, [], []
    for one in trips:
        equity, fees = equity + float(one.net), fees + float(one.fees)
        rows.append((one.closed, "walk", equity, exposure, fees))
        pairs.append((one.closed, one.instrument, equity - 1000.0, fees, exposure))
    card = RunCard(
        version="1",
        command="",
        config_hash="",
        config={"trader": []},
        data_hash=str(start),
        venue="binance",
        timeframe="5m",
        instruments=tuple(dict.fromkeys(one.instrument for one in trips)),
        start=start,
        end=start + days * DAY,
        cash={"walk": Decimal(1000)},
        schedule="kraken",
        models=(),
        assumptions=("Fills are made up.",),
        counts={"orders": 3},
        refusals={"low_confidence": 2},
        notices={},
        showcase=False,
    )
    names = ("equity", "exposure", "fees")
    curve = pl.DataFrame(
        rows, {"ts": pl.Int64, "account": pl.String} | dict.fromkeys(names, pl.Float64), orient="row"
    )
    names = ("net", "fees", "exposure")
    schema = {"ts": pl.Int64, "instrument": pl.String} | dict.fromkeys(names, pl.Float64)
    return RunRecord(card, trips, curve, pl.DataFrame(pairs, schema, orient="row"))


def fold(number: int, one: RunRecord) -> Fold:
    start, end = one.card.start, one.card.end
    return Fold(
        number=number,
        train_start=start - 30 * DAY,
        train_end=start,
        validation_start=start - 6 * DAY,
        test_start=start,
        test_end=end,
        purged_rows=1,
        tuned={},
    )


def two(exposure: float = 0.0) -> tuple[RunRecord, RunRecord]:
    first = record(START, 2, (trip(START + HOUR, gross="110", fees="10"),), exposure=exposure)
    second = record(START + 2 * DAY, 3, (trip(START + 3 * DAY, gross="-40", fees="10"),))
    return first, second


def test_the_second_fold_counts_what_the_first_has_made_of_one():
    first, second = two()
    joined = chain([first, second], [fold(1, first), fold(2, second)], "training walkforward")
    # The first makes 110 - 10 = 100 of 1,000; the second loses 50 of 1,000, of what is now 1,100: 55.
    assert [one.net for one in joined.trips] == [Decimal(100), Decimal(-55)]
    assert joined.trips[1].quantity == Decimal("2.2")
    assert joined.trips[1].turnover == Decimal("396.0")
    assert joined.curve["equity"].to_list() == pytest.approx([1100.0, 1045.0])
    assert joined.curve["fees"].to_list() == pytest.approx([10.0, 21.0])
    assert joined.pairs["net"].to_list() == pytest.approx([100.0, 45.0])
    assert joined.pairs["fees"].to_list() == pytest.approx([10.0, 21.0])
    card = joined.card
    assert (card.start, card.end) == (START, START + 5 * DAY)
    assert (card.counts, card.refusals) == ({"orders": 6}, {"low_confidence": 4})
    assert card.assumptions == (*ASSUMPTIONS, "Fills are made up.")
    assert [one.number for one in card.folds] == [1, 2]


def test_what_is_open_at_a_folds_end_is_flat_after_it():
    first, second = two(exposure=250.0)
    joined = chain([first, second], [fold(1, first), fold(2, second)], "")
    assert joined.curve.filter(pl.col("ts") == START + 2 * DAY)["exposure"].to_list() == [0.0]
    ended = joined.pairs.filter(pl.col("ts") == START + 2 * DAY)
    assert ended.rows() == [(START + 2 * DAY, "BTC/USDT", 100.0, 10.0, 0.0)]


@pytest.mark.parametrize("exposure", [0.0, 250.0])
def test_what_answers_a_folds_last_close_belongs_to_that_fold(exposure):
    """An order of the last close fills a moment after it, and its row is that of the next hour."""
    first, second = two()
    end = first.card.end
    late = trip(end - 5 * HOUR + 50, gross="-40", fees="10") if not exposure else trip(end + 50, gross="-50")
    late = msgspec.structs.replace(late, closed=max(end, late.opened + 50))
    columns = {"net": [100.0, 50.0], "fees": [10.0, 20.0], "exposure": [0.0, exposure]}
    first = RunRecord(
        first.card,
        (*first.trips, late),
        pl.concat([first.curve, first.curve.tail(1).with_columns(ts=end + HOUR, equity=1050.0, fees=20.0)]),
        first.pairs.vstack(first.pairs.with_columns(ts=end + HOUR)).with_columns(
            **{name: pl.Series(values) for name, values in columns.items()}
        ),
    )
    curve = first.curve.with_columns(exposure=pl.Series([0.0, exposure]))
    first = RunRecord(first.card, first.trips, curve, first.pairs)
    joined = chain([first, second], [fold(1, first), fold(2, second)], "")
    assert joined.curve["ts"].to_list() == [START + 6 * HOUR, end, START + 3 * DAY + 5 * HOUR]
    assert joined.pairs["ts"].to_list() == joined.curve["ts"].to_list()
    assert joined.pairs["exposure"].to_list() == joined.curve["exposure"].to_list() == [0.0] * 3
    folds = judge(joined).figures.folds
    assert [one.returns.total for one in folds] == pytest.approx([0.05, -0.05])
    assert [one.trips.trades for one in folds] == [2, 1]
    assert all(one.opened <= one.closed for one in joined.trips)


def test_what_was_lost_with_more_than_all_cash_stays_lost():
    first = record(START, 2, (trip(START + HOUR, gross="-1200"),))
    second = record(START + 2 * DAY, 3, (trip(START + 3 * DAY, gross="-40"),))
    joined = chain([first, second], [fold(1, first), fold(2, second)], "")
    # Two losses do not make a profit.
    assert [one.net for one in joined.trips] == [Decimal(-1200), Decimal(0)]
    assert joined.curve["equity"].to_list() == [-200.0, 0.0]
    assert judge(joined).figures.pooled.returns.total == -1.0


def test_refuses_folds_that_do_not_adjoin_or_start_with_other_cash():
    first, second = two()
    folds = [fold(1, first), fold(2, second)]
    with pytest.raises(DataError, match="expected folds that adjoin"):
        chain([second, first], folds, "")
    richer = msgspec.structs.replace(second.card, cash={"walk": Decimal(2000)})
    with pytest.raises(DataError, match="expected one account with the same cash"):
        chain([first, msgspec.structs.replace(second, card=richer)], folds, "")


def still(folder, price_of):
    """A lake of a week of hours whose price follows a function of the hour."""
    hours = range(7 * 24)
    prices = [float(price_of(hour)) for hour in hours]
    path = folder / "ohlcv" / "binance" / "BTC-USDT" / "5m.parquet"
    path.parent.mkdir(parents=True)
    steps = range(7 * 288)
    at = [prices[step // 12] for step in steps]
    frame = {"ts": [START // 1_000_000 + step * 300_000 for step in steps], "volume": [1.0] * len(at)}
    pl.DataFrame(frame | dict.fromkeys(("open", "high", "low", "close"), at)).write_parquet(path)
    return folder


def test_entries_at_random_in_a_still_market_lose_their_costs(tmp_path):
    trips = tuple(trip(START + n * 6 * HOUR, gross="9", fees="3") for n in range(4))
    draws, found = chance(record(START, 5, trips), still(tmp_path, lambda _: 100), seed=1)
    # Four trades pay 3 in fees and 1 in slippage each, of 1,000.
    assert draws == 200
    assert (found.value, found.low, found.high) == pytest.approx((-0.016, -0.016, -0.016))


def test_sides_are_drawn_so_that_a_rising_market_is_no_gift(tmp_path):
    trips = tuple(trip(START + n * 2 * HOUR, gross="9") for n in range(40))
    lake = still(tmp_path, lambda hour: 100 * 1.002**hour)
    _, found = chance(record(START, 5, trips), lake, seed=1)
    # Each trade moves five hours, about one percent of 200; forty of them with random sides.
    # Forty of them cost 40 of 1,000 in slippage, and their sides cancel out on average.
    assert abs(found.value + 0.04) < 0.004
    assert found.low < -0.055
    assert found.high > -0.025
    assert chance(record(START, 5, trips), lake, seed=1)[1] == found
