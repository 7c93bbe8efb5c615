"""Journal records: how a step becomes rows, bytes and a link of the hash chain.

Must not know files or databases. Called by the journal writer, by recovery and by replay, so that
what is written and what is verified come from the same few lines.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from core.events import TAPED, Command, Event, Prediction
from core.orders import AmendOrder, CancelOrder, SubmitOrder
from trader.setup import DeskSetup

COLUMNS = (
    "seq",
    "idx",
    "ts",
    "kind",
    "account",
    "trader",
    "stage",
    "model_hash",
    "config_hash",
    "prediction_id",
    "cl_ord_id",
    "body",
)

_encoder = msgspec.msgpack.Encoder()
_event_decoder = msgspec.msgpack.Decoder(Event)
_command_decoder = msgspec.msgpack.Decoder(Command)


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One journal row. `idx` 0 is the event, 1.. are its commands; `body` is msgpack."""

    seq: int
    idx: int
    ts: int
    kind: str
    account: str
    trader: str
    stage: str
    model_hash: str
    config_hash: str
    prediction_id: str
    cl_ord_id: str
    body: bytes


class Labels(msgspec.Struct, frozen=True):
    """What each row says about who acted, beyond the event itself."""

    config_hash: str
    stages: dict[str, str]
    models: dict[str, str]
    owners: dict[str, str]

    @classmethod
    def of(cls, setup: DeskSetup, config_hash: str) -> "Labels":
        """Read the labels off a setup."""
        return cls(
            config_hash=config_hash,
            stages={t.name: t.stage for t in setup.traders},
            models={t.name: t.terms.model_hash for t in setup.traders},
            owners={t.account: t.name for t in setup.traders},
        )


NOBODY = Labels("", {}, {}, {})


class Step(msgspec.Struct, frozen=True):
    """One event and what came of it. `taped` events live on the tape, not in a row."""

    seq: int
    taped: bytes
    records: tuple[Record, ...]
    chain: bytes


def is_taped(event: Event) -> bool:
    """Tell whether the event belongs on the tape."""
    return isinstance(event, TAPED)


def make_step(seq: int, event: Event, commands: Sequence[Command], *, labels: Labels, before: bytes) -> Step:
    """Turn one engine step into records and the next link of the chain.

    `before` is the 32-byte link of step `seq - 1`.
    """
    body = _encoder.encode(event)
    records = make_records(seq, event, commands, labels=labels, body=body)
    taped = body if is_taped(event) else b""
    return Step(seq, taped, records, link(seq, body, records, before=before))


def make_records(
    seq: int, event: Event, commands: Sequence[Command], *, labels: Labels, body: bytes
) -> tuple[Record, ...]:
    """Give the rows of one step; `body` are the event's bytes, which a taped event keeps on the tape."""
    records = [_record(seq, i + 1, event.ts, c, labels) for i, c in enumerate(commands)]
    if not is_taped(event):
        records.insert(0, _record(seq, 0, event.ts, event, labels, body))
    return tuple(records)


def link(seq: int, body: bytes, records: Sequence[Record], *, before: bytes) -> bytes:
    """Give the step's link: it covers the event's bytes and every column of every row."""
    digest = hashlib.sha256(before)
    digest.update(seq.to_bytes(8, "big"))
    digest.update(body)
    for record in records:
        digest.update(_encoder.encode(record))
    return digest.digest()


def decode_event(body: bytes) -> Event:
    """Read an event back; raises msgspec.DecodeError or ValidationError."""
    return _event_decoder.decode(body)


def decode_command(body: bytes) -> Command:
    """Read a command back; raises msgspec.DecodeError or ValidationError."""
    return _command_decoder.decode(body)


def _record(
    seq: int, idx: int, ts: int, item: Event | Command, labels: Labels, body: bytes | None = None
) -> Record:
    account = getattr(item, "account", "")
    trader = getattr(item, "trader", "") or labels.owners.get(account, "")
    prediction = item.prediction_id if isinstance(item, Prediction) else getattr(item, "prediction_id", "")
    cl_ord_id = item.cl_ord_id if isinstance(item, (SubmitOrder, AmendOrder, CancelOrder)) else ""
    return Record(
        seq=seq,
        idx=idx,
        ts=ts,
        kind=str(item.__struct_config__.tag),
        account=account,
        trader=trader,
        stage=labels.stages.get(trader, ""),
        model_hash=labels.models.get(trader, ""),
        config_hash=labels.config_hash,
        prediction_id=prediction,
        cl_ord_id=cl_ord_id or getattr(item, "cl_ord_id", ""),
        body=_encoder.encode(item) if body is None else body,
    )
