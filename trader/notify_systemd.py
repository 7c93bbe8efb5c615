"""Word to systemd: sd_notify(3) over a datagram socket, nothing where there is no systemd.

Must not know what the words mean to the daemon. Called by the live shell with READY, WATCHDOG,
STATUS and STOPPING. Automatic when NOTIFY_SOCKET is set; there is no option to forget.
"""

import socket
from collections.abc import Mapping

from core.clock import SECOND

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


class Notifier:
    """Sends state words to the service manager; silent where nobody listens."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET (a path, or `@name` for an abstract one) and WATCHDOG_USEC."""
        address = env.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        microseconds = env.get("WATCHDOG_USEC", "")
        self.watchdog_ns = int(microseconds) * (SECOND // 1_000_000) if microseconds.isdigit() else 0

    def send(self, *words: str) -> bool:
        """Send the words in one datagram; False where nobody listens. Never raises, never waits."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                wire.setblocking(False)
                wire.sendto("\n".join(words).encode(), self._address)
        except OSError:
            return False  # the manager is gone or busy; the daemon's work goes on
        return True

    def status(self, text: str) -> bool:
        """Send the one line that `systemctl status` shows."""
        return self.send(f"STATUS={' '.join(text.splitlines())}")
