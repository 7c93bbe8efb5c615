"""Meta-models of a plan: the kept answers of an ensemble's voters, handed to training.stack.meta.

Must not know stackers. Called by training.plan.job.
"""

from training.members import kept
from training.plan.ensembles import policy_of
from training.plan.job import Job, Say
from training.plan.schema import Meta
from training.stack import meta
from training.stack.terms import StackTerms


def make(job: Job, order: Meta, say: Say) -> None:
    """Write the meta-model and what it and its rivals said of unseen rows."""
    assert job.of is not None
    say("reading kept answers")
    answers = [kept.load(job.place.kept(name)) for name in job.needs]
    terms = StackTerms(
        name=order.name,
        policy=policy_of(job.of),
        priors=tuple(job.of.prior.get(name, 1.0) for name in job.needs),
        folds=order.folds,
        fees=order.fees,
        seed=job.common.seed,
        trials=order.trials,
        version=job.common.version,
        command=job.command,
        max_rows=order.max_rows,
    )
    meta.craft(answers, terms, out=job.place.out / order.name, work=job.place.work, say=say)
