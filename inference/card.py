"""What a model artifact says about itself: `card.json`.

Must not know files, ONNX or how a model was trained. Written by training.export, read by
inference.artifact and by everything that shows a model to people.
"""

import hashlib
import re

import msgspec

SCHEMA = 1
CLASSES = ("down", "hold", "up")
"""Order of the probability columns, in the file and everywhere else."""
_FLAT_LIST = re.compile(rb"\[[^\[\]{}]*\]")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FeatureRef(_Strict, frozen=True):
    """Which feature spec the columns of the input follow; the hash covers names and order."""

    name: str
    hash: str
    columns: int


class LabelTerms(_Strict, frozen=True):
    """What the classes mean (docs/labels.md): barriers in ATRs, time limit in decision bars."""

    decision: str
    barrier_atr: float
    horizon_bars: int


class DataUsed(_Strict, frozen=True):
    """Where the rows come from. `sha256` covers the files read, names and contents."""

    venue: str
    timeframe: str
    instruments: tuple[str, ...]
    start: str
    end: str
    sha256: str


class Split(_Strict, frozen=True):
    """How time was cut, for all instruments at the same instants (ISO-8601 UTC).

    Training rows are those whose label ended before `test_start` minus the embargo; `thinned` says
    that every n-th of them was used. The threshold comes from the validation span alone.
    """

    train_start: str
    validation_start: str
    test_start: str
    test_end: str
    embargo_s: int
    train_rows: int
    validation_rows: int
    test_rows: int
    purged_rows: int
    thinned: int


class Interval(_Strict, frozen=True):
    """A figure with its 95 % bootstrap interval; None where too few rows allow one."""

    value: float | None
    low: float | None
    high: float | None


class Expectancy(_Strict, frozen=True):
    """Mean result per trade in bps of notional under one fee schedule."""

    schedule: str
    model: Interval
    momentum: Interval
    random: Interval


class Month(_Strict, frozen=True):
    """The same model over one calendar month of the test span."""

    month: str
    rows: int
    log_loss_gain: float
    auc: float
    trades: int
    gross_bps: float | None
    kraken_bps: float | None


class Metrics(_Strict, frozen=True):
    """Out of sample figures; `*_base` are those of always answering with the training shares.

    `auc` ranks rising against falling rows, `auc_hold` ranks rows that reach no barrier.
    `log_loss_gain` is base minus model, so positive is better than knowing nothing.
    """

    class_shares: tuple[float, float, float]
    both_barriers: int
    accuracy: Interval
    accuracy_base: float
    log_loss: float
    log_loss_base: float
    log_loss_gain: Interval
    auc: Interval
    auc_momentum: Interval
    auc_hold: Interval
    edge_quantiles: tuple[float, ...]
    trades: int
    trades_momentum: int
    mean_hold_minutes: float
    expectancy: tuple[Expectancy, ...]
    months: tuple[Month, ...]
    bootstrap: str


class Golden(_Strict, frozen=True):
    """Real rows and the probabilities that the trees gave for them before export."""

    x: tuple[tuple[float, ...], ...]
    p: tuple[tuple[float, ...], ...]


class Card(_Strict, frozen=True):
    """Everything about one model.

    `model_hash` is the SHA-256 of this card without that one field; since `files` holds the
    SHA-256 of every other file, one hash stands for the whole folder. `edge_threshold` is the
    smallest |p_up - p_down| on which the metrics traded. `trials` counts the configurations that
    were tried against the test span. `deciles` are each column's over the training rows (drift).
    """

    schema: int
    name: str
    version: str
    model_hash: str
    files: dict[str, str]
    command: str
    libraries: dict[str, str]
    features: FeatureRef
    label: LabelTerms
    classes: tuple[str, ...]
    data: DataUsed
    split: Split
    seed: int
    trials: int
    parameters: dict[str, float]
    edge_threshold: float
    metrics: Metrics
    deciles: tuple[tuple[float, ...], ...]
    golden: Golden


def identity(card: Card) -> str:
    """Give the hash that a card of this content must carry."""
    bare = msgspec.structs.replace(card, model_hash="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def sealed(card: Card) -> Card:
    """Give the card as a reader will see it, with its own hash filled in."""
    read_back = decode(encode(card))  # 15 in a float field comes back as 15.0, another text
    return msgspec.structs.replace(read_back, model_hash=identity(read_back))


def encode(card: Card) -> bytes:
    """Give the text of `card.json`: indented, one line per list of plain values."""
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    return _FLAT_LIST.sub(lambda found: b" ".join(found.group().split()), text) + b"\n"


def decode(text: bytes) -> Card:
    """Read `card.json`; raises msgspec.DecodeError or ValidationError with the field at fault."""
    return msgspec.json.decode(text, type=Card)
