"""Runs side by side: their figures, what was different between them, and whether the difference shows.

Must not know pages or commands. Called by `trader backtest compare`. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from core.clock import DAY
from core.errors import UsageError
from core.text import iso
from trader.backtest.record import RunCard
from trader.evaluation.assessment import Judged, unseen_return
from trader.evaluation.lines import Floats
from trader.evaluation.paired import Paired, paired
from trader.evaluation.words import out_of_sample


class Row(msgspec.Struct, frozen=True):
    """One figure of every run, in their order. `kind` is share, ratio, count, money, bps or time."""

    name: str
    kind: str
    values: tuple[float | None, ...]


class Difference(msgspec.Struct, frozen=True):
    """A key that is not the same in all runs, with its value in each as text."""

    key: str
    values: tuple[str, ...]


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """A run against the first one over the days that both saw; `found` is None where there is none."""

    name: str
    days: int
    found: Paired | None
    sentence: str


class Comparison(msgspec.Struct, frozen=True):
    """What `compare` gives: runs by name, rows of figures, differences, and each run against the first."""

    names: tuple[str, ...]
    verdicts: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    against: tuple[Against, ...]


def compare(runs: Mapping[str, Judged], *, seed: int = 0) -> Comparison:
    """Compare two runs or more; `seed` is of the bootstrap's draws. Raises UsageError for one alone."""
    if len(runs) < 2:
        raise UsageError(f"expected two runs or more to compare; found {len(runs)}")
    judged = list(runs.values())
    first, name = judged[0], next(iter(runs))
    return Comparison(
        names=tuple(runs),
        verdicts=tuple(one.figures.verdict for one in judged),
        rows=tuple(_rows(judged)),
        differences=tuple(differences([one.figures.card for one in judged])),
        against=tuple(_against((name, other), first, one, seed) for other, one in list(runs.items())[1:]),
    )


def differences(cards: Sequence[RunCard]) -> Iterator[Difference]:
    """Name every setting that is not the same everywhere, by its dotted key."""
    flats = [dict(_leaves(_settings(card), "")) for card in cards]
    for key in dict.fromkeys(key for flat in flats for key in flat):
        values = tuple(str(flat.get(key, "\u2013")) for flat in flats)
        if len(set(values)) > 1:
            yield Difference(key, values)


def common(one: Judged, other: Judged) -> tuple[Floats, Floats, bool]:
    """Give both runs' daily returns over days that both saw, and whether no model was trained on them.

    Days in sample are left out where any are left: what a model knew already tells nothing apart.
    """
    spans = [(run.lines.days[0], run.lines.days[-1]) for run in (one, other)]
    start, end = max(span[0] for span in spans), min(span[1] for span in spans)
    unseen = [out_of_sample(run.figures.card) for run in (one, other)]
    fresh = max((spans[0][0] if spans else end for spans in unseen), default=end)
    outside = fresh < end
    start = max(start, fresh) if outside else start
    first, second = (run.lines.returns[_slice(int(run.lines.days[0]), start, end)] for run in (one, other))
    return first, second, outside


def _slice(begun: int, start: int, end: int) -> slice:
    return slice((start - begun) // DAY, max((end - begun) // DAY, (start - begun) // DAY))


def _against(names: tuple[str, str], first: Judged, other: Judged, seed: int) -> Against:
    reference, mine, outside = common(first, other)
    days = len(mine)
    if not days:
        return Against(name=names[1], days=0, found=None, sentence="The two have no day in common.")
    found = paired(reference, mine, seed=seed)
    said = found.sentence.replace("The first", names[0]).replace("the second", names[1])
    kind = "no model has seen" if outside else "a model was trained on"
    sentence = f"Over {days:,} days that {kind}: {said}"
    return Against(name=names[1], days=days, found=found, sentence=sentence)


def _rows(runs: Sequence[Judged]) -> Iterator[Row]:
    def row(name: str, kind: str, *values: float | None) -> Row:
        return Row(name, kind, values)

    # A figure of days in sample beside one of days out of it would compare memory with a result.
    whole = [run.figures.headline for run in runs]
    held = [run.figures.hold for run in runs]
    returns, trips = [one.returns for one in whole], [one.trips for one in whole]
    yield row("Days", "count", *(r.days for r in returns))
    yield row("Return", "share", *(r.total for r in returns))
    yield row("Return out of sample", "share", *(unseen_return(run.figures) for run in runs))
    yield row("CAGR", "share", *(r.cagr for r in returns))
    yield row("Volatility", "share", *(r.volatility for r in returns))
    yield row("Sharpe", "ratio", *(r.sharpe for r in returns))
    yield row("its standard error", "ratio", *(r.sharpe_error for r in returns))
    yield row("Sortino", "ratio", *(r.sortino for r in returns))
    yield row("Deepest drawdown", "share", *(one.drawdown.depth if one.drawdown else 0.0 for one in whole))
    yield row("Trades", "count", *(t.trades for t in trips))
    yield row("Trades a day", "ratio", *(one.trades_per_day for one in whole))
    yield row("Mean hold", "time", *(t.average_hold_s for t in trips))
    yield row("Won", "share", *(t.win_rate for t in trips))
    yield row("Profit factor", "ratio", *(t.profit_factor for t in trips))
    yield row("A trade's mean", "bps", *(t.expectancy_bps for t in trips))
    yield row("Gross", "money", *(float(t.gross) for t in trips))
    yield row("Fees", "money", *(float(t.fees + t.margin_fees) for t in trips))
    yield row("Net", "money", *(float(t.net) for t in trips))
    yield row("Break-even fee a side", "bps", *(run.figures.stress.break_even_fee_bps for run in runs))
    yield row("Exposure", "share", *(run.figures.exposure for run in runs))
    yield row("Holding returned", "share", *(one.returns.total if one else None for one in held))


def _settings(card: RunCard) -> dict[str, Any]:
    named = {key: value for key, value in card.config.items() if key not in {"account", "trader"}}
    for key in ("account", "trader"):
        named[key] = {one.get("name", str(n)): one for n, one in enumerate(card.config.get(key, ()))}
    models = {f"{m.trader}.{m.decision}": f"{m.name} {m.model_hash[:12]}" for m in card.models}
    return {
        "start": iso(card.start)[:10],
        "end": iso(card.end)[:10],
        "schedule": card.schedule,
        "timeframe": card.timeframe,
        "instruments": ", ".join(card.instruments),
        "data": card.data_hash[:12],
        "version": card.version,
        "model": models,
        "config": named,
    }


def _leaves(tree: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
