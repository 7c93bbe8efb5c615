"""Read a recording of the venue again, as the daemon would have, and count what it proves.

Must not know files or sockets. Called by trader.commands.venue. The frames pass the same decoder,
session and books that trade; nothing here is a second opinion of the protocol but the counting.
"""

from collections.abc import Iterable
from itertools import islice

import msgspec

from venue import wire
from venue.book import Fault
from venue.level3 import OrderBook
from venue.prints import TradeGap
from venue.public import Lost, Prints, PublicEvent, PublicSession, Refused
from venue.verify_report import Report, Tally
from venue.verify_scan import Scan
from venue.verify_v1 import FuturesV1, SpotV1
from venue.wire_market import Level3Row, PairList

Recorded = tuple[int, bytes]
"""When a frame came, ns UTC (0 if unknown), and its bytes."""

_PEEK = 20
_FAULTS = {fault.value: fault for fault in Fault}
_encoder = msgspec.json.Encoder(decimal_format="number")


def verify(recording: Iterable[Recorded]) -> Report:
    """Give what the recording proves. It is read more than once, so it must not be an iterator."""
    match dialect(frame for _, frame in islice(recording, _PEEK)):
        case "spot v1":
            return SpotV1().read(recording).report()
        case "futures v1":
            return FuturesV1().read(recording).report()
        case _:
            return _Replay(Scan(frame for _, frame in recording)).read(recording).report()


def dialect(frames: Iterable[bytes]) -> str:
    """Tell the protocol of a recording by its first frames; `v2` where nothing says otherwise."""
    for frame in frames:
        if frame[:1] == b"[" or b'"event":"systemStatus"' in frame:
            return "spot v1"
        if b'"feed":' in frame or b'"event":"info"' in frame:
            return "futures v1"
        if b'"channel":' in frame:
            break
    return "v2"


class _Replay:
    """A WS v2 recording through one session per book depth; mutable."""

    def __init__(self, scan: Scan) -> None:
        self._tally = Tally("v2")
        self._tally.inferred |= scan.inferred
        self._listings = scan.listings()
        self._order_depths = scan.depths("level3")
        depths = scan.depths()
        self._sessions = [
            PublicSession([symbol for symbol in depths if depths[symbol] == depth], depth=depth)
            for depth in sorted(set(depths.values()))
        ]
        self._orders: dict[str, OrderBook] = {}
        self._connection = 0
        self._connect(0)

    def _connect(self, ts: int) -> None:
        """Start from nothing, as after a reconnect, with every listing known from the start."""
        self._orders.clear()
        for session in self._sessions:
            session.connected(ts)
            data = PairList(tuple(self._listings[symbol] for symbol in session.symbols))
            session.receive(_encoder.encode(wire.InstrumentFrame("snapshot", data)), ts)
            session.outgoing()

    def read(self, recording: Iterable[Recorded]) -> Tally:
        """Take a whole recording in."""
        for ts, frame in recording:
            self._take(ts, frame)
        return self._tally

    def _take(self, ts: int, frame: bytes) -> None:
        message, tally = wire.decode(frame), self._tally
        tally.frame(_kind(message), ts or _dated(message))
        match message:
            case wire.Malformed(detail):
                tally.blame("malformed", detail)
            case wire.UnknownChannel():
                tally.counts["unknown"] += 1
            case wire.StatusFrame(data=rows):
                self._on_status(rows[0].connection_id if rows else 0, ts)
            case wire.Ack(success=False, error=error):
                tally.blame("refused", f"refused: {error}")
            case wire.BookFrame():
                for session in self._sessions:
                    self._on_book(session, message, frame, ts)
            case wire.TradeFrame() | wire.InstrumentFrame():
                for session in self._sessions:
                    self._count(session.receive(frame, ts))
                    session.outgoing()
            case wire.Level3Frame(type=kind, data=books):
                for book in books:
                    self._on_orders(kind, book)
            case _:
                pass

    def _on_status(self, connection_id: int, ts: int) -> None:
        if connection_id != self._connection:
            self._tally.counts["connections"] += 1
            if self._connection:
                self._connect(ts)
            self._connection = connection_id

    def _on_book(self, session: PublicSession, message: wire.BookFrame, frame: bytes, ts: int) -> None:
        rows = [row for row in message.data if row.symbol in self._listings and row.symbol in session.symbols]
        trusted = {row.symbol for row in rows if session.book(row.symbol) is not None}
        events = session.receive(frame, ts)
        session.outgoing()
        lost = {event.instrument: event.reason for event in events if isinstance(event, Lost)}
        for row in rows:
            reason = lost.get(row.symbol)
            proof = message.type == "snapshot" or row.symbol in trusted
            self._tally.judged(row.symbol, _FAULTS.get(reason or "", reason), proof=proof)

    def _count(self, events: Iterable[PublicEvent]) -> None:
        for event in events:
            match event:
                case Prints(trades):
                    self._tally.counts["trades"] += len(trades)
                case TradeGap(instrument, last_id, next_id):
                    self._tally.counts["missing"] += next_id - last_id - 1
                    self._tally.blame("gaps", f"{instrument}: trades {last_id} to {next_id}")
                case Refused(channel, instrument, reason):
                    self._tally.blame("refused", f"{channel} {instrument}: {reason}")
                case _:
                    pass

    def _on_orders(self, kind: str, row: Level3Row) -> None:
        book = self._orders.get(row.symbol)
        fault: Fault | None = None
        if kind == "snapshot":
            listing, depth = self._listings[row.symbol], self._order_depths[row.symbol]
            book = self._orders[row.symbol] = OrderBook(listing.price_precision, listing.qty_precision, depth)
            fault = book.replace(row.bids, row.asks, row.checksum)
        elif book is not None:
            fault = book.update(row.bids, row.asks, row.checksum)
        if fault is not None:
            del self._orders[row.symbol]
        self._tally.judged(row.symbol, fault, proof=book is not None)


def _kind(message: wire.Message) -> str:
    match message:
        case wire.Ack():
            return message.method or "refusal"
        case wire.UnknownChannel():
            return "unknown"
        case wire.Malformed():
            return "malformed"
        case _:
            return str(message.__struct_config__.tag)


def _dated(message: wire.Message) -> int:
    """Give the venue's own time of a frame of market data, 0 where it names none."""
    match message:
        case wire.TradeFrame(data=(*_, last)) | wire.BookFrame(data=(*_, last)):
            pass
        case _:
            return 0
    try:
        ts = wire.timestamp_ns(last.timestamp)
    except ValueError:
        return 0
    return ts if wire.datable(ts) else 0
