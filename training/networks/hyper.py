"""The sizes of a network, and three variants of them: conservative, balanced, aggressive.

Must not know torch, data or fitting, so that a command line and a TOML file can name them at once.
Called by training.networks.build and by whoever reads hyper-parameters.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from core.errors import UsageError

RECURRENT = ("lstm", "gru")
WIDEST = 512
DEEPEST = 12


def _within(name: str, value: int, least: int, most: int, what: str = "") -> None:
    if not least <= value <= most:
        unit = f" {what}" if what else ""
        raise UsageError(f"{name}: expected {least} to {most}{unit}; found {value}")


class Hyper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes shared by all networks; each reads those that it has. UsageError for one out of range.

    The defaults are those of the shipped networks. A multiple of 16 channels fills the processor's
    vectors; other widths work and are slower.
    """

    width: int = 16
    """Channels of every convolution and, where there is one, of an attention layer over time."""
    units: int = 16
    """Hidden units of a recurrent layer."""
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    """One residual block of the causal stack each; its reach is 1 + (taps - 1) x their sum, plus the stem."""
    taps: int = 3
    """Steps under one convolution."""
    recurrent: str = "lstm"
    """lstm or gru, in the hybrid, the fusion and the sweep detector."""
    layers: int = 1
    """Recurrent layers on top of each other."""
    queries: int = 2
    """Learned queries of the attention network, each with a weighted mean of its own."""
    heads: int = 2
    """Attention heads between the tokens of the fusion; divides `token`."""
    token: int = 32
    """Numbers that one timeframe's token has in the fusion."""
    head: int = 32
    """Hidden units between a summary and the answers."""
    dropout: float = 0.1
    """Share of activations that are dropped while learning."""

    def __post_init__(self) -> None:
        for name in ("width", "units", "token", "head"):
            _within(name, getattr(self, name), 1, WIDEST)
        for name in ("layers", "queries", "heads"):
            _within(name, getattr(self, name), 1, DEEPEST)
        _within("taps", self.taps, 2, 32)
        _within("dilations", len(self.dilations), 1, DEEPEST, what="entries")
        for one in self.dilations:
            _within("dilations", one, 1, 4096)
        if not 0.0 <= self.dropout < 1.0:
            raise UsageError(f"dropout: expected a share from 0 to below 1; found {self.dropout:g}")
        if self.recurrent not in RECURRENT:
            raise UsageError(f"recurrent: expected one of {', '.join(RECURRENT)}; found {self.recurrent!r}")
        if self.token % self.heads:
            raise UsageError(f"heads: expected a divisor of token = {self.token}; found {self.heads}")


class Variant(NamedTuple):
    """Sizes with the two settings of the fitting that belong to them, and what they are for."""

    hyper: Hyper
    weight_decay: float
    label_smoothing: float
    purpose: str


DETAILS: Mapping[str, Variant] = MappingProxyType(
    {
        "conservative": Variant(
            Hyper(width=8, units=8, dilations=(1, 2, 4), token=16, head=16, dropout=0.3),
            weight_decay=0.05,
            label_smoothing=0.05,
            purpose="little data, much noise: few weights, strongly held back, chances near the base rates",
        ),
        "balanced": Variant(
            Hyper(),
            weight_decay=0.01,
            label_smoothing=0.0,
            purpose="what ships: sees the whole window, costs half a MFLOP, chances left as they are learned",
        ),
        "aggressive": Variant(
            Hyper(width=32, units=32, dilations=(1, 2, 4, 8, 16), token=64, heads=4, head=64, dropout=0.05),
            weight_decay=0.001,
            label_smoothing=0.0,
            purpose="much data: four times the weights, little held back; the first to learn noise by heart",
        ),
    }
)
VARIANTS: Mapping[str, Hyper] = MappingProxyType({name: one.hyper for name, one in DETAILS.items()})


def read_hyper(values: Mapping[str, object]) -> Hyper:
    """Give sizes from plain values, as a TOML table has them; UsageError names what does not fit.

    `variant` names the sizes to start from, balanced unless it is there.
    """
    named = values.get("variant", "balanced")
    if named not in VARIANTS:
        raise UsageError(f"variant: expected one of {', '.join(VARIANTS)}; found {named!r}")
    given = {name: value for name, value in values.items() if name != "variant"}
    try:
        return msgspec.convert(msgspec.structs.asdict(VARIANTS[str(named)]) | given, Hyper)
    except msgspec.ValidationError as wrong:
        raise UsageError(f"hyper-parameters: {wrong}") from wrong
