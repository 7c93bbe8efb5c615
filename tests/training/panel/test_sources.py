import pytest

from core.errors import DataError
from core.market import Timeframe
from feeds.lake import Lake
from training.panel.sources import Source, offered, read

M5 = Timeframe.M5


def test_what_a_lake_offers_is_read_an_instrument_each(null_lake):
    there = offered(null_lake, "guard", M5)
    assert there == tuple(f"G{number}/USD" for number in range(6))
    assert [bars.instrument for bars in read(null_lake, Source("guard", M5))] == list(there)
    assert offered(null_lake, "guard", Timeframe.H1) == ()
    chosen = read(null_lake, Source("guard", M5, ("G4/USD", "G1/USD")))
    assert [bars.instrument for bars in chosen] == ["G4/USD", "G1/USD"]


def test_the_vault_is_not_even_read(null_lake):
    whole = Lake(null_lake).read("guard", "G0/USD", M5)
    start = int(whole.ts_open[1_000])
    (bars,) = read(null_lake, Source("guard", M5, ("G0/USD",), vault_start=start))
    assert bars.ts_close[-1] == start
    with pytest.raises(DataError, match=r"^lake: expected bars before the vault at 2024-01-01.*found none$"):
        read(null_lake, Source("guard", M5, ("G0/USD",), vault_start=int(whole.ts_open[0])))


@pytest.mark.parametrize(
    "source, words",
    [
        (Source("guard", M5, ("Z/USD",)), "expected guard 5m bars of Z/USD in .* found G0/USD, G1/USD"),
        (Source("guard", Timeframe.D1), "expected guard 1d bars of anything in .* found nothing"),
    ],
)
def test_absent_series_are_named(null_lake, source, words):
    with pytest.raises(DataError, match=words):
        read(null_lake, source)
