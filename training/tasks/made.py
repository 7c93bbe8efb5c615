"""Sequences with a known answer that lies far back: the adding problem and copy memory.

Must not know networks. Called by training.tasks.learn. Both are generated, from a seed, as Bai, Kolter
and Koltun (2018, section 4) describe them: what a block cannot learn here it cannot learn anywhere.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SYMBOLS = 10
"""Digits 1 to 8, 0 for nothing, 9 for the call to repeat."""
CALL = 9
SPAN = 10
"""Digits to keep in mind."""


class Sequences(NamedTuple):
    """`x` [n, T, columns] float32, and what is asked for: a number [n], or a symbol [n, T] int64."""

    x: Tensor
    y: Tensor


class Task(NamedTuple):
    """One problem: how sequences are made, what a reader answers, and what guessing costs.

    `columns` come in and `answers` go out at each step; `newest` where the last step's alone are asked for.
    `guess` is the loss of the best answer that looks at nothing.
    """

    name: str
    columns: int
    answers: int
    newest: bool
    make: Callable[[int, int, torch.Generator], Sequences]
    loss: Callable[[Tensor, Tensor], Tensor]
    guess: Callable[[int], float]
    measure: str


def adding(count: int, steps: int, random: torch.Generator) -> Sequences:
    """Give sequences of numbers in [0, 1) with marks at two different steps; asked for is those two's sum."""
    values = torch.rand(count, steps, generator=random)
    places = torch.rand(count, steps, generator=random).argsort(dim=1)[:, :2]
    marks = torch.zeros(count, steps).scatter_(1, places, 1.0)
    return Sequences(torch.stack((values, marks), dim=2), (values * marks).sum(dim=1))


def copying(count: int, steps: int, random: torch.Generator) -> Sequences:
    """Give ten digits, `steps` - 1 steps of nothing, eleven calls: the digits are asked for at the last ten.

    Sequences have `steps` + 20 steps, each a one-hot symbol; before the last ten nothing (0) is right.
    """
    digits = torch.randint(1, CALL, (count, SPAN), generator=random)
    nothing = torch.zeros(count, steps - 1, dtype=torch.int64)
    calls = torch.full((count, SPAN + 1), CALL, dtype=torch.int64)
    seen = torch.cat((digits, nothing, calls), dim=1)
    asked = torch.cat((torch.zeros(count, steps + SPAN, dtype=torch.int64), digits), dim=1)
    return Sequences(functional.one_hot(seen, SYMBOLS).to(torch.float32), asked)


def _squared(found: Tensor, asked: Tensor) -> Tensor:
    """Give the mean squared error of the newest step's number."""
    return functional.mse_loss(found[:, -1, 0], asked)


def _entropy(found: Tensor, asked: Tensor) -> Tensor:
    """Give the mean cross-entropy (nats) over all steps."""
    return functional.cross_entropy(found.transpose(1, 2), asked)


def _sum_of_two(_steps: int) -> float:
    """Give the variance of a sum of two uniform numbers: what always answering 1 costs."""
    return 2.0 / 12.0


def _without_memory(steps: int) -> float:
    """Give the loss of knowing when, but not what: one of eight digits at ten steps, nothing elsewhere."""
    return float(SPAN * torch.log(torch.tensor(8.0, dtype=torch.float64)) / (steps + 2 * SPAN))


TASKS: Mapping[str, Task] = {
    "adding": Task("adding", 2, 1, True, adding, _squared, _sum_of_two, "mean squared error"),
    "copy": Task("copy", SYMBOLS, SYMBOLS, False, copying, _entropy, _without_memory, "cross-entropy"),
}
