"""The choice of instruments at a start: names, or everything that passes the filters."""

import pytest

from core.clock import DAY, ManualClock
from core.errors import ConfigError, DataError, JournalError, LinkLost, VenueUnavailable
from feeds.universe import read
from tests.feeds.test_universe import MARKET
from tests.trader.test_config import BASE, refused, write
from trader.config import load
from trader.reload import changed_keys
from trader.statedir import StatePaths
from trader.universe import select

NAMES = '[universe]\ninstruments = ["BTC/USDT", "ETH/USDT"]'
ALL = '[universe]\ninstruments = "all"\n'
NOW = 20_000 * DAY


class Venue:
    def __init__(self, *, broken=""):
        self.broken = broken

    async def asset_pairs(self):
        if self.broken == "pairs":
            raise LinkLost("no")
        return dict(MARKET.instruments)

    async def turnovers(self):
        if self.broken == "turnovers":
            raise LinkLost("no")
        return MARKET.turnovers


def configured(folder, universe=ALL):
    return load([write(folder, BASE.replace(NAMES, universe).replace('"USDT"', '"USD"'))], {})


async def selected(folder, universe=ALL, *, venue=None, now=NOW, kept=()):
    config = configured(folder, universe)
    return await select(config, venue or Venue(), StatePaths(folder), ManualClock(now), kept=kept)


async def test_all_is_spelt_out_and_traders_get_what_their_account_can_pay(tmp_path):
    found = await selected(tmp_path, ALL + 'minimum_turnover = 1000\nexclude = ["DEAR/USD"]\n')
    assert found.config.universe.instruments == ("BTC/USD", "DOGE/USD", "ETH/EUR")
    assert found.config.traders[0].instruments == ("BTC/USD", "DOGE/USD")
    assert found.instruments.keys() == {"BTC/USD", "DOGE/USD", "ETH/EUR"}
    assert found.turnovers["BTC/USD"] == 9_000_000


async def test_what_is_still_open_stays_whatever_the_filters_say(tmp_path):
    text = ALL + 'minimum_turnover = 8500000\nexclude = ["THIN/USD"]\n'
    found = await selected(tmp_path, text, kept=["THIN/USD", "OFF/USD"])
    assert found.config.universe.instruments == ("BTC/USD", "OFF/USD", "THIN/USD")


async def test_every_start_adds_to_the_history_of_listings(tmp_path):
    await selected(tmp_path)
    file = tmp_path / "listings.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"symbol":"TO')  # a crash
    await selected(tmp_path, now=NOW + DAY)
    assert file.read_bytes() == whole
    assert read(whole, "").at(NOW) == MARKET.instruments.keys()


async def test_refusals_are_one_line(tmp_path):
    with pytest.raises(
        ConfigError, match="universe: expected pairs that fit its filters, found none among 6"
    ):
        await selected(tmp_path, ALL + 'quotes = ["JPY"]\n')
    named = '[universe]\ninstruments = ["BTC/USD", "NO/USD"]\n'
    with pytest.raises(ConfigError, match="that loopback lists, found NO/USD"):
        await selected(tmp_path, named)
    with pytest.raises(VenueUnavailable, match="expected loopback at"):
        await selected(tmp_path, venue=Venue(broken="pairs"))
    (tmp_path / "listings.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(DataError, match=r"listings.jsonl: line 1"):
        await selected(tmp_path)
    (tmp_path / "listings.jsonl").unlink()
    (tmp_path / "listings.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"listings.jsonl: expected a file"):
        await selected(tmp_path)


async def test_names_keep_their_order_and_need_no_turnover(tmp_path):
    named = '[universe]\ninstruments = ["THIN/USD", "BTC/USD"]\n'
    found = await selected(tmp_path, named, venue=Venue(broken="turnovers"))
    assert found.config.universe.instruments == ("THIN/USD", "BTC/USD")
    assert found.turnovers == {}


async def test_reload_of_an_unchanged_file_changes_nothing(tmp_path):
    found = await selected(tmp_path)
    fresh = configured(tmp_path).resolved(found.config.universe.instruments)
    assert changed_keys(found.config, fresh) == []
    assert fresh.hash == found.config.hash


@pytest.mark.parametrize(
    "universe, text",
    [
        ('instruments = ["all", "BTC/USD"]', "universe.instruments: expected names, or 'all' alone"),
        ('instruments = ["BTC/USD"]\nquotes = ["USD"]', "universe.quotes: expected instruments = 'all'"),
        ('instruments = "some"', "universe.instruments"),
        ('instruments = "all"\nminimum_leverage = 0', "universe.minimum_leverage"),
        ('instruments = "all"\nquote = ["USD"]', "universe.quote: unknown key; did you mean 'quotes'?"),
    ],
)
def test_universe_that_cannot_be_is_one_line(tmp_path, universe, text):
    path = write(tmp_path, BASE.replace(NAMES, "[universe]\n" + universe))
    assert text in refused(path)


@pytest.mark.parametrize(
    "table, text",
    [
        ("[recorder]\nenabled = true", "recorder.directory: expected the folder of a lake"),
        ("[feed]\ninstruments_per_connection = 0", "feed.instruments_per_connection"),
    ],
)
def test_feed_tables_that_cannot_be_are_one_line(tmp_path, table, text):
    assert text in refused(write(tmp_path, BASE + table))


def test_recorder_directory_is_relative_to_its_file(tmp_path):
    text = BASE + '[recorder]\nenabled = true\ndirectory = "lake"\ninstruments = ["BTC/USD"]\n'
    table = load([write(tmp_path, text)], {}).recorder
    assert (table.directory, table.instruments) == (tmp_path / "lake", ("BTC/USD",))
