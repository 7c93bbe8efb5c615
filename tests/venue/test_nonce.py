"""Nonces of a key: rising, persisted, and one source at a time."""

import pytest

from core.errors import JournalError, TemporaryError
from venue.nonce import AHEAD, Nonces, held_key, nonce_file


class Watch:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def test_nonces_rise_within_one_clock_step():
    nonces = Nonces(Watch(100))
    assert [nonces.next() for _ in range(3)] == [100, 101, 102]


def test_nonces_rise_over_a_restart_and_a_clock_that_went_back(tmp_path):
    path, watch = tmp_path / "k.nonce", Watch(10**12)
    first = Nonces(watch, path)
    used = [first.next() for _ in range(5)]
    watch.now -= 3600 * 10**6
    second = Nonces(watch, path)
    assert second.next() > max(used)
    watch.now += 7200 * 10**6
    assert second.next() >= watch.now


def test_the_disk_is_asked_once_in_a_while(tmp_path):
    path, watch = tmp_path / "k.nonce", Watch(10**12)
    nonces = Nonces(watch, path)
    nonces.next()
    written = path.read_text()
    watch.now += AHEAD - 1
    nonces.next()
    assert path.read_text() == written
    watch.now += 1
    assert int(path.read_text()) < nonces.next() < int(path.read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["k.nonce"]


def test_resync_goes_above_what_another_process_stored(tmp_path):
    path = tmp_path / "k.nonce"
    nonces = Nonces(Watch(7), path)
    first = nonces.next()
    path.write_text(f"{10**15}\n")
    nonces.resync()
    assert nonces.next() == 10**15 + 1 > first


def test_a_damaged_file_and_one_that_cannot_be_written_say_so(tmp_path):
    path = tmp_path / "k.nonce"
    path.write_text("many")
    with pytest.raises(JournalError, match="expected a number, found 'many'"):
        Nonces(Watch(1), path)
    with pytest.raises(JournalError, match="expected a file that can be written"):
        Nonces(Watch(1), tmp_path / "nowhere" / "k.nonce").next()


def test_a_key_has_one_owner(tmp_path):
    with held_key(tmp_path, "secret key"):
        with (
            pytest.raises(TemporaryError, match="no other process to use this API key"),
            held_key(tmp_path, "secret key"),
        ):
            pass
        with held_key(tmp_path, "another key"):
            pass
    with held_key(tmp_path, "secret key"), held_key(None, "secret key"):
        pass
    assert "secret" not in str(nonce_file(tmp_path, "secret key"))
