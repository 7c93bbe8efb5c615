import fcntl

import numpy as np
import pytest

from training.panel import store


def test_parts_are_joined_end_to_end_and_taken_away(tmp_path):
    parts = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    whole = np.arange(14, dtype=np.float32).reshape(7, 2)
    for part, rows in zip(parts, (whole[:3], whole[3:3], whole[3:]), strict=True):
        store.save(part, {"x": rows})
    store.join(parts, "x", tmp_path)
    found = store.read(tmp_path, "x", mapped=True)
    assert found.tolist() == whole.tolist()
    assert found.dtype == np.float32
    assert not any(list(part.iterdir()) for part in parts)


def test_a_sealed_folder_is_whole_until_a_byte_is_not_what_it_was(tmp_path):
    store.save(tmp_path, {"x": np.arange(4), "y": np.ones(2)})
    assert store.whole(tmp_path, "key") is None
    sealed = store.seal(tmp_path, "key", {"words": ("one", "two")})
    assert store.whole(tmp_path, "key") == sealed
    assert sealed.told == {"words": ("one", "two")}
    assert store.whole(tmp_path, "other") is None
    (tmp_path / "y.npy").write_bytes((tmp_path / "x.npy").read_bytes())
    assert store.whole(tmp_path, "key") is None


def test_a_folder_that_could_not_be_finished_leaves_the_old_one(tmp_path):
    folder = tmp_path / "kept"
    with store.fresh(folder) as place:
        (place / "old").touch()

    def interrupted() -> None:
        with store.fresh(folder) as place:
            (place / "new").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_whoever_makes_a_folder_is_alone(tmp_path):
    with store.alone(tmp_path, "key") as folder, (tmp_path / "key.lock").open("w") as other:
        assert folder == tmp_path / "key"
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "key.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
