"""What the shipped ensemble costs: counted from its graphs, not timed."""

from pathlib import Path

from benchmarks.flops import flops
from benchmarks.setup import MODELS, whole
from benchmarks.twins import BUDGET_MFLOP

FOLDER_LIMIT = 12_000_000
"""Bytes of all models that come with a clone."""


def test_all_members_together_stay_within_the_operations_of_one_decision():
    (ensemble,) = whole().values()
    total = sum(flops(member.artifact.model) for member in ensemble.members)
    assert 0 < total <= BUDGET_MFLOP * 1e6


def test_the_models_that_come_along_are_small_together():
    sizes = [path.stat().st_size for path in Path(MODELS).rglob("*") if path.is_file()]
    assert 0 < sum(sizes) <= FOLDER_LIMIT
