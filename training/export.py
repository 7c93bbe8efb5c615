"""From trees to an artifact: the ONNX graph, its card, and a folder that the daemon accepts.

Must not know how rows were made. Called by training.recipe. Converters are imported when used.
"""

import hashlib
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import ModelError, UsageError
from inference import golden as vectors
from inference.artifact import (
    CARD_FILE,
    FILES,
    GOLDEN_FILE,
    INPUT,
    MODEL_FILE,
    OUTPUT,
    TOLERANCE,
    load,
    open_session,
)
from inference.card import Card, encode, sealed

OPSET = 15
GOLDEN_ROWS = 32


def to_onnx(booster: Any, columns: int) -> bytes:
    """Give the trees as one self-contained graph: `x` [n, columns] -> `probabilities` [n, 3]."""
    from onnxmltools import convert_lightgbm  # noqa: PLC0415
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter remarks on the label's shape, which goes anyway
        graph = convert_lightgbm(
            booster,
            initial_types=[(INPUT, FloatTensorType([None, columns]))],
            target_opset=OPSET,
            zipmap=False,
        )
    return slim(graph)


def check_parity(model: bytes, x: npt.NDArray[np.float32], expected: npt.NDArray[np.float64]) -> float:
    """Give the largest difference between graph and trees on real rows; ModelError above TOLERANCE."""
    found = open_session(model).run([OUTPUT], {INPUT: x})[0]
    error = float(np.max(np.abs(found - expected)))
    if not error <= TOLERANCE:
        raise ModelError(f"expected the ONNX graph to equal the trees within {TOLERANCE:g}; found {error:g}")
    return error


def golden(
    tensors: Mapping[str, npt.NDArray[np.float32]],
    p: npt.NDArray[np.floating],
    heads: Mapping[str, npt.NDArray[np.floating]] | None = None,
) -> vectors.Arrays:
    """Pick rows spread evenly over the tensors [n, ...] with their probabilities p [n, classes].

    `heads` are what further outputs say of them, [n, size] by name.
    """
    picked = np.linspace(0, len(p) - 1, GOLDEN_ROWS).astype(np.int64)
    answers = {vectors.ANSWERS: p, **(heads or {})}
    return {name: x[picked] for name, x in tensors.items()} | {
        name: said[picked].astype(np.float32) for name, said in answers.items()
    }


def shortest(value: np.float32) -> float:
    """Give the float with the shortest text that is still the same float32."""
    return float(str(value))


def check_target(folder: Path) -> None:
    """Raise UsageError unless `folder` is free or holds an artifact, and nothing else, to replace."""
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or not found <= FILES:
        raise UsageError(f"{folder}: expected a new folder or an old artifact to write to; found other files")


def write(folder: Path, card: Card, model: bytes, rows: vectors.Arrays) -> Card:
    """Write the folder, check it as the daemon will, then put it in the place of the old one."""
    check_target(folder)
    files = {MODEL_FILE: model, GOLDEN_FILE: vectors.encode(rows)}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = sealed(msgspec.structs.replace(card, files=hashes))
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    (fresh / CARD_FILE).write_bytes(encode(card))
    load(fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return card


def slim(graph: Any) -> bytes:
    """Keep what the daemon asks for, without the class label, in an order that never changes."""
    kept = {OUTPUT}
    nodes = []
    for node in reversed(graph.graph.node):
        if kept & set(node.output):
            nodes.append(node)
            kept |= set(node.input)
    outputs = [output for output in graph.graph.output if output.name == OUTPUT]
    del graph.graph.node[:], graph.graph.output[:]
    graph.graph.node.extend(reversed(nodes))
    graph.graph.output.extend(outputs)
    # The converter takes these from a set, so their order would change from process to process.
    opsets = sorted(graph.opset_import, key=lambda one: one.domain)
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    graph.graph.name, graph.doc_string = "entry", ""
    data: bytes = graph.SerializeToString()
    return data
