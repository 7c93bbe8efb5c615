"""An ensemble of every kind of member, as a folder: trees, networks, meta-model, regimes, manager.

Must not know who uses it. The trees are shipped ones, the networks untrained ones of the shipped shapes
(benchmarks.twins), so its answers are real ones of models that know nothing.
"""

import shutil
from pathlib import Path

from benchmarks.twins import twins
from inference.card import POSITION_COLUMNS, Kind
from inference.ensemble_card import Policy
from tests.inference.making import SHIPPED, write_ensemble, write_model

VOTERS = ("entry-15m", "entry-1h", "net-15m", "fusion-15m")
FILTERS = ("meta-15m", "regime-1h", "volume-1h", "manager-1m")


def council(root: Path, policy: Policy = Policy(min_take=0.0, regime_high=1.0)) -> Path:  # noqa: B008
    """Write the ensemble `root`/council-15m with its members beside it and give its folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("entry-15m", "entry-1h", "regime-1h", "volume-1h"):
        shutil.copytree(SHIPPED / name, root / name)
    networks = {twin.name: twin for twin in twins()}
    for name, spec, twin in (("net-15m", "seq_15m", "entry_15m"), ("fusion-15m", "mtf", "mtf")):
        found = networks[twin]
        write_model(root / name, spec, inputs=dict(found.inputs), model=found.model)
    seen = {"votes": (5,), "members": (4 * len(VOTERS),)}
    write_model(root / "meta-15m", "entry_15m", Kind.META, inputs=seen, voters=VOTERS, pull=0.2)
    managed = {"1m": (32, 16), "5m": (32, 16), "position": (len(POSITION_COLUMNS),)}
    write_model(root / "manager-1m", "manager_1m5m", Kind.MANAGER, inputs=managed)
    members = [root / name for name in (*VOTERS, *FILTERS)]
    write_ensemble(root / "council-15m", *members, policy=policy)
    return root / "council-15m"
