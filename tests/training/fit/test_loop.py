"""The loop on layers so small that a fit takes a blink."""

import json
from math import log

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from core.errors import DataError, ModelError, UsageError
from training.fit import checkpoint, device
from training.fit.loop import Fit, learn, log_loss, loss_of
from training.fit.plain import ROWS, Plain
from training.fit.resident import Rows
from training.fit.terms import FitTerms
from training.networks.network import DIRECTION

CPU = torch.device("cpu")
TERMS = FitTerms(epochs=6, batch=64, rate=0.02, patience=0)


class Told:
    """Rows with classes, as training.fit.resident.Taught has them."""

    def __init__(self, count=640, *, seed=1, noise=0.0, beside=None) -> None:
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((count, 5))
        score = x[:, 0] + noise * rng.standard_normal(count)
        self.kind = torch.from_numpy(np.digitize(score, [-0.5, 0.5]))
        self.weight = torch.ones(count)
        self.rows = Rows({ROWS: torch.from_numpy(x).float()})
        self.beside = beside or {}

    def __len__(self) -> int:
        return len(self.kind)


class Stopped(Exception):
    """What a kill is in these tests."""


def plain(seed=3, dropout=0.2) -> Plain:
    torch.manual_seed(seed)
    return Plain((5, 16, 3), dropout)


def fit_of(**changes) -> Fit:
    return Fit(**({"name": "tiny", "terms": TERMS, "seed": 5, "device": CPU, "key": "k" * 30} | changes))


def run(fit, *, validation=None, lesson=None, say=lambda _: None):
    with device.repeatable(fit.seed, CPU):
        network = plain()
        learned = learn(network, lesson or Told(), validation, fit, say)
    return network.state_dict(), learned


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    first, again, other = run(fit_of())[0], run(fit_of())[0], run(fit_of(seed=6))[0]
    assert_same(first, again)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


def test_what_can_be_learned_is_learned():
    _, learned = run(fit_of(), validation=Told(seed=2))
    assert learned.epochs[-1].validation_loss < log(3) - 0.6


def test_early_stopping_keeps_the_weights_of_the_best_epoch():
    """Noise in the lesson and a rate that overshoots: later epochs are worse, and are forgotten."""
    terms = msgspec.structs.replace(TERMS, epochs=40, rate=0.05, patience=2, schedule="constant")
    validation = Told(seed=2, noise=2.0)
    weights, learned = run(fit_of(terms=terms), validation=validation, lesson=Told(128, noise=2.0))
    losses = [one.validation_loss for one in learned.epochs]
    assert learned.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) == learned.best_epoch + 2 < 40
    kept = plain()
    kept.load_state_dict(weights)
    assert log_loss(kept, validation, CPU) == pytest.approx(min(losses), abs=1e-6)


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_fit_killed_and_resumed_ends_with_the_weights_of_an_undisturbed_one(tmp_path, killed_after):
    validation = Told(seed=2, noise=1.0)
    undisturbed, whole = run(fit_of(), validation=validation)

    def kill(line):
        if f"epoch {killed_after + 1}/" in line:
            raise Stopped

    with pytest.raises(Stopped):
        run(fit_of(folder=tmp_path), validation=validation, say=kill)
    told = []
    resumed, learned = run(fit_of(folder=tmp_path), validation=validation, say=told.append)
    assert told[0] == f"tiny: going on after epoch {killed_after}"
    assert len(told) == 1 + TERMS.epochs - killed_after
    assert_same(resumed, undisturbed)
    assert [one.validation_loss for one in learned.epochs] == [one.validation_loss for one in whole.epochs]


def test_a_finished_fit_is_not_run_again(tmp_path):
    first, _ = run(fit_of(folder=tmp_path))
    told = []
    again, _ = run(fit_of(folder=tmp_path), say=told.append)
    assert told == ["tiny: going on after epoch 6"]
    assert_same(first, again)


def test_a_kill_while_writing_leaves_the_last_whole_checkpoint(tmp_path):
    run(fit_of(folder=tmp_path))
    path = checkpoint.path_of(tmp_path, "k" * 30)
    before = path.read_bytes()
    path.with_name(f".{path.name}.new").write_bytes(before[: len(before) // 2])
    assert checkpoint.load(tmp_path, "k" * 30, CPU)["done"] == 6


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path):
    run(fit_of(folder=tmp_path))
    path = checkpoint.path_of(tmp_path, "k" * 30)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"kkk\.pt: expected a checkpoint; found: [^\n]+$"):
        run(fit_of(folder=tmp_path))


def test_metrics_are_one_plain_line_an_epoch(tmp_path):
    _, learned = run(fit_of(folder=tmp_path), validation=Told(seed=2))
    (path,) = tmp_path.glob("*.metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[2]["validation_loss"] == learned.epochs[2].validation_loss
    assert all(0 <= line["data_wait"] < 1 and line["samples_per_s"] > 0 for line in lines)


def test_a_fit_that_diverges_names_epoch_and_rate():
    lesson = Told()
    lesson.weight[7] = float("nan")
    with pytest.raises(
        ModelError,
        match=r"^tiny: expected finite losses; found nan in training .*, in epoch 1 at "
        r"learning rate 0\.0\d+$",
    ):
        run(fit_of(), lesson=lesson)


def test_the_rate_rises_and_falls_along_a_half_cosine():
    _, learned = run(fit_of(), validation=Told(seed=2))
    rates = [one.rate for one in learned.epochs]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] == pytest.approx(0.01, rel=0.06)  # half way
    assert rates[-1] < 1e-4
    constant = msgspec.structs.replace(TERMS, schedule="constant")
    assert {one.rate for one in run(fit_of(terms=constant))[1].epochs} == {0.02}


def test_an_epoch_of_fewer_rows_runs_so_many_steps():
    fewer = msgspec.structs.replace(TERMS, per_epoch=128, epochs=1)
    steps = []

    class Counted(Told):
        @property
        def rows(self):
            steps.append(1)
            return self._rows

        @rows.setter
        def rows(self, rows):
            self._rows = rows

    run(fit_of(terms=fewer), lesson=Counted())
    assert len(steps) == 2


def test_stop_at_runs_on_whatever_validation_says_and_on_the_same_schedule():
    _, learned = run(fit_of(stop_at=3), validation=Told(seed=2))
    _, whole = run(fit_of())
    assert learned.best_epoch == 3
    assert [one.rate for one in learned.epochs] == [one.rate for one in whole.epochs[:3]]


def test_the_loss_of_a_batch_by_hand():
    """Two rows of weights 1 and 3; the second row's magnitude and volume are not known."""
    nan = float("nan")
    lesson = Told(2, beside={"magnitude": torch.tensor([2.0, nan]), "volume": torch.tensor([1, -1])})
    lesson.kind, lesson.weight = torch.tensor([0, 2]), torch.tensor([1.0, 3.0])
    answers = {
        DIRECTION: torch.zeros(2, 3, requires_grad=True),
        "magnitude": torch.tensor([0.5, 9.0], requires_grad=True),
        "volume": torch.zeros(2, 2, requires_grad=True),
    }
    loss = loss_of(answers, lesson, torch.tensor([0, 1]), TERMS)
    # Direction (1 ln 3 + 3 ln 3) / 2; magnitude 0.1 x (|1.5| - 0.5) / 2; volume 0.1 x ln 2 / 2.
    assert loss.item() == pytest.approx(2 * log(3) + 0.05 + 0.05 * log(2), rel=1e-6)
    loss.backward()
    assert answers["magnitude"].grad[1] == 0
    assert not answers["volume"].grad[1].any()


def test_log_loss_weighs_rows():
    lesson = Told(2)
    lesson.kind, lesson.weight = torch.tensor([0, 0]), torch.tensor([1.0, 3.0])

    class Fixed(torch.nn.Module):
        def forward(self, _):
            return {DIRECTION: torch.tensor([[0.0, 0, 0], [log(2), 0, 0]])}

    assert log_loss(Fixed(), lesson, CPU) == pytest.approx((log(3) + 3 * log(2)) / 4)
    assert functional.softmax(torch.zeros(3), 0)[0] == pytest.approx(1 / 3)


def test_a_fit_leaves_the_process_as_it_was():
    torch.manual_seed(9)
    threads = torch.get_num_threads()
    expected = torch.rand(3)
    torch.manual_seed(9)
    run(fit_of())
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="device: expected auto, cpu or cuda; found 'tpu'"):
        device.found("tpu")
    if not torch.cuda.is_available():
        assert device.found("auto") == CPU
        with pytest.raises(UsageError, match="expected a CUDA device; found none"):
            device.found("cuda")


def test_biases_and_norms_are_not_decayed():
    groups = device.optimiser(plain(), 0.1, 0.5, CPU).param_groups
    assert [(group["weight_decay"], {one.ndim for one in group["params"]}) for group in groups] == [
        (0.5, {2}),
        (0.0, {1}),
    ]
