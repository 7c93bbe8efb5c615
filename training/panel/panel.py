"""The rows of a data set: shared arrays of features, and for each decision where its windows end.

Must not know files, labels' meaning or models. Made by training.panel.build; read by everything that
learns or measures. A window is never copied before it is asked for: all rows share one matrix per block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.features.spec import FLAT, FeatureSpec

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.int8]

UNKNOWN = -1
"""The kind of a row of which the data cannot say what followed."""


class Windows(NamedTuple):
    """A block of all instruments: `matrix` [slots, C], and the slot [rows] of each row's newest bar.

    Instruments lie one after the other; the window of a row never reaches into the one before.
    """

    matrix: Matrix
    at: Ints
    window: int
    columns: tuple[str, ...]

    def newest(self, rows: Ints) -> Matrix:
        """Give the newest bar's columns [n, C]."""
        return self.matrix[self.at[rows]]

    def tensor(self, rows: Ints) -> Matrix:
        """Give the windows [n, window, C], oldest bar first: one gather out of a view."""
        view = np.lib.stride_tricks.sliding_window_view(self.matrix, self.window, axis=0)
        found: Matrix = np.ascontiguousarray(view[self.at[rows] - self.window + 1].transpose(0, 2, 1))
        return found


class Followed(NamedTuple):
    """What one target says of each row: a class `kind` (UNKNOWN = not known), a `value` (NaN = not known).

    `ts_end` (ns) is when it was known. A target whose classes depend on bounds that are fitted on
    training rows leaves `kind` to training.targets.target.kinds and gives the value.
    """

    kind: Kinds
    value: Floats
    ts_end: Ints

    def only(self, picked: Flags | Ints) -> "Followed":
        """Give some rows."""
        return Followed(self.kind[picked], self.value[picked], self.ts_end[picked])


class Paid(NamedTuple):
    """What a long and a short entered at the next open would have made, [rows], before fees.

    Fractions of the entry price; `ts_end` (ns) when they ended. As training.labels.Labels has it.
    """

    long_return: Floats
    short_return: Floats
    ts_end: Ints
    both: Flags

    def only(self, picked: Flags | Ints) -> "Paid":
        """Give some rows."""
        return Paid(
            self.long_return[picked], self.short_return[picked], self.ts_end[picked], self.both[picked]
        )


@dataclass(frozen=True, eq=False)
class Panel:
    """Decisions that have features, instrument by instrument, each in time order.

    `flat` [rows, columns] is the tensor `x` (None where the specification has none), `blocks` those with
    windows by name, `beside` tensors that are no features (votes, position). `momentum` is the past
    return over one horizon in ATRs. `weight` is each row's uniqueness, mean 1.
    """

    spec: FeatureSpec
    instruments: tuple[str, ...]
    instrument: npt.NDArray[np.int32]
    ts: Ints
    close: Floats
    atr: Floats
    volatility: Floats
    momentum: Floats
    weight: Floats
    paid: Paid
    followed: Mapping[str, Followed]
    blocks: Mapping[str, Windows]
    flat: Matrix | None = None
    beside: Mapping[str, Matrix] = field(default_factory=dict)
    data_hash: str = ""
    """Of the bars, as the card has it."""

    def __len__(self) -> int:
        return len(self.ts)

    def only(self, picked: Flags | Ints) -> "Panel":
        """Give some rows, by mask or by ascending positions; the matrices stay where they are."""
        return replace(
            self,
            instrument=self.instrument[picked],
            ts=self.ts[picked],
            close=self.close[picked],
            atr=self.atr[picked],
            volatility=self.volatility[picked],
            momentum=self.momentum[picked],
            weight=self.weight[picked],
            paid=self.paid.only(picked),
            followed={name: one.only(picked) for name, one in self.followed.items()},
            blocks={name: one._replace(at=one.at[picked]) for name, one in self.blocks.items()},
            flat=None if self.flat is None else self.flat[picked],
            beside={name: tensor[picked] for name, tensor in self.beside.items()},
        )

    def tensors(self, rows: Ints | None = None) -> dict[str, Matrix]:
        """Give the tensors of some rows (of all), unscaled, as inference.artifact.Artifact.run takes them."""
        at = np.arange(len(self)) if rows is None else rows
        found = {name: one.tensor(at) for name, one in self.blocks.items()}
        if self.flat is not None:
            found[FLAT] = self.flat[at]
        return found | {name: tensor[at] for name, tensor in self.beside.items()}

    def newest(self, rows: Ints | None = None) -> Matrix:
        """Give one row of columns [n, K] per decision: what a model without a memory sees of the same data.

        The newest bar of each block, then the flat tensor, then what lies beside.
        """
        at = np.arange(len(self)) if rows is None else rows
        parts = [one.newest(at) for one in self.blocks.values()]
        parts += [] if self.flat is None else [self.flat[at]]
        parts += [tensor[at] for tensor in self.beside.values()]
        return np.concatenate(parts, axis=1)

    @property
    def newest_names(self) -> tuple[str, ...]:
        """Name the columns of `newest`."""
        names = [f"{block}.{column}" for block, one in self.blocks.items() for column in one.columns]
        names += [] if self.flat is None else list(self.spec.names)
        for tensor, values in self.beside.items():
            names += [f"{tensor}.{k}" for k in range(values.shape[1])]
        return tuple(names)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Give each tensor's shape without the batch."""
        found: dict[str, tuple[int, ...]] = {
            name: (one.window, len(one.columns)) for name, one in self.blocks.items()
        }
        if self.flat is not None:
            found[FLAT] = (self.flat.shape[1],)
        return found | {name: (tensor.shape[1],) for name, tensor in self.beside.items()}
