"""The figures of a meta-model: how each stacker did before the test span and on it, and its card.

Must not know how stackers learn or files. Called by training.stack.meta.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from core.clock import DAY, SECOND
from core.text import iso
from core.version import VERSION
from inference.card import (
    CLASSES_OF,
    MEMBER_COLUMNS,
    SCHEMA,
    VOTE_COLUMNS,
    BinaryMetrics,
    Calibration,
    Card,
    DataUsed,
    FeatureRef,
    Kind,
    LabelTerms,
    Split,
)
from inference.card_check import MEMBERS, VOTES
from inference.features.spec import SPECS
from training import bootstrap
from training.evaluate import area, log_loss, mean
from training.members.kept import TEST
from training.panel.panel import Floats, Kinds
from training.provenance import LIBRARIES
from training.stack.seating import SKIP, TAKE, Seated
from training.stack.terms import StackTerms
from training.stack.walk import Times, cuts
from training.thresholds import SPREAD_BPS
from training.trades import BPS, FeeSchedule, take

OWN = "blend"
"""The voice of the blend itself beside the stackers'."""
RIVAL = "the blend's own chance of its side, calibrated on the same rows"
RULE = (
    "take: of the barriers {barrier:g} ATRs away the price meets first, within {bars} bars, the one on the "
    "side to which the blend of all votes leans; skip: it meets the other one first, both in one bar, or "
    "neither"
)


class Said(NamedTuple):
    """One stacker's answers of all rows [n, 2], calibrated and raw; NaN where nobody gave any."""

    p: Floats
    calibration: Calibration
    raw: Floats


def told(heard: Mapping[str, Said], seated: Seated, cut: Kinds) -> dict[str, float]:
    """Give each stacker's log-loss on the walk-forward's rows and on the test span, and what was voted."""
    found: dict[str, float] = {}
    for where, mine in (("walk", cut > TEST), ("test", cut == TEST)):
        took = seated.took[mine]
        share = float((seated.took[cut > TEST] == TAKE).mean())
        found[f"loss_{where}.base"] = float(log_loss(np.array([[1.0 - share, share]]), took).mean())
        for name, one in heard.items():
            found[f"loss_{where}.{name}"] = float(log_loss(one.p[mine], took).mean())
    shares = seated.voted.mean(axis=0)
    return found | {f"voted.{name}": float(shares[k]) for k, name in enumerate(seated.names)}


def money(unseen: Seated, p: Floats, least: float, fees: FeeSchedule, seed: int) -> dict[str, float]:
    """Give what entries on the blend's side made, in bps after fees and spread: taken ones, and all.

    One position per instrument at a time (training.trades.take); NaN is left out.
    """
    found: dict[str, float] = {}
    day = unseen.rows.ts // DAY
    weights = bootstrap.day_weights(int(day.max() - day.min()) + 1, seed)
    for name, score in (("taken", p[:, TAKE]), ("every", np.full(len(p), 2.0))):
        trades = take(unseen.outcomes, score * unseen.side, least)
        found[f"trades_{name}"] = float(len(trades.day))
        if not len(trades.day):
            continue
        net = trades.gross_bps - fees.cost_bps(trades.held) - SPREAD_BPS
        around = mean(net, trades.day - int(day.min()), weights)
        figures = {"": around.value, "_low": around.low, "_high": around.high}
        found |= {f"net_bps_{name}{end}": value for end, value in figures.items() if value is not None}
    held = unseen.rows.ts_end - unseen.rows.ts
    pays = unseen.paid / BPS > fees.cost_bps(held) + SPREAD_BPS
    return found | {"share_that_pays": float(pays.mean())}


def card_of(
    seated: Seated,
    times: Times,
    cut: Kinds,
    said: tuple[Said, Said],
    terms: StackTerms,
    figures: Mapping[str, float],
) -> Card:
    """Give the card without files and hash; `said` is the one that ships and the blend itself."""
    about, spec = seated.rows.subject, SPECS[seated.rows.subject.spec]
    hashes = sorted({one.data_hash for one in seated.abouts})
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    names = {"lightgbm", "onnx", "onnxmltools", "onnxruntime", "numpy", "scikit-learn", "scipy"}
    if importlib.util.find_spec("xgboost") is not None:
        names.add("xgboost")
    versions = {name: importlib.metadata.version(name) for name in sorted(names | {*LIBRARIES})}
    return Card(
        schema=SCHEMA,
        kind=Kind.META,
        name=terms.name,
        version=terms.version,
        model_hash="",
        files={},
        command=terms.command,
        libraries=versions | {"seamark": VERSION},
        features=FeatureRef(spec.name, spec.hash, len(spec.names)),
        inputs={VOTES: (len(VOTE_COLUMNS),), MEMBERS: (len(MEMBER_COLUMNS) * len(seated.names),)},
        scalers={},
        label=LabelTerms(
            about.decision,
            about.barrier_atr,
            about.horizon_bars,
            RULE.format(barrier=about.barrier_atr, bars=about.horizon_bars),
        ),
        classes=CLASSES_OF[Kind.META],
        calibration=said[0].calibration,
        conformal=None,
        data=DataUsed(
            about.venue,
            about.source,
            tuple(about.instruments),
            iso(int(times.ts.min())),
            iso(int(times.ts.max())),
            whole,
        ),
        split=_split(times, cut, terms),
        seed=terms.seed,
        trials=terms.trials,
        parameters=dict(figures),
        edge_threshold=figures["min_take"],
        metrics=_measured(
            seated.only(cut == TEST), said[0].p[cut == TEST], said[1].p[cut == TEST], cut, seated
        ),
        deciles={},
        voters=seated.names,
    )


def _split(times: Times, cut: Kinds, terms: StackTerms) -> Split:
    known = times.known_by(times.test_start)
    return Split(
        train_start=iso(int(times.ts.min())),
        validation_start=iso(min(at for number, at in cuts(times, cut) if number != TEST)),
        test_start=iso(times.test_start),
        test_end=iso(int(times.ts.max())),
        embargo_s=times.embargo // SECOND,
        train_rows=int(known.sum()),
        validation_rows=int((cut > TEST).sum()),
        test_rows=int((cut == TEST).sum()),
        purged_rows=int(((times.ts < times.test_start) & ~known).sum()),
        thinned=max(1, -(-int(known.sum()) // terms.max_rows)),
    )


def _measured(unseen: Seated, p: Floats, rival: Floats, cut: Kinds, seated: Seated) -> BinaryMetrics:
    took = unseen.took
    share = float((seated.took[cut > TEST] == TAKE).mean())
    days = unseen.rows.ts // DAY - int(unseen.rows.ts.min()) // DAY
    weights = bootstrap.day_weights(int(days.max()) + 1, seed=1)
    loss, base = log_loss(p, took), log_loss(np.array([[1.0 - share, share]]), took)
    likelier = TAKE if share > 0.5 else SKIP
    return BinaryMetrics(
        share=float((took == TAKE).mean()),
        accuracy=mean((p.argmax(axis=1) == took).astype(np.float64), days, weights),
        accuracy_base=float((took == likelier).mean()),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        log_loss_gain=mean(base - loss, days, weights),
        auc=area(p[:, TAKE], took == TAKE, days, weights),
        rival=RIVAL,
        log_loss_rival=float(log_loss(rival, took).mean()),
        auc_rival=area(rival[:, TAKE], took == TAKE, days, weights),
        bootstrap=bootstrap.NAME,
    )
