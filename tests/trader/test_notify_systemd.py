import socket

import pytest

from trader.notify_systemd import READY, WATCHDOG, Notifier


@pytest.fixture
def manager(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(path)
        wire.settimeout(5)
        yield path, wire


def test_words_arrive_as_one_datagram(manager):
    path, wire = manager
    assert Notifier({"NOTIFY_SOCKET": path}).send(READY, WATCHDOG)
    assert wire.recv(1024) == b"READY=1\nWATCHDOG=1"


def test_a_status_is_one_line(manager):
    path, wire = manager
    assert Notifier({"NOTIFY_SOCKET": path}).status("two\nlines")
    assert wire.recv(1024) == b"STATUS=two lines"


def test_an_abstract_address_begins_with_a_zero_byte():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind("")  # the kernel picks an abstract name
        wire.settimeout(5)
        name = wire.getsockname().decode()
        assert Notifier({"NOTIFY_SOCKET": f"@{name[1:]}"}).send(READY)
        assert wire.recv(1024) == b"READY=1"


def test_without_a_manager_nothing_happens():
    assert not Notifier({}).send(READY)


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).send(READY)


@pytest.mark.parametrize("text, ns", [("30000000", 30_000_000_000), ("", 0), ("soon", 0)])
def test_the_watchdog_interval_is_read_in_ns(text, ns):
    assert Notifier({"WATCHDOG_USEC": text}).watchdog_ns == ns
