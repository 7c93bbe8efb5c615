"""What the command about noise finds: counts of draws that pass, for noise and for edges of known size.

Must not know the command line or Markdown. Called by training.significance.cli.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from core.text import iso
from trader.evaluation.daily import annual_sharpe
from training.significance.closes import Closes, hold
from training.significance.noise import Draw, draws, passing


class NoiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One set of draws; `edge` is the chance to be right of the planted strategy, None for noise alone."""

    what: str
    fee: float
    edge: float | None
    draws: int
    best_sharpe: float
    found: int
    """Draws in which the judged strategy was the planted one."""
    passing: Mapping[str, int]


class NoiseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it; `draws` holds every judged strategy in the order of `rows`."""

    command: str
    venue: str
    timeframe: str
    instruments: tuple[str, ...]
    start: str
    days: int
    strategies: int
    seed: int
    hold_sharpe: float
    headline: str
    rows: tuple[NoiseRow, ...]
    remarks: tuple[str, ...]
    draws: tuple[Draw, ...]


def noise_report(
    closes: Closes,
    *,
    command: str,
    venue: str,
    timeframe: str,
    fees: Sequence[float],
    edges: Sequence[float],
    count: int,
    strategies: int,
    seed: int,
    replicates: int,
    told: Callable[[str], None] = lambda _: None,
) -> NoiseReport:
    """Judge `count` draws of noise under each fee, then of noise with each edge in it."""
    rows: list[NoiseRow] = []
    kept: list[Draw] = []
    for edge in (None, *edges):
        for fee in fees:
            what = "noise" if edge is None else f"noise and one that is right {edge:.0%} of the time"
            told(f"{what}, fee {fee:.2%}")
            found = draws(
                closes,
                fee=fee,
                count=count,
                strategies=strategies,
                seed=seed,
                edge=edge,
                replicates=replicates,
            )
            kept += found
            rows.append(
                NoiseRow(
                    what=what,
                    fee=fee,
                    edge=edge,
                    draws=count,
                    best_sharpe=float(np.median([one.sharpe for one in found])),
                    found=sum(one.planted for one in found),
                    passing=passing(found),
                )
            )
    return NoiseReport(
        command=command,
        venue=venue,
        timeframe=timeframe,
        instruments=closes.instruments,
        start=iso(closes.start)[:10],
        days=closes.days,
        strategies=strategies,
        seed=seed,
        hold_sharpe=annual_sharpe(hold(closes)) or 0.0,
        headline=_headline(rows),
        rows=tuple(rows),
        remarks=_remarks(rows, strategies, closes.days),
        draws=tuple(kept),
    )


def _headline(rows: Sequence[NoiseRow]) -> str:
    pure = [row for row in rows if row.edge is None]
    total = sum(row.draws for row in pure)
    fooled = sum(row.passing["together"] for row in pure)
    alone = {name: sum(row.passing[key] for row in pure) for name, key in _ALONE.items()}
    said = ", ".join(f"{name} {count}" for name, count in alone.items())
    return f"Of {total} draws of noise {fooled} pass all criteria together; alone pass {said}."


def _remarks(rows: Sequence[NoiseRow], strategies: int, days: int) -> tuple[str, ...]:
    pure = [row for row in rows if row.edge is None]
    best = max((row.best_sharpe for row in pure), default=0.0)
    first = (
        f"- The best of {strategies} strategies that know nothing shows a Sharpe ratio of {best:.2f} over "
        f"{days} days in the median draw under the lowest fee. A single backtest of that size says nothing."
    )
    fees = (
        "- PBO alone is fooled where fees rank the strategies: the most patient loser wins both halves of "
        "the days, so the choice is stable and worthless. DSR and SPA refuse it."
    )
    fooled = any(row.passing["pbo"] > row.draws // 10 for row in pure)
    return (first, fees) if fooled else (first,)


_ALONE = {"DSR": "dsr", "PBO": "pbo", "SPA against all three": "spa", "SPA against holding": "hold"}
