import numpy as np
import pytest

from core.clock import DAY, HOUR
from core.errors import UsageError
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import BarArrays
from inference.artifact import load
from inference.card import Kind
from inference.features.spec import SPECS
from training import regime
from training.guard.lake import VENUE
from training.labels import BarrierTerms
from training.provenance import Recipe
from training.report import tables, verdict
from training.volume import BACK, FEWEST, VOLUME, traded

START = parse_iso("2024-02-08")
H1 = Timeframe.H1
FIRST = parse_iso("2024-01-01")


def hours(volume) -> BarArrays:
    """Hourly bars from 2024-01-01 with these volumes."""
    count = len(volume)
    ts = FIRST + np.arange(count, dtype=np.int64) * H1.ns
    flat = np.full(count, 100.0)
    return BarArrays(
        "A/USD", H1, ts, flat, flat, flat, flat, np.asarray(volume, float), flat, np.ones(count, np.int32)
    )


def days(count: int, seed: int = 0) -> BarArrays:
    return hours(np.random.default_rng(seed).lognormal(size=count * 24))


def test_usual_is_the_80th_percentile_of_the_same_hour_on_the_thirty_days_before():
    volume = np.ones(31 * 24)
    volume[5::24][:30] = np.arange(1, 31)  # five o'clock: 1 .. 30, then what is asked about
    volume[30 * 24 + 5] = 48.4
    bars = hours(volume)
    (found,) = traded(bars, np.array([FIRST + 30 * DAY + 5 * HOUR]), HOUR).ahead
    # Rank 0.8 x 29 = 23.2 above the first: 24 + 0.2 = 24.2.
    assert found == pytest.approx(48.4 / 24.2)


def test_longer_horizons_are_summed_hour_for_hour():
    bars = days(40, seed=1)
    at = FIRST + 35 * DAY + 7 * HOUR
    (found,) = traded(bars, np.array([at]), 6 * HOUR).ahead
    blocks = [bars.volume[k * 24 + 7 : k * 24 + 13].sum() for k in range(5, 36)]
    assert found == pytest.approx(blocks[-1] / np.quantile(blocks[:-1], 0.8))


def test_the_label_of_a_row_ends_with_its_horizon_and_the_past_with_the_decision():
    bars = days(45, seed=2)
    at = FIRST + np.arange(35 * 24, 40 * 24, dtype=np.int64) * HOUR
    whole = traded(bars, at, 2 * HOUR)
    labelled = traded(bars.between(0, int(at[-1]) + 2 * HOUR), at, 2 * HOUR)
    assert np.array_equal(whole.ahead, labelled.ahead)
    cut = traded(bars.between(0, int(at[-1])), at, 2 * HOUR)
    assert np.array_equal(whole.behind, cut.behind, equal_nan=True)
    assert np.isnan(cut.ahead[-2:]).all()
    assert np.isfinite(cut.ahead[:-2]).all()


def test_ahead_of_one_decision_is_behind_the_one_a_horizon_later():
    at = FIRST + np.arange(36 * 24, 38 * 24, dtype=np.int64) * HOUR
    found = traded(days(40, seed=3), at, HOUR)
    assert np.array_equal(found.ahead[:-1], found.behind[1:, 0])
    assert found.behind.shape == (len(at), len(BACK))


def test_unknown_before_enough_days_across_holes_and_where_nothing_was_traded():
    bars = days(40, seed=4)
    early = FIRST + np.array([FEWEST - 1, FEWEST], np.int64) * DAY
    assert np.isnan(traded(bars, early, HOUR).ahead).tolist() == [True, False]
    at = FIRST + 35 * DAY
    hole = bars.between(0, at)
    assert np.isnan(traded(hole, np.array([at]), HOUR).ahead).all()
    silent = hours(np.where(bars.ts_open == at, 0.0, bars.volume))
    assert np.isnan(traded(silent, np.array([at]), HOUR).ahead).all()


def test_a_horizon_that_overlaps_what_is_usual_is_refused():
    with pytest.raises(UsageError, match="expected a day at most"):
        traded(days(40), np.array([FIRST + 35 * DAY]), 25 * HOUR)
    assert np.isfinite(traded(days(40), np.array([FIRST + 35 * DAY]), DAY).ahead).all()


def plan() -> Recipe:
    return Recipe(
        name="made",
        spec=SPECS["entry_5m"],
        venue=VENUE,
        source=Timeframe.M5,
        terms=BarrierTerms(Timeframe.M5, horizon_bars=12),
        max_rows=4_000,
        instruments=("G0/USD", "G1/USD"),
        test_start=START,
    )


@pytest.fixture(scope="module")
def trained(null_lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "made"
    return regime.train(VOLUME, plan(), null_lake, out, lambda _: None), out


def test_clustered_volume_is_foreseen_and_the_card_shows_what_the_hour_alone_knows(trained):
    card, out = trained
    metrics = card.metrics
    assert (card.kind, card.classes) == (Kind.VOLUME, ("normal", "rising"))
    assert metrics.auc.low > 0.55
    assert metrics.log_loss < metrics.log_loss_hour
    assert card.parameters["bound_usual"] == 1.0
    assert "rising: over the coming 12 bars of 5m more is traded than the 80th percentile" in card.label.rule
    assert verdict(card).startswith("This model opens no trades: it says normal or rising.")
    assert any(
        "hour of the day" in str(column._cells)
        for table in tables(card)
        if not isinstance(table, str)
        for column in table.columns
    )
    assert load(out).card == card
