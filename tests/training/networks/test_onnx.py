"""From network to graph: the same answers, the same bytes, one file, and what a graph may cost."""

import functools
import hashlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from benchmarks.flops import flops
from core.errors import ModelError, UsageError
from inference.artifact import open_session
from inference.features.spec import SPECS
from tests.training.networks.made_tensors import CLIP, rows, shapes_of
from training.networks.build import HEADS, NAMES, Hyper, network
from training.networks.onnx import BATCHES, OPSET, answers, check_parity, to_onnx

SHIPPED = {"hybrid": ("seq_15m", 0.7), "fusion": ("mtf", 2.5)}
"""Specification and MFLOP that a row may cost."""


def shapes(name):
    return SPECS[SHIPPED[name][0]].shapes if name in SHIPPED else shapes_of(name)


@functools.cache
def built(name):
    """A network that has seen some rows, so that its running statistics are not those of a new one."""
    torch.manual_seed(1)
    model = network(name, shapes(name), Hyper(), classes=3, heads=tuple(HEADS))
    with torch.no_grad():
        model.train()({k: 2 * torch.from_numpy(x) + 1 for k, x in rows(shapes(name), 64).items()})
    return model


@functools.cache
def exported(name):
    """Each takes seconds, so the tests share them."""
    return to_onnx(built(name), shapes(name), heads=True)


@pytest.mark.parametrize("name", NAMES)
def test_graph_says_what_the_network_says(name):
    assert check_parity(exported(name), built(name), rows(shapes(name), 80, seed=7)) <= 1e-5
    session = open_session(exported(name))
    assert {node.name for node in session.get_inputs()} == set(shapes(name))
    assert [node.name for node in session.get_outputs()] == ["probabilities", *HEADS]
    for batch in BATCHES:
        found = dict(
            zip(("probabilities", *HEADS), session.run(None, rows(shapes(name), batch)), strict=True)
        )
        assert [found[key].shape for key in found] == [(batch, 3), (batch,), (batch, 3), (batch, 2)]
        np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, atol=1e-6)
    proto = onnx.load_from_string(exported(name))
    onnx.checker.check_model(proto)
    assert {one.domain: one.version for one in proto.opset_import} == {"": OPSET}
    assert b"location" not in exported(name)
    assert b"/work" not in exported(name)
    kinds = {weight.data_type for weight in proto.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


def test_the_daemons_graph_has_one_output_and_the_same_bytes_in_another_process():
    script = (
        "import hashlib, sys, torch; from training.networks.build import Hyper, network;"
        "from training.networks.onnx import to_onnx; torch.manual_seed(5); torch.set_num_threads(1);"
        "shapes = {'x': (4,), '1h': (12, 3)};"
        "model = network('hybrid', shapes, Hyper(layers=2, recurrent='gru'), classes=2, kept={'1h': (0, 2)});"
        "print(hashlib.sha256(to_onnx(model, shapes)).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    torch.manual_seed(5)
    small = {"x": (4,), "1h": (12, 3)}
    model = network("hybrid", small, Hyper(layers=2, recurrent="gru"), classes=2, kept={"1h": (0, 2)})
    data = to_onnx(model, small)
    assert done.stdout.strip() == hashlib.sha256(data).hexdigest()
    assert done.stderr == ""
    session = open_session(data)
    assert [node.name for node in session.get_outputs()] == ["probabilities"]
    # The columns that are not kept still come in, as the specification has them.
    assert {node.name: node.shape[1:] for node in session.get_inputs()} == {"x": [4], "1h": [12, 3]}
    assert check_parity(data, model, rows(small, 9)) <= 1e-5
    assert model.training


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_stays_within_its_budget(name):
    assert flops(exported(name)) / 1e6 <= SHIPPED[name][1]


def test_another_network_is_not_taken_for_this_one():
    torch.manual_seed(2)
    other = network("cnn", shapes("cnn"), Hyper(), classes=3)
    with pytest.raises(ModelError, match="expected the ONNX graph to equal the network within 1e-05; found"):
        check_parity(exported("cnn"), other, rows(shapes("cnn"), 4))


def test_rows_that_give_no_number_are_refused():
    bad = rows(shapes("cnn"), 4)
    bad["15m"][2, 3, 1] = np.nan
    with pytest.raises(ModelError, match="expected finite probabilities"):
        check_parity(exported("cnn"), built("cnn"), bad)
    with pytest.raises(ModelError, match="expected rows to compare"):
        check_parity(exported("cnn"), built("cnn"), rows(shapes("cnn"), 0))


def test_shapes_of_another_specification_are_refused():
    with pytest.raises(UsageError, match="export: expected tensors"):
        to_onnx(built("cnn"), {"15m": (24, 7)})


def test_answers_are_named_and_shaped_as_the_graphs_outputs():
    found = answers(built("cnn"), rows(shapes("cnn"), 5))
    assert {name: x.shape for name, x in found.items()} == {
        "probabilities": (5, 3), "magnitude": (5,), "volatility": (5, 3), "volume": (5, 2)
    }  # fmt: skip
    assert CLIP > 0
