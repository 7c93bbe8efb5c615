"""Putting a daemon together: what an earlier process left open must still be somebody's."""

from types import SimpleNamespace

import msgspec
import pytest

from core.errors import ConfigError
from tests.day import BTC, Day, enter_long, setup
from trader.assemble import Parts, refuse_orphans
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


def test_an_account_holds_something_while_an_order_or_a_position_of_it_lives():
    day = Day()
    parts = SimpleNamespace(desk=day.desk)
    assert not Parts._holds(parts, "main")
    day.begin()
    day.link_up()
    day.reconcile()
    assert not Parts._holds(parts, "main")
    enter_long(day)
    assert Parts._holds(parts, "main")
    assert not Parts._holds(parts, "another")
