"""Past trades and turnovers as REST serves them; the documented samples where they are at hand."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.errors import VenueError
from core.orders import Side
from tests.venue.test_client import NAMES, body, fake_rest
from venue import rest, rest_market
from venue.client import PublicRest

SHARED = Path(__file__).parents[3] / "shared" / "kraken" / "samples"
TRADES = (
    b'{"error":[],"result":{"XXBTZUSD":[["30243.4","0.34507674",1688669597.8277369,"b","m","",61044952],'
    b'["30243.3","0.0037696",1688669598.2804112,"s","l","",61044953],'
    b'["0.0","1.0",1688669599.0,"s","l","",61044954],["5.0","1.0",-3,"s","l","",61044955]],'
    b'"last":"1688669598280411200"}}'
)
TICKER = (
    b'{"error":[],"result":{"XXBTZUSD":{"a":["1","1","1"],"v":["10.0","20.0"],"p":["3.0","4.0"],'
    b'"t":[1,2],"o":"1"},"ODD":{"v":["1","NaN"],"p":["1","1"]}}}'
)


def page(raw):
    return rest_market.trade_page("BTC/USD", rest.result_of(raw, dict[str, msgspec.Raw]))


def test_trades_keep_time_id_and_side_and_impossible_rows_are_none():
    found = page(TRADES)
    assert [one.trade_id for one in found.trades] == [61044952, 61044953]
    first = found.trades[0]
    assert (first.instrument, first.ts_event, first.side) == ("BTC/USD", 1688669597827736900, Side.BUY)
    assert found.trades[1].side is Side.SELL
    assert found.last == "1688669598280411200"


@pytest.mark.parametrize(
    "result", [b'{"last":"1"}', b'{"XXBTZUSD":{},"last":"1"}', b'{"XXBTZUSD":[["dear"]],"last":"1"}', b"{}"]
)
def test_answer_that_is_not_as_documented_is_the_venues_fault(result):
    with pytest.raises(VenueError, match="expected trades of BTC/USD"):
        page(b'{"error":[],"result":' + result + b"}")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample folder is not on this machine")
def test_documented_sample_of_trades_is_read():
    found = page((SHARED / "rest_trades.json").read_bytes())
    assert [one.trade_id for one in found.trades] == [61044952, 61044953, 61044956]


def test_turnover_is_the_last_days_volume_at_its_mean_price():
    rows = rest.result_of(TICKER, dict[str, msgspec.Raw])
    assert rest_market.turnovers(rows, NAMES) == {"BTC/USD": Decimal(80), "ODD": Decimal(0)}


@pytest.mark.e2e
async def test_client_asks_with_the_venues_names_and_the_cursor_verbatim():
    async with fake_rest() as venue, PublicRest(venue.url) as client:
        venue.say("AssetPairs", body("rest_asset_pairs"))
        venue.say("Trades", TRADES.decode())
        venue.say("Ticker", TICKER.decode())
        assert len((await client.trades("BTC/USD", "1688669597827736899")).trades) == 2
        assert venue.requests[-1] == ("Trades", {"pair": "XBTUSD", "since": "1688669597827736899"})
        assert (await client.turnovers())["BTC/USD"] == 80
