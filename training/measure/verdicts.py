"""What figures say in plain words, by rules that the page prints: nothing here is judged by hand.

Must not know how figures were made, Markdown or pictures. Called by training.measure.page.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from inference.card import Interval
from training.measure.carded import Carded
from training.measure.gather import FLOOR, NETWORK, TREE_VOICES, TREES, Figures, Model
from training.measure.sharpe import Floats
from training.measure.tables import ALL, TESTED, Compared, Row
from training.measure.traded import AtFees, Traded
from training.significance.sharpe import luck

CALIBRATED = 0.02
"""An expected calibration error up to this counts as well calibrated."""
BASE_TIER = "kraken"
RULES = (
    "Better than chance: the 95 % interval of the AUC lies above 0.5. Better than the base rate: that of "
    "the log-loss gain lies above 0. Better than another voice: the interval of the paired difference of "
    "gains, on the same rows and days, lies on one side of 0. Earns its fees: the interval of the net Sharpe "
    f"ratio at that schedule lies above 0. Well calibrated: an ECE up to {CALIBRATED:g}. "
    "Good for trading: earns its fees at Kraken's base tier. Good as a vote: better than chance and than "
    "the base rate. Good for telling quiet hours from lively ones: better than the base rate, though not "
    "at sides. Otherwise good for nothing that was measured here."
)


def headline(figures: Figures) -> str:
    """Say whether trees beat the fusion network, and whether anything earns its fees."""
    return f"{trees_against_fusion(figures)} {fees(figures)}"


def trees_against_fusion(figures: Figures) -> str:
    """Compare the trees with the fusion network on its own rows."""
    named = {model.name for model in figures.models if _is_fusion(model)}
    trees = {*TREE_VOICES, *(model.name for model in figures.models if model.family == TREES)}
    found = [one for one in figures.compared if one.model in named and one.second in trees and one.rows]
    if found:
        return " ".join(map(_fusion_sentence, found))
    return "No fusion network was measured beside trees, so neither beats the other."


def fees(figures: Figures) -> str:
    """Say whether any voice earns Kraken's fees or any at all."""
    at = [(one, run) for one in figures.traded for run in one.fees]
    if not at:
        return "Nothing was traded."
    parts = []
    base = [(one, run) for one, run in at if run.schedule == BASE_TIER and run.sharpe.value is not None]
    earning = [(one, run) for one, run in base if above(run.sharpe)]
    best = max(base, key=lambda pair: pair[1].sharpe.value or 0.0, default=None)
    expected = f"{0.025 * len(base):.1f} would by chance"
    if earning:
        names = ", ".join(name_of(one) for one, _ in earning)
        parts.append(
            f"{len(earning)} of {len(base)} runs earn Kraken's base fees ({expected}): {names}; "
            "look for a leak first."
        )
    elif base:
        top = "" if best is None else f", the best being {name_of(best[0])} with {shown(best[1].sharpe)}"
        parts.append(
            f"Nothing earns Kraken's base fees: of {len(base)} runs none has a net Sharpe ratio whose "
            f"interval lies above 0{top}."
        )
    free = [(one, run) for one, run in at if run.schedule == "gross"]
    if still := sum(not run.trades for _, run in free):
        parts.append(f"{still} of {len(free)} voices never traded.")
    good = [one for one, run in free if above(run.sharpe)]
    if free:
        names = f" ({', '.join(name_of(one) for one in good)})" if 0 < len(good) <= 6 else ""
        parts.append(
            f"Before any fee {len(good)} of {len(free)} have a Sharpe ratio whose interval lies above 0"
            f"{names}; {0.025 * len(free):.1f} would by chance."
        )
    return " ".join(parts)


def targets(figures: Figures) -> Iterator[str]:
    """Say whether any trial passed a Sharpe ratio of 0.8, and whether one improves on the hourly model."""
    trials = sum(model.trials for model in figures.models)
    for schedule in ("gross", BASE_TIER):
        runs = [
            (one, run)
            for one in figures.traded
            for run in one.fees
            if run.schedule == schedule and run.sharpe.value is not None
        ]
        if not runs:
            continue
        passed = [pair for pair in runs if (pair[1].sharpe.value or 0.0) > FLOOR]
        sure = [pair for pair in passed if (pair[1].sharpe.low or 0.0) > FLOOR]
        best, run = max(runs, key=lambda pair: pair[1].sharpe.value or 0.0)
        tried = max(trials, len(runs))
        expected = luck(_values(runs), tried, best.days)
        what = "before fees" if schedule == "gross" else "after Kraken's base fees"
        yes = "Yes" if passed else "No"
        yield (
            f"**Does any trial have a Sharpe ratio above {FLOOR:g} {what}? {yes}:** {len(passed)} of "
            f"{len(runs)} runs, and {len(sure)} with an interval that lies above {FLOOR:g}. The best is "
            f"{name_of(best)} with {shown(run.sharpe)} over {best.days} days; the best of {tried} trials "
            f"without any skill would show {expected:.2f}."
        )
    if not figures.against_hour:
        yield "**Does a model improve on the hourly one?** No hourly model was traded beside others."
        return
    for schedule in ("gross", BASE_TIER):
        held = [one for one in figures.against_hour if one.schedule == schedule]
        known = [one for one in held if one.sharpe.value is not None]
        if not known:
            continue
        better = [one for one in known if above(one.sharpe)]
        best_one = max(known, key=lambda one: one.sharpe.value or 0.0)
        what = "before fees" if schedule == "gross" else "after Kraken's base fees"
        names = f": {', '.join(one.first for one in better)}" if better else ""
        yield (
            f"**Does a model clearly improve on {best_one.second} {what}? {'Yes' if better else 'No'}:** "
            f"{len(better)} of {len(known)} have a difference of Sharpe ratios whose interval lies above 0"
            f"{names} ({0.025 * len(known):.1f} would by chance). The largest is {best_one.first}, "
            f"{shown(best_one.sharpe)} over {best_one.days} common days."
        )


def paragraph(figures: Figures, model: Model) -> str:
    """Say what one model is good for."""
    row = row_of(figures.rows, model.name, model.own)
    if row is None:
        return "No rows of the test span were kept, so nothing is known of it."
    scores = row.scores
    ranks, gains = above(scores.auc, 0.5), above(scores.gain)
    what = "up from down" if "up" in row.classes else f"{row.classes[-1]} from the rest"
    effective = "" if scores.effective is None else f", worth about {scores.effective:,.0f} independent ones"
    skill = (
        f"On {scores.rows:,} rows{effective}, it tells {what} "
        f"{'better than chance' if ranks else 'no better than chance'} (AUC {shown(scores.auc, 4)}); its "
        f"chances are {_worth(scores.gain)} the base rate (gain {shown(scores.gain, 5)} nats)"
        f" and {_calibrated(scores.ece)}."
    )
    said = [skill]
    said += _beside(figures.compared, model)
    runs = next((one for one in figures.traded if (one.model, one.voice) == (model.name, model.own)), None)
    earns = False
    if runs is not None:
        said.append(_money(runs))
        earns = any(run.schedule == BASE_TIER and above(run.sharpe) for run in runs.fees)
    said.append(_good_for(row, ranks=ranks, gains=gains, earns=earns))
    return " ".join(said)


def of_card(card: Carded) -> str:
    """Say what a model is good for of which only the card is there."""
    ranks, gains = above(card.auc, 0.5), above(card.gain)
    beaten = card.log_loss < card.log_loss_rival
    rival = card.rival or "its rival"
    good = (
        "telling when it will be " + card.says
        if ranks and gains and beaten
        else "nothing that was measured here"
    )
    if ranks and gains and not beaten:
        good = f"no more than {rival}, which is simpler"
    return (
        f"On {card.rows:,} rows it tells {card.says} from the rest "
        f"{'better than chance' if ranks else 'no better than chance'} (AUC {shown(card.auc, 4)}, {rival} "
        f"{shown(card.auc_rival, 4)}); its chances are {_worth(card.gain)} the base rate (gain "
        f"{shown(card.gain, 5)} nats; log loss {card.log_loss:.5f}, {rival} {card.log_loss_rival:.5f}). "
        f"**Good for: {good}.**"
    )


def above(figure: Interval, floor: float = 0.0) -> bool:
    """Tell whether an interval lies above `floor`."""
    return figure.low is not None and figure.low > floor


def below(figure: Interval, ceiling: float = 0.0) -> bool:
    """Tell whether an interval lies below `ceiling`."""
    return figure.high is not None and figure.high < ceiling


def shown(figure: Interval, decimals: int = 2) -> str:
    """Write a figure with its interval."""
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{decimals}f}"
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"


def name_of(one: Traded) -> str:
    """Name a voice: the model, and which voice on its rows where it is not the model's own."""
    return one.model if one.own else f"{one.voice} on the rows of {one.model}"


def row_of(rows: Sequence[Row], model: str, voice: str, instrument: str = ALL) -> Row | None:
    """Find a voice's row of the test span."""
    wanted = (model, voice, instrument, TESTED)
    return next((row for row in rows if (row.model, row.voice, row.instrument, row.span) == wanted), None)


def _fusion_sentence(one: Compared) -> str:
    by = (
        f"log-loss gain of the network less that of the trees {shown(one.gain, 5)} nats, "
        f"AUC {shown(one.auc, 4)}, on the same {one.rows:,} rows"
    )
    if below(one.gain):
        return f"The trees ({one.second}) beat the fusion network {one.model}: {by}."
    if above(one.gain):
        return f"The fusion network {one.model} beats the trees ({one.second}): {by}."
    return f"Trees ({one.second}) and the fusion network {one.model} cannot be told apart: {by}."


def _is_fusion(model: Model) -> bool:
    return model.family == NETWORK and (model.spec == "mtf" or model.name.startswith("fusion"))


def _worth(gain: Interval) -> str:
    if above(gain):
        return "worth more than"
    return "worth less than" if below(gain) else "not to be told from"


def _calibrated(error: float) -> str:
    well = "well calibrated" if error <= CALIBRATED else "not well calibrated"
    return f"{well} (ECE {error:.3f})"


def _beside(compared: Sequence[Compared], model: Model) -> Iterator[str]:
    ours = [one for one in compared if one.model == model.name and one.rows]
    groups = (
        ("It beats", [one for one in ours if above(one.gain)]),
        ("It cannot be told from", [one for one in ours if not above(one.gain) and not below(one.gain)]),
        ("It is beaten by", [one for one in ours if below(one.gain)]),
    )
    for word, found in groups:
        if found:
            shown_ones = ", ".join(f"{one.second} ({shown(one.gain, 5)})" for one in found)
            yield f"{word} on the same rows: {shown_ones}."


def _money(one: Traded) -> str:
    if one.why_not:
        return f"It was not traded: {one.why_not}."
    earning = [run.schedule for run in one.fees if above(run.sharpe)]
    losing = [run.schedule for run in one.fees if below(run.sharpe)]
    if not any(run.trades for run in one.fees):
        return "It never traded: nothing that it said reached the confidence set before the test span."
    base: AtFees | None = next((run for run in one.fees if run.schedule == BASE_TIER), None)
    words = []
    if earning:
        words.append(f"In the backtest it earns at {', '.join(earning)},")
    else:
        words.append("In the backtest it earns at no schedule, not even without fees,")
    if losing:
        words.append(f"and loses for certain at {', '.join(losing)}")
    if base is not None:
        words.append(
            f"(net Sharpe ratio at Kraken's base tier {shown(base.sharpe)}, {base.trades:,} trades; held "
            f"{shown(one.hold)}, the same trades at random {shown(base.random)})"
        )
    return " ".join(words) + "."


def _good_for(row: Row, *, ranks: bool, gains: bool, earns: bool) -> str:
    if earns:
        return "**Good for: trading, by this one test span, which asks for a search for the leak first.**"
    if row.kind != "entry":
        if ranks and gains:
            return f"**Good for: telling when it will be {row.classes[-1]}.**"
        return "**Good for: nothing that was measured here.**"
    if ranks and gains:
        return "**Good for: a vote among others; not for trading alone.**"
    if gains:
        return "**Good for: telling quiet hours from lively ones; its sides are worth nothing.**"
    return "**Good for: nothing that was measured here.**"


def _values(runs: Sequence[tuple[Traded, AtFees]]) -> Floats:
    return np.array([run.sharpe.value for _, run in runs], np.float64)
