"""Putting a daemon together: what an earlier process left open must still be somebody's."""

import msgspec
import pytest

from core.errors import ConfigError
from tests.day import BTC, Day, enter_long, setup
from trader.assemble import refuse_orphans
from trader.setup import DeskSetup


def holding() -> Day:
    day = Day()
    day.begin()
    day.link_up()
    day.reconcile()
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    return day


def without_btc() -> DeskSetup:
    whole = setup()
    trader = msgspec.structs.replace(whole.traders[0], instruments=())
    return msgspec.structs.replace(whole, traders=(trader,))


def test_what_is_still_held_must_stay_configured():
    with pytest.raises(ConfigError, match=BTC):
        refuse_orphans(holding().desk, without_btc())
    with pytest.raises(ConfigError, match="main"):
        refuse_orphans(holding().desk, msgspec.structs.replace(setup(), accounts=(), traders=()))


def test_what_is_finished_may_go():
    day = Day()
    day.begin()
    refuse_orphans(day.desk, without_btc())
    refuse_orphans(holding().desk, setup())
