"""Whether a card's terms can be kept: inputs, scaling, labels, calibration, against kind and features.

Must not know files or ONNX. Called by inference.artifact and inference.ensemble, which say in front of
the message which folder it is about.
"""

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from core.errors import ModelError
from inference.card import (
    MEMBER_COLUMNS,
    POSITION_COLUMNS,
    VOTE_COLUMNS,
    Calibration,
    Card,
    Conformal,
    Kind,
    LabelTerms,
    Metrics,
    RobustScaler,
)
from inference.golden import ANSWERS

POSITION, VOTES, MEMBERS = "position", "votes", "members"
"""Tensors beside the features: a manager's, and the blend and the voters as a meta-model sees them."""

Shapes = Mapping[str, tuple[int, ...]]


def check(card: Card, features: Shapes) -> None:
    """Raise ModelError for a card that does not fit its kind or the tensors that its spec makes."""
    beside: dict[str, tuple[int, ...]] = {}
    if card.kind is Kind.MANAGER:
        beside[POSITION] = (len(POSITION_COLUMNS),)
    if card.kind is Kind.META:
        beside[VOTES] = (len(VOTE_COLUMNS),)
    beside |= _voters(card)
    offered = dict(features) | beside
    if not card.inputs or not card.inputs.items() <= offered.items():
        raise ModelError(f"expected input tensors of {offered}; found {card.inputs}")
    for name, scaler in card.scalers.items():
        _scaler(name, scaler, card.inputs)
    _label(card.kind, card.label)
    _heads(card)
    if isinstance(card.metrics, Metrics) is not (card.kind is Kind.ENTRY):
        raise ModelError(
            f"expected the figures of kind {card.kind.value}; found {type(card.metrics).__name__}"
        )
    try:
        _ = card.trained_until, card.tested_until
    except ValueError as error:
        raise ModelError(f"split: {error}") from error
    calibration(card.calibration, len(card.classes))
    conformal(card.conformal)
    for name, columns in card.deciles.items():
        _columns("deciles", name, len(columns), card.inputs)
        if {len(column) for column in columns} != {9} or not np.isfinite(columns).all():
            raise ModelError(f"expected nine finite deciles for each column of {name}")


def calibration(terms: Calibration | None, classes: int) -> None:
    """Raise ModelError for a calibration that would not give probabilities of so many classes."""
    if terms is None:
        return
    figures = (terms.temperature, *terms.bias)
    if len(figures) != classes + 1 or not all(map(math.isfinite, figures)) or terms.temperature <= 0:
        raise ModelError(f"expected a temperature above 0 and {classes} finite biases; found {terms}")


def conformal(terms: Conformal | None) -> None:
    """Raise ModelError for a level or quantile that cannot be."""
    if terms is not None and not (0 < terms.alpha < 1 and 0 <= terms.quantile <= 1):
        raise ModelError(f"expected conformal alpha and quantile within 0 and 1; found {terms}")


def _voters(card: Card) -> dict[str, tuple[int, ...]]:
    """Give the tensor of the voters that the card names."""
    if card.voters is msgspec.UNSET:
        return {}
    if card.kind is not Kind.META or MEMBERS not in card.inputs:
        raise ModelError(
            f"expected voters on the card of a meta-model that reads {MEMBERS}; "
            f"found them on kind {card.kind.value} that reads {sorted(card.inputs)}"
        )
    if not card.voters or len(set(card.voters)) != len(card.voters):
        raise ModelError(f"expected voters, each named once; found {list(card.voters)}")
    return {MEMBERS: (len(MEMBER_COLUMNS) * len(card.voters),)}


def _heads(card: Card) -> None:
    """Refuse heads that cannot be told apart from inputs or each other, or that say nothing."""
    taken = {ANSWERS, *card.inputs}
    for head in card.more:
        if not head.name or head.name in taken or head.size < 1 or not head.says or not head.unit:
            raise ModelError(
                f"expected heads of a size above 0 with a sentence, a unit and names unlike {sorted(taken)}; "
                f"found {head}"
            )
        taken.add(head.name)


def _label(kind: Kind, label: LabelTerms) -> None:
    barrier = label.barrier_atr > 0 if kind is Kind.ENTRY else label.barrier_atr >= 0 and label.rule
    if not (barrier and label.horizon_bars > 0):
        raise ModelError(f"expected a positive barrier (or a rule) and horizon; found {label}")


def _scaler(name: str, scaler: RobustScaler, inputs: Shapes) -> None:
    for part in (scaler.center, scaler.scale):
        _columns("the scaler", name, len(part), inputs)
    scales = np.array([*scaler.scale, scaler.clip])
    if not (np.isfinite([*scaler.center, *scales]).all() and (scales > 0).all()):
        raise ModelError(f"expected finite centers and positive scales and clip for {name}")


def _columns(what: str, name: str, found: int, inputs: Shapes) -> None:
    expected = inputs.get(name, (0,))[-1]
    if found != expected:
        raise ModelError(f"expected columns of {what} of {name} {expected}; found {found}")
