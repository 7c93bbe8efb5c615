"""The read model as bytes for browsers: whole once, then only the sections that changed.

Must not know HTTP or who listens. Called by trader.dashboard.server; one encoding serves all pages.
"""

import msgspec

from trader.state import ReadModel

_encode = msgspec.json.Encoder().encode


class Sections:
    """The view's sections as JSON bytes, encoded again only when the model has moved."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._revision = -1
        self._sections: dict[str, bytes] = {}

    def current(self) -> dict[str, bytes]:
        """Give every section as it is now."""
        if self._model.revision != self._revision:
            self._revision = self._model.revision
            self._sections = {name: _encode(part) for name, part in self._model.view().items()}
        return self._sections


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> bytes:
    """Give one JSON object of the sections that differ."""
    return joined({name: part for name, part in after.items() if before.get(name) != part})


def joined(sections: dict[str, bytes]) -> bytes:
    """Give sections as one JSON object."""
    return b"{" + b",".join(_encode(name) + b":" + part for name, part in sections.items()) + b"}"
