"""From a plan's words to makers: networks with their sizes and terms, and what stands beside them.

Must not know rows. Called by training.plan.networks and training.plan.managers. Imports torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.errors import ConfigError, UsageError
from training.fit.terms import FitTerms
from training.members.boosted import BoostedMaker
from training.members.logistic import LogisticMaker
from training.members.member import Lesson, Maker
from training.members.network import NetworkMaker
from training.members.perceptron import PerceptronMaker
from training.members.persistence import PersistenceMaker
from training.networks.hyper import DETAILS, Hyper, read_hyper


def simple(word: str) -> Maker:
    """Give a maker without a memory by its word in the plan."""
    match word:
        case "persistence":
            return PersistenceMaker()
        case "logistic":
            return LogisticMaker()
        case "boosted":
            return BoostedMaker()
        case "xgboost":
            return BoostedMaker(engine="xgboost")
        case "perceptron":
            return PerceptronMaker()
    raise UsageError(f"expected a maker of persistence, logistic, boosted, xgboost, perceptron; found {word!r}")


def network_maker(
    name: str,
    *,
    network: str,
    variant: str,
    hyper: Mapping[str, Any],
    fit: Mapping[str, Any],
    heads: tuple[str, ...] = (),
    pretrain: Lesson | None = None,
    folder: Path | None = None,
    called: str = "",
) -> NetworkMaker:
    """Give a network's maker; ConfigError names the model, the key, what was expected and found."""
    try:
        sizes: Hyper = read_hyper({"variant": variant, **hyper})
        usual = {
            "weight_decay": DETAILS[variant].weight_decay,
            "label_smoothing": DETAILS[variant].label_smoothing,
        }
        terms = msgspec.convert(usual | dict(fit), FitTerms)
    except UsageError as wrong:
        raise ConfigError(f"{name}.hyper: {wrong}") from wrong
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{name}.fit: {wrong}") from wrong
    return NetworkMaker(
        network, sizes, terms, heads=heads, pretrain=pretrain, folder=folder, called=called
    )
