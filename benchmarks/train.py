"""Training speed of the networks: rows a second from a panel of recorded bars, and the share of waiting.

The loop is training.fit's own, with all heads. The best of some epochs counts, as elsewhere in the table:
what slows an epoch down beside it is not the code.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.rows import BENCHES, Found
from core.market import Timeframe
from feeds.lake import Lake
from inference.features.spec import SPECS
from training.fit.terms import FitTerms
from training.labels import BarrierTerms
from training.members.member import Lesson
from training.panel.build import build
from training.panel.panel import Panel
from training.targets.catalogue import target

MARKET = Path(__file__).parents[1] / "configs" / "market"
VENUE, SOURCE = "binance", Timeframe.M5
INSTRUMENTS = ("BTC/USDT", "ETH/USDT")
ROWS, EPOCHS = 2_048, 4
GPU_ROWS, GPU_BATCH = 400_000, 4_096
HEADS = ("magnitude", "volume")
NONE = "no GPU: torch finds no CUDA device here, so what it would do is not known"


class Speed(NamedTuple):
    """The best epoch of a fit: rows a second, the share of its time spent on batches, and the weights."""

    samples_per_s: float
    data_wait: float
    weights: int
    device: str
    busy: tuple[int, ...] = ()
    """Per cent of a GPU's time with a kernel on it, at the end of each epoch, where it could be asked."""


def measure() -> Found:
    try:
        import torch
    except ImportError:
        return Found({row.key: None for row in BENCHES["train"]}, "torch is not installed: ./run setup train")
    fusion, tcn = speed("fusion", "mtf"), speed("tcn", "seq_15m")
    gpu = speed("fusion", "mtf", device="cuda") if torch.cuda.is_available() else None
    return Found(
        {
            "train.fusion_samples_per_s": fusion.samples_per_s,
            "train.tcn_samples_per_s": tcn.samples_per_s,
            "train.data_wait_share": max(fusion.data_wait, tcn.data_wait),
            "train.gpu_fusion_samples_per_s": None if gpu is None else gpu.samples_per_s,
        },
        f"forward, backward and step in batches of 256, one thread, best of {EPOCHS} epochs of {ROWS:,} "
        f"rows: the shipped fusion of four windows with heads for {' and '.join(HEADS)} "
        f"({fusion.weights:,} weights), and a TCN over 48 bars of 15m ({tcn.weights:,} weights); the share "
        "of waiting for a batch is the larger of both; " + (NONE if gpu is None else _told(gpu)),
    )


def speed(name: str, spec: str, *, device: str = "cpu") -> Speed:
    """Fit a network of the shipped sizes on recorded bars and give its best epoch."""
    from training.fit import device as devices
    from training.fit.loop import Fit, learn
    from training.fit.resident import Resident, Taught
    from training.members.seen import seen
    from training.networks.build import network
    from training.networks.hyper import Hyper

    lesson = taught(spec, ROWS if device == "cpu" else GPU_ROWS)
    terms = FitTerms(epochs=EPOCHS, patience=0, batch=256 if device == "cpu" else GPU_BATCH, device=device)
    where, view = devices.found(device), seen(lesson.panel)
    with devices.repeatable(1, where):
        built = network(
            name, view.shapes, Hyper(), classes=3, heads=HEADS if name == "fusion" else (), kept=view.kept
        ).to(where)
        rows = Taught(lesson, Resident(lesson.panel, view, where), where)
        busy: list[int] = []
        done = learn(built, rows, None, Fit(name, terms, 1, where), lambda _: busy.extend(_busy(where)))
    best = max(done.epochs, key=lambda one: one.samples_per_s)
    weights = sum(one.numel() for one in built.parameters())
    return Speed(best.samples_per_s, best.data_wait, weights, devices.name(where), tuple(busy))


def _busy(where: object) -> tuple[int, ...]:
    import torch

    try:
        return (torch.cuda.utilization(),) if str(where).startswith("cuda") else ()
    except (ModuleNotFoundError, RuntimeError):  # needs NVIDIA's management library beside torch
        return ()


def _told(gpu: Speed) -> str:
    busy = f"busy {max(gpu.busy)} %" if gpu.busy else "its utilisation could not be asked"
    return f"{gpu.device}, {busy}, batches of {GPU_BATCH:,} of {GPU_ROWS:,} rows"


def taught(spec: str, rows: int) -> Lesson:
    """Give rows of the repository's bars, repeated where there are fewer, with answers for the heads."""
    terms = BarrierTerms(SPECS[spec].decision)
    asked = [target(name, terms.decision, terms) for name in ("barrier", "magnitude", "volume_up")]
    series = [Lake(MARKET).read(VENUE, instrument, SOURCE) for instrument in INSTRUMENTS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        panel: Panel = build(series, SPECS[spec], asked, terms)
    known = np.flatnonzero(panel.followed["barrier"].kind >= 0)
    # Spread over the whole span: windows that lie far apart in memory are the harder case.
    picked = panel.only(np.sort(np.resize(known[:: max(1, len(known) // rows)], rows)))
    beside = {
        "magnitude": picked.followed["magnitude"].value,
        "volume": picked.followed["volume_up"].kind,
    }
    return Lesson(picked, picked.followed["barrier"].kind, picked.weight, beside)
