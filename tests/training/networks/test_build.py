"""Building by name: sizes, parameter counts on the page, and refusals in one line."""

import re
from pathlib import Path

import pytest
import torch

from core.errors import UsageError
from inference.features.spec import SPECS
from training.networks.build import (
    DETAILS,
    HEADS,
    NAMES,
    VARIANTS,
    Hyper,
    create_multi_timeframe_model,
    network,
    read_hyper,
)

PAGE = Path(__file__).parents[3] / "docs" / "networks.md"
SHAPES = {"15m": (48, 16)}


def count(model):
    return sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_on_the_page_are_those_of_the_code(name):
    ((spec, *told),) = re.findall(
        rf"^\| `{name}` \| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", PAGE.read_text(), re.MULTILINE
    )
    shapes = SPECS[spec].shapes
    found = [f"{count(network(name, shapes, hyper, classes=3)):,}" for hyper in VARIANTS.values()]
    assert told == found


def test_multi_timeframe_model_has_all_heads_and_a_branch_for_each_timeframe():
    shapes = {"15m": (24, 5), "1h": (16, 4), "4h": (8, 3)}
    model = create_multi_timeframe_model(shapes, {"variant": "conservative", "width": 4})
    found = model({name: torch.zeros(2, *shape) for name, shape in shapes.items()})
    assert set(found) == {"direction", *HEADS}
    assert len(model.body.branches) == 3
    same = create_multi_timeframe_model(shapes, Hyper())
    assert count(same) == count(network("fusion", shapes, Hyper(), classes=3, heads=tuple(HEADS)))


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"variant": "bold"}, "variant: expected one of conservative, balanced, aggressive; found 'bold'"),
        ({"depth": 3}, "hyper-parameters: Object contains unknown field `depth`"),
        ({"width": "wide"}, "hyper-parameters: Expected `int`, got `str`"),
        ({"width": 0}, "width: expected 1 to 512; found 0"),
        ({"dilations": []}, "dilations: expected 1 to 12 entries; found 0"),
        ({"dilations": [0]}, "dilations: expected 1 to 4096; found 0"),
        ({"taps": 1}, "taps: expected 2 to 32; found 1"),
        ({"dropout": 1.0}, "dropout: expected a share from 0 to below 1; found 1"),
        ({"recurrent": "rnn"}, "recurrent: expected one of lstm, gru; found 'rnn'"),
        ({"heads": 3}, "heads: expected a divisor of token = 32; found 3"),
    ],
)
def test_hyper_parameters_that_do_not_fit_are_refused_in_one_line(values, expected):
    with pytest.raises(UsageError) as refused:
        create_multi_timeframe_model(SHAPES, values)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "words, expected",
    [
        ({"name": "mlp"}, "network: expected one of cnn, lstm"),
        ({"classes": 1}, "cnn: expected at least 2 classes; found 1"),
        (
            {"heads": ("price",)},
            "expected heads of magnitude, volatility, volume, each once; found ['price']",
        ),
        ({"heads": ("volume", "volume")}, "each once; found ['volume', 'volume']"),
        ({"shapes": {}}, "cnn: expected a tensor with a window; found none"),
        ({"shapes": {"x": (4,)}}, "cnn: expected a tensor with a window; found x (4,)"),
        ({"shapes": {"x": (1, 2, 3)}}, "expected (steps, columns) or (columns,) of x; found (1, 2, 3)"),
        ({"shapes": {"x": (0,)}}, "expected (steps, columns) or (columns,) of x; found (0,)"),
        ({"name": "ft_small", "shapes": {}}, "ft_small: expected a tensor; found none"),
        ({"kept": {"15m": ()}}, "expected columns of 15m from 0 to 15; found ()"),
        ({"kept": {"15m": (16,)}}, "expected columns of 15m from 0 to 15; found (16,)"),
        ({"kept": {"15m": (1, 1)}}, "expected columns of 15m from 0 to 15; found (1, 1)"),
        ({"kept": {"1h": (0,)}}, "cnn: expected columns kept of 15m; found 1h"),
    ],
)
def test_networks_that_cannot_be_are_refused_in_one_line(words, expected):
    asked = {"name": "cnn", "shapes": SHAPES, "classes": 3, "heads": (), "kept": {}} | words
    with pytest.raises(UsageError) as refused:
        network(asked.pop("name"), asked.pop("shapes"), Hyper(), **asked)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    "shapes, expected",
    [
        ({"2h": (8, 3)}, "input_shapes: expected timeframes of 1m, 5m"),
        ({"1h": (8,)}, "input_shapes: expected (steps, columns) of 1h; found (8,)"),
    ],
)
def test_a_multi_timeframe_model_takes_windows_by_timeframe(shapes, expected):
    with pytest.raises(UsageError, match=re.escape(expected)):
        create_multi_timeframe_model(shapes, Hyper())


def test_variants_grow_in_size_and_ease_in_what_holds_them_back():
    sizes = [count(network("hybrid", SHAPES, one.hyper, classes=3)) for one in DETAILS.values()]
    assert sizes == sorted(sizes)
    for of in (lambda one: one.hyper.dropout, lambda one: one.weight_decay, lambda one: one.label_smoothing):
        held = [of(one) for one in DETAILS.values()]
        assert held == sorted(held, reverse=True)
    assert VARIANTS["balanced"] == Hyper() == read_hyper({})
