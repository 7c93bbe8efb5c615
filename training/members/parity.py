"""Whether a graph says what its model says, in batches of every awkward size.

Must not know kinds of models or files. Called by training.members.carded before anything is written.
"""

from collections.abc import Mapping

import numpy as np

from core.errors import ModelError
from inference.artifact import OUTPUT, TOLERANCE, open_session, scaled
from training.members.member import Fitted
from training.panel.panel import Floats, Matrix, Panel

BATCHES = (1, 2, 7, 64)


def check(graph: bytes, fitted: Fitted, panel: Panel, name: str) -> float:
    """Give the largest difference on real rows of the panel; ModelError above TOLERANCE or for no number."""
    session = open_session(graph)
    worst = 0.0
    for size in BATCHES:
        rows = np.linspace(0, len(panel) - 1, min(size, len(panel))).astype(np.int64)
        found = session.run([OUTPUT], fed(fitted, panel.tensors(rows)))[0]
        expected: Floats = fitted.chances(panel.only(rows))
        apart = float(np.max(np.abs(found - expected)))
        worst = max(worst, apart) if np.isfinite(apart) else np.inf
    if not worst <= TOLERANCE:
        raise ModelError(
            f"{name}: expected the ONNX graph to equal the model within {TOLERANCE:g}; found {worst:g}"
        )
    return worst


def fed(fitted: Fitted, tensors: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Give the tensors that the graph reads, scaled as the daemon scales them."""
    return {name: scaled(fitted.scalers.get(name), tensors[name]) for name in fitted.inputs}
