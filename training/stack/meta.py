"""One training run of a meta-model: what voters said out of sample, in; whether to take their blend, out.

Must not know how voters learned, the command line or how progress is shown. Called by training.plan and by
tests. Order matters: stackers are compared, calibrated and given their threshold on walk-forward answers
before the test span; the one that ships is then fitted on all rows before it, and the test span is looked
at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from core.errors import UsageError
from core.market import Timeframe
from inference import calibrate as calibrated
from inference.card import CLASSES_OF, Card, Kind
from inference.card_check import MEMBERS, VOTES
from training import calibrate, export
from training.evaluate import log_loss
from training.labels import HOLD
from training.members.kept import TEST, Kept, save
from training.members.member import Say, silent
from training.panel.panel import Flags, Floats, Kinds
from training.stack import graph, seating
from training.stack.choose import simplest
from training.stack.design import direction, direction_logs, taking, taking_logs
from training.stack.figures import OWN, Said, card_of, money, told
from training.stack.seating import TAKE, Seated
from training.stack.stackers import Stacker, learners
from training.stack.terms import StackTerms
from training.stack.walk import NOBODY, Lesson, Times, folds, walk
from training.thresholds import Tuned, tune
from training.trades import SCHEDULES, FeeSchedule


def craft(kepts: Sequence[Kept], terms: StackTerms, *, out: Path, work: Path, say: Say = silent) -> Card:
    """Make the meta-model of voters whose answers were kept, the first one deciding; write it to `out`.

    The voters' order is the ensemble's, and their names on the card are those of the kept answers. What it
    and its rivals said of unseen rows goes to `work`/NAME.npz, what stackers of all three classes said to
    `work`/NAME-direction.npz; `min_take` is among the card's parameters. DataError for answers that do not
    belong together, UsageError for an `out` that holds something else or unknown fees.
    """
    export.check_target(out)
    fees = _schedule(terms.fees)
    say("seating the voters")
    seated = seating.seat(kepts, terms.policy, terms.priors)
    times = _times(seated)
    cut = folds(times, terms.folds)
    x = taking(seated.votes, seated.members)
    heard = {
        OWN: _calibrated(np.column_stack([1.0 - x[:, 0], x[:, 0]]).astype(np.float64), seated, cut > TEST)
    }
    made: dict[str, Stacker] = {}
    for learner in learners(taking_logs):
        say(f"walking forward: {learner.name}")
        lesson = Lesson(x, seated.took, len(CLASSES_OF[Kind.META]))
        walked = walk(learner, lesson, times, cut, seed=terms.seed, max_rows=terms.max_rows)
        heard[learner.name] = _calibrated(walked.p, seated, cut > TEST)
        made[learner.name] = walked.final
    chosen = _chosen({name: heard[name] for name in made}, seated, cut > TEST, terms.seed)
    tuned = _tuned(seated.only(cut > TEST), heard[chosen].p[cut > TEST], fees, terms.seed)
    say(f"{chosen} ships; measuring on the test span")
    figures = told(heard, seated, cut) | {
        "min_take": tuned.threshold,
        "min_take_pooled": tuned.pooled,
        "min_take_trades": float(tuned.trades),
        "min_take_pays": float(tuned.pays),
        **money(seated.only(cut == TEST), heard[chosen].p[cut == TEST], tuned.threshold, fees, terms.seed),
    }
    card = card_of(seated, times, cut, (heard[chosen], heard[OWN]), terms, figures)
    say("exporting and checking")
    model = graph.to_onnx(made[chosen], len(seated.names))
    unseen = seated.only(cut == TEST)
    tensors = {VOTES: unseen.votes, MEMBERS: unseen.members}
    graph.check_parity(model, unseen.votes, unseen.members, heard[chosen].raw[cut == TEST])
    written = export.write(out, card, model, export.golden(tensors, heard[chosen].p[cut == TEST]))
    say("keeping what was said")
    voices = {("meta" if name == chosen else name): one.p for name, one in heard.items()}
    subject: dict[str, object] = {
        "name": terms.name,
        "model": "meta",
        "kind": Kind.META.value,
        "target": "take",
    }
    subject |= {"classes": CLASSES_OF[Kind.META], "model_hash": written.model_hash}
    rows = replace(seated.rows, kind=seated.took)
    save(
        work / f"{terms.name}.npz",
        _kept(rows, cut, voices, subject | {"edge_threshold": tuned.threshold}, terms),
    )
    save(work / f"{terms.name}-direction.npz", directions(seated, times, cut, terms, say))
    return written


def directions(seated: Seated, times: Times, cut: Kinds, terms: StackTerms, say: Say = silent) -> Kept:
    """Stack all votes into down, hold and up: voices stack_logistic, stack_mlp, ..., and the blend itself."""
    x = direction(seated.votes, seated.members)
    early, kind = cut > TEST, seated.rows.kind
    voices: dict[str, Floats] = {}
    for learner in learners(direction_logs):
        say(f"stacking directions: {learner.name}")
        lesson = Lesson(x, kind, len(CLASSES_OF[Kind.ENTRY]))
        walked = walk(learner, lesson, times, cut, seed=terms.seed, max_rows=terms.max_rows)
        terms_found = calibrate.fit(walked.p[early], kind[early], HOLD)
        voices[f"stack_{learner.name}"] = calibrated.apply(terms_found, walked.p).astype(np.float64)
    losses = {name: log_loss(p[early], kind[early]) for name, p in voices.items()}
    best = simplest(losses, seated.rows.ts[early], terms.seed)
    subject = {"name": f"{terms.name}-direction", "model": best, "model_hash": "", "edge_threshold": 0.0}
    return _kept(seated.rows, cut, voices | {OWN: seated.found.p}, subject, terms)


def _schedule(name: str) -> FeeSchedule:
    for one in SCHEDULES:
        if one.name == name:
            return one
    raise UsageError(f"fees: expected one of {', '.join(one.name for one in SCHEDULES)}; found {name!r}")


def _times(seated: Seated) -> Times:
    about = seated.rows.subject
    embargo = about.horizon_bars * Timeframe(about.decision).ns
    return Times(seated.rows.ts, seated.rows.ts_end, about.test_start, embargo)


def _calibrated(raw: Floats, seated: Seated, early: Flags) -> Said:
    """Calibrate answers [n, 2] on the walk-forward's; rows that nobody answered stay NaN."""
    terms = calibrate.fit(raw[early], seated.took[early], TAKE)
    return Said(calibrated.apply(terms, raw).astype(np.float64), terms, raw)


def _chosen(heard: Mapping[str, Said], seated: Seated, early: Flags, seed: int) -> str:
    losses = {name: log_loss(one.p[early], seated.took[early]) for name, one in heard.items()}
    return simplest(losses, seated.rows.ts[early], seed)


def _tuned(early: Seated, p: Floats, fees: FeeSchedule, seed: int) -> Tuned:
    """Choose the least chance to take by what entries on the blend's side made, net, out of fold."""
    sided = np.zeros((len(early), 3))
    sided[np.arange(len(early)), early.side + 1] = p[:, TAKE]
    return tune(early.outcomes, sided, fees, seed=seed)


def _kept(
    rows: Kept, cut: Kinds, voices: Mapping[str, Floats], subject: Mapping[str, object], terms: StackTerms
) -> Kept:
    about = msgspec.structs.replace(rows.subject, **subject, seed=terms.seed, trials=terms.trials)
    said = {name: p.astype(np.float32) for name, p in voices.items()}
    return replace(rows, subject=about, fold=cut, voices=said).only(cut != NOBODY)
