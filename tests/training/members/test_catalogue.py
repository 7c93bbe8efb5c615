import subprocess
import sys

import pytest

from core.errors import UsageError
from training.members import catalogue
from training.members.boosted import BoostedMaker
from training.members.catalogue import maker
from training.members.logistic import LogisticMaker
from training.networks.build import NAMES


def test_names_of_networks_are_those_that_can_be_built():
    assert set(catalogue.NETWORKS) == set(NAMES)


def test_makers_come_from_plain_values():
    assert maker("logistic", {"penalty": 0.5}) == LogisticMaker(penalty=0.5)
    assert maker("lightgbm", {"rounds": 7}, called="trees") == BoostedMaker(7, called="trees")
    assert maker("persistence", {"past": "volatility"}).past == "volatility"
    assert maker("perceptron", {"hidden": (8, 4)}, fit={"epochs": 2}).terms.epochs == 2
    network = maker("hybrid", hyper={"width": 8}, fit={"epochs": 2}, heads=("volume",))
    assert (network.hyper.width, network.terms.epochs, network.heads) == (8, 2, ("volume",))
    assert network.name == "hybrid"


def test_a_variant_brings_its_weight_decay_unless_the_fit_has_its_own():
    cautious = maker("tcn", hyper={"variant": "conservative"})
    assert (cautious.terms.weight_decay, cautious.terms.label_smoothing) == (0.05, 0.05)
    assert cautious.hyper.dropout == 0.3
    assert (
        maker("tcn", hyper={"variant": "conservative"}, fit={"weight_decay": 0.2}).terms.weight_decay == 0.2
    )


@pytest.mark.parametrize(
    "name, given, said",
    [
        ("oracle", {}, r"^maker: expected one of persistence, logistic, .*; found 'oracle'$"),
        ("logistic", {"settings": {"penalti": 1}}, r"^logistic: expected settings of .*; found penalti$"),
        ("logistic", {"settings": {"penalty": "much"}}, r"^logistic: Expected `float`, got `str`"),
        (
            "logistic",
            {"fit": {"epochs": 3}},
            r"^logistic: expected a baseline's own settings; found a network's$",
        ),
        (
            "hybrid",
            {"settings": {"rounds": 3}},
            r"^hybrid: expected hyper and fit of a network; found rounds$",
        ),
        ("hybrid", {"fit": {"epoch": 3}}, r"^fit: Object contains unknown field `epoch`"),
        ("hybrid", {"fit": {"epochs": 0}}, r"epochs: expected 1 or more; found 0"),
        ("hybrid", {"hyper": {"width": 0}}, r"width: expected 1 to 512"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, given, said):
    with pytest.raises(UsageError, match=said) as refused:
        maker(name, **given)
    assert "\n" not in str(refused.value)


def test_the_names_cost_no_import_of_torch():
    code = (
        "import sys, training.members.catalogue as c; c.maker('lightgbm'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
