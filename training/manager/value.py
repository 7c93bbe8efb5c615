"""The figures of a manager: how well each maker ranks, which one is chosen, what acting on it is worth.

Must not know how answers were made or how a page looks. Called by training.manager.recipe, read by
training.manager.page and by whoever compares models.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from core.clock import DAY, MINUTE
from core.errors import DataError
from feeds.lake import BarArrays
from inference.card import Interval
from training import bootstrap
from training.evaluate import area, log_loss, mean
from training.manager import policy
from training.manager.entries import Trades
from training.manager.heard import Heard
from training.manager.policy import Chosen, Gain
from training.manager.rows import CONTINUE, LATE_NAME, REVERSE, TARGET_NAME, InTrade
from training.manager.walk import HOW
from training.members.kept import TEST
from training.panel.panel import Floats, Ints, Kinds

MANAGER, CHANCE = "manager", "as often by chance"
BEYOND = "manager less chance"
"""What leaving just these positions at just these looks gained over leaving as many anywhere: where
positions lose in the mean, whoever leaves early gains."""
_SE = 2 * 1.96


class Skill(msgspec.Struct, frozen=True):
    """How well looks of one span were told apart. `gain` is base less model log loss, `share` of continue."""

    rows: int
    share: float
    log_loss: float
    log_loss_base: float
    gain: Interval
    auc: Interval


class Compared(msgspec.Struct, frozen=True):
    """One maker out of fold and on the test span. `behind`: its log loss less the best one's, out of fold.

    `late` is its AUC on the test span against the label of somebody who leaves a minute later.
    """

    name: str
    rival: bool
    early: Skill
    test: Skill
    behind: Interval
    late: Interval


class Entries(msgspec.Struct, frozen=True):
    """The positions that were looked into; `ends` counts how those of the test span ended, left alone."""

    positions: int
    tested: int
    least: float
    looks: int
    labelled: int
    mean_hold_minutes: float
    ends: dict[str, int]


class Value(msgspec.Struct, frozen=True):
    """Everything that docs/results/manager.md says. Times ISO-8601 UTC."""

    name: str
    venue: str
    instruments: tuple[str, ...]
    start: str
    test_start: str
    test_end: str
    rule: str
    entries: Entries
    compared: tuple[Compared, ...]
    chosen: str
    threshold: Chosen
    alone: tuple[Gain, ...]
    gains: tuple[Gain, ...]
    seed: int
    trials: int


def compare(looks: InTrade, heard: Sequence[Heard], rows: Ints, rivals: int, seed: int) -> list[Compared]:
    """Judge all makers on the same `rows` of `looks`; the first `rivals` of them are only measured."""
    early = rows[heard[0].fold[rows] != TEST]
    losses = [log_loss(one.chances[early], _kind(looks)[early]) for one in heard]
    best = min(losses[rivals:] or losses, key=lambda loss: float(loss.mean()))
    days, weights = _days(looks.panel.ts[early], seed)
    test = rows[heard[0].fold[rows] == TEST]
    return [
        Compared(
            name=one.name,
            rival=number < rivals,
            early=skill(looks, one, early, seed),
            test=skill(looks, one, test, seed),
            behind=mean(loss - best, days, weights),
            late=late(looks, one, test, seed),
        )
        for number, (one, loss) in enumerate(zip(heard, losses, strict=True))
    ]


def simplest(compared: Sequence[Compared]) -> str:
    """Name the first maker, rivals aside, within one standard error of the best log loss out of fold."""
    for one in compared:
        behind = one.behind
        if one.rival or behind.value is None:
            continue
        error = 0.0 if behind.low is None or behind.high is None else (behind.high - behind.low) / _SE
        if behind.value <= error:
            return one.name
    raise DataError("manager: expected a maker that can be shipped; found rivals alone")


def skill(looks: InTrade, heard: Heard, rows: Ints, seed: int) -> Skill:
    """Measure one maker on some rows; the base always answers with the out-of-fold share of continue."""
    kind = _kind(looks)
    known = (heard.fold > TEST) & (kind >= 0)
    share = float(np.mean(kind[known] == CONTINUE))
    days, weights = _days(looks.panel.ts[rows], seed)
    p = heard.chances[rows]
    loss, base = log_loss(p, kind[rows]), log_loss(np.array([[1.0 - share, share]]), kind[rows])
    went_on = kind[rows] == CONTINUE
    return Skill(
        rows=len(rows),
        share=float(went_on.mean()),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        gain=mean(base - loss, days, weights),
        auc=area(p[:, CONTINUE], went_on, days, weights),
    )


def late(looks: InTrade, heard: Heard, rows: Ints, seed: int) -> Interval:
    """Give the AUC of the same chances against the label that starts a minute later."""
    kind = looks.panel.followed[LATE_NAME].kind
    known = rows[kind[rows] >= 0]
    days, weights = _days(looks.panel.ts[known], seed)
    return area(heard.chances[known][:, CONTINUE], kind[known] == CONTINUE, days, weights)


def acted(
    trades: Trades, series: Sequence[BarArrays], looks: InTrade, heard: Heard, *, seed: int, fewest: int
) -> tuple[Chosen, list[Gain], list[Gain]]:
    """Choose the threshold on positions before the test span and act on those in it.

    Gives the choice, what the test positions made left alone, and what each policy added to that.
    """
    reversal = heard.chances[:, REVERSE]
    early = (heard.fold > TEST) & (trades.fold[looks.trade] != TEST)
    at = looks.trade, looks.minute
    chances = np.where(early, reversal, np.nan)
    chosen = policy.choose(trades, series, at, chances, seed=seed, fewest=fewest)
    tested = np.flatnonzero(trades.fold == TEST)
    if not len(tested):
        raise DataError("manager: expected positions in the test span; found none")
    alone = trades.only(tested)
    gains = []
    if chosen.threshold is not None:
        leave = policy.left_early(trades, *at, reversal >= chosen.threshold)[tested]
        managed = policy.replayed(alone, series, leave)
        gains += policy.gains(MANAGER, alone, [managed], seed)
        mine = np.isin(looks.trade, tested)
        coins = [
            policy.replayed(
                alone,
                series,
                policy.by_chance(
                    trades, looks.trade[mine], looks.minute[mine], gains[0].acted, seed + number
                )[tested],
            )
            for number in range(policy.COINS)
        ]
        gains += policy.gains(CHANCE, alone, coins, seed)
        gains += policy.gains(BEYOND, alone, [managed], seed, less=coins)
    for name, rule in policy.RULES:
        gains += policy.gains(name, alone, [policy.replayed(alone, series, rule=rule)], seed)
    return chosen, policy.results("left alone", alone, seed), gains


def entries(trades: Trades, looks: InTrade, least: float) -> Entries:
    """Count what was simulated."""
    tested = trades.fold == TEST
    ends = np.bincount(trades.how[tested], minlength=len(HOW))
    return Entries(
        positions=len(trades),
        tested=int(tested.sum()),
        least=least,
        looks=len(looks),
        labelled=int(np.sum(_kind(looks) >= 0)),
        mean_hold_minutes=float(trades.held.mean() / MINUTE),
        ends={name: int(count) for name, count in zip(HOW, ends.tolist(), strict=True) if count},
    )


def save(path: Path, worth: Value) -> None:
    """Write the figures as JSON, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(worth), indent=1) + b"\n")
    fresh.replace(path)


def load(path: Path) -> Value:
    """Read what `save` wrote; DataError in one line for anything else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Value)
    except (OSError, msgspec.MsgspecError) as broken:
        raise DataError(f"{path}: expected the figures of a manager; found: {broken}") from broken


def _kind(looks: InTrade) -> Kinds:
    return looks.panel.followed[TARGET_NAME].kind


def _days(ts: Ints, seed: int) -> tuple[Ints, Floats]:
    days = ts // DAY - ts.min() // DAY
    return days, bootstrap.day_weights(int(days.max()) + 1, seed)
