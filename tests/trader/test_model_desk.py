"""Questions to the models that trade, and changing them: on their thread, behind what trades."""

import asyncio
import threading
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.clock import DAY, MINUTE, ManualClock
from core.errors import ModelError, TemporaryError, UsageError
from core.events import RequestOpinion
from core.market import Bar, Timeframe
from core.text import iso
from inference.pipeline import OpinionSource
from inference.predictor import SPARE, PredictorThread
from risk.policy import RiskPolicy
from tests.model_copies import SHIPPED, broken, copied, hash_of
from trader.control import Question
from trader.model_desk import MAX_ROWS, ModelDesk, tensors
from trader.models import load_model, terms_of
from trader.setup import AccountSetup, DeskSetup, TraderSetup
from trader.worker import Worker

PAIRS = ("BTC/USDT", "ETH/USDT")
MODEL = load_model(SHIPPED / "entry-5m")
END = 20_000 * DAY


class Desk:
    """A warmed source of one shipped model on a real thread."""

    def __init__(self):
        self.clock = ManualClock(END + 1)
        self.source = OpinionSource({"scalp": MODEL}, PAIRS)
        self.source.warm(history())
        self.delivered = []
        self.answered = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.thread = PredictorThread(
            self.source,
            budget_ns=10**12,
            clock=self.clock,
            deliver=lambda p: loop.call_soon_threadsafe(self._deliver, p),
        )
        self.models = ModelDesk(self.source, self.thread, setup, self.clock)

    def _deliver(self, prediction):
        self.delivered.append(prediction)
        self.answered.set()

    async def answer(self):
        self.answered.clear()
        self.thread.request(RequestOpinion("scalp", "p1", Timeframe.M5, END, PAIRS))
        await asyncio.wait_for(self.answered.wait(), 10)
        return self.delivered[-1]


@asynccontextmanager
async def desk():
    made = Desk()
    try:
        yield made
    finally:
        assert made.thread.stop(10)


def setup():
    trader = TraderSetup("scalp", "SC", "main", "paper", MODEL.decision, PAIRS, RiskPolicy(), terms_of(MODEL))
    return DeskSetup("paper", "loopback", (AccountSetup("main", "USDT", Decimal(1)),), (trader,), ())


def history():
    random = np.random.default_rng(5)
    bars = []
    for timeframe in MODEL.timeframes:
        for pair in PAIRS:
            close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, 700)))
            for i, price in enumerate(close.tolist()):
                ts = END - (700 - i) * timeframe.ns
                bars.append(
                    Bar(pair, timeframe, ts, price, price * 1.001, price * 0.999, price, 5.0, price, 3)
                )
    return sorted(bars, key=lambda bar: (bar.ts_close, bar.timeframe.ns))


# ---- questions ----


async def test_a_question_is_answered_as_trading_would_be_and_changes_nothing():
    async with desk() as made:
        before = await made.answer()
        answer = await made.models.predict(Question("scalp", ("ETH/USDT",)))
        after = await made.answer()
        (row,) = answer["rows"]
        (_, eth) = before.opinions
        assert row["ready"], row
        assert row["blend"] == {"down": eth.p_down, "hold": eth.p_hold, "up": eth.p_up}
        assert (answer["model_hash"], row["instrument"]) == (MODEL.model_hash, "ETH/USDT")
        assert before.opinions == after.opinions
        assert [p.prediction_id for p in made.delivered] == ["p1", "p1"], "a question is no prediction"


async def test_no_instrument_means_all_of_the_trader():
    async with desk() as made:
        answer = await made.models.predict(Question("scalp"))
        assert [row["instrument"] for row in answer["rows"]] == list(PAIRS)


async def test_the_newest_close_that_was_heard_is_asked_about():
    async with desk() as made:
        made.models.on_bars(END - Timeframe.M5.ns)
        made.models.on_bars(END - MINUTE)  # closes no bar of five minutes
        assert (await made.models.predict(Question("scalp")))["at"] == iso(END - Timeframe.M5.ns)
        made.models.on_bars(END)
        assert (await made.models.predict(Question("scalp")))["at"] == iso(END)


async def test_given_rows_get_the_models_own_probabilities():
    async with desk() as made:
        x = (
            np.random.default_rng(3)
            .normal(size=(5, MODEL.members[0].artifact.card.features.columns))
            .astype(np.float32)
        )
        answer = await made.models.predict(Question("scalp", rows={"x": x.tolist()}))
        np.testing.assert_array_equal(answer["probabilities"], made.source.chances("scalp", {"x": x}))
        np.testing.assert_allclose(np.sum(answer["probabilities"], axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    "question, said",
    [
        (Question("nobody"), "expected a trader of scalp; found 'nobody'"),
        (Question("scalp", ("ABC/USDT",)), "expected instruments of trader scalp; found 'ABC/USDT'"),
        (Question("scalp", ("BTC/USDT",), {"x": [[1.0]]}), "expected instruments or rows; found both"),
        (Question("scalp", rows={"x": [[1.0, 2.0]]}), "trader scalp: expected rows of"),
        (
            Question("scalp", rows={"x": [[1.0], [1.0, 2.0]]}),
            "rows.x: expected rows of numbers of one length",
        ),
        (Question("scalp", rows={"x": [["a"]]}), "rows.x: expected rows of numbers; found"),
        (Question("scalp", rows={"x": [1.0]}), f"rows.x: expected 1 to {MAX_ROWS} rows"),
    ],
)
async def test_what_does_not_exist_or_fit_is_the_askers_mistake(question, said):
    async with desk() as made:
        with pytest.raises(UsageError) as refused:
            await made.models.predict(question)
        assert said in str(refused.value)


@pytest.mark.parametrize("value", [10**400, "1.5", None, 1e300, True, {}], ids=lambda value: str(value)[:5])
def test_what_is_no_number_that_a_model_can_take_is_refused(value):
    with pytest.raises(UsageError, match=r"^rows\.x: expected (rows of )?numbers"):
        tensors({"x": [[value]]})


def test_too_many_rows_are_refused():
    with pytest.raises(UsageError, match=f"expected 1 to {MAX_ROWS} rows"):
        tensors({"x": [[0.0]] * (MAX_ROWS + 1)})


async def test_a_full_worker_refuses_questions_and_goes_on():
    async with desk() as made:
        gate = threading.Event()
        assert made.thread.do(lambda: gate.wait(10) and None)
        waiting = [asyncio.create_task(made.models.predict(Question("scalp"))) for _ in range(SPARE)]
        await asyncio.sleep(0)
        with pytest.raises(TemporaryError, match="found them busy"):
            await made.models.predict(Question("scalp"))
        gate.set()
        assert len(await asyncio.gather(*waiting)) == SPARE


async def test_broken_features_answer_no_question():
    async with desk() as made:
        made.thread.on_bars(END, ("no bar",))
        await made.answer()
        with pytest.raises(TemporaryError, match="features failed"):
            await made.models.predict(Question("scalp"))


async def test_an_answer_is_not_waited_for_for_ever():
    class Deaf:
        def do(self, work):
            return True

    with pytest.raises(TemporaryError, match=r"expected an answer of the models within 0\.01 s"):
        await Worker(Deaf(), patience_s=0.01).run(int)


async def test_work_that_began_in_time_is_waited_for_and_work_that_did_not_is_never_done():
    """A swap that its caller holds for refused must not happen behind its back."""

    class Slow:
        def do(self, work):
            self.work = work
            return True

    slow, began, end, done = Slow(), threading.Event(), threading.Event(), []

    def work():
        began.set()
        end.wait(10)
        done.append(1)
        return "swapped"

    worker = Worker(slow, patience_s=0.05)
    asked = asyncio.create_task(worker.run(work))
    await asyncio.sleep(0)
    thread = threading.Thread(target=slow.work)
    thread.start()
    assert began.wait(10)
    for _ in range(20):
        await asyncio.sleep(0.01)  # patience is over, the work is not
    assert not asked.done()
    end.set()
    assert await asked == "swapped"
    thread.join(10)
    with pytest.raises(TemporaryError, match=r"within 0\.05 s"):
        await worker.run(work)
    slow.work()
    cancelled = asyncio.create_task(worker.run(work))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    slow.work()
    assert done == [1]


# ---- swaps ----


async def test_a_swapped_model_answers_from_the_next_request_on(tmp_path):
    async with desk() as made:
        fresh = copied(tmp_path, "entry-5m")
        assert (await made.answer()).model_hash == MODEL.model_hash
        found = await made.models.swap({"scalp": fresh})
        assert found["scalp"].model_hash == hash_of(fresh) != MODEL.model_hash
        answer = await made.answer()
        assert answer.model_hash == hash_of(fresh)
        assert answer.opinions[0].ready, "features stay warm"
        await made.models.swap({"scalp": SHIPPED / "entry-5m"})
        assert (await made.answer()).model_hash == MODEL.model_hash


async def test_a_bad_model_is_refused_and_the_old_one_goes_on(tmp_path):
    async with desk() as made:
        unreadable = copied(tmp_path, "entry-15m")
        (unreadable / "model.onnx").unlink()
        (unreadable / "model.onnx").mkdir()
        paths = (
            broken(tmp_path, "entry-5m"),
            tmp_path / "none",
            unreadable,
            tmp_path / ("n" * 300),
            Path("/\0"),
        )
        for path in paths:
            with pytest.raises(ModelError):
                await made.models.swap({"scalp": path})
        with pytest.raises(ModelError, match="which needs a restart"):
            await made.models.swap({"scalp": SHIPPED / "entry-15m"})
        assert (await made.answer()).model_hash == MODEL.model_hash
