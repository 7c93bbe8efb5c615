import json
from pathlib import Path

import pytest

from core.errors import DataError
from feeds.archive_names import PairNames, read_names

SAMPLES = Path(__file__).parents[3] / "shared" / "kraken" / "samples"


@pytest.mark.parametrize(
    "altname,instrument",
    [
        ("XBTUSD", "BTC/USD"),
        ("XDGUSD", "DOGE/USD"),
        ("XDGXBT", "DOGE/BTC"),
        ("ETHXBT", "ETH/BTC"),
        ("XBTUSDT", "BTC/USDT"),
        ("USDTUSD", "USDT/USD"),
        ("USDCUSDT", "USDC/USDT"),
        ("USDCAUD", "USDC/AUD"),
        ("USDCAD", "USD/CAD"),
        ("XTZUSD", "XTZ/USD"),
        ("TUSD", "T/USD"),
        ("PYUSDUSD", "PYUSD/USD"),
        ("XBTPYUSD", "BTC/PYUSD"),
        ("ADAETH", "ADA/ETH"),
        ("KSMDOT", "KSM/DOT"),
        ("1INCHEUR", "1INCH/EUR"),
        ("TSLAxUSD", "TSLAx/USD"),
    ],
)
def test_short_names_are_split_at_the_longest_quote(altname, instrument):
    assert PairNames().instrument(altname) == instrument


@pytest.mark.parametrize("altname", ["", "USD", "XBT", "FOOBAR", "README", "XBT.dUSD", "XBTUSD.d", "xbtusd"])
def test_a_name_that_does_not_resolve_is_not_guessed(altname):
    assert PairNames().instrument(altname) is None


def test_kraken_s_own_list_wins(tmp_path):
    pairs = {
        "A": {"altname": "ABCDOT", "wsname": "ABCD/OT"},
        "B": {"altname": "XBTUSD.d"},
        "C": {"altname": "XDGXBT", "wsname": "XDG/XBT"},
    }
    path = tmp_path / "AssetPairs.json"
    path.write_text(json.dumps({"error": [], "result": pairs}))
    names = read_names(path)
    assert names.instrument("ABCDOT") == "ABCD/OT"
    assert names.instrument("XBTUSD.d") is None
    assert names.instrument("XDGXBT") == "DOGE/BTC"
    assert names.instrument("ETHEUR") == "ETH/EUR"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"result": 1}', '{"result": {"A": {"altname": "X", "wsname": "no slash"}}}']
)
def test_a_list_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "AssetPairs.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"AssetPairs\.json: expected"):
        read_names(path)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recorded samples are not on this machine")
def test_the_recorded_answer_reads():
    assert read_names(SAMPLES / "rest_asset_pairs.json").instrument("ETHXBT") == "ETH/BTC"
