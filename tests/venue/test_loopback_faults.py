"""Faults that can be armed: the schedule, its refusals, and the page that lists them."""

from pathlib import Path

import msgspec
import pytest

from core.clock import SECOND
from core.errors import ConfigError
from venue.loopback_fault_catalogue import CATALOGUE, SECTIONS, Point
from venue.loopback_faults import Fault, Schedule

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BOOK = {"stream": "public", "channel": "book", "type": "update", "symbol": "XRP/USDT"}


def struck(schedule, facts, now=0, times=1):
    return [fault.name for _ in range(times) for fault in schedule.strike(Point.FRAME, facts, now)]


def test_a_fault_strikes_once_unless_it_says_otherwise():
    schedule = Schedule()
    schedule.add([Fault(name="corrupt_checksum")], 0)
    assert struck(schedule, BOOK, times=3) == ["corrupt_checksum"]
    assert schedule.idle
    schedule.add([Fault(name="corrupt_checksum", count=2)], 0)
    assert struck(schedule, BOOK, times=3) == ["corrupt_checksum"] * 2
    assert schedule.fired == {"corrupt_checksum": 3}


def test_a_fault_waits_and_ends():
    schedule = Schedule()
    schedule.add([Fault(name="stall", start_s=1, duration_s=2)], 5 * SECOND)
    at = {second: struck(schedule, BOOK, second * SECOND) for second in (5, 6, 7, 8)}
    assert at == {5: [], 6: ["stall"], 7: ["stall"], 8: []}
    assert schedule.idle


@pytest.mark.parametrize(
    "match, facts, wanted",
    [
        ({}, BOOK, True),
        ({}, BOOK | {"channel": "trade"}, False),
        ({"symbol": "BTC/USDT"}, BOOK, False),
        ({"symbol": "BTC/USDT|XRP/USDT"}, BOOK, True),
        ({"cl_ord_id": "x"}, BOOK, False),
    ],
)
def test_a_fault_strikes_where_all_facts_fit(match, facts, wanted):
    schedule = Schedule()
    schedule.add([Fault(name="corrupt_checksum", match=match)], 0)
    assert struck(schedule, facts) == ["corrupt_checksum"] * wanted
    assert schedule.strike(Point.REQUEST, facts, 0) == []


def test_probability_is_decided_by_the_seed_alone():
    def run(seed):
        schedule = Schedule(seed)
        schedule.add([Fault(name="burst", count=1000, probability=0.3)], 0)
        return [bool(struck(schedule, BOOK)) for _ in range(400)]

    assert run(1) == run(1) != run(2)
    assert 80 < sum(run(1)) < 160


def test_clearing_by_name_and_all():
    schedule = Schedule()
    schedule.add([Fault(name="burst"), Fault(name="deep"), Fault(name="huge")], 0)
    assert schedule.clear(["deep"]) == 1
    assert [row["fault"]["name"] for row in schedule.listing()] == ["burst", "huge"]
    assert schedule.clear() == 2
    assert schedule.idle


@pytest.mark.parametrize(
    "fault, words",
    [
        ({"name": "nonsense"}, r"expected a fault of docs/faults.md, found 'nonsense'"),
        ({"name": "burst", "seconds": 1.0}, "fault burst: expected times, found seconds"),
        ({"name": "trade_gap", "error": "x"}, "expected no parameters, found error"),
        ({"name": "delay_ack"}, "expected seconds, found none"),
        ({"name": "delay_ack", "seconds": -1.0}, "not negative"),
        ({"name": "lockout"}, "expected count or duration_s"),
        ({"name": "burst", "probability": 0.0}, "probability"),
        ({"name": "burst", "probability": float("nan")}, "probability"),
        ({"name": "burst", "count": 0}, "count"),
        ({"name": "burst", "times": 0}, "times"),
        ({"name": "mode", "system": "asleep"}, "system in online"),
        ({"name": "close", "code": 7}, "code"),
        ({"name": "close", "stream": "both"}, "stream"),
        ({"name": "channel_dead", "duration_s": 1.0}, "expected match, found none"),
        ({"name": "instrument_change", "symbol": "A/B", "fields": {"colour": "1"}}, "fields among"),
        ({"name": "instrument_change", "symbol": "A/B", "fields": {"price_increment": "NaN"}}, "positive"),
        ({"name": "instrument_change", "symbol": "A/B", "fields": {"price_increment": "x"}}, "positive"),
    ],
)
def test_a_fault_that_cannot_be_armed_says_why_in_one_line(fault, words):
    schedule = Schedule()
    with pytest.raises(ConfigError, match=words) as refused:
        schedule.add([Fault(name="burst"), Fault(**fault)], 0)
    assert "\n" not in str(refused.value)
    assert schedule.idle  # all or none


def test_unknown_parameters_are_refused_by_the_decoder():
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert({"name": "burst", "colour": 1}, Fault)


def row(name):
    kind = CATALOGUE[name]
    presets = {key: f"{key} = {kind.preset[key]}" for key in kind.preset if key in kind.takes}
    parameters = ", ".join(presets.get(one, one) for one in kind.takes) or "–"
    where = ", ".join(kind.points)
    lasting = " (until `count` or `duration_s`)" if kind.lasting else ""
    match = "; ".join(f"{key} {value.replace('|', ', ')}" for key, value in kind.match.items()) or "–"
    return f"| `{name}` | {where} | {match} | {parameters} | {kind.text}{lasting} | {kind.ids} |"


def test_the_page_lists_every_fault_as_it_is():
    lines = PAGE.read_text().splitlines()
    listed = [line for line in lines if line.startswith("| `")]
    assert listed == [row(name) for rows in SECTIONS.values() for name in rows]
    assert [line[3:] for line in lines if line.startswith("## ")][: len(SECTIONS)] == list(SECTIONS)
