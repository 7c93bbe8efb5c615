import queue
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import SECOND, ManualClock
from core.errors import InternalError
from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from inference import golden, predictor
from inference.artifact import load
from inference.predictor import SPARE, Predictor, PredictorThread

MODELS = Path(__file__).parents[2] / "configs" / "models"
BAR = Bar("M/USD", Timeframe.M5, 0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0)
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def shipped():
    return load(MODELS / "entry-15m")


def test_probabilities_of_golden_rows(shipped):
    vectors = golden.decode((MODELS / "entry-15m" / "golden.npz").read_bytes())
    found = Predictor(shipped).predict(vectors)
    assert found.shape == (32, 3)
    assert found.dtype == np.float32
    assert np.abs(found - vectors[golden.ANSWERS]).max() < 1e-6


def test_no_rows_give_no_probabilities(shipped):
    columns = shipped.card.features.columns
    assert Predictor(shipped).predict({"x": np.empty((0, columns), np.float32)}).shape == (0, 3)


def test_rows_of_another_width_are_our_own_mistake(shipped):
    with pytest.raises(InternalError, match="expected rows of"):
        Predictor(shipped).predict({})
    with pytest.raises(InternalError, match="expected rows of"):
        Predictor(shipped).predict({"x": np.empty((4, 3), np.float32)})


class Recording:
    """A source that writes down what it is given, and may be told to fail, wait or take its time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.seen: list[object] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.takes_ns = 0
        self.steps_ns = 0
        self.stages: tuple[int, ...] = ()
        self.fails: dict[str, Exception] = {}

    def _take(self, verb: str, what: object) -> None:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        self.seen.append((verb, what))
        if verb in self.fails:
            raise self.fails[verb]

    def warm(self, bars) -> None:
        self._take("warm", bars)

    def on_bars(self, bars) -> None:
        self._take("bars", bars)
        self.clock.advance_to(self.clock.now() + self.steps_ns)

    def on_tops(self, ts, quotes, books) -> None:
        self._take("tops", (ts, quotes, books))

    def answer(self, request: RequestOpinion) -> Prediction:
        self._take("answer", request.prediction_id)
        self.clock.advance_to(self.clock.now() + self.takes_ns)
        answer = Prediction(
            0, request.prediction_id, request.trader, request.ts_close, request.timeframe, "hash", ()
        )
        return msgspec.structs.replace(answer, stages=self.stages)


class Desk:
    """A worker over a recording source, and the predictions that it delivered."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000)
        self.source = Recording(self.clock)
        self.delivered: queue.Queue[Prediction] = queue.Queue()
        self.worker = PredictorThread(
            self.source, budget_ns=500, clock=self.clock, deliver=self.delivered.put
        )

    def ask(self, name: str = "p1") -> None:
        self.worker.request(RequestOpinion("trader", name, Timeframe.M5, 300, ("M/USD",)))

    def answer(self) -> Prediction:
        return self.delivered.get(timeout=PATIENCE_S)


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.source.gate.set()
    assert made.worker.stop(PATIENCE_S)


def test_work_is_done_in_the_order_in_which_it_came(desk):
    desk.worker.warm((BAR,))
    desk.worker.on_bars(300, (BAR,))
    desk.worker.on_tops(301, (), {})
    desk.ask()
    assert desk.answer().prediction_id == "p1"
    assert desk.source.seen == [
        ("warm", (BAR,)),
        ("bars", (BAR,)),
        ("tops", (301, (), {})),
        ("answer", "p1"),
    ]


@pytest.mark.parametrize("takes_ns, late", [(0, False), (500, False), (501, True)])
def test_latency_counts_from_the_request_and_late_is_beyond_the_budget(desk, takes_ns, late):
    desk.source.takes_ns = takes_ns
    desk.ask()
    found = desk.answer()
    assert (found.latency_ns, found.late, found.error, found.ts) == (takes_ns, late, "", 0)


def test_time_spent_waiting_counts(desk):
    desk.source.gate.clear()
    desk.worker.on_bars(300, (BAR,))
    desk.ask()
    desk.clock.advance_to(9_000)
    desk.source.gate.set()
    found = desk.answer()
    assert found.late
    assert found.latency_ns == 8_000


def test_stages_tell_waiting_from_stepping_and_add_up_to_the_latency(desk):
    desk.source.steps_ns, desk.source.takes_ns, desk.source.stages = 300, 35, (0, 10, 20, 5)
    go = threading.Event()
    assert desk.worker.do(lambda: go.wait(PATIENCE_S))
    desk.worker.on_bars(300, (BAR,))
    desk.ask("p1")
    desk.clock.advance_to(1_070)  # something else kept the worker for 70
    go.set()
    found = desk.answer()
    assert found.stages == (70, 10 + 300, 20, 5)
    assert sum(found.stages) == found.latency_ns
    desk.ask("p2")
    assert desk.answer().stages == (0, 10, 20, 5)  # the bars were paid for by the first


def test_failing_answer_becomes_an_error_and_the_next_one_is_tried(desk):
    desk.source.fails["answer"] = ZeroDivisionError("no\nscale")
    desk.ask("p1")
    found = desk.answer()
    assert (found.prediction_id, found.trader, found.ts_close) == ("p1", "trader", 300)
    assert found.error == "ZeroDivisionError: no scale"
    assert found.opinions == ()
    del desk.source.fails["answer"]
    desk.ask("p2")
    assert desk.answer().error == ""


@pytest.mark.parametrize("verb", ["bars", "warm", "tops"])
def test_failing_features_are_told_with_every_later_answer(desk, verb):
    desk.source.fails[verb] = ValueError("torn")
    desk.worker.warm((BAR,))
    desk.worker.on_bars(0, (BAR,))
    desk.worker.on_tops(0, (), {})
    for name in ("p1", "p2"):
        desk.ask(name)
        found = desk.answer()
        assert found.prediction_id == name
        assert found.error.startswith("features failed at ")
        assert "ValueError: torn" in found.error
    assert ("answer", "p1") not in desk.source.seen


def test_models_that_hang_or_are_broken_or_dead_are_no_secret():
    desk = Desk()
    assert desk.worker.trouble == ""
    desk.source.gate.clear()
    desk.ask("held")
    assert desk.source.entered.wait(PATIENCE_S)
    desk.clock.advance_to(desk.clock.now() + 11 * SECOND)
    assert desk.worker.trouble == "the models have been at one thing for 11 s"
    desk.source.fails["bars"] = ValueError("no bar")
    desk.worker.on_bars(300, (BAR,))
    desk.source.gate.set()
    desk.answer()
    desk.ask("after")
    desk.answer()
    assert desk.worker.trouble.startswith("features failed at ")
    assert desk.worker.stop(PATIENCE_S)
    gone = Desk()
    gone.worker._queue.put(None)  # as an error that nothing catches would end it
    gone.worker._thread.join(PATIENCE_S)
    assert gone.worker.trouble == "the models' thread has ended"


def test_full_queue_refuses_requests_at_once_and_counts_lost_bars(desk):
    desk.source.gate.clear()
    desk.ask("held")
    assert desk.source.entered.wait(PATIENCE_S)  # the worker has taken it; from here on things wait
    for _ in range(predictor.CAPACITY):
        desk.worker.on_bars(300, (BAR,))
    assert desk.worker.lost == 0
    desk.worker.on_tops(300, (), {})  # no room: that close has no books, and no bars are missing
    assert desk.worker.lost == 0
    desk.worker.on_bars(300, (BAR,))
    desk.ask("refused")
    found = desk.answer()
    assert desk.worker.lost == 1
    assert found.prediction_id == "refused"
    assert "expected room for a request" in found.error
    desk.source.gate.set()
    assert desk.answer().prediction_id == "held"


def test_stop_drops_what_waits_even_with_a_full_queue():
    desk = Desk()
    desk.source.gate.clear()
    desk.ask("held")
    assert desk.source.entered.wait(PATIENCE_S)
    for _ in range(predictor.CAPACITY):
        desk.ask("waiting")
    assert not desk.worker.stop(timeout_s=0.01)  # hangs, and says so
    desk.source.gate.set()
    assert desk.worker.stop(PATIENCE_S)
    assert desk.answer().prediction_id == "held"
    assert desk.delivered.empty()


def test_work_of_the_caller_has_its_turn_between_bars_and_requests(desk):
    desk.source.gate.clear()
    desk.worker.on_bars(300, (BAR,))
    assert desk.worker.do(lambda: desk.source.seen.append(("mine", "")))
    desk.ask()
    desk.source.gate.set()
    desk.answer()
    assert [verb for verb, _ in desk.source.seen] == ["bars", "mine", "answer"]


def test_idle_work_waits_for_all_trading_work_and_is_bounded(desk):
    done: queue.Queue[int] = queue.Queue()
    desk.source.gate.clear()
    desk.worker.on_bars(300, (BAR,))
    taken = [desk.worker.when_idle(lambda n=n: done.put(n)) for n in range(SPARE + 1)]
    desk.ask("p1")
    desk.ask("p2")
    desk.source.gate.set()
    assert [done.get(timeout=PATIENCE_S) for _ in range(SPARE)] == list(range(SPARE))
    assert taken == [*[True] * SPARE, False]
    assert desk.delivered.qsize() == 2, "idle work went before a request"
    assert desk.worker.when_idle(lambda: done.put(99))
    assert done.get(timeout=PATIENCE_S) == 99


def test_a_full_queue_takes_no_work_of_the_caller(desk):
    desk.source.gate.clear()
    desk.worker.on_bars(300, (BAR,))
    while desk.worker.do(lambda: None):
        pass
    assert desk.worker.when_idle(lambda: None), "idle work has room of its own"
