"""The control door's values."""

import msgspec
import pytest

from core.events import Verb
from tests.desk_story import QuietControl
from trader.control import Control, Health


def test_health_is_a_value():
    health = Health(live=True, ready=False, reasons=("not reconciled",))
    assert msgspec.json.decode(msgspec.json.encode(health), type=Health) == health
    with pytest.raises(AttributeError):
        health.live = False


async def test_the_fake_of_the_tests_fills_the_protocol():
    control: Control = QuietControl()
    await control.submit(Verb.RESUME, "anna", "calm again", force=True)
    assert control.asked == [(Verb.RESUME, "anna", "calm again", True)]
    assert control.health().ready
