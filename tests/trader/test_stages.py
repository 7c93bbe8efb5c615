"""Stages of a decision: each duration lands under its own name, wherever it is shown."""

import asyncio

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from core.clock import MINUTE, SECOND, ManualClock
from tests import desk_story as story
from tests.venue.fake_kraken import running
from trader.outbox import Outbox
from trader.stages import KEPT_CLOSES, StageClock
from trader.state import ReadModel
from trader.state_opinions import STAGES
from trader.telemetry import Telemetry

MS = 1_000_000


class Heard:
    def __init__(self):
        self.stages = []

    def on_stage(self, stage, ns):
        self.stages.append((stage, ns))


def stages():
    clock, heard = ManualClock(story.START), Heard()
    return StageClock(clock, heard), clock, heard.stages


def pass_ms(clock, ms):
    clock.advance_to(clock.now() + ms * MS)


def test_a_close_is_timed_from_the_bars_end_and_the_door_from_the_bars():
    watch, clock, heard = stages()
    pass_ms(clock, 150)
    watch.on_bars(story.START)
    pass_ms(clock, 3)
    watch.on_request(story.START)
    assert heard == [("close", 150 * MS), ("door", 3 * MS)]
    assert watch.since_close(story.START) == 3 * MS


def test_an_unknown_or_old_close_gives_no_figure():
    watch, _, heard = stages()
    for number in range(KEPT_CLOSES + 1):
        watch.on_bars(story.START - number * MINUTE)
    heard.clear()
    watch.on_request(story.START)
    watch.on_request(12345)
    assert heard == []
    assert watch.since_close(story.START) is None


def test_a_prediction_tells_of_its_own_stages_and_the_desk_of_its_judgement():
    watch, _, heard = stages()
    ((event, _),) = story.judged(story.START)
    watch.on_prediction(event, 2 * MS)
    assert heard == [
        ("queue", 400_000),
        ("features", 1_100_000),
        ("models", 1_700_000),
        ("blend", 200_000),
        ("risk", 2 * MS),
    ]
    heard.clear()
    watch.on_prediction(msgspec.structs.replace(event, stages=()), 2 * MS)
    assert heard == [("risk", 2 * MS)]


async def test_an_order_is_timed_until_its_gateway_has_it():
    watch, clock, heard = stages()
    taken = asyncio.Event()

    class Slow:
        async def run(self):
            await asyncio.Event().wait()

        async def send(self, commands):
            pass_ms(clock, 7)
            taken.set()

        async def close(self):
            pass

    outbox = Outbox(Slow(), watch=lambda: watch.watch("order"))
    async with running(outbox.run()):
        outbox.put(story.submit("A", "BTC/USDT", story.Side.BUY, "1"))
        outbox.put(story.submit("B", "BTC/USDT", story.Side.BUY, "1"))
        await asyncio.wait_for(taken.wait(), 5)
        await asyncio.sleep(0)
    assert heard == [("order", 7 * MS)]


def test_every_stage_has_its_percentiles_on_the_page():
    model = ReadModel(story.setup())
    for ms in range(1, 101):
        model.on_stage("journal", ms * MS)
    shown = model.view()["latency"]["stages_ms"]
    assert tuple(shown) == STAGES
    assert shown["journal"] == {"p50": 51.0, "p99": 100.0, "count": 100}
    assert shown["models"] == {"p50": None, "p99": None, "count": 0}


def test_every_stage_is_a_histogram_and_late_answers_are_counted():
    figures = Telemetry(ReadModel(story.setup()))
    watch = StageClock(ManualClock(story.START + SECOND), figures)
    watch.on_bars(story.START)
    ((event, decisions),) = story.judged(story.START)
    figures.on_step(1, msgspec.structs.replace(event, late=True), decisions)
    figures.on_step(2, msgspec.structs.replace(event, error="broken", opinions=()), [])
    watch.on_prediction(event, 3 * MS)
    found = {
        (sample.name, sample.labels.get("stage", "")): sample.value
        for family in text_string_to_metric_families(figures.exposition().decode())
        for sample in family.samples
    }
    assert found["trader_decision_seconds_sum", "close"] == 1.0
    assert found["trader_decision_seconds_sum", "risk"] == 0.003
    assert found["trader_decision_seconds_count", "inference"] == 2
    assert found["trader_late_predictions_total", ""] == 1
    assert found["trader_failed_predictions_total", ""] == 1
