"""Teaching one block one task, with the same few lines for every block.

Must not know files or the command line. Called by training.tasks.cli and training.tasks.results. The blocks
are those of training.networks; a linear layer on top reads their steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.errors import UsageError
from training.fit import device
from training.networks.recurrent import Recurrent
from training.networks.tcn import TemporalConv
from training.tasks.learned import Learned
from training.tasks.made import SPAN, TASKS, Task

NETWORKS = ("tcn", "gru", "lstm")
GOAL = 1e-3
"""Loss on sequences never seen that counts as having learned either task."""
MARGIN = 0.7
"""Learning stops at this part of the goal on one set of sequences; another set has the word."""
CHECKED, HELD_OUT = 500, 1_000
EVERY = 50
CLIP = 1.0
_STOP, _JUDGE = 1_000_003, 2_000_003

Told = Callable[[int, int, float], None]
"""Told rounds done, rounds at most and the loss on the sequences that decide when to stop."""


class Setting(NamedTuple):
    """How a block is built and taught: the rate rises and falls once over `rounds` (Smith and Topin 2017).

    `taps` are those of a convolution, and each dilation is that many times the one before, so that one
    path leads to every step; 0 = as many as two dilated layers need to see far enough.
    """

    width: int
    rate: float
    rounds: int
    batch: int = 32
    taps: int = 0


SETTINGS = {
    ("adding", "tcn"): Setting(width=24, rate=8e-3, rounds=2_000, taps=4),
    ("adding", "gru"): Setting(width=32, rate=5e-3, rounds=2_000),
    ("adding", "lstm"): Setting(width=32, rate=5e-3, rounds=3_000),
    ("copy", "tcn"): Setting(width=16, rate=1e-2, rounds=600),
    ("copy", "gru"): Setting(width=64, rate=5e-3, rounds=600),
    ("copy", "lstm"): Setting(width=64, rate=5e-3, rounds=600),
}


class Reader(nn.Module):
    """A block with a linear layer on every step: [n, T, columns] -> [n, T, answers]."""

    def __init__(self, block: nn.Module, width: int, answers: int) -> None:
        super().__init__()
        self.block = block
        self.out = nn.Linear(width, answers)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.block(x))

    def newest(self, x: Tensor) -> Tensor:
        """Give the newest step's answers [n, 1, answers]; a convolution skips what leads nowhere."""
        if isinstance(self.block, TemporalConv):
            return self.out(self.block.newest(x))
        return self.out(self.block(x)[:, -1:])


def reader(task: Task, network: str, steps: int, setting: Setting) -> Reader:
    """Build a block of `network` that can see far enough back for `steps`."""
    block: nn.Module
    if network == "tcn":
        taps, dilations = far_enough(steps + SPAN if task.name == "copy" else steps - 1, setting.taps)
        block = TemporalConv(task.columns, setting.width, dilations, taps=taps, norm=False)
    else:
        block = Recurrent(network, task.columns, setting.width, memory=steps)
    return Reader(block, setting.width, task.answers)


def learn(
    name: str,
    network: str,
    *,
    steps: int,
    seed: int,
    rounds: int = 0,
    told: Told = lambda *_: None,
) -> Learned:
    """Teach `network` the task, stop at the goal or after `rounds` (0 = those of its setting), and judge it.

    Every round has fresh sequences. The same seed gives the same figures on the same machine. UsageError
    for an unknown task or network.
    """
    if name not in TASKS:
        raise UsageError(f"task: expected one of {', '.join(TASKS)}; found {name!r}")
    if network not in NETWORKS:
        raise UsageError(f"network: expected one of {', '.join(NETWORKS)}; found {network!r}")
    task, setting = TASKS[name], SETTINGS[name, network]
    most = rounds or setting.rounds
    with device.repeatable(seed, torch.device("cpu")):
        model = reader(task, network, steps, setting)
        done = _teach(model, task, steps, setting._replace(rounds=most), seed, told)
        held_out = task.make(HELD_OUT, steps, torch.Generator().manual_seed(_JUDGE + seed))
        loss = _loss(model, task, held_out)
    return Learned(
        task=name,
        network=network,
        steps=steps,
        seed=seed,
        width=setting.width,
        parameters=sum(weights.numel() for weights in model.parameters()),
        rate=setting.rate,
        rounds=done,
        most=most,
        loss=loss,
        guess=task.guess(steps),
        goal=GOAL,
        measure=task.measure,
    )


def _teach(model: Reader, task: Task, steps: int, setting: Setting, seed: int, told: Told) -> int:
    """Learn until the goal is met with a margin, or to the end; give the rounds done."""
    answer = model.newest if task.newest else model
    random = torch.Generator().manual_seed(seed)
    checked = task.make(CHECKED, steps, torch.Generator().manual_seed(_STOP + seed))
    optimiser = torch.optim.Adam(model.parameters(), lr=setting.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=setting.rate, total_steps=max(setting.rounds, 4)
    )
    for number in range(1, setting.rounds + 1):
        made = task.make(setting.batch, steps, random)
        optimiser.zero_grad()
        task.loss(answer(made.x), made.y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        if number % EVERY == 0:
            loss = _loss(answer, task, checked)
            told(number, setting.rounds, loss)
            if loss <= MARGIN * GOAL:
                return number
    return setting.rounds


def _loss(answer: Callable[[Tensor], Tensor], task: Task, sequences: tuple[Tensor, Tensor]) -> float:
    x, y = sequences
    with torch.no_grad():
        found = torch.cat([answer(part) for part in x.split(100)])
        return float(task.loss(found, y))


def far_enough(needed: int, taps: int) -> tuple[int, list[int]]:
    """Give taps and the dilations with which the newest step sees `needed` steps before it."""
    if not taps:
        taps = next(k for k in range(2, needed + 2) if _reach(k, [1, k]) >= needed)
    dilations = [1]
    while _reach(taps, dilations) < needed:
        dilations.append(taps * dilations[-1])
    return taps, dilations


def _reach(taps: int, dilations: list[int]) -> int:
    return (taps - 1) * (1 + sum(dilations))
