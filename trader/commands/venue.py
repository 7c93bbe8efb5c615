"""Commands about what the venue said: verify a recording of it.

Must not know the protocol: venue.verify reads the frames. Called by trader.cli.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from core.errors import DataError, UsageError
from trader.commands.options import AsJson, emit, examples, rows

app = typer.Typer(no_args_is_help=True, help="Check recordings of the venue.")


@app.command(epilog=examples("venue verify recording.ndjson", "venue verify capture.parquet --json"))
def verify(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="One JSON frame a line, alone or as {t, frame}; or Parquet with recv_s, dir, message.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Replay recorded frames through the session; count and prove them. Exit 65 when one fails."""
    from venue.verify import verify as replay

    if not path.is_file():
        raise UsageError(f"{path}: expected a recording; found no such file")
    report = replay(_Parquet(path) if path.suffix == ".parquet" else _Lines(path))
    found = {"file": path.name, **msgspec.to_builtins(report)}
    emit(found, as_json=as_json, lines=rows(list(found.items())))
    if not report.frames:
        raise DataError(f"{path}: expected frames; found none")
    if not report.ok:
        raise typer.Exit(DataError.exit_code)


class _Wrapped(msgspec.Struct):
    """A recorder's line: when, which way, and the frame as an object or as its text."""

    t: int | float | str | None = None
    dir: str = "received"
    frame: msgspec.Raw = msgspec.Raw()


_lines = msgspec.json.Decoder(_Wrapped)
_texts = msgspec.json.Decoder(str)


class _Lines:
    """Frames of a text file, read anew by each iteration; their number text is never touched."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            for line in file:
                if stripped := line.strip():
                    found = _unwrapped(stripped)
                    if found is not None:
                        yield found


def _unwrapped(line: bytes) -> tuple[int, bytes] | None:
    """Give a line's frame; None for one that we sent. What is no wrapper is a frame itself."""
    try:
        wrapped = _lines.decode(line)
        inner = bytes(wrapped.frame)
        frame = _texts.decode(inner).encode() if inner[:1] == b'"' else inner
        ts = _ns(wrapped.t)
    except (ValueError, ArithmeticError, RecursionError):
        return 0, line
    if not frame:
        return 0, line
    return (ts, frame) if wrapped.dir == "received" else None


_NS_FROM = 10**14
"""A larger number is ns, a smaller one seconds: the year 5138 for seconds, 1970 for ns."""


def _ns(when: float | str | None) -> int:
    from core.text import parse_iso

    if when is None:
        return 0
    if isinstance(when, str):
        return parse_iso(when)
    return int(when) if when >= _NS_FROM else round(when * 1_000_000) * 1000


class _Parquet:
    """Received frames of a raw capture: recv_s float64 s UTC, dir, message."""

    def __init__(self, path: Path) -> None:
        import polars as pl

        try:
            table: Any = pl.read_parquet(path, columns=["recv_s", "dir", "message"])
        except (pl.exceptions.PolarsError, OSError) as broken:
            raise DataError(f"{path}: expected Parquet with recv_s, dir, message; {broken}") from broken
        self._rows = table.filter(pl.col("dir") == "received")

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for recv_s, _, message in self._rows.iter_rows():
            yield _ns(recv_s), str(message).encode()
