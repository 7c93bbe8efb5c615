"""Networks as makers: whatever training.networks builds, fitted by training.fit on a panel's windows.

Must not know money or how a network looks inside. Called by the recipes and the guards. It imports torch:
the command line imports it inside commands.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

import msgspec
import numpy as np
import torch

from inference.card import RobustScaler
from training.fit import device
from training.fit.loop import ASKED, Fit, learn
from training.fit.resident import Resident, Taught
from training.fit.terms import FitTerms
from training.members.member import Fitted, Lesson, Say, silent
from training.members.seen import Seen, seen
from training.networks.build import network
from training.networks.hyper import Hyper
from training.networks.network import DIRECTION, Network
from training.networks.onnx import to_onnx
from training.panel.panel import Floats, Panel


@dataclass(frozen=True, eq=False)
class NetworkMaker:
    """A network by name, with its size and the terms of its fit.

    `heads` beside direction learn from the lesson's `beside`. With `pretrain` (synthetic rows) the weights
    start from what those teach. `folder` keeps checkpoints and metrics. `epochs` above 0 are run exactly.
    """

    network: str
    hyper: Hyper = Hyper()  # noqa: RUF009  # frozen
    terms: FitTerms = FitTerms()  # noqa: RUF009  # frozen
    heads: tuple[str, ...] = ()
    pretrain: Lesson | None = None
    folder: Path | None = None
    called: str = ""
    epochs: int = 0

    @property
    def name(self) -> str:
        return self.called or self.network

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Fit; ModelError if it diverges, UsageError for a device that is not there."""
        where = device.found(self.terms.device)
        view = seen(lesson.panel)
        with device.repeatable(seed, where):
            built = network(
                self.network, view.shapes, self.hyper, classes=classes, heads=self.heads, kept=view.kept
            ).to(where)
            if self.terms.prior_bias:
                start_at_shares(built, lesson, classes)
            key = self._key(lesson, validation, classes, seed)
            if self.pretrain is not None and self.terms.pretrain_epochs:
                self._pretrained(
                    built, view, Fit(self.name, self.terms, seed, where, folder=self.folder), say
                )
            learned = learn(
                built,
                _taught(lesson, view, where),
                None if self.epochs else _taught(validation, view, where),
                Fit(self.name, self.terms, seed, where, stop_at=self.epochs, folder=self.folder, key=key),
                say,
            )
        size = sum(one.numel() for one in built.parameters())
        told = {
            "epochs": float(learned.best_epoch),
            "weights": float(size),
            "rate": self.terms.rate,
            "weight_decay": self.terms.weight_decay,
            "batch": float(self.terms.batch),
            "pretrained": float(self.pretrain is not None),
        }
        return FittedNetwork(built.to("cpu"), view, told)

    def again(self, fitted: Sequence[Fitted]) -> "NetworkMaker":
        """Give the maker that runs the median of these models' best epochs, on the same schedule."""
        return replace(self, epochs=median_low([int(one.parameters["epochs"]) for one in fitted]))

    def _pretrained(self, built: Network, view: Seen, fit: Fit, say: Say) -> None:
        assert self.pretrain is not None
        epochs = self.terms.pretrain_epochs
        terms = msgspec.structs.replace(self.terms, epochs=epochs, per_epoch=0)
        named = f"{fit.name} on synthetic rows"
        learn(
            built,
            _taught(self.pretrain, view, fit.device),
            None,
            replace(fit, name=named, terms=terms, stop_at=epochs, folder=None),
            say,
        )

    def _key(self, lesson: Lesson, validation: Lesson, classes: int, seed: int) -> str:
        """Give a hash over everything that decides the weights."""
        told = [
            self.network,
            msgspec.to_builtins(self.hyper),
            msgspec.to_builtins(self.terms),
            self.heads,
            self.epochs,
            classes,
            seed,
            str(torch.__version__),
        ]
        whole = hashlib.sha256(msgspec.json.encode(told))
        for one in (lesson, validation, self.pretrain):
            if one is None:
                continue
            whole.update(f"{one.panel.spec.hash}{one.panel.data_hash}".encode())
            for array in (one.panel.ts, one.panel.instrument, one.kind, one.weight, *one.beside.values()):
                whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A fitted network on the CPU, in eval mode."""

    network: Network
    seen: Seen
    parameters: Mapping[str, float]

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return self.seen.scalers

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self.seen.shapes

    def chances(self, panel: Panel) -> Floats:
        """Give the softmax of direction's logits."""
        return self.answers(panel)[DIRECTION]

    def answers(self, panel: Panel) -> dict[str, Floats]:
        """Give every head's answers: chances of classes, numbers as they are."""
        cpu = torch.device("cpu")
        rows = Resident(panel, self.seen, cpu)
        parts: dict[str, list[Floats]] = {}
        with device.repeatable(0, cpu), torch.no_grad():
            for some in torch.arange(len(rows)).split(ASKED):
                for name, found in self.network(rows.batch(some)).items():
                    told = found.double().softmax(dim=1) if found.ndim == 2 else found.double()
                    parts.setdefault(name, []).append(told.numpy())
        return {name: np.concatenate(found) for name, found in parts.items()}

    @property
    def heads(self) -> tuple[str, ...]:
        """What it says beside direction."""
        return tuple(name for name in self.network.heads if name != DIRECTION)

    def to_onnx(self) -> bytes:
        """Give the graph of direction's chances and of every head's answers."""
        return to_onnx(self.network, self.seen.shapes, heads=bool(self.heads))


def _taught(lesson: Lesson, view: Seen, where: torch.device) -> Taught:
    return Taught(lesson, Resident(lesson.panel, view, where), where)


def start_at_shares(built: Network, lesson: Lesson, classes: int) -> None:
    """Set the last layer of direction so that an untaught network answers with the training shares."""
    shares = np.bincount(lesson.kind, lesson.weight, classes) + 1.0
    last = built.answers[0]
    with torch.no_grad():
        last.weight.zero_()  # learns at the first step; the layers below follow at the second
        last.bias.copy_(torch.from_numpy(np.log(shares / shares.sum())).float())
