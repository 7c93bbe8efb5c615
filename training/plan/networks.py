"""Networks of a plan: bars to a panel, the plan's words to an order, the order to training.members.recipe.

Must not know how a network is fitted or judged. Called by training.plan.job.
"""

from dataclasses import replace
from pathlib import Path

from inference.card import Kind
from inference.features.spec import SPECS
from training.labels import BarrierTerms
from training.members import recipe
from training.members.catalogue import maker
from training.members.member import Lesson, Maker
from training.members.order import Order
from training.panel.build import build
from training.plan.job import Job, Say, bars_of, fits_of
from training.plan.schema import HEAD_TARGETS, Network, Pretraining, day
from training.provenance import read
from training.synthetic.lessons import lesson
from training.targets.catalogue import target

PANELS = "panels"
"""Folder of the work folder: built panels, found again by content."""
NO_PRETRAIN = "_no_pretrain"


def make(job: Job, order: Network, say: Say) -> None:
    """Write the answers of the network and its baselines, and the artifact if it ships."""
    bars, common, spec = bars_of(job, order), job.common, SPECS[order.spec]
    say("reading bars")
    series = read(bars, job.place.data)
    terms = BarrierTerms(spec.decision, order.barrier_atr, order.horizon_bars)
    asked = target(order.target, spec.decision, terms)
    heads = {head: target(HEAD_TARGETS[head], spec.decision, terms) for head in order.heads}
    say("folding features, walking labels")
    panel = build(series, spec, [asked, *heads.values()], terms, cache=job.place.work / PANELS)
    assert bars.test_start is not None
    bare = Order(
        name=order.name,
        kind=Kind(order.kind),
        target=asked,
        maker=_network(order, fits_of(job)),
        baselines=tuple(map(maker, order.baselines)),
        terms=terms,
        venue=bars.venue,
        source=order.source,
        test_start=bars.test_start,
        vault_start=day(order.vault_start or common.vault_start),
        folds=order.folds,
        seed=common.seed,
        max_rows=order.max_rows,
        max_answers=order.max_answers,
        trials=order.trials,
        version=common.version,
        command=job.command,
        heads=heads,
    )
    whole = bare if order.pretrain is None else _pretrained(job, order, bare, order.pretrain, say)
    recipe.craft(whole, panel, job.place.out / order.name if order.ship else None, job.place.work, say)


def _pretrained(job: Job, order: Network, bare: Order, terms: Pretraining, say: Say) -> Order:
    """Give the order whose network has seen synthetic markets first, and the bare one beside it."""
    say("drawing synthetic markets")
    taught = lesson(
        SPECS[order.spec],
        bare.target,
        bare.terms,
        pairs=terms.pairs,
        days=terms.days,
        seed=terms.seed,
        heads=bare.heads,
        cache=job.place.work / PANELS,
    )
    beside: tuple[Maker, ...] = (_network(order, fits_of(job), called=order.network + NO_PRETRAIN),)
    return replace(
        bare,
        maker=_network(order, fits_of(job), pretrain=taught),
        baselines=(*bare.baselines, *(beside if terms.beside else ())),
    )


def _network(order: Network, folder: Path, *, pretrain: Lesson | None = None, called: str = "") -> Maker:
    return maker(
        order.network,
        hyper={"variant": order.variant, **order.hyper},
        fit=order.fit,
        heads=order.heads,
        pretrain=pretrain,
        folder=folder,
        called=called,
    )
