"""What came of teaching one block one task.

Must not know torch, files or the command line. Made by training.tasks.learn, shown by training.tasks.results.
"""

import msgspec


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `loss` is that of 1,000 sequences which nothing was decided on."""

    task: str
    network: str
    steps: int
    seed: int
    width: int
    parameters: int
    rate: float
    rounds: int
    most: int
    loss: float
    guess: float
    goal: float
    measure: str

    @property
    def reached(self) -> bool:
        """Whether the goal was met on unseen sequences."""
        return self.loss <= self.goal
