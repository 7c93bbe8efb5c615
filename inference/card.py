"""What a model artifact says about itself: `card.json`.

Must not know files, ONNX or how a model was trained. Written by training.export, read by
inference.artifact and by everything that shows a model to people.
"""

import enum
import hashlib
import re

import msgspec

from core.text import parse_iso

SCHEMA = 2


class Kind(enum.StrEnum):
    """What a model answers."""

    ENTRY = "entry"  # which barrier is met first; a fusion of several windows is one too
    REGIME = "regime"  # what the market is like: whether the coming bars are volatile
    VOLUME = "volume"  # the same of traded volume: whether more than usual at this hour is to come
    META = "meta"  # whether a blended opinion should be taken, seeing the votes
    MANAGER = "manager"  # whether an open position will go on in its direction


CLASSES_OF = {
    Kind.ENTRY: ("down", "hold", "up"),
    Kind.REGIME: ("normal", "high"),
    Kind.VOLUME: ("normal", "rising"),
    Kind.META: ("skip", "take"),
    Kind.MANAGER: ("reverse", "continue"),
}
"""Order of the probability columns of each kind, in the file and everywhere else."""
CLASSES = CLASSES_OF[Kind.ENTRY]
REGIMES = {
    Kind.REGIME: ("low volatility", "high volatility"),
    Kind.VOLUME: ("volume not rising", "volume rising"),
}
"""Kinds that say what the market is like, and what is said of one with too little and too much of it."""

POSITION_COLUMNS = ("r_multiple", "age_bars", "mae_r", "mfe_r", "side")
"""Columns of a manager's tensor `position`: unrealised result, worst and best so far in units of the
risk taken (R = the distance to the first stop), age in bars of the decision timeframe, and +1 for a long
or -1 for a short: features of the market do not say which way the position wants it to go."""
VOTE_COLUMNS = ("p_down", "p_hold", "p_up", "spread", "agreement")
"""Columns of a meta-model's tensor `votes`: the blend, how far its members disagree on p_up - p_down,
and the share of the weights that leans to the blend's side."""
MEMBER_COLUMNS = ("p_down", "p_hold", "p_up", "voted")
"""Columns that a meta-model's tensor `members` has for each voter, one voter after the other: its
probabilities and 1, or 0 in all four where it had no vote."""
_FLAT_LIST = re.compile(rb"\[[^\[\]{}]*\]")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FeatureRef(_Strict, frozen=True):
    """Which feature spec the columns of the input follow; the hash covers names and order."""

    name: str
    hash: str
    columns: int


class LabelTerms(_Strict, frozen=True):
    """What the classes mean (docs/labels.md): barriers in ATRs, time limit in decision bars.

    `rule` is one sentence that kinds other than `entry` need; their barrier may be 0 (none).
    """

    decision: str
    barrier_atr: float
    horizon_bars: int
    rule: str = ""


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

    Training rows are those whose label ended before `test_start` minus the embargo; at least one in
    `thinned` of them was used. Calibration and threshold come from rows before the test span that their
    model had not seen: those of the validation span, or those of `folds` (among the card's parameters).
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


class Metrics(_Strict, frozen=True, tag_field="of", tag="entry"):
    """Out of sample figures of an entry model; `*_base`: of always answering with the training shares.

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


class BinaryMetrics(_Strict, frozen=True, tag_field="of", tag="binary"):
    """Out of sample figures of a model of two classes; `share` is the second class's in the test rows.

    `*_base` are those of always answering with the training share, `*_rival` those of the simple
    forecast that `rival` names (for volatility: an average of what it was, by hour of day), and
    `log_loss_hour` that of answering with the training share of the hour of day, where it was measured.
    """

    share: float
    accuracy: Interval
    accuracy_base: float
    log_loss: float
    log_loss_base: float
    log_loss_gain: Interval
    auc: Interval
    rival: str
    log_loss_rival: float
    auc_rival: Interval
    bootstrap: str
    log_loss_hour: float | msgspec.UnsetType = msgspec.UNSET

    @property
    def class_shares(self) -> tuple[float, float]:
        """Shares of both classes in the test rows."""
        return 1.0 - self.share, self.share


class RobustScaler(_Strict, frozen=True):
    """What is done to one tensor before the graph sees it: clip((x - center) / scale, -clip, clip).

    One center and scale per column (the last axis), fitted on training rows alone.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float


class Calibration(_Strict, frozen=True):
    """softmax(log p / temperature + bias): temperature scaling with one bias per class.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2 (temperature and,
    with the bias, vector scaling whose matrix is a multiple of one). Fitted on validation rows.
    """

    temperature: float
    bias: tuple[float, ...]


class Conformal(_Strict, frozen=True):
    """Split-conformal sets: a class belongs to the set when 1 - p(class) <= `quantile`.

    The quantile is the validation rows' at level 1 - `alpha` with the finite-sample correction
    (Vovk, Gammerman, Shafer 2005; Angelopoulos & Bates 2021, section 1). `coverage` is how often the
    set held the truth on the test span, `abstained` the share of its rows whose set names no side.
    """

    alpha: float
    quantile: float
    coverage: float
    abstained: float


class Head(_Strict, frozen=True):
    """One more output of a model beside its probabilities, [n, size]: shown and proved, never traded on.

    `says` is one sentence, `unit` that of its numbers.
    """

    name: str
    says: str
    unit: str
    size: int = 1


class Card(_Strict, frozen=True):
    """Everything about one model.

    `model_hash` is the SHA-256 of this card without that one field; since `files` holds the
    SHA-256 of every other file, one hash stands for the whole folder. `inputs` gives each input
    tensor's shape without the batch, `scalers` those that are scaled first. `edge_threshold` is the
    smallest |p_up - p_down| on which the metrics traded. `trials` counts the configurations that
    were tried against the test span. `deciles` are each tensor's, column by column, over the
    training rows (drift); a tensor may be left out. `voters` names the ensemble's voters in the order in
    which a meta-model reads them, `heads` are further outputs. (Fields that came later are unset, not
    defaulted: an unset one is not in the text, so older hashes stand.)
    """

    schema: int
    kind: Kind
    name: str
    version: str
    model_hash: str
    files: dict[str, str]
    command: str
    libraries: dict[str, str]
    features: FeatureRef
    inputs: dict[str, tuple[int, ...]]
    scalers: dict[str, RobustScaler]
    label: LabelTerms
    classes: tuple[str, ...]
    calibration: Calibration | None
    conformal: Conformal | None
    data: DataUsed
    split: Split
    seed: int
    trials: int
    parameters: dict[str, float]
    edge_threshold: float
    metrics: Metrics | BinaryMetrics
    deciles: dict[str, tuple[tuple[float, ...], ...]]
    voters: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    heads: tuple[Head, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def more(self) -> tuple[Head, ...]:
        """The outputs beside the probabilities."""
        return () if self.heads is msgspec.UNSET else self.heads

    @property
    def trained_until(self) -> int:
        """End of the last label that the model was fitted on, ns UTC: the start of the test span."""
        return parse_iso(self.split.test_start)

    @property
    def tested_until(self) -> int:
        """End of the test span, ns UTC: from then on its figures are known."""
        return parse_iso(self.split.test_end)


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
