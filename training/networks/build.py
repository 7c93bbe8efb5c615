"""Building networks by name from the shapes of their tensors.

Must not know data, scaling or fitting. Called by training.members.network and by people, who have
`create_multi_timeframe_model`. Imports torch: only for modules that a command imports when it runs.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from core.errors import UsageError
from core.market import Timeframe
from training.networks.attention import Attention
from training.networks.cnn import Cnn
from training.networks.ft_transformer import FtTransformer
from training.networks.fusion import Fusion
from training.networks.hybrid import Hybrid
from training.networks.hyper import DETAILS, VARIANTS, Hyper, Variant, read_hyper
from training.networks.network import HEADS, Apart, Columns, Network
from training.networks.recurrent import Gru, Lstm
from training.networks.sweep import Sweep
from training.networks.tcn import Tcn

__all__ = [
    "DETAILS", "HEADS", "NAMES", "VARIANTS", "Hyper", "Network", "Variant",
    "create_multi_timeframe_model", "network", "read_hyper",
]  # fmt: skip

BRANCHES: Mapping[str, Callable[[int, int, Hyper], nn.Module]] = {
    "cnn": Cnn,
    "lstm": Lstm,
    "gru": Gru,
    "tcn": Tcn,
    "attention": Attention,
    "hybrid": Hybrid,
    "sweep": Sweep,
}
"""Networks with one branch for each window, called with columns, steps and sizes."""
TABULAR: Mapping[str, Mapping[str, int]] = {
    "ft_small": {"size": 16, "heads": 2, "blocks": 2},
    "ft_large": {"size": 32, "heads": 4, "blocks": 3},
}
NAMES = (*BRANCHES, "fusion", *TABULAR)
CLASSES = 3
FLAT, WINDOW = 1, 2
"""Axes of a flat tensor and of one with a window, without the batch."""


def network(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    hyper: Hyper,
    *,
    classes: int,
    heads: Sequence[str] = (),
    kept: Mapping[str, Sequence[int]] | None = None,
) -> Network:
    """Build one of NAMES for tensors of `shapes` (without the batch): (T, C) a window, (C,) flat.

    `heads` are answers beside the direction, of network.HEADS; `kept` the columns of a tensor that are
    used, where not all are: the others still come in and are dropped inside. A flat tensor joins the
    summary of the windows. UsageError for a name, a shape or columns that do not fit.
    """
    kept = {} if kept is None else kept
    _check(name, shapes, classes, heads, kept)
    used = {
        tensor: (*shape[:-1], len(kept[tensor]) if tensor in kept else shape[-1])
        for tensor, shape in shapes.items()
    }
    windows = {tensor: (shape[0], shape[1]) for tensor, shape in used.items() if len(shape) == WINDOW}
    flats = {tensor: shape[0] for tensor, shape in used.items() if len(shape) == FLAT}
    if not windows and (name not in TABULAR or not flats):
        wanted = "a tensor" if name in TABULAR else "a tensor with a window"
        raise UsageError(f"{name}: expected {wanted}; found {_shown(shapes)}")
    body: nn.Module
    if name in TABULAR:
        columns = sum(flats.values()) + sum(shape[1] for shape in windows.values())
        tabular = FtTransformer(columns, **TABULAR[name], dropout=hyper.dropout)
        body, flats = Columns(tuple(windows), tuple(flats), tabular), {}
    elif name == "fusion":
        body = Fusion(windows, hyper)
    else:
        branch = BRANCHES[name]
        body = Apart({window: branch(c, steps, hyper) for window, (steps, c) in windows.items()})
    return Network(
        shapes,
        body,
        classes=classes,
        heads=heads,
        hidden=hyper.head,
        dropout=hyper.dropout,
        kept=kept,
        joined=tuple(flats),
    )


def create_multi_timeframe_model(
    input_shapes: Mapping[str, tuple[int, int]], hyperparams: Hyper | Mapping[str, object]
) -> Network:
    """Build the fusion of timeframes with all its heads: down, hold or up; magnitude; volatility; volume.

    `input_shapes` are (steps, columns) by timeframe, as `{"15m": (64, 16), "1h": (64, 16)}`;
    `hyperparams` are sizes, or plain values of which `variant` may name those to start from.
    """
    known = [one.value for one in Timeframe]
    for timeframe, shape in input_shapes.items():
        if timeframe not in known:
            raise UsageError(f"input_shapes: expected timeframes of {', '.join(known)}; found {timeframe!r}")
        if len(shape) != WINDOW:
            raise UsageError(f"input_shapes: expected (steps, columns) of {timeframe}; found {shape}")
    sizes = hyperparams if isinstance(hyperparams, Hyper) else read_hyper(hyperparams)
    return network("fusion", input_shapes, sizes, classes=CLASSES, heads=tuple(HEADS))


def _check(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    classes: int,
    heads: Sequence[str],
    kept: Mapping[str, Sequence[int]],
) -> None:
    if name not in NAMES:
        raise UsageError(f"network: expected one of {', '.join(NAMES)}; found {name!r}")
    if classes < 2:
        raise UsageError(f"{name}: expected at least 2 classes; found {classes}")
    if len(set(heads) & set(HEADS)) < len(heads):
        raise UsageError(f"{name}: expected heads of {', '.join(HEADS)}, each once; found {list(heads)}")
    for tensor, shape in shapes.items():
        if len(shape) not in (FLAT, WINDOW) or min(shape) < 1:
            raise UsageError(f"{name}: expected (steps, columns) or (columns,) of {tensor}; found {shape}")
    if strange := [tensor for tensor in kept if tensor not in shapes]:
        raise UsageError(f"{name}: expected columns kept of {', '.join(shapes)}; found {', '.join(strange)}")
    for tensor, columns in kept.items():
        count = shapes[tensor][-1]
        if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(count)):
            raise UsageError(f"{name}: expected columns of {tensor} from 0 to {count - 1}; found {columns}")


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
