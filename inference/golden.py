"""Golden vectors: real rows and the answers that belong to them, in one file without pickle.

Must not know models or cards. Written by training.export, read by inference.artifact. The file is an
uncompressed zip of .npy arrays, as numpy.savez writes it; the reader takes float32 in C order and
nothing else, so that no file can name code or unfold into more than its own size.
"""

import io
import math
import zipfile
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

ANSWERS = "probabilities"
"""Name of the array of answers; the others are named for the model's input tensors."""
MAX_BYTES = 16 << 20

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SUFFIX = ".npy"

Arrays = dict[str, npt.NDArray[np.float32]]


def encode(arrays: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """Give the file's bytes; equal arrays give equal bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as packed:
        for name, array in sorted(arrays.items()):
            one = io.BytesIO()
            np.lib.format.write_array(one, np.asarray(array, np.float32, order="C"), allow_pickle=False)
            packed.writestr(zipfile.ZipInfo(name + _SUFFIX, _EPOCH), one.getvalue())
    return whole.getvalue()


def decode(content: bytes) -> Arrays:
    """Read the file; raises ValueError in one line for anything but plain float32 arrays."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes; found {len(content)}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return dict(_member(packed, entry) for entry in packed.infolist())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError) as broken:
        raise ValueError(f"expected a zip of arrays; found: {' '.join(str(broken).split())}") from broken


def _member(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[str, npt.NDArray[np.float32]]:
    name = entry.filename
    if not name.endswith(_SUFFIX) or entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"expected uncompressed {_SUFFIX} members; found {name!r}")
    body = io.BytesIO(packed.read(entry))
    version = np.lib.format.read_magic(body)
    if version != (1, 0):
        raise ValueError(f"{name}: expected array format (1, 0); found {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(body)
    rest = body.read()
    if fortran or dtype != np.dtype("<f4") or len(rest) != 4 * math.prod(shape):
        raise ValueError(f"{name}: expected float32 in C order; found {dtype} {shape} in {len(rest)} bytes")
    return name.removesuffix(_SUFFIX), np.frombuffer(rest, "<f4").reshape(shape)
