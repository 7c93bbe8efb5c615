"""What every network must hold: shapes, causality, gradients, and rows that do not know each other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.networks.made_tensors import CLIP, rows, shapes_of, torched
from training.networks.build import BRANCHES, HEADS, NAMES, VARIANTS, Hyper, network
from training.networks.causal import CausalConv
from training.networks.recurrent import Recurrent
from training.networks.tcn import TemporalConv

ALL_HEADS = tuple(HEADS)
CAUSAL = tuple(name for name, branch in BRANCHES.items() if hasattr(branch, "steps"))


def built(name, *, classes=3, heads=ALL_HEADS, hyper=None, seed=1, **others):
    torch.manual_seed(seed)
    return network(name, shapes_of(name), hyper or Hyper(), classes=classes, heads=heads, **others)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_answers_have_the_shapes_of_their_heads(name, variant):
    found = built(name, hyper=VARIANTS[variant], classes=4)(torched(rows(shapes_of(name), 5)))
    assert {head: tuple(x.shape) for head, x in found.items()} == {
        "direction": (5, 4),
        "magnitude": (5,),
        "volatility": (5, 3),
        "volume": (5, 2),
    }


def test_there_are_no_heads_unless_asked_for():
    assert list(built("cnn", heads=())(torched(rows(shapes_of("cnn"), 2)))) == ["direction"]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name):
    model = built(name, hyper=Hyper(dropout=0.0))
    found = model(torched(rows(shapes_of(name), 16)))
    sum((x**2).sum() for x in found.values()).backward()
    dead = [name for name, w in model.named_parameters() if w.grad is None or not w.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(name):
    first, again, other = built(name), built(name), built(name, seed=2)
    pairs = list(zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    tensors = torched(rows(shapes_of(name), 4))
    with torch.no_grad():
        assert torch.equal(first.eval()(tensors)["direction"], again.eval()(tensors)["direction"])
        assert not torch.equal(first(tensors)["direction"], other.eval()(tensors)["direction"])


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_answered_alike_in_any_company(name):
    model = built(name).eval()
    tensors = torched(rows(shapes_of(name), 7))
    with torch.no_grad():
        together = model(tensors)["direction"]
        alone = torch.cat(
            [model({k: x[i : i + 1] for k, x in tensors.items()})["direction"] for i in range(7)]
        )
    np.testing.assert_allclose(alone, together, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_scaler_lets_through_never_gives_a_nan(name):
    model = built(name).eval()
    for value in (0.0, CLIP, -CLIP, 1e-38, 1e6):
        tensors = {k: torch.full((2, *shape), value) for k, shape in shapes_of(name).items()}
        with torch.no_grad():
            assert all(torch.isfinite(x).all() for x in model(tensors).values()), value


@pytest.mark.parametrize("name", CAUSAL)
@given(cut=st.integers(0, 23), seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_no_step_sees_a_later_one(name, cut, seed):
    torch.manual_seed(seed)
    branch = BRANCHES[name](6, 24, Hyper()).eval()
    x = torch.randn(3, 24, 6)
    changed = x.clone()
    changed[:, cut + 1 :] = torch.randn(3, 23 - cut, 6)
    with torch.no_grad():
        before, after = branch.steps(x), branch.steps(changed)
    assert torch.equal(before[:, : cut + 1], after[:, : cut + 1])
    assert cut == 23 or not torch.equal(before[:, cut + 1 :], after[:, cut + 1 :])


@given(taps=st.integers(2, 5), dilation=st.integers(1, 6), seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_causal_convolution_reaches_back_as_far_as_it_says(taps, dilation, seed):
    torch.manual_seed(seed)
    conv = CausalConv(1, 1, taps=taps, dilation=dilation)
    x = torch.zeros(1, 1, 1, 40)
    x[..., 3] = 1.0
    with torch.no_grad():
        seen = (conv(x) != conv(torch.zeros_like(x))).flatten().nonzero().flatten()
    assert seen.tolist() == [3 + k * dilation for k in range(taps) if 3 + k * dilation < 40]
    assert seen.max() <= 3 + conv.reach


def test_the_dilated_stack_sees_exactly_its_reach():
    torch.manual_seed(1)
    block = TemporalConv(2, 16, (1, 2, 4, 8), norm=False).eval()
    assert block.reach == 2 * (1 + 15)
    x = torch.randn(1, 48, 2, requires_grad=True)
    block(x)[0, -1].abs().sum().backward()
    touched = x.grad.abs().sum(dim=2).flatten().nonzero().flatten()
    assert touched.min() == 47 - block.reach


@pytest.mark.parametrize(
    "taps, dilations",
    [(2, (1, 2, 4, 8)), (4, (1, 4, 16)), (3, (1, 2, 4)), (3, (1, 6, 4)), (5, (1,)), (2, ())],
)
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_the_newest_step_alone_is_the_newest_of_all(taps, dilations, steps):
    torch.manual_seed(4)
    block = TemporalConv(3, 8, dilations, taps=taps, norm=False)
    for layer in (block.stem, *block.stack.blocks):
        torch.nn.init.normal_(layer.conv.conv.bias)  # else a step of zeros looks like no step at all
    x = torch.randn(5, steps, 3)
    found = block.newest(x)
    assert found.shape == (5, 1, 8)
    assert torch.allclose(found, block(x)[:, -1:], atol=1e-5)


def test_a_convolution_by_hand():
    conv = CausalConv(1, 1, taps=2, dilation=2)
    with torch.no_grad():
        conv.conv.weight.copy_(torch.tensor([10.0, 1.0]).reshape(1, 1, 1, 2))
        found = conv(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4))
    # Step t: 10 x the step two before it (nothing before the first) + itself.
    assert found.flatten().tolist() == [1.0, 2.0, 13.0, 24.0]


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gates_that_are_told_to_remember_keep_an_early_mark_for_longer(kind):
    def share(memory):
        torch.manual_seed(1)
        cell = Recurrent(kind, 1, 32, memory=memory)
        x = torch.zeros(1, 100, 1, requires_grad=True)
        cell(x)[0, -1].sum().backward()
        return float(x.grad[0, 0].abs() / x.grad[0, -1].abs())

    assert share(100) > 1000 * share(1)


def test_columns_that_are_not_kept_change_nothing_and_kept_ones_do():
    kept = {"15m": (0, 2, 5), "x": (1,)}
    model = built("hybrid", kept=kept).eval()
    tensors = torched(rows(shapes_of("hybrid"), 4))
    other = torched(rows(shapes_of("hybrid"), 4, seed=2))
    dropped = {name: [k for k in range(x.shape[-1]) if k not in kept[name]] for name, x in tensors.items()}
    with torch.no_grad():
        asked = model(tensors)["direction"]
        for name, columns in dropped.items():
            changed = tensors[name].clone()
            changed[..., columns] = other[name][..., columns]
            assert torch.equal(asked, model(tensors | {name: changed})["direction"])
        assert not torch.equal(asked, model(tensors | {"15m": other["15m"]})["direction"])
        assert not torch.equal(asked, model(tensors | {"x": other["x"]})["direction"])


def test_a_transformer_of_columns_sees_the_newest_bar_of_a_window():
    torch.manual_seed(1)
    model = network("ft_small", {"x": (3,), "1h": (8, 5)}, Hyper(), classes=2).eval()
    tensors = torched(rows({"x": (3,), "1h": (8, 5)}, 4))
    older, newest = tensors["1h"].clone(), tensors["1h"].clone()
    older[:, :-1] += 1.0
    newest[:, -1] += 1.0
    with torch.no_grad():
        asked = model(tensors)["direction"]
        assert torch.equal(asked, model(tensors | {"1h": older})["direction"])
        assert not torch.equal(asked, model(tensors | {"1h": newest})["direction"])


def test_dropout_is_off_when_answering_and_on_when_learning():
    model = built("hybrid")
    tensors = torched(rows(shapes_of("hybrid"), 8))
    with torch.no_grad():
        model.eval()
        assert torch.equal(model(tensors)["direction"], model(tensors)["direction"])
        model.train()
        assert not torch.equal(model(tensors)["direction"], model(tensors)["direction"])
