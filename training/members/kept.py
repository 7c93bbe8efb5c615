"""What models said of rows that they had not seen, kept in one file: the hub between fitting and judging.

Must not know models or how the figures are made. Written by training.members.recipe; read by the
meta-model, by the manager's simulated entries and by the tables of results, so that nothing is fitted twice.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import DataError
from training.panel.panel import Flags, Floats, Ints, Kinds

TEST = 0
"""The fold of rows in the test span, answered by the final model; out-of-fold rows have 1, 2, ..."""
_VOICE = "voice."


class Subject(msgspec.Struct, frozen=True):
    """What the rows are about. `name` is the model's, `model` the voice that it speaks with.

    `embargo_ns` is the longest label; `trials` as on the card.
    """

    name: str
    model: str
    kind: str
    target: str
    spec: str
    decision: str
    venue: str
    source: str
    instruments: tuple[str, ...]
    classes: tuple[str, ...]
    barrier_atr: float
    horizon_bars: int
    seed: int
    data_hash: str
    test_start: int
    test_end: int
    trials: int = 1
    model_hash: str = ""
    """Of the written artifact, empty where none was written."""
    edge_threshold: float = 0.0


@dataclass(frozen=True, eq=False)
class Kept:
    """Rows by instrument, each in time order, and each voice's calibrated chances p [rows, classes].

    Every row is unseen by the voices that speak of it: `fold` says by which fit. `momentum` is the past
    return over one horizon in ATRs, the returns are those of a long and a short before fees; at `ts_end` (ns)
    both these and the class were known.
    """

    subject: Subject
    instrument: npt.NDArray[np.int32]
    ts: Ints
    ts_end: Ints
    fold: npt.NDArray[np.int8]
    kind: Kinds
    close: Floats
    atr: Floats
    volatility: Floats
    momentum: Floats
    long_return: Floats
    short_return: Floats
    voices: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def p(self) -> npt.NDArray[np.float32]:
        """The model's own voice."""
        return self.voices[self.subject.model]

    def only(self, picked: Flags | Ints) -> "Kept":
        """Give some rows."""
        rows = {name: getattr(self, name)[picked] for name in _ROWS}
        return Kept(self.subject, **rows, voices={name: p[picked] for name, p in self.voices.items()})


_ROWS = (
    "instrument",
    "ts",
    "ts_end",
    "fold",
    "kind",
    "close",
    "atr",
    "volatility",
    "momentum",
    "long_return",
    "short_return",
)


def save(path: Path, kept: Kept) -> None:
    """Write one .npz whole or not at all; the same content gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = np.frombuffer(msgspec.json.encode(kept.subject), np.uint8)
    arrays = {name: getattr(kept, name) for name in _ROWS}
    voices = {_VOICE + name: p for name, p in sorted(kept.voices.items())}
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        np.savez(file, allow_pickle=False, subject=head, **arrays, **voices)
    fresh.replace(path)


def load(path: Path) -> Kept:
    """Read what `save` wrote; DataError in one line for anything else."""
    try:
        with np.load(path, allow_pickle=False) as found:
            subject = msgspec.json.decode(found["subject"].tobytes(), type=Subject)
            rows = {name: found[name] for name in _ROWS}
            voices = {
                name.removeprefix(_VOICE): found[name] for name in found.files if name.startswith(_VOICE)
            }
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as broken:
        raise DataError(f"{path}: expected answers kept by training; found: {broken}") from broken
    return Kept(subject, **rows, voices=voices)
