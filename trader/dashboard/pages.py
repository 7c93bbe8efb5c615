"""The files of the page: our own few, and plotly's JavaScript from where pip installed it.

Must not know data or sessions. Called by trader.dashboard.server. Nothing is loaded from elsewhere,
so the page works without any network but the loopback.
"""

import gzip
import hashlib
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

import msgspec

from core.errors import InternalError

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PLOTLY = "plotly.min.js"


class Page(msgspec.Struct, frozen=True):
    """One file, ready to send; `zipped` is its gzip form. `lasting` = the name changes with it."""

    body: bytes
    zipped: bytes
    content_type: str
    etag: str
    lasting: bool = False


def load_pages() -> dict[str, Page]:
    """Read our own static files by name; `index.html` is told where plotly is."""
    folder = resources.files("trader.dashboard") / "static"
    pages = {}
    for entry in folder.iterdir():
        content_type = TYPES.get(Path(entry.name).suffix)
        if content_type is not None:
            body = entry.read_bytes().replace(b"%PLOTLY%", plotly_name().encode())
            pages[entry.name] = _page(body, content_type)
    return pages


def plotly_name() -> str:
    """Give a file name with plotly's version in it, so that browsers may keep the file for good."""
    return f"plotly-{metadata.version('plotly')}.min.js"


def load_plotly() -> Page:
    """Read and compress plotly's JavaScript (about a tenth of a second: call it in a thread).

    Raises InternalError where the installed package does not carry it.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise InternalError("expected the plotly package beside the daemon; found none")
    path = Path(spec.origin).parent / "package_data" / PLOTLY
    if not path.is_file():
        raise InternalError(f"expected plotly's own JavaScript at {path}; found none")
    return _page(path.read_bytes(), TYPES[".js"], lasting=True)


def _page(body: bytes, content_type: str, *, lasting: bool = False) -> Page:
    return Page(
        body=body,
        zipped=gzip.compress(body, 6, mtime=0),
        content_type=content_type,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        lasting=lasting,
    )
