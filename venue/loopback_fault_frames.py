"""What faults do to a frame on its way to a client.

Must not know sockets, desks or when a fault strikes. Called by venue.loopback_door. An effect takes
a frame apart and gives the frames that go out in its place; text goes out as it is.
"""

import copy
import json
import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.clock import SECOND
from core.text import iso, parse_iso
from venue.loopback_faults import Fault
from venue.loopback_templates import encode, number

Body = dict[str, Any]
Piece = Body | str
_CHECKSUM_LEVELS = 10
_TIMES = ("timestamp", "interval_begin", "time_in", "time_out")
_PRICES = ("price", "bid", "ask", "last", "limit_price", "last_price")


class Numbering(msgspec.Struct):
    """How far the sequence numbers of one connection were pushed, and the reports held back."""

    shifts: dict[str, int] = {}
    held: list[Body] = []

    @property
    def idle(self) -> bool:
        """Tell that frames may pass as they are."""
        return not self.held and not any(self.shifts.values())

    def push(self, body: Body, by: int) -> None:
        """Move all numbers after this frame of its channel."""
        channel = str(body.get("channel"))
        self.shifts[channel] = self.shifts.get(channel, 0) + by

    def written(self, body: Body) -> Body:
        """Give a frame with the number that the client shall see."""
        if "sequence" not in body:
            return body
        if body.get("type") == "snapshot":
            self.shifts.pop(str(body.get("channel")), None)  # a new subscription counts anew
            return body
        return {**body, "sequence": body["sequence"] + self.shifts.get(str(body.get("channel")), 0)}


def read(frame: str) -> Body:
    """Take a frame apart, numbers with every digit."""
    return json.loads(frame, parse_float=Decimal)


def text(piece: Piece) -> str:
    """Put a frame together again."""
    return piece if isinstance(piece, str) else encode(_raw(piece))


def facts(body: Body, stream: str) -> dict[str, str]:
    """Give what a fault may be matched with."""
    rows = body.get("data")
    row = rows[0] if isinstance(rows, list) and rows else body.get("result")
    found = {"stream": stream}
    for name in ("channel", "type", "method"):
        if name in body:
            found[name] = str(body[name])
    if isinstance(row, Mapping):
        found |= {name: str(row[name]) for name in ("symbol", "exec_type", "order_id") if name in row}
    return found


def _raw(value: Any) -> Any:
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dict):
        return {key: _raw(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_raw(one) for one in value]
    return value


def _rows(body: Body) -> list[Body]:
    data = body.get("data")
    return data if isinstance(data, list) else []


def checksum(row: Body) -> int:
    """Give the CRC32 of a book: digits of the ten best asks, then bids, leading zeros gone."""
    levels = row["asks"][:_CHECKSUM_LEVELS] + row["bids"][:_CHECKSUM_LEVELS]
    digits = (format(level[name], "f") for level in levels for name in ("price", "qty"))
    return zlib.crc32("".join(one.replace(".", "").lstrip("0") for one in digits).encode())


def truncated(body: Body) -> Body:
    """Give a batch answer without its last leg; both spellings of the result are known."""
    result = body.get("result")
    if isinstance(result, list):
        return {**body, "result": result[:-1]}
    if isinstance(result, dict) and isinstance(result.get("orders"), list):
        return {**body, "result": {**result, "orders": result["orders"][:-1]}}
    return body


class Spoiler:
    """The faults of one connection's frames. Mutable: the numbers it has pushed.

    `delay` is the door's own, it needs time.
    """

    def __init__(self) -> None:
        self.numbers = Numbering()
        self._effects: Mapping[str, Callable[[Body, Fault], list[Piece]]] = {
            "drop": self._drop,
            "repeat": self._repeat,
            "halve": self._halve,
            "pad": self._pad,
            "nest": self._nest,
            "retype": self._retype,
            "unknown_keys": self._unknown_keys,
            "unknown_channel": self._unknown_channel,
            "bare_text": self._bare_text,
            "number": self._number,
            "checksum": self._checksum,
            "cross": self._cross,
            "shift_time": self._shift_time,
            "unwrite": self._unwrite,
            "rewrite": self._rewrite,
            "hole": self._hole,
            "reorder": self._reorder,
            "phantom_cancel": self._phantom_cancel,
            "overfill": self._overfill,
            "truncate": self._truncate,
            "missing_order": self._missing_order,
        }

    def spoil(self, body: Body, fault: Fault) -> list[Piece]:
        """Give what goes out in a frame's place."""
        return self._effects[fault.kind.effect](body, fault)

    def _drop(self, body: Body, fault: Fault) -> list[Piece]:
        return []

    def _repeat(self, body: Body, fault: Fault) -> list[Piece]:
        return [body] * int(fault.parameter("times"))

    def _halve(self, body: Body, fault: Fault) -> list[Piece]:
        whole = text(body)
        return [whole[: len(whole) // 2]]

    def _pad(self, body: Body, fault: Fault) -> list[Piece]:
        return [{**body, "padding": "x" * 1024 * int(fault.parameter("times"))}]

    def _nest(self, body: Body, fault: Fault) -> list[Piece]:
        times = int(fault.parameter("times"))
        return [f'{text(body)[:-1]},"nested":{"[" * times}{"]" * times}}}']

    def _retype(self, body: Body, fault: Fault) -> list[Piece]:
        def turned(row: Body) -> Body:
            return {
                k: 7 if k == "symbol" else str(v) if isinstance(v, Decimal | int) else v
                for k, v in row.items()
            }

        return [{**body, "data": [turned(row) for row in _rows(body)] or 7}]

    def _unknown_keys(self, body: Body, fault: Fault) -> list[Piece]:
        news = {"flavour": {"of": ["tomorrow", None]}}
        wider = {**body, **news}
        if _rows(body):
            wider["data"] = [{**row, **news} for row in _rows(body)]
        return [wider]

    def _unknown_channel(self, body: Body, fault: Fault) -> list[Piece]:
        return [{"channel": "weather", "type": "update", "data": [{"sky": "blue"}]}, body]

    def _bare_text(self, body: Body, fault: Fault) -> list[Piece]:
        return ["CloudFlare WebSocket proxy restarting", body]

    def _number(self, body: Body, fault: Fault) -> list[Piece]:
        bad = msgspec.Raw(str(fault.parameter("value")).encode())

        def spoilt(row: Body) -> Body:
            levels = {
                side: [{**level, "price": bad} for level in row[side]]
                for side in ("bids", "asks")
                if side in row
            }
            return row | {name: bad for name in _PRICES if name in row} | levels

        return [{**body, "data": [spoilt(row) for row in _rows(body)]}]

    def _checksum(self, body: Body, fault: Fault) -> list[Piece]:
        return [{**body, "data": [{**row, "checksum": row["checksum"] ^ 1} for row in _rows(body)]}]

    def _cross(self, body: Body, fault: Fault) -> list[Piece]:
        def crossed(row: Body) -> Body:
            if not row["bids"] or not row["asks"]:
                return row
            # A bid far above every ask, with the places that the price text had.
            best = {**row["bids"][0], "price": row["asks"][-1]["price"] * 2}
            row = {**row, "bids": [best, *row["bids"][1:]]}
            return {**row, "checksum": checksum(row)}

        return [{**body, "data": [crossed(row) for row in _rows(body)]}]

    def _shift_time(self, body: Body, fault: Fault) -> list[Piece]:
        by = round(fault.parameter("seconds") * SECOND)

        def moved(row: Body) -> Body:
            return {k: iso(parse_iso(v) + by) if k in _TIMES and v else v for k, v in row.items()}

        rows = _rows(body)
        return [{**body, "data": [moved(row) for row in rows]}] if rows else [body]

    def _unwrite(self, body: Body, fault: Fault) -> list[Piece]:
        self.numbers.push(body, -1)
        return []

    def _rewrite(self, body: Body, fault: Fault) -> list[Piece]:
        again = {**body, "sequence": body["sequence"] + 1}
        return self._with_extra(body, again)

    def _hole(self, body: Body, fault: Fault) -> list[Piece]:
        self.numbers.push(body, 1)
        return [body]

    def _reorder(self, body: Body, fault: Fault) -> list[Piece]:
        self.numbers.held.append(body)
        return []

    def _phantom_cancel(self, body: Body, fault: Fault) -> list[Piece]:
        ends = {"exec_type": "canceled", "order_status": "canceled", "reason": "User requested"}
        news = {**body, "sequence": body["sequence"] + 1, "data": [{**row, **ends} for row in _rows(body)]}
        return self._with_extra(body, news)

    def _overfill(self, body: Body, fault: Fault) -> list[Piece]:
        twice = copy.deepcopy(body)
        twice["sequence"] += 1
        for row in _rows(twice):
            row["exec_id"] = f"{row['exec_id'][:-2]}ZZ"
            row["cum_qty"] = row.get("cum_qty", row["last_qty"]) + row["last_qty"]
        return self._with_extra(body, twice)

    def _with_extra(self, body: Body, extra: Body) -> list[Piece]:
        """Give two reports where there was one; the first must be numbered before the push."""
        first, second = self.numbers.written(body), self.numbers.written(extra)
        self.numbers.push(body, 1)
        return [text(first), text(second)]

    def _truncate(self, body: Body, fault: Fault) -> list[Piece]:
        return [truncated(body)]

    def _missing_order(self, body: Body, fault: Fault) -> list[Piece]:
        rows = _rows(body)
        orders = [row for row in rows if row.get("exec_type") != "trade"]
        return [{**body, "data": [row for row in rows if row is not orders[0]]}] if orders else [body]
