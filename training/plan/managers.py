"""Managers of a plan: bars and makers, handed to training.manager.recipe.

Must not know entries, looks or fits. Called by training.plan.job.
"""

import msgspec

from core.clock import DAY
from core.errors import ConfigError
from feeds.lake import BarArrays
from training.manager import recipe
from training.manager.recipe import ManagerOrder
from training.members.catalogue import maker
from training.members.member import Maker
from training.plan.job import Job, Say, bars_of, fits_of
from training.plan.schema import NETWORK, Manager
from training.provenance import read


def make(job: Job, order: Manager, say: Say) -> None:
    """Write the manager, its answers and what acting on it was worth."""
    bars = bars_of(job, order)
    say("reading bars")
    series = [_newest(one, order.days) for one in read(bars, job.place.data)]
    recipe.craft(
        _order(job, order, bars.test_start),
        series,
        [_maker(job, order, word) for word in order.makers],
        rivals=[maker(word) for word in order.rivals],
        out=job.place.out / order.name,
        work=job.place.work,
        say=say,
    )


def _order(job: Job, order: Manager, test_start: int | None) -> ManagerOrder:
    own = {
        "name": order.name,
        "version": job.common.version,
        "venue": order.venue or job.common.venue,
        "test_start": test_start,
        "seed": job.common.seed,
        "trials": order.trials,
        "command": job.command,
    }
    try:
        return msgspec.convert(dict(order.terms) | own, ManagerOrder)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{order.name}.terms: {wrong}") from wrong


def _maker(job: Job, order: Manager, word: str) -> Maker:
    if word != NETWORK:
        return maker(word)
    return maker(
        order.network,
        hyper={"variant": order.variant, **order.hyper},
        fit=order.fit,
        folder=fits_of(job),
    )


def _newest(bars: BarArrays, days: int) -> BarArrays:
    """Give the newest days of a series, all without a number."""
    if not days:
        return bars
    end = int(bars.ts_close[-1])
    return bars.between(end - days * DAY, end)
