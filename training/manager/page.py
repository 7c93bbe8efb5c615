"""The figures of a manager as people read them: what it was asked, how well it ranks, what acting is worth.

Must not know how figures were made. Called by training.manager.cli; the page is docs/results/manager.md.
"""

from collections.abc import Iterator, Sequence

from inference.card import Interval
from training.manager.policy import Gain
from training.manager.value import BEYOND, MANAGER, Compared, Value
from training.thresholds import SPREAD_BPS
from training.trades import SCHEDULES

_NOTHING = "-"


def verdict(worth: Value) -> str:
    """Say in one sentence what the test span says about acting on it."""
    if worth.threshold.threshold is None:
        return (
            "No threshold left enough positions early out of fold, so there is no policy to judge: "
            "the stops are left alone."
        )
    gross, beyond = (_of(worth.gains, policy, "gross").bps for policy in (MANAGER, BEYOND))
    kraken = _of(worth.gains, MANAGER, "kraken").bps
    told = (
        f"{_shown(gross, 1)} bps a position before fees on the test span, {_shown(kraken, 1)} at Kraken's "
        f"base tier, {_shown(beyond, 1)} before fees beyond leaving as many by chance"
    )
    if gross.high is not None and gross.high < 0:
        return f"Acting on this manager loses money against leaving the stops alone: {told}."
    if gross.low is None or gross.low <= 0:
        return f"Acting on this manager cannot be told from leaving the stops alone: {told}."
    if beyond.low is None or beyond.low <= 0:
        return f"Acting was better than the stops, but not than leaving as many positions by chance: {told}."
    return f"Acting on this manager was better than the stops on this one test span: {told}."


def page(worth: Value) -> str:
    """Give the whole page as Markdown."""
    return "\n".join(_lines(worth)) + "\n"


def _lines(worth: Value) -> Iterator[str]:
    entries, chosen = worth.entries, worth.threshold
    yield f"# What {worth.name} is worth"
    yield ""
    yield verdict(worth)
    yield ""
    yield (
        f"Written by `training manager value` from {worth.name}-value.json, which the training run leaves in "
        "its work folder. How it is made and what the words mean: [manager.md](../manager.md)."
    )
    yield ""
    yield (
        f"{worth.venue}, {', '.join(worth.instruments)}, minutes; looks from {worth.start[:10]}, test span "
        f"{worth.test_start[:10]} to {worth.test_end[:10]}. {entries.positions:,} simulated positions, "
        f"{entries.tested:,} of them entered in the test span, entered where |p_up - p_down| reached "
        f"{entries.least:.4f}, held {entries.mean_hold_minutes:.0f} minutes in the mean; "
        f"{entries.looks:,} looks at them, {entries.labelled:,} with a label. Seed {worth.seed}; "
        f"configurations measured on this test span: {worth.trials}."
    )
    yield ""
    yield f"**The label.** {worth.rule}"
    yield ""
    yield "## How well looks are told apart"
    yield ""
    yield (
        "Log-loss gain is against always answering with the out-of-fold share; 95 % intervals by days. "
        f"Chosen on the folds before the test span, the simplest within one standard error of the best: "
        f"**{worth.chosen}**. *A minute late* is the AUC of the same chances for somebody who leaves at the "
        "open after the next one: what is lost there was a price that bounced between bid and ask."
    )
    yield ""
    yield (
        "| maker | AUC out of fold | gain out of fold | behind the best "
        "| AUC on test | a minute late | gain on test |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for one in worth.compared:
        yield _compared_row(one, worth.chosen)
    first = worth.compared[0]
    yield ""
    yield (
        f"Rows: {first.early.rows:,} out of fold ({first.early.share:.3f} continue), {first.test.rows:,} on "
        f"the test span ({first.test.share:.3f})."
    )
    yield ""
    yield "## What acting on it is worth"
    yield ""
    if chosen.threshold is None:
        yield "No threshold: too few positions out of fold would have been left early."
    else:
        yield (
            f"A position is left at the next open once p(reverse) reaches {chosen.threshold:.4f}, chosen out "
            f"of fold, where it left {chosen.acted:,} positions and gained {_shown(chosen.gain_bps, 2)} bps "
            "a position before fees"
            + ("." if chosen.pays else ": not to be told from nothing, before the test span was looked at.")
        )
    yield ""
    yield (
        "Difference to the same positions left alone, bps of notional per position of all, 95 % intervals by "
        f"days. Fees and half of a spread of {SPREAD_BPS:g} bps for each side that takes; a target rests "
        "and pays the maker's rate. The slot that an early exit frees is worth nothing here."
    )
    yield ""
    names = [fees.name for fees in SCHEDULES]
    yield f"| policy | positions changed | R | {' | '.join(names)} |"
    yield f"|---|---:|---:|{'---:|' * len(names)}"
    for policy in dict.fromkeys(one.policy for one in worth.gains):
        yield _gain_row([one for one in worth.gains if one.policy == policy])
    yield ""
    ends = ", ".join(f"{count:,} by {name}" for name, count in entries.ends.items())
    yield f"The positions themselves, left alone (ended {ends}):"
    yield ""
    yield f"| | positions | R | {' | '.join(names)} |"
    yield f"|---|---:|---:|{'---:|' * len(names)}"
    yield _gain_row(list(worth.alone), changed=False)


def _compared_row(one: Compared, chosen: str) -> str:
    name = f"**{one.name}**" if one.name == chosen else one.name
    figures = (
        _shown(one.early.auc, 4),
        _shown(one.early.gain, 5),
        _shown(one.behind, 5),
        _shown(one.test.auc, 4),
        _shown(one.late, 4),
        _shown(one.test.gain, 5),
    )
    return f"| {name}{' (rival)' if one.rival else ''} | {' | '.join(figures)} |"


def _gain_row(gains: Sequence[Gain], *, changed: bool = True) -> str:
    first = gains[0]
    count = first.acted if changed else first.positions
    shown = " | ".join(_shown(one.bps, 1) for one in gains)
    return f"| {first.policy} | {count:,} | {_shown(first.r, 3)} | {shown} |"


def _of(gains: Sequence[Gain], policy: str, schedule: str) -> Gain:
    return next(one for one in gains if (one.policy, one.schedule) == (policy, schedule))


def _shown(figure: Interval, decimals: int) -> str:
    if figure.value is None:
        return _NOTHING
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{decimals}f}"
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"
