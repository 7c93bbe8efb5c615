"""Ensembles of a plan: members by role, bound under the plan's policy.

Must not know how members were made. Called by training.plan.job.
"""

import msgspec

from core.errors import ConfigError
from inference.ensemble_card import Policy, Role
from training import blend
from training.blend import Part
from training.plan.job import Job, Say
from training.plan.schema import Ensemble


def make(job: Job, order: Ensemble, say: Say) -> None:
    """Write the ensemble beside its members."""
    say("binding members")
    blend.write(
        job.place.out / order.name,
        parts_of(job, order),
        policy_of(order),
        version=job.common.version,
        command=job.command,
    )


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
