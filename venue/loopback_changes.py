"""Routing of exchange changes: the answer to who asked, the news to who listens.

Must not know frames or sockets. Called by the exchange (as its listener) and by the desks.
"""

from collections.abc import Callable, Sequence

from venue.exchange_orders import Change

Listener = Callable[[Change], None]


class Changes:
    """Answers go out before the news of the same change. Mutable, one per loopback."""

    def __init__(self) -> None:
        self._expected: dict[int, Listener] = {}
        self._listeners: list[Listener] = []

    def expect(self, request: int, answer: Listener) -> None:
        """Call `answer` once, with the change that carries this request number."""
        self._expected[request] = answer

    def expect_all(self, requests: Sequence[int], answer: Callable[[list[Change]], None]) -> None:
        """Call `answer` once, with the changes of all these requests in their order."""
        found: dict[int, Change] = {}

        def collect(change: Change) -> None:
            found[change.request] = change
            if len(found) == len(requests):
                answer([found[number] for number in requests])

        for number in requests:
            self.expect(number, collect)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every change from now on."""
        self._listeners.append(listener)

    def on_change(self, change: Change) -> None:
        """Take one change from the exchange."""
        answer = self._expected.pop(change.request, None)
        if answer is not None:
            answer(change)
        for listener in self._listeners:
            listener(change)
