import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from inference import golden

TENSORS = st.dictionaries(
    st.sampled_from(["x", "15m", "1h", "position", golden.ANSWERS]),
    arrays(np.float32, array_shapes(max_dims=3, max_side=5)),
    max_size=4,
)


def member(name: str, array: np.ndarray, *, packing: int = zipfile.ZIP_STORED) -> bytes:
    whole, one = io.BytesIO(), io.BytesIO()
    np.save(one, array, allow_pickle=True)
    with zipfile.ZipFile(whole, "w", packing) as packed:
        packed.writestr(name, one.getvalue())
    return whole.getvalue()


@given(TENSORS)
def test_arrays_survive_to_the_bit(tensors):
    found = golden.decode(golden.encode(tensors))
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_equal_arrays_give_equal_bytes_whatever_their_order():
    x, p = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert golden.encode({"x": x, "p": p}) == golden.encode({"p": p, "x": x.copy()})


def test_file_is_an_ordinary_npz():
    loaded = np.load(io.BytesIO(golden.encode({"x": np.arange(6, dtype=np.float32).reshape(2, 3)})))
    assert loaded["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 not a zip",
        member("x.npy", np.array([print], object)),  # would be a pickle
        member("x.npy", np.zeros(3)),  # float64
        member("x.npy", np.asfortranarray(np.zeros((3, 2), np.float32))),
        member("x.txt", np.zeros(3, np.float32)),
        member("x.npy", np.zeros(300, np.float32), packing=zipfile.ZIP_DEFLATED),
        bytes(golden.MAX_BYTES + 1),
    ],
)
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(ValueError, match="expected") as refused:
        golden.decode(content)
    assert "\n" not in str(refused.value)


@given(st.data())
def test_damaged_files_are_refused_or_read_never_worse(data):
    whole = bytearray(golden.encode({"x": np.arange(12, dtype=np.float32).reshape(3, 4)}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = golden.decode(bytes(whole))
    except ValueError:
        return
    assert all(array.dtype == np.float32 for array in found.values())
