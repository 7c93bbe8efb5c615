"""The training loop: seeded order, AdamW, clipped gradients, early stopping on the validation log loss.

Must not know panels, files' formats or how a network is built. Called by training.members.network. The
rows lie on the device (training.fit.resident), so an epoch is a shuffled list of row numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, isfinite, pi
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.errors import ModelError
from training.fit import checkpoint, device
from training.fit.resident import Taught
from training.fit.terms import FitTerms
from training.networks.network import DIRECTION, HEADS

ASKED = 2_048
"""Rows of a batch when nothing is learned."""
_STRIDE = 1_000_003
"""Between the seeds of two fits' epochs: a prime, so that they do not meet."""

Say = Callable[[str], None]


class Epoch(NamedTuple):
    """One line of the metrics. Losses in nats a row; `data_wait` is the share of time spent on batches."""

    epoch: int
    rate: float
    train_loss: float
    validation_loss: float
    samples_per_s: float
    data_wait: float
    seconds: float


@dataclass(frozen=True)
class Fit:
    """What to do and where to keep it. `stop_at` epochs are run whatever validation says; 0 = it decides."""

    name: str
    terms: FitTerms
    seed: int
    device: torch.device
    stop_at: int = 0
    folder: Path | None = None
    key: str = ""


@dataclass
class _State:
    """Where a fit stands after an epoch."""

    done: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    epochs: list[Epoch] = field(default_factory=list)


class Learned(NamedTuple):
    """How a fit went: the epoch whose weights the network now has, and every epoch's figures."""

    best_epoch: int
    epochs: tuple[Epoch, ...]


def learn(network: torch.nn.Module, lesson: Taught, validation: Taught | None, fit: Fit, say: Say) -> Learned:
    """Fit the network in place and leave it with its best weights, in eval mode.

    Without validation, or with `stop_at`, the last epoch's weights stay. ModelError names the epoch and
    the rate where a loss stops being a number.
    """
    terms = fit.terms
    steps = _Steps(network, lesson, fit)
    state = _resumed(network, steps, fit, say)
    last = fit.stop_at or terms.epochs
    judged = validation if not fit.stop_at else None
    while state.done < last and not _spent(state, terms, judged):
        began = perf_counter()
        number = state.done + 1
        loss, waited, rate = steps.epoch(number)
        seconds = perf_counter() - began
        shown = loss if judged is None else log_loss(network, judged, fit.device)
        if not (isfinite(loss) and isfinite(shown)):
            raise ModelError(
                f"{fit.name}: expected finite losses; found {loss:g} in training and {shown:g} in "
                f"validation, in epoch {number} at learning rate {rate:g}"
            )
        speed = steps.size / max(seconds, 1e-9)
        state.epochs.append(Epoch(number, rate, loss, shown, speed, waited / max(seconds, 1e-9), seconds))
        state.done = number
        if judged is None or shown < state.best:
            state.best, state.best_epoch = shown, number
            state.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        say(f"{fit.name}: epoch {number}/{last}, loss {loss:.4f}, validation {shown:.4f}, {speed:,.0f}/s")
        _keep(network, steps, fit, state)
    network.load_state_dict(state.weights)
    network.eval()
    return Learned(state.best_epoch, tuple(state.epochs))


def log_loss(network: torch.nn.Module, taught: Taught, where: torch.device) -> float:
    """Give the weighted mean log loss of direction over a lesson, in nats."""
    network.eval()
    total = torch.zeros((), dtype=torch.float64, device=where)
    with torch.no_grad():
        for rows in torch.arange(len(taught), device=where).split(ASKED):
            with device.reduced(where):
                logits = network(taught.rows.batch(rows))[DIRECTION]
            each = functional.cross_entropy(logits.float(), taught.kind[rows], reduction="none")
            total += (each * taught.weight[rows]).sum(dtype=torch.float64)
    return float(total / taught.weight.sum(dtype=torch.float64))


def loss_of(answers: dict[str, Tensor], taught: Taught, rows: Tensor, terms: FitTerms) -> Tensor:
    """Give a batch's loss: direction's weighted cross entropy and those heads' whose answers are known."""
    weight = taught.weight[rows]
    each = functional.cross_entropy(
        answers[DIRECTION].float(),
        taught.kind[rows],
        reduction="none",
        label_smoothing=terms.label_smoothing,
    )
    total = (each * weight).mean()
    for name, told in taught.beside.items():
        share = terms.head_loss.get(name, 0.0)
        if name not in answers or not share:
            continue
        truth = told[rows]
        if HEADS[name] == 1:
            known = torch.isfinite(truth)
            apart = functional.smooth_l1_loss(
                answers[name].float(), torch.where(known, truth, 0.0), reduction="none"
            )
        else:
            known = truth >= 0
            apart = functional.cross_entropy(answers[name].float(), truth.clamp(min=0), reduction="none")
        total = total + share * (apart * weight * known).mean()
    return total


class _Steps:
    """Runs epochs: which rows, in which order, at which rate."""

    def __init__(self, network: torch.nn.Module, lesson: Taught, fit: Fit) -> None:
        terms = fit.terms
        self.network, self.lesson, self.fit = network, lesson, fit
        self.batch = min(terms.batch, len(lesson))
        self.size = min(terms.per_epoch or len(lesson), len(lesson)) // self.batch * self.batch
        self.total = terms.epochs * (self.size // self.batch)
        self.optimiser = device.optimiser(network, terms.rate, terms.weight_decay, fit.device)

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Run one; give its mean loss, the seconds spent on making batches, and its last rate."""
        # Everything random of an epoch follows from its number, so a resumed fit goes on as if undisturbed.
        seed = self.fit.seed * _STRIDE + number
        torch.manual_seed(seed)
        where = self.fit.device
        shuffled = torch.randperm(len(self.lesson), generator=torch.Generator().manual_seed(seed))
        self.network.train()
        total, waited, rate = torch.zeros((), device=where), 0.0, self.fit.terms.rate
        batches = shuffled[: self.size].to(where).split(self.batch)
        for step, rows in enumerate(batches, (number - 1) * len(batches)):
            began = perf_counter()
            tensors = self.lesson.rows.batch(rows)
            waited += perf_counter() - began
            rate = self._rate(step)
            total += self._step(tensors, rows, rate)
        return float(total) / len(batches), waited, rate

    def _step(self, tensors: dict[str, Tensor], rows: Tensor, rate: float) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        with device.reduced(self.fit.device):
            answers = self.network(tensors)
        loss = loss_of(answers, self.lesson, rows, self.fit.terms)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.fit.terms.clip)
        self.optimiser.step()
        return loss.detach()

    def _rate(self, step: int) -> float:
        terms = self.fit.terms
        rise = max(1, int(terms.warm_up * self.total))
        rate = terms.rate * min(1.0, (step + 1) / rise)
        if terms.schedule == "constant":
            return rate
        return rate * 0.5 * (1.0 + cos(pi * min(1.0, step / max(1, self.total))))


def _spent(state: _State, terms: FitTerms, judged: Taught | None) -> bool:
    return bool(judged and terms.patience and state.done - state.best_epoch >= terms.patience)


def _keep(network: torch.nn.Module, steps: _Steps, fit: Fit, state: _State) -> None:
    if fit.folder is None:
        return
    whole = {
        "network": network.state_dict(),
        "optimiser": steps.optimiser.state_dict(),
        "weights": state.weights,
        "done": state.done,
        "best": state.best,
        "best_epoch": state.best_epoch,
        "epochs": [tuple(one) for one in state.epochs],
    }
    checkpoint.save(fit.folder, fit.key, whole)
    checkpoint.write_metrics(fit.folder, fit.key, [one._asdict() for one in state.epochs])


def _resumed(network: torch.nn.Module, steps: _Steps, fit: Fit, say: Say) -> _State:
    found = None if fit.folder is None else checkpoint.load(fit.folder, fit.key, fit.device)
    if found is None:
        return _State()
    network.load_state_dict(found["network"])
    steps.optimiser.load_state_dict(found["optimiser"])
    say(f"{fit.name}: going on after epoch {found['done']}")
    epochs = [Epoch(*one) for one in found["epochs"]]
    return _State(found["done"], found["best"], found["best_epoch"], found["weights"], epochs)
