"""Networks over windows run in chunks on two threads and say what one plain call says."""

import numpy as np
import pytest

from core.market import Bar, Timeframe
from inference.artifact import Artifact
from inference.card import Kind, RobustScaler
from inference.ensemble import alone
from inference.ensemble_card import Policy
from inference.features.frame import FeatureFrame
from inference.features.spec import Block, FeatureSpec
from inference.members import Due, Member
from inference.pipeline import OpinionSource
from inference.predictor import Predictor
from inference.runner import CHUNK, Runner
from tests.inference import making

INSTRUMENTS = 2 * CHUNK + 9
NAMES = tuple(f"I{k}/USD" for k in range(INSTRUMENTS))
END = 1_000_000 * Timeframe.M15.ns
SPEC = FeatureSpec(
    "windowed",
    Timeframe.M5,
    (
        Block(Timeframe.M5, ("return_1", "return_4", "bollinger_position"), window=12),
        Block(Timeframe.M15, ("return_1", "return_4"), window=5),
        Block(Timeframe.M15, ("return_4", "bollinger_position")),
    ),
)

PLAIN = FeatureSpec("plain", Timeframe.M5, (Block(Timeframe.M5, ("return_1", "return_4")),))
HISTORY = max(block.warm_up for spec in (SPEC, PLAIN) for block in spec.blocks) + 1

EVERY = np.arange(INSTRUMENTS)


def model(name: str, spec: FeatureSpec, seed: int) -> Artifact:
    """Give a network of `spec` with a scaler on its first window; not written, so not proved."""
    inputs = dict(spec.shapes)
    scaler = {"5m": RobustScaler((0.1, 0.0, 0.0), (0.5, 2.0, 0.01), 4.0)} if "5m" in inputs else {}
    card = making.card(name, "entry_5m", Kind.ENTRY, inputs, scalers=scaler, model_hash=name)
    return Artifact(card, spec, making.graph(inputs, 3, seed=seed, pull=0.1))


@pytest.fixture(scope="module")
def frame():
    made = FeatureFrame((SPEC, PLAIN), NAMES)
    rng = np.random.default_rng(1)
    every = []
    for timeframe in made.timeframes:
        for k in range(CHUNK + CHUNK // 2):  # the others stay cold
            closes = (100 * np.exp(rng.normal(0, 0.003, HISTORY).cumsum())).tolist()
            for n, price in enumerate(closes):
                ts = END - (HISTORY - n) * timeframe.ns
                every.append(Bar(NAMES[k], timeframe, ts, price, price, price, price, 1.0, price, 1))
    made.warm(every)
    return made


def test_chunks_on_two_threads_equal_one_call(frame):
    models = [model("wide", SPEC, 1), model("other", SPEC, 2), model("flat", PLAIN, 3)]
    runner = Runner(frame, lambda: 0)
    runner.predictors = {one.model_hash: Predictor(one) for one in models}
    members = [Member(one, Policy(), INSTRUMENTS) for one in models]
    found = runner.answers([Due(member, END, EVERY) for member in members])
    for one, answers in zip(models, found, strict=True):
        inputs = frame.inputs(one.spec, NAMES, END)
        assert (
            answers.ready.tolist()
            == inputs.ready.tolist()
            == [k < CHUNK + CHUNK // 2 for k in range(INSTRUMENTS)]
        )
        rows = np.flatnonzero(inputs.ready)
        expected = Predictor(one).predict({name: x[rows] for name, x in inputs.tensors.items()})
        assert np.abs(answers.p[rows] - expected).max() < 1e-6
        assert not answers.p[~inputs.ready].any()


def test_model_that_fails_is_told_and_the_others_answer(frame):
    """Its graph wants another width than its card says, which a proved artifact cannot."""
    other = {name: (*shape[:-1], shape[-1] + 1) for name, shape in SPEC.shapes.items()}
    good = model("wide", SPEC, 1)
    bad = Artifact(
        making.card("bad", "entry_5m", Kind.ENTRY, dict(SPEC.shapes)), SPEC, making.graph(other, 3, seed=1)
    )
    runner = Runner(frame, lambda: 0)
    runner.predictors = {one.model_hash: Predictor(one) for one in (good, bad)}
    members = [Member(one, Policy(), INSTRUMENTS) for one in (bad, good)]
    failed, fine = runner.answers([Due(member, END, EVERY) for member in members])
    assert not failed.ready.any()
    assert set(failed.reason) == {failed.fault}
    assert failed.reason[0].startswith("sanity: the model failed: ")
    assert "Expected: " in failed.reason[0]
    assert fine.ready.sum() == CHUNK + CHUNK // 2


def test_time_is_told_by_stage(frame):
    ticks = iter(range(0, 1_000_000, 5))
    runner = Runner(frame, lambda: next(ticks))
    only = model("wide", SPEC, 1)
    runner.predictors = {only.model_hash: Predictor(only)}
    runner.answers([Due(Member(only, Policy(), INSTRUMENTS), END, EVERY)])
    assert runner.spent() == (5, 5)
    assert runner.spent() == (0, 0)


def test_source_serves_a_network_over_windows():
    source = OpinionSource({"t": alone(model("wide", SPEC, 1))}, NAMES[:2])
    assert source.frame.timeframes == (Timeframe.M5, Timeframe.M15)
