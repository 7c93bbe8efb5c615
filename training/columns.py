"""Whether a training span really has the columns that its model would be given.

Must not know models or files. Called by training.recipe, training.regime and training.cli. A column that is
constant, missing or made of a tape that the lake does not hold teaches nothing, and live it may
suddenly speak.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import DataError
from inference.features.catalogue import family_of
from inference.features.spec import FeatureSpec

Matrix = npt.NDArray[np.float32]

NEARLY = 0.005
"""A column is nearly constant if all but this share of its rows, at both ends, are one value."""
TWIN = 0.98
"""|correlation| above which the later of two columns says nothing new."""
_SAMPLE = 20_000


class Spare(msgspec.Struct, frozen=True):
    """Columns that a network could do without: judged on training rows alone."""

    constant: tuple[str, ...]
    twins: tuple[tuple[str, str, float], ...]
    """The column to keep, the one to drop, and their correlation."""

    @property
    def dropped(self) -> frozenset[str]:
        """Names of all that may go."""
        return frozenset(self.constant) | {twin for _, twin, _ in self.twins}


def require_no_tape(spec: FeatureSpec) -> None:
    """Raise DataError for a column that a lake of bars cannot have."""
    for block in spec.blocks:
        for column in block.columns:
            if needs := family_of(column).needs:
                raise DataError(
                    f"feature spec {spec.name}: expected columns made of bars; "
                    f"found {block.name}.{column}, which needs {needs}"
                )


def require_numbers(x: Matrix, names: Sequence[str], instrument: str) -> None:
    """Raise DataError for a column that is mostly NaN in the later half of an instrument's rows."""
    later = x[len(x) // 2 :]
    if not len(later):
        return
    absent = np.isnan(later).mean(axis=0)
    if absent.max() > 0.5:
        worst = int(absent.argmax())
        raise DataError(
            f"{instrument}: expected numbers in column {names[worst]}; "
            f"found none in {absent[worst]:.0%} of rows"
        )


def require_variety(
    x: Matrix, owner: npt.NDArray[np.int32], names: Sequence[str], instruments: Sequence[str]
) -> None:
    """Raise DataError for a column that is constant over an instrument's training rows.

    `owner` [n] numbers the instrument of each row of x [n, columns].
    """
    for number, instrument in enumerate(instruments):
        rows = x[owner == number]
        still = np.flatnonzero(len(rows) > 1 and np.ptp(rows, axis=0) == 0)
        if len(still):
            raise DataError(
                f"{instrument}: expected column {names[still[0]]} to vary over {len(rows):,} training rows; "
                f"found {rows[0, still[0]]:g} in all"
            )


def spare(x: Matrix, names: Sequence[str]) -> Spare:
    """Tell which columns of training rows x [n, columns] are nearly constant or twins of one before."""
    sample = x[:: max(1, len(x) // _SAMPLE)].astype(np.float64)
    low, high = np.quantile(sample, (NEARLY, 1.0 - NEARLY), axis=0)
    constant = low == high
    varied = np.flatnonzero(~constant).tolist()
    related = np.atleast_2d(np.corrcoef(sample[:, varied], rowvar=False))
    twins, gone = [], set[int]()
    for later in range(len(varied)):
        for earlier in range(later):
            if earlier not in gone and abs(related[earlier, later]) > TWIN:
                pair = names[varied[earlier]], names[varied[later]]
                twins.append((*pair, float(related[earlier, later])))
                gone.add(later)
                break
    return Spare(tuple(names[k] for k in np.flatnonzero(constant).tolist()), tuple(twins))
