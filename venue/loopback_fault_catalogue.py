"""Every fault that the loopback can be told to have: where it strikes and what it does.

Must not know how a fault is carried out. Called by venue.loopback_faults, which arms them, and by
the test that holds docs/faults.md to this table. Ids are rows of the fault catalogue; S17 is the
list of faults at the end of the protocol notes.
"""

import enum

import msgspec


class Point(enum.StrEnum):
    """Where a fault is looked for."""

    CONNECT = "connect"  # a WebSocket handshake
    REQUEST = "request"  # a request of a client, before the desk sees it
    FRAME = "frame"  # a frame to a client
    REST = "rest"  # an HTTP request, before it is carried out
    ANSWER = "answer"  # the HTTP answer to a request that was carried out
    ACT = "act"  # nothing needs to happen: it strikes when it is armed


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `effect` names what is carried out, `match` and `preset` what it is used for."""

    points: tuple[Point, ...]
    effect: str
    text: str
    ids: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    match: dict[str, str] = {}
    preset: dict[str, str | int | float] = {}
    lasting: bool = False


_DATA = "instrument|trade|book|ticker|ohlc|executions|balances"
_ORDERS = "add_order|amend_order|cancel_order|batch_add|edit_order"


def _at(points: str, effect: str, text: str, ids: str, **more: object) -> Kind:
    return msgspec.convert(
        {"points": points.split(), "effect": effect, "text": text, "ids": ids, **more}, Kind
    )


def _frame(effect: str, text: str, ids: str, **more: object) -> Kind:
    return _at("frame", effect, text, ids, **more)


def _private(error: str, text: str, ids: str, *, lasting: bool = False) -> Kind:
    """Give a private REST call that is refused with a fixed error text."""
    preset, match = {"error": error}, {"kind": "private"}
    return _at("rest", "refuse", text, ids, match=match, preset=preset, lasting=lasting)


_CONNECTIONS = {
    "connect_refused": _at("connect", "refuse", "the handshake is answered HTTP 429", "C12"),
    "close": _at(
        "act",
        "close",
        "connections are closed with `code` (1006: without a close frame)",
        "S17 D08",
        takes=("code", "stream"),
        preset={"code": 1001},
    ),
    "cut_on_request": _at(
        "request", "cut", "the request is carried out, the connection cut before the answer", "A01 A19"
    ),
    "stall": _frame(
        "drop",
        "data stops while heartbeats and acks go on",
        "S17 C04",
        match={"channel": _DATA},
        lasting=True,
    ),
    "silence": _at(
        "frame request",
        "drop",
        "nothing passes in either direction, the socket stays open",
        "C03",
        lasting=True,
    ),
    "channel_dead": _frame(
        "drop", "one channel stops, named by `match`", "C04 B08", needs=("match",), lasting=True
    ),
    "mode": _at(
        "act",
        "mode",
        "the engine's state from now on: online, post_only, cancel_only, maintenance",
        "S17 D01",
        takes=("system",),
        needs=("system",),
    ),
}
_FRAMES = {
    "malformed": _frame("halve", "half of a frame", "C09"),
    "huge": _frame(
        "pad", "`times` KiB more in an unknown key", "C09", takes=("times",), preset={"times": 8192}
    ),
    "deep": _frame(
        "nest",
        "lists nested `times` deep under an unknown key",
        "C09",
        takes=("times",),
        preset={"times": 5000},
    ),
    "wrong_type": _frame("retype", "symbols are numbers, numbers are text", "C09", match={"channel": _DATA}),
    "unknown_keys": _frame("unknown_keys", "keys nobody knows, in frame and rows", "S17 C09"),
    "unknown_channel": _frame("unknown_channel", "a frame of an unknown channel goes ahead", "S17 C09"),
    "bare_text": _frame("bare_text", "text of a proxy goes ahead, no JSON", "C09"),
    "bad_number": _frame(
        "number",
        "prices become `value` (0, -1, NaN, 1e308, Infinity)",
        "C07",
        takes=("value",),
        match={"channel": "trade|book|ticker"},
        preset={"value": "0"},
    ),
    "corrupt_checksum": _frame(
        "checksum", "the checksum is off by one", "S17 C01", match={"channel": "book"}
    ),
    "lost_book": _frame("drop", "a book update is lost", "C01", match={"channel": "book", "type": "update"}),
    "crossed_book": _frame(
        "cross",
        "a snapshot whose best bid is above its best ask, checksum right",
        "C02",
        match={"channel": "book", "type": "snapshot"},
    ),
    "burst": _frame(
        "repeat",
        "data frames are sent `times` times",
        "C05",
        takes=("times",),
        match={"channel": "trade|book|ticker|ohlc", "type": "update"},
        preset={"times": 50},
    ),
    "trade_gap": _frame("drop", "trades are lost", "C06", match={"channel": "trade", "type": "update"}),
    "shifted_time": _frame(
        "shift_time",
        "timestamps are `seconds` later (negative: earlier)",
        "C11",
        takes=("seconds",),
        needs=("seconds",),
        match={"channel": _DATA},
    ),
    "instrument_change": _at(
        "act",
        "instrument",
        "a pair changes: status, price_increment, quantity_increment or minimum_quantity",
        "C10",
        takes=("symbol", "fields"),
        needs=("symbol", "fields"),
    ),
}
_ORDER_PATH = {
    "drop_request": _at("request", "drop", "a request never arrives", "A03 A04", match={"method": _ORDERS}),
    "delay_request": _at(
        "request",
        "delay",
        "a request arrives `seconds` late, whether its client is still there or not",
        "A03",
        takes=("seconds",),
        needs=("seconds",),
        match={"method": _ORDERS},
    ),
    "drop_ack": _frame(
        "drop",
        "the answer to an order request is lost",
        "A01 A06 A10",
        match={"method": "add_order|amend_order"},
    ),
    "delay_ack": _frame(
        "delay",
        "an answer comes `seconds` late",
        "A18",
        takes=("seconds",),
        needs=("seconds",),
        match={"method": _ORDERS},
    ),
    "drop_cancel_ack": _frame(
        "drop", "the answer to a cancel is lost", "A08", match={"method": "cancel_order"}
    ),
    "phantom_cancel": _frame(
        "phantom_cancel",
        "an order that goes on resting is reported as canceled",
        "A11",
        match={"channel": "executions", "exec_type": "new"},
    ),
    "overfill": _frame(
        "overfill",
        "the stream tells a fill twice under two ids: more than the order's quantity",
        "A12",
        match={"channel": "executions", "exec_type": "trade"},
    ),
    "reject": _at(
        "request",
        "refuse",
        "order requests are refused with `error`, not carried out",
        "A15 A21",
        takes=("error",),
        match={"method": "add_order"},
        preset={"error": "EOrder:Insufficient funds"},
    ),
    "truncated_batch": _at(
        "frame answer",
        "truncate",
        "the last leg is missing from the answer to a batch",
        "A14",
        match={"method": "batch_add|AddOrderBatch"},
    ),
    "message_rate": _at(
        "request", "message_rate", "a request meets `Exceeded msg rate` and is dropped", "S17 D03"
    ),
}
_REPORTS = {"channel": "executions", "type": "update"}
_PRIVATE_STREAM = {
    "drop_exec": _frame(
        "unwrite", "a report is never written: sequence numbers close up", "B01", match=_REPORTS
    ),
    "duplicate_exec": _frame(
        "rewrite", "a report is written twice, with the next sequence number", "B02", match=_REPORTS
    ),
    "duplicate_frame": _frame("repeat", "a frame is sent twice", "B02", preset={"times": 2}),
    "replay_fills": _at(
        "request",
        "replay_fills",
        "the snapshot brings the last 50 fills, asked for or not",
        "S17 B04",
        match={"method": "subscribe", "channel": "executions"},
    ),
    "reorder": _frame("reorder", "a report changes places with the next one", "B03", match=_REPORTS),
    "sequence_gap": _frame("hole", "a sequence number is skipped", "S17 B06", match=_REPORTS),
    "token_invalid": _at(
        "request",
        "refuse",
        "a token is refused",
        "B07",
        match={"stream": "private"},
        preset={"error": "ESession:Invalid session"},
    ),
    "subscribe_unacked": _at(
        "request", "drop", "a subscription is never answered", "B08", match={"method": "subscribe"}
    ),
    "subscribe_refused": _at(
        "request",
        "refuse",
        "a subscription is refused with `error`",
        "B08 D06",
        takes=("error",),
        match={"method": "subscribe"},
        preset={"error": "EGeneral:Permission denied"},
    ),
    "subscribe_silent": _frame(
        "drop",
        "a private subscription is acked and brings nothing",
        "B08",
        match={"channel": "executions|balances"},
        lasting=True,
    ),
    "stranger_order": _at(
        "act",
        "stranger_order",
        "somebody else places a resting order on the account",
        "B09",
        takes=("account", "symbol"),
        needs=("account", "symbol"),
    ),
    "stranger_position": _at(
        "act",
        "stranger_position",
        "somebody else opens a small position on margin",
        "B09 E12",
        takes=("account", "symbol"),
        needs=("account", "symbol"),
    ),
    "missing_snapshot_order": _frame(
        "missing_order",
        "the oldest open order is missing from the executions snapshot",
        "B12",
        match={"channel": "executions", "type": "snapshot"},
    ),
}
_REST = {
    "http_502_before": _at(
        "rest", "http", "HTML of a gateway, nothing carried out", "S17 A07", preset={"status": 502}
    ),
    "http_520_after": _at(
        "answer", "http", "HTML of a proxy, the request carried out", "S17 A02", preset={"status": 520}
    ),
    "rest_lost_request": _at("rest", "hang_up", "the connection ends, nothing carried out", "A04 A07"),
    "rest_lost_answer": _at(
        "answer", "hang_up", "the connection ends after the request is carried out", "A01"
    ),
    "rest_slow": _at(
        "answer",
        "slow",
        "the answer comes `seconds` late",
        "A04 D08",
        takes=("seconds",),
        needs=("seconds",),
    ),
    "rest_down": _at(
        "rest", "http", "every call is answered 503", "A07 B11", preset={"status": 503}, lasting=True
    ),
    "html_200": _at("answer", "http", "HTML with status 200", "D09", preset={"status": 200}),
    "empty_body": _at("answer", "empty", "no body with status 200", "D09"),
    "no_result": _at("answer", "no_result", "an envelope without error and without result", "D09"),
    "rest_warning": _at("answer", "warn", "a warning beside the result", "D09"),
    "rest_error": _at(
        "rest", "refuse", "calls are refused with `error`", "D03 A15", takes=("error",), needs=("error",)
    ),
    "throttled": _at(
        "rest",
        "throttled",
        "`EService: Throttled` until `seconds` from now",
        "D03",
        takes=("seconds",),
        match={"kind": "private"},
        preset={"seconds": 5},
    ),
    "rate_limited": _private("EAPI:Rate limit exceeded", "the REST counter is over its limit", "D03"),
    "lockout": _private(
        "EGeneral:Temporary lockout", "all private calls are locked out", "S17 D04", lasting=True
    ),
    "invalid_nonce": _private("EAPI:Invalid nonce", "a nonce is refused", "D05"),
    "key_revoked": _private("EAPI:Invalid key", "the key is gone", "D06", lasting=True),
    "permission_denied": _private("EGeneral:Permission denied", "the key lacks a right", "D06"),
    "rest_lag": _at(
        "rest",
        "lag",
        "private reads answer as of `seconds` ago",
        "S17 B10",
        takes=("seconds",),
        needs=("seconds",),
        match={"kind": "private"},
        lasting=True,
    ),
    "positions_empty": _at(
        "answer", "no_positions", "OpenPositions is empty", "B11", match={"method": "OpenPositions"}
    ),
    "missing_order": _at(
        "answer",
        "missing_order",
        "the oldest open order is missing from OpenOrders",
        "B12",
        match={"method": "OpenOrders"},
    ),
    "split_view": _at(
        "answer",
        "split",
        "REST tells twice the position that the stream tells",
        "D10",
        match={"method": "OpenPositions"},
    ),
}
SECTIONS: dict[str, dict[str, Kind]] = {
    "Connections and the venue's mode": _CONNECTIONS,
    "Frames and market data": _FRAMES,
    "Orders": _ORDER_PATH,
    "The private stream": _PRIVATE_STREAM,
    "REST": _REST,
}
CATALOGUE: dict[str, Kind] = {name: kind for rows in SECTIONS.values() for name, kind in rows.items()}
