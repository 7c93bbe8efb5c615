"""How a network is fitted: everything that decides its weights beside its shape, its rows and the seed.

Must not know torch, networks or files. Read from configs/train/*.toml, used by training.fit.loop.
"""

from typing import Literal

import msgspec

from core.errors import UsageError

HEAD_LOSS = {"magnitude": 0.1, "volatility": 0.2, "volume": 0.1}
"""Weights of the auxiliary heads' losses beside direction's 1: they teach the trunk, and may not lead it."""


class FitTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The terms of one fit.

    `rate` is AdamW's highest learning rate, reached after `warm_up` (share of all steps) and then falling
    along a half cosine over `epochs`, unless `schedule` is constant. `patience` epochs without a better
    validation log loss end it; 0 = never. `per_epoch` rows, drawn anew each time, make an epoch; 0 = all.
    `prior_bias` starts the last layer at the training shares. Classes are never weighted: that would bend
    the chances. `head_loss` weighs the auxiliary losses by head.
    """

    epochs: int = 12
    batch: int = 256
    rate: float = 2e-3
    weight_decay: float = 1e-2
    patience: int = 3
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: float = 0.05
    clip: float = 1.0
    """Largest norm of a step's gradient."""
    label_smoothing: float = 0.0
    per_epoch: int = 0
    prior_bias: bool = False
    pretrain_epochs: int = 2
    head_loss: dict[str, float] = msgspec.field(default_factory=lambda: dict(HEAD_LOSS))
    device: str = "auto"
    """auto = the first CUDA device where there is one, else the CPU; or cpu, cuda."""

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch": 2, "patience": 0, "per_epoch": 0, "pretrain_epochs": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UsageError(f"{name}: expected {bound} or more; found {getattr(self, name)}")
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name}: expected a number above 0; found {getattr(self, name)}")
        for name in ("weight_decay", "warm_up", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name}: expected a number from 0 to below 1; found {getattr(self, name)}")
