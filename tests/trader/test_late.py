"""An answer over budget, from the worker's clock to the counter: it is told, refused and counted."""

import queue

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.clock import SECOND, ManualClock
from core.events import Decisions, Prediction, RequestOpinion
from core.market import Timeframe
from core.signal import Opinion
from inference.predictor import PredictorThread
from tests.day import BTC, Day, only, setup, submits
from trader.state import ReadModel
from trader.telemetry import Telemetry

BUDGET_NS = SECOND // 2


class Slow:
    """A source that answers what `Day` would enter on, and takes its time in the models."""

    def __init__(self, clock: ManualClock, takes_ns: int) -> None:
        self.clock = clock
        self.takes_ns = takes_ns

    def warm(self, bars) -> None: ...

    def on_bars(self, bars) -> None: ...

    def answer(self, request: RequestOpinion) -> Prediction:
        self.clock.advance_to(self.clock.now() + self.takes_ns)
        opinion = Opinion(BTC, True, 0.1, 0.2, 0.7, 400.0, 0.01, 60000.0)
        answer = Prediction(
            0, request.prediction_id, request.trader, request.ts_close, request.timeframe, "cafe", (opinion,)
        )
        return msgspec.structs.replace(answer, stages=(0, 0, self.takes_ns, 0))


@pytest.mark.parametrize("takes_ns, rule, late", [(BUDGET_NS, "", 0), (BUDGET_NS + 1, "late_opinion", 1)])
def test_late_answer_is_refused_and_counted_and_one_in_time_is_traded(takes_ns, rule, late):
    day, delivered = Day(), queue.Queue()
    day.begin()
    day.link_up()
    day.reconcile()
    day.quote("59999.9", "60000.1")
    request = only(day.bar_closes(), RequestOpinion)
    day.quote("59999.9", "60000.1")
    clock = ManualClock(day.now)
    worker = PredictorThread(Slow(clock, takes_ns), budget_ns=BUDGET_NS, clock=clock, deliver=delivered.put)
    worker.request(request)
    answer = delivered.get(timeout=20)
    assert worker.stop(20)
    assert (answer.late, answer.latency_ns, answer.timeframe) == (bool(late), takes_ns, Timeframe.M15)
    assert answer.stages == (0, 0, takes_ns, 0)
    said = day.tell(msgspec.structs.replace(answer, ts=day.after(0.6)))
    (decision,) = only(said, Decisions).rows
    assert decision.rule == rule
    assert bool(submits(said)) is (late == 0)
    figures = Telemetry(ReadModel(setup()))
    figures.on_step(1, msgspec.structs.replace(answer, ts=day.now), said)
    counted = {
        sample.name: sample.value
        for family in text_string_to_metric_families(figures.exposition().decode())
        for sample in family.samples
        if not sample.labels
    }
    assert counted["trader_late_predictions_total"] == late
