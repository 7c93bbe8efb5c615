"""What a recording proved: the counts while it is read, and the report at its end.

Must not know frames or files. Called by venue.verify and venue.verify_v1.
"""

from collections import Counter
from decimal import Decimal

import msgspec

from core.clock import SECOND
from core.instrument import Instrument
from core.text import iso
from venue.book import Fault


class Report(msgspec.Struct, frozen=True):
    """A recording in figures; `ok` is False once anything in it could not be what the venue sent."""

    ok: bool
    dialect: str
    frames: int
    kinds: dict[str, int]
    unknown_frames: int
    malformed: int
    connections: int
    refused: int
    books: int
    book_messages: int
    checksums_verified: int
    checksums_failed: int
    unproved: int
    resyncs: int
    crossed: int
    impossible: int
    trades: int
    gaps: int
    missing: int
    first: str
    last: str
    span_s: float
    inferred: tuple[str, ...]
    faults: tuple[str, ...]


class Tally:
    """Counts, mutable. `unproved` are book messages without a checksum or without a book to trust."""

    most_faults = 10

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.books: set[str] = set()
        self.inferred: set[str] = set()
        self.faults: list[str] = []
        self.first = self.last = 0

    def frame(self, kind: str, ts: int) -> None:
        """Count one frame, received (or else dated) `ts` ns UTC, 0 if nothing says when."""
        self.counts["frames"] += 1
        self.kinds[kind] += 1
        if ts:
            self.first = min(self.first or ts, ts)
            self.last = max(self.last, ts)

    def blame(self, what: str, detail: str) -> None:
        """Count a fault, and keep the first ones in words."""
        self.counts[what] += 1
        if len(self.faults) < self.most_faults:
            self.faults.append(f"frame {self.counts['frames']}: {detail}"[:300])

    def judged(self, symbol: str, fault: Fault | str | None, *, proof: bool) -> None:
        """Count one book message; `proof` tells whether it brought a checksum."""
        self.counts["book_messages"] += 1
        self.books.add(symbol)
        if fault is not None:
            self.counts["resyncs"] += 1
        match fault:
            case Fault.CHECKSUM:
                self.blame("checksums_failed", f"{symbol}: checksum differs")
                return
            case Fault.CROSSED:
                self.blame("crossed", f"{symbol}: bid at or above ask")
            case None:
                pass
            case _:
                self.blame("impossible", f"{symbol}: {fault}")
                return
        self.counts["checksums_verified" if proof else "unproved"] += 1

    def report(self) -> Report:
        """Give the figures."""
        counts = self.counts
        bad = ("malformed", "checksums_failed", "crossed", "impossible", "gaps")
        proved = counts["checksums_verified"] or not counts["book_messages"] or self.dialect == "futures v1"
        return Report(
            ok=bool(counts["frames"] and proved and not any(counts[name] for name in bad)),
            dialect=self.dialect,
            frames=counts["frames"],
            kinds=dict(sorted(self.kinds.items())),
            unknown_frames=counts["unknown"],
            malformed=counts["malformed"],
            connections=counts["connections"],
            refused=counts["refused"],
            books=len(self.books),
            book_messages=counts["book_messages"],
            checksums_verified=counts["checksums_verified"],
            checksums_failed=counts["checksums_failed"],
            unproved=counts["unproved"],
            resyncs=counts["resyncs"],
            crossed=counts["crossed"],
            impossible=counts["impossible"],
            trades=counts["trades"],
            gaps=counts["gaps"],
            missing=counts["missing"],
            first=iso(self.first) if self.first else "",
            last=iso(self.last) if self.last else "",
            span_s=round((self.last - self.first) / SECOND, 3),
            inferred=tuple(sorted(self.inferred)),
            faults=tuple(self.faults),
        )


def places(value: Decimal) -> int:
    """Give the decimals that a number was written with, trailing zeros included."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def guessed(symbol: str, price_places: int, quantity_places: int) -> Instrument:
    """Give an instrument of which only the number text is known."""
    return Instrument.on_decimal_grid(
        symbol, price_places, quantity_places, minimum_quantity=Decimal(0), minimum_cost=Decimal(0)
    )
