"""What a stack is made of: names, policy, seed, and how its answers are worked out of fold.

Must not know members or files. Read by training.stack.meta; training.plan fills it from a file.
"""

import msgspec

from inference.ensemble_card import Policy


class StackTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a meta-model beside its members' answers.

    `policy` is that of the ensemble that it will sit in: votes are weighed by it. `priors` are the voters'
    (empty = all 1). `folds` counts walk-forward fits before the test span, of which the first span has no
    answers. `fees` names the schedule after which `min_take` pays best. `trials` counts the
    configurations that were tried against the test span.
    """

    name: str
    policy: Policy = Policy()
    priors: tuple[float, ...] = ()
    folds: int = 4
    fees: str = "kraken"
    seed: int = 1
    trials: int = 1
    version: str = "1"
    command: str = ""
    max_rows: int = 120_000
