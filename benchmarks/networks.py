"""What each network costs: parameters of its variants, operations, time in ONNX Runtime, parity.

`python -m benchmarks.networks [NAME ...]` prints a line for each; docs/networks.md has all but
the times. Times are the best of five over 1,000 rows in chunks of 32, one thread, like a daemon's batch.
"""

import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.flops import flops

ROWS, CHUNK, REPEATS = 1_000, 32, 5
SPEC = {"fusion": "mtf", "sweep": "sweep_15m", "ft_small": "entry_15m", "ft_large": "entry_15m"}
USUAL = "seq_15m"


def line(name: str) -> str:
    """Measure one network with the shapes of the specification that suits it."""
    import torch

    from inference.artifact import OUTPUT, open_session
    from inference.features.spec import SPECS
    from training.networks.build import VARIANTS, Hyper, network
    from training.networks.onnx import check_parity, to_onnx

    torch.set_num_threads(1)
    spec = SPEC.get(name, USUAL)
    shapes = SPECS[spec].shapes
    torch.manual_seed(1)
    counts = [
        sum(weights.numel() for weights in network(name, shapes, hyper, classes=3).parameters())
        for hyper in VARIANTS.values()
    ]
    model = network(name, shapes, Hyper(), classes=3)
    graph = to_onnx(model, shapes)
    tensors = _rows(shapes, ROWS)
    error = check_parity(graph, model, tensors)
    session = open_session(graph)
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        for start in range(0, ROWS, CHUNK):
            session.run([OUTPUT], {key: x[start : start + CHUNK] for key, x in tensors.items()})
        taken.append(time.perf_counter() - began)
    shown = " | ".join(f"{count:,}" for count in counts)
    cost = f"{flops(graph) / 1e6:.2f} | {min(taken) * 1e3:.0f} ms"
    return f"| `{name}` | `{spec}` | {shown} | {cost} |   parity {error:.1e}, {len(graph):,} bytes"


def _rows(shapes: dict[str, tuple[int, ...]], count: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(1)
    return {
        name: random.standard_normal((count, *shape), dtype=np.float32).clip(-5, 5)
        for name, shape in shapes.items()
    }


def main() -> None:
    from training.networks.build import NAMES

    for name in sys.argv[1:] or NAMES:
        print(line(name), flush=True)


if __name__ == "__main__":
    main()
