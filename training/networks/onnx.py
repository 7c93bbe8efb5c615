"""From a fitted network to one self-contained ONNX graph, and the proof that both say the same.

Must not know cards or folders (training.export). Called by training.members.network. The exporter is
imported when it is used: it takes seconds.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core.errors import ModelError, UsageError
from inference.artifact import OUTPUT, TOLERANCE, open_session
from training.networks.network import DIRECTION, HEADS, Network
from training.networks.onnx_recurrent import Graphed
from training.networks.recurrent import Recurrent

OPSET = 18
"""The newest for which torch's exporter writes graphs without converting them."""
BATCHES = (1, 2, 7, 64)
EXAMPLE = 3
"""Rows of the traced example: with one the exporter would take the batch for a constant."""
Matrix = npt.NDArray[np.float32]


class Answering(nn.Module):
    """A network as the graph has it: tensors in order in, chances out."""

    def __init__(self, network: Network, *, heads: bool) -> None:
        super().__init__()
        self.network = network
        self.heads = network.heads if heads else (DIRECTION,)
        self.train(network.training)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self.network(dict(zip(self.network.names, tensors, strict=True)))
        return tuple(
            found[name] if HEADS.get(name) == 1 else torch.softmax(found[name], dim=1) for name in self.heads
        )


def to_onnx(network: Network, shapes: Mapping[str, tuple[int, ...]], *, heads: bool = False) -> bytes:
    """Give fp32 ONNX bytes: inputs by tensor name [batch, ...], output `probabilities` [batch, classes].

    With `heads` also the other answers by name: chances of classes, `magnitude` [batch] as a number. The
    batch may have any size from 1. The same weights give the same bytes in every process.
    """
    if dict(shapes) != network.shapes:
        raise UsageError(f"export: expected tensors {network.shapes}; found {dict(shapes)}")
    answering = Answering(_graphed(network), heads=heads)
    batch = torch.export.Dim("batch", min=1)
    device = next(network.parameters()).device
    example = tuple(torch.zeros(EXAMPLE, *shapes[name], device=device) for name in network.names)
    with _eval(answering), _quiet():
        program = torch.onnx.export(
            answering,
            example,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=list(network.names),
            output_names=[OUTPUT if name == DIRECTION else name for name in answering.heads],
            dynamic_shapes=(tuple({0: batch} for _ in example),),
            verbose=False,
        )
    return _plain(program.model_proto)


def check_parity(model: bytes, network: Network, tensors: Mapping[str, Matrix]) -> float:
    """Give the largest difference between graph and network; ModelError above TOLERANCE or for no number.

    Looked at are the given rows (scaled, at least one) in batches of 1, 2, 7 and 64, repeated where there
    are fewer, and rows of zeros, of one constant, and of the largest and smallest values that the
    rows have: what a scaler's clip lets through.
    """
    session = open_session(model)
    names = [node.name for node in session.get_outputs()]
    rows = len(next(iter(tensors.values())))
    if not rows:
        raise ModelError("expected rows to compare graph and network on; found none")
    worst = 0.0
    with _eval(network), torch.no_grad():
        for case in (*_batches(tensors, rows), *_extremes(tensors)):
            found = dict(zip(names, session.run(names, case), strict=True))
            for name, expected in answers(network, case).items():
                if name in found:
                    worst = max(worst, _difference(name, found[name], expected))
    if not worst <= TOLERANCE:
        raise ModelError(
            f"expected the ONNX graph to equal the network within {TOLERANCE:g}; found {worst:g}"
        )
    return worst


def answers(network: Network, tensors: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Give what the network says of scaled rows, named and shaped as the graph's outputs."""
    device = next(network.parameters()).device
    fed = [torch.from_numpy(np.ascontiguousarray(tensors[name])).to(device) for name in network.names]
    with _eval(network), torch.no_grad():
        found = Answering(network, heads=True)(*fed)
    names = (OUTPUT, *network.heads[1:])
    return {name: x.cpu().numpy() for name, x in zip(names, found, strict=True)}


def _difference(name: str, found: Matrix, expected: Matrix) -> float:
    if found.shape != expected.shape:
        raise ModelError(f"expected {name} of shape {expected.shape} from the graph; found {found.shape}")
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        raise ModelError(f"expected finite {name} from graph and network; found others")
    # A magnitude has no bound: far from 0 the seventh digit is all that a float32 has.
    scale = 1.0 if name == OUTPUT else np.maximum(1.0, np.abs(expected))
    return float(np.max(np.abs(found - expected) / scale))


def _batches(tensors: Mapping[str, Matrix], rows: int) -> Iterator[dict[str, Matrix]]:
    for size in BATCHES:
        at = np.linspace(0, rows - 1, size).astype(np.int64)
        yield {name: np.ascontiguousarray(x[at]) for name, x in tensors.items()}


def _extremes(tensors: Mapping[str, Matrix]) -> Iterator[dict[str, Matrix]]:
    for value in (0.0, 1.0):
        yield {name: np.full_like(x[:2], value) for name, x in tensors.items()}
    for most in (np.max, np.min):
        yield {name: np.full_like(x[:2], most(x)) for name, x in tensors.items()}


def _graphed(network: Network) -> Network:
    """Give a copy whose recurrent layers are nodes of ONNX."""
    twin = copy.deepcopy(network)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Recurrent):
                setattr(parent, name, Graphed(child.cell))
    return twin


@contextlib.contextmanager
def _eval(network: nn.Module) -> Iterator[None]:
    """Switch dropout off and the running statistics on, and put it back."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks to itself: deprecations inside torch, and lines about its progress."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            # One dimension is shared by all tensors on purpose; the exporter names it once and says so.
            warnings.filterwarnings("ignore", message="# The axis name: batch", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)


def _plain(model: Any) -> bytes:
    """Strip what does not compute and number the rest, so that the bytes follow from the weights alone."""
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:], model.functions[:]
    graph.name, graph.doc_string, model.doc_string = "network", "", ""
    model.producer_name, model.producer_version, model.domain = "", "", ""
    outside = {value.name for value in (*graph.input, *graph.output)}
    numbered = {"": ""} | {name: name for name in outside}

    def named(name: str) -> str:
        return numbered.setdefault(name, f"v{len(numbered)}")

    for weight in graph.initializer:
        weight.name, weight.doc_string = named(weight.name), ""
        del weight.metadata_props[:]
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"n{number}", ""
        del node.metadata_props[:]
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    opsets = sorted(model.opset_import, key=lambda one: one.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
