"""Robust scaling of a tensor's columns: centre and scale from training rows, applied everywhere alike.

Must not know how the numbers were fitted: that is training's, on training rows alone. Called by the
predictor before a model runs and by training on the same tensors.
"""

import math

import msgspec
import numpy as np

from inference.features.kernel import Matrix


class RobustScaler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """(value - center) / scale within +-clip, a column each; the same for every slot of a window.

    By custom `center` is the median and `scale` the distance between the quartiles over 1.349, which is
    one deviation of a normal column. Raises ValueError for numbers that cannot scale anything.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float

    def __post_init__(self) -> None:
        if len(self.center) != len(self.scale):
            raise ValueError(
                f"expected as many centers as scales; found {len(self.center)} and {len(self.scale)}"
            )
        if not all(map(math.isfinite, self.center)):
            raise ValueError("expected finite centers; found one that is not")
        # Float32 divides: what is zero there is zero.
        if not all(1e-30 < one < math.inf for one in self.scale):
            raise ValueError(f"expected scales above 0; found {min(self.scale)}")
        if not 0 < self.clip < math.inf:
            raise ValueError(f"expected a clip above 0; found {self.clip}")

    def apply(self, tensor: Matrix) -> Matrix:
        """Scale a tensor [n, C] or [n, W, C], float32 as it came; a NaN stays one."""
        if tensor.shape[-1] != len(self.center):
            raise ValueError(f"expected {len(self.center)} columns; found {tensor.shape[-1]}")
        center = np.array(self.center, np.float32)
        scale = np.array(self.scale, np.float32)
        limit = np.float32(self.clip)
        scaled: Matrix = np.clip((tensor - center) / scale, -limit, limit)
        return scaled
