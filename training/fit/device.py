"""Where a network is fitted, and a process that gives the same bits each time.

Must not know networks or rows. Called by training.members.network. A GPU is never needed. Where there is
one, sums run in bfloat16 and the optimiser is fused; that path follows the library's documentation and was
not tried on this project's machines.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from core.errors import UsageError

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
"""cuBLAS repeats itself only with a workspace of fixed size (torch's notes on reproducibility)."""


def found(asked: str) -> torch.device:
    """Give the device; UsageError for a GPU that is not there."""
    if asked not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device: expected auto, cpu or cuda; found {asked!r}")
    present = torch.cuda.is_available()
    if asked == "cuda" and not present:
        raise UsageError("device: expected a CUDA device; found none that torch can use")
    return torch.device("cuda" if present and asked != "cpu" else "cpu")


@contextmanager
def repeatable(seed: int, device: torch.device) -> Iterator[None]:
    """Run with one thread, seeded and deterministic, and leave the process as it was."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if device.type == "cuda":
        os.environ.setdefault(CUBLAS, ":4096:8")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)


def reduced(device: torch.device) -> AbstractContextManager[object]:
    """Give the context of the forward pass: bfloat16 on a GPU, full precision on the CPU."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def optimiser(
    network: torch.nn.Module, rate: float, weight_decay: float, device: torch.device
) -> torch.optim.AdamW:
    """Give AdamW (Loshchilov and Hutter 2019), fused on a GPU; biases and norms are not decayed."""
    decayed = [one for one in network.parameters() if one.requires_grad and one.ndim > 1]
    free = [one for one in network.parameters() if one.requires_grad and one.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=device.type == "cuda" or None)


def name(device: torch.device) -> str:
    """Name the device for a person."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, one thread"
