"""Lines of Kraken's downloadable archives as arrays; what cannot be read is counted by reason.

Must not know zip files, folders or names. Called by feeds.archive.
Columns: https://support.kraken.com/hc/en-us/articles/360047124832 (OHLCVT) and
https://support.kraken.com/hc/en-us/articles/360047543791 (time and sales).
Whole chunks are parsed at once; a chunk with anything unusual in it is read again line by line, which
gives the same values and can say what was wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import SECOND
from core.market import Timeframe

BAR = np.dtype(
    [
        ("ts", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
        ("trades", "<i4"),
    ]
)
TRADE = np.dtype([("ts", "<i8"), ("price", "<f8"), ("qty", "<f8")])

CHUNK = 2 << 20
NAMED = 5
"""How many malformed lines of a member are told one by one."""

_LONGEST = 1 << 16
_EARLIEST = 1_262_304_000 * SECOND  # 2010: before the first exchange
_LATEST = 4_102_444_800 * SECOND  # 2100: a time in milliseconds lies beyond
_FEWEST_DIGITS = r"^\d{1,10}(\.\d{1,9})?$"

Rows = NDArray[np.void]


class Source(Protocol):
    """An open member."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, none at the end."""
        ...


class Malformed(NamedTuple):
    """A line that was left out; `line` counts from 1."""

    line: int
    reason: str
    text: str


@dataclass
class Tally:
    """What one member held, line by line."""

    rows: int = 0
    headers: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[Malformed] = field(default_factory=list)

    def refuse(self, line: int, reason: str, text: bytes) -> None:
        """Count a line that cannot be read."""
        self.reasons[reason] += 1
        if len(self.first) < NAMED:
            self.first.append(Malformed(line, reason, text[:80].decode("utf-8", "replace")))


class Layout(NamedTuple):
    """How the lines of one kind of member are read."""

    dtype: np.dtype[np.void]
    unit: int
    """ns per `ts` of the rows given."""
    wrong: Callable[[Rows], dict[str, NDArray[np.bool_]]]
    """Rules by name, each with the rows that break it."""


def trades_layout() -> Layout:
    """Give the layout `timestamp,price,volume`."""
    return Layout(TRADE, 1, _wrong_trades)


def bars_layout(timeframe: Timeframe) -> Layout:
    """Give the layout `time,open,high,low,close,volume,trades`."""
    return Layout(BAR, 1_000_000, lambda rows: _wrong_bars(rows, timeframe))


def parse(source: Source, layout: Layout, tally: Tally, chunk: int = CHUNK) -> Iterator[Rows]:
    """Give the rows of a member, chunk by chunk, in the order of its lines."""
    line = 1
    for block in _blocks(source, chunk):
        body = block
        if line == 1:
            body = _without_header(body.removeprefix(b"\xef\xbb\xbf"), tally)
            line += tally.headers
        count = body.count(b"\n") + (not body.endswith(b"\n"))
        if body.strip():
            rows = _whole(body, layout)
            if rows is None:
                rows = _line_by_line(body, layout, tally, line)
            tally.rows += len(rows)
            yield rows
        line += count


def _blocks(source: Source, size: int) -> Iterator[bytes]:
    """Give whole lines; a line without end is cut, so that memory stays bounded."""
    rest = b""
    while data := source.read(size):
        head, newline, tail = (rest + data).rpartition(b"\n")
        if newline:
            yield head + newline
            rest = tail
        elif len(tail) > size + _LONGEST:
            yield tail
            rest = b""
        else:
            rest = tail
    if rest:
        yield rest


def _without_header(body: bytes, tally: Tally) -> bytes:
    first, _, others = body.partition(b"\n")
    word = first.split(b",", 1)[0].strip(b' "\r').lower()
    if word in (b"time", b"timestamp", b"ts", b"date", b"unixtime"):
        tally.headers += 1
        return others
    return body


def _whole(body: bytes, layout: Layout) -> Rows | None:
    """Parse a chunk at once; None where a line is unusual."""
    names = layout.dtype.names or ()
    numbers: dict[str, pl.DataType] = {name: pl.Float64() for name in names[1:]}
    if "trades" in numbers:
        numbers["trades"] = pl.Int32()
    for kind in (pl.Int64(), pl.String()):
        try:
            table = pl.read_csv(body, has_header=False, quote_char=None, schema={"ts": kind, **numbers})
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            continue
        ts = _seconds(table["ts"]) if kind == pl.Int64() else _fractional(table["ts"])
        if ts is None or any(column.null_count() for column in (ts, *table.get_columns())):
            return None
        rows = np.empty(len(table), layout.dtype)
        rows["ts"] = ts.to_numpy()
        for name in names[1:]:
            rows[name] = table[name].to_numpy()
        if any(broken.any() for broken in _wrong(rows, layout).values()):
            return None
        rows["ts"] //= layout.unit
        return rows
    return None


def _seconds(text: pl.Series) -> pl.Series | None:
    """Give ns of whole seconds; None where the product would not fit."""
    inside = text.is_between(_EARLIEST // SECOND, _LATEST // SECOND - 1)
    return text * SECOND if inside.all() else None


def _fractional(text: pl.Series) -> pl.Series | None:
    """Give exact ns of seconds with a fraction; None where one is spelt in another way."""
    if not text.str.contains(_FEWEST_DIGITS).fill_null(value=False).all():
        return None
    halves = text.str.split_exact(".", 1).struct
    fraction = halves.field("field_1").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    return halves.field("field_0").cast(pl.Int64) * SECOND + fraction


def _line_by_line(body: bytes, layout: Layout, tally: Tally, first: int) -> Rows:
    """Parse lines one at a time and say what is wrong with those that are left out."""
    kept, numbers, texts = [], [], []
    for number, text in enumerate(body.splitlines(keepends=False), first):
        if not text.strip():
            continue
        try:
            kept.append(_fields(text, layout))
        except ValueError as error:
            tally.refuse(number, str(error), text)
        else:
            numbers.append(number)
            texts.append(text)
    rows = np.array(kept, layout.dtype)
    good = np.ones(len(rows), np.bool_)
    for reason, broken in _wrong(rows, layout).items():
        for at in np.flatnonzero(broken & good).tolist():
            tally.refuse(numbers[at], reason, texts[at])
        good &= ~broken
    rows["ts"] //= layout.unit
    return rows[good]


def _fields(text: bytes, layout: Layout) -> tuple[float, ...]:
    names = layout.dtype.names or ()
    words = [word.strip().strip('"') for word in text.decode("utf-8", "replace").split(",")]
    if len(words) != len(names):
        raise ValueError(f"expected {len(names)} columns")
    try:
        ts = int(Decimal(words[0]) * SECOND)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError("time is not a number") from error
    if not _EARLIEST <= ts < _LATEST:
        raise ValueError("time outside 2010 to 2100, in seconds")
    try:
        values = [float(word) for word in words[1:]]
    except ValueError as error:
        raise ValueError("a value is not a number") from error
    if not all(map(isfinite, values)):
        raise ValueError("a value is not finite")
    if "trades" in names and not (values[-1].is_integer() and 0 <= values[-1] < 2**31):
        raise ValueError("trades is not a count")
    return (ts, *values)


def _wrong(rows: Rows, layout: Layout) -> dict[str, NDArray[np.bool_]]:
    ts = rows["ts"]
    outside = (ts < _EARLIEST) | (ts >= _LATEST)
    values = [name for name in layout.dtype.names or () if layout.dtype[name].kind == "f"]
    finite = np.logical_and.reduce([np.isfinite(rows[name]) for name in values])
    return {
        "time outside 2010 to 2100, in seconds": outside,
        "a value is not finite": ~finite,
        **layout.wrong(rows),
    }


def _wrong_trades(rows: Rows) -> dict[str, NDArray[np.bool_]]:
    return {"price is not above 0": ~(rows["price"] > 0), "volume is below 0": rows["qty"] < 0}


def _wrong_bars(rows: Rows, timeframe: Timeframe) -> dict[str, NDArray[np.bool_]]:
    low, high = rows["low"], rows["high"]
    inside = (low <= np.minimum(rows["open"], rows["close"])) & (
        high >= np.maximum(rows["open"], rows["close"])
    )
    return {
        f"time is not on the {timeframe.value} grid": rows["ts"] % timeframe.ns != 0,
        "low is not above 0": ~(low > 0),
        "open or close outside low to high": ~inside,
        "volume is below 0": rows["volume"] < 0,
        "a bar without trades": rows["trades"] <= 0,
    }
