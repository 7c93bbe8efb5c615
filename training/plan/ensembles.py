"""Ensembles of a plan: members by role, bound under the plan's policy.

Must not know how members were made. Called by training.plan.job. What the plan leaves open follows from
answers before the test span: the meta-model's own `min_take`, and a variant's bounds.
"""

import msgspec

from core.errors import ConfigError
from inference import artifact
from inference.ensemble_card import Policy, Role
from training import blend
from training.blend import Part
from training.members import kept
from training.plan.job import Job, Say
from training.plan.schema import Ensemble
from training.stack.variants import tempered


def make(job: Job, order: Ensemble, say: Say) -> None:
    """Write the ensemble beside its members."""
    say("binding members")
    policy, bounds = settled(job, order)
    blend.write(
        job.place.out / order.name,
        parts_of(job, msgspec.structs.replace(order, bounds=bounds)),
        policy,
        version=job.common.version,
        command=job.command,
    )


def settled(job: Job, order: Ensemble) -> tuple[Policy, dict[str, tuple[float, float]]]:
    """Give policy and bounds: what the plan says, then the variant's, then the meta-model's own."""
    policy, bounds = policy_of(order), dict(order.bounds)
    if order.variant:
        voters, regimes = (
            [kept.load(job.place.kept(name)) for name in names] for names in (order.vote, order.regime)
        )
        meta = kept.load(job.place.kept(order.meta)) if order.meta else None
        priors = [order.prior.get(name, 1.0) for name in order.vote]
        policy, lows = tempered(order.variant, voters, meta, regimes, base=policy, priors=priors)
        bounds = {name: (low, 1.0) for name, low in lows.items()} | bounds
    elif order.meta:
        found = artifact.load(job.place.out / order.meta)
        policy = msgspec.structs.replace(policy, min_take=found.card.edge_threshold)
    stated = {name: getattr(policy_of(order), name) for name in order.policy}
    return msgspec.structs.replace(policy, **stated), bounds


def parts_of(job: Job, order: Ensemble) -> list[Part]:
    """Give the members with their roles, in the card's order."""
    roles = (
        (Role.VOTE, order.vote),
        (Role.REGIME, order.regime),
        (Role.META, (order.meta,) if order.meta else ()),
        (Role.MANAGER, (order.manager,) if order.manager else ()),
    )
    found = []
    for role, names in roles:
        for name in names:
            low, high = order.bounds.get(name, (None, None))
            found.append(Part(job.place.out / name, role, order.prior.get(name, 1.0), low, high))
    return found


def policy_of(order: Ensemble) -> Policy:
    """Give the policy: the usual one with what the plan changes; ConfigError for an unknown field."""
    try:
        return msgspec.convert(order.policy, Policy)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{order.name}.policy: {wrong}") from wrong
