"""Kernels compile when told to, into the cache they are told, and never by an import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference.features.catalogue import FAMILIES

KERNELS = 4 + len(FAMILIES)
ROOT = Path(__file__).parents[2]
COUNT = """
import inference.warm
from inference.features.admit import admit, number
from inference.features.catalogue import FAMILIES
from inference.features.windows import align, gather
kernels = (admit, number, align, gather, *(family.advance for family in FAMILIES))
print(sum(len(kernel.signatures) for kernel in kernels))
inference.warm.main()
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels))
print(sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels))
"""


@pytest.mark.e2e
def test_installed_kernels_are_compiled_once_into_the_directory_named(tmp_path):
    installed, cache = tmp_path / "site-packages", tmp_path / "cache"
    for package in ("core", "inference"):
        shutil.copytree(ROOT / package, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run() -> list[str]:
        command = [sys.executable, "-c", COUNT]
        answer = subprocess.run(
            command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return answer.stdout.split("\n")[:4]

    assert run() == ["0", "feature kernels compiled", str(KERNELS), "0"]
    assert run() == ["0", "feature kernels compiled", "0", str(KERNELS)]
    assert list(cache.rglob("*.nbi"))
    assert not list(installed.rglob("*.nb?"))
