"""Makers by name, from plain values as a TOML table has them.

Must not know orders, rows' meaning or files. Called by training.plan, training.measure and training.guard.
torch is imported when a network is asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from core.errors import UsageError
from training.fit.terms import FitTerms
from training.members.boosted import ENGINES, BoostedMaker
from training.members.logistic import LogisticMaker
from training.members.member import Lesson, Maker
from training.members.perceptron import PerceptronMaker
from training.members.persistence import PersistenceMaker

BASELINES = ("persistence", "logistic", "perceptron", *ENGINES)
NETWORKS = ("cnn", "lstm", "gru", "tcn", "attention", "hybrid", "sweep", "fusion", "ft_small", "ft_large")
"""Those of training.networks.build, named here so that a command line need not import torch."""
NAMES = (*BASELINES, *NETWORKS)


def maker(
    name: str,
    settings: Mapping[str, object] | None = None,
    *,
    hyper: Mapping[str, object] | None = None,
    fit: Mapping[str, object] | None = None,
    heads: Sequence[str] = (),
    pretrain: Lesson | None = None,
    folder: Path | None = None,
    called: str = "",
) -> Maker:
    """Give the maker of one of NAMES; UsageError names what does not fit.

    `settings` are a baseline's own; `hyper` and `fit` a network's sizes and terms. A `variant` in `hyper`
    brings its weight decay and label smoothing, too, unless `fit` has others.
    """
    if name not in NAMES:
        raise UsageError(f"maker: expected one of {', '.join(NAMES)}; found {name!r}")
    given = dict(settings or {})
    if name in NETWORKS:
        if given:
            raise UsageError(f"{name}: expected hyper and fit of a network; found {', '.join(given)}")
        return _network(name, hyper or {}, fit or {}, heads, pretrain, folder, called)
    if hyper or heads or pretrain is not None or (fit and name != "perceptron"):
        raise UsageError(f"{name}: expected a baseline's own settings; found a network's")
    if called:
        given["called"] = called
    if name == "perceptron":
        given["terms"] = _terms({"rate": 1e-3, **(fit or {})})
    if name in ENGINES:
        given["engine"] = name
    kinds = {"persistence": PersistenceMaker, "logistic": LogisticMaker, "perceptron": PerceptronMaker}
    return _made(kinds.get(name, BoostedMaker), name, given)


def _made(kind: type[Maker], name: str, given: Mapping[str, object]) -> Maker:
    known = getattr(kind, "__dataclass_fields__", {})
    if strange := sorted(set(given) - set(known)):
        raise UsageError(f"{name}: expected settings of {', '.join(known)}; found {', '.join(strange)}")
    try:
        found: Maker = (
            msgspec.convert(dict(given), kind, strict=True) if name != "perceptron" else kind(**given)
        )
    except msgspec.ValidationError as wrong:
        raise UsageError(f"{name}: {wrong}") from wrong
    return found


def _network(
    name: str,
    hyper: Mapping[str, object],
    fit: Mapping[str, object],
    heads: Sequence[str],
    pretrain: Lesson | None,
    folder: Path | None,
    called: str,
) -> Maker:
    from training.members.network import NetworkMaker  # noqa: PLC0415  # torch
    from training.networks.hyper import DETAILS, read_hyper  # noqa: PLC0415

    sizes = read_hyper(hyper)
    variant = DETAILS[str(hyper.get("variant", "balanced"))]
    terms = _terms({"weight_decay": variant.weight_decay, "label_smoothing": variant.label_smoothing, **fit})
    return NetworkMaker(name, sizes, terms, tuple(heads), pretrain, folder, called)


def _terms(fit: Mapping[str, object]) -> FitTerms:
    try:
        return msgspec.convert(dict(fit), FitTerms)
    except msgspec.ValidationError as wrong:
        raise UsageError(f"fit: {wrong}") from wrong
