"""Verdicts as arrays to opinions as values, a thousand in some milliseconds.

Must not know models. Called by inference.pipeline and by the backtest.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.signal import BookState, Finding, Opinion, Vote
from inference.sitting import Verdicts

UNKNOWN = "not among the instruments that features are kept for"
NO_BOOKS: Mapping[str, BookState] = {}


def opinions_of(
    asked: Sequence[str],
    known: Container[str],
    verdicts: Verdicts,
    books: Mapping[str, BookState] = NO_BOOKS,
) -> tuple[Opinion, ...]:
    """Give an opinion for each instrument asked for; `verdicts` has a row for each known one, in order.

    One that is not ready carries neither probabilities nor scales, but the votes that there were and its
    book.
    """
    rows = iter(_opinions([name for name in asked if name in known], verdicts, books))
    return tuple(next(rows) if name in known else silent(name, UNKNOWN) for name in asked)


def silent(instrument: str, reason: str) -> Opinion:
    """Give the opinion that says nothing, and why."""
    return Opinion(instrument, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, reason)


def findings_of(found: npt.NDArray[np.float64]) -> list[tuple[Finding, ...]]:
    """Turn chance and age [n, F, 2] of filters into values, a tuple for each row."""
    if not found.shape[1]:
        return [()] * len(found)
    known = (~np.isnan(found[:, :, 0])).tolist()
    rows = zip(found.tolist(), known, strict=True)
    return [
        tuple(Finding(chance if said else None, age) for (chance, age), said in zip(row, there, strict=True))
        for row, there in rows
    ]


def _opinions(names: Sequence[str], verdicts: Verdicts, books: Mapping[str, BookState]) -> list[Opinion]:
    usable = verdicts.usable
    figures = np.where(usable[:, None], np.column_stack([verdicts.p, verdicts.scales.T]), 0.0).tolist()
    columns = (verdicts.vote_p, verdicts.weights[:, :, None], verdicts.vote_age_s[:, :, None])
    # One flat list in fives: a list for each vote would cost more than the votes do.
    flat = iter(np.concatenate(columns, axis=2).ravel().tolist())
    votes = [Vote(*five) for five in zip(flat, flat, flat, flat, flat, strict=True)]
    members = verdicts.weights.shape[1]
    findings = findings_of(verdicts.found)
    some = np.asarray((verdicts.weights > 0).any(axis=1)).tolist()
    ready, spread = usable.tolist(), verdicts.spread.tolist()
    age_s = verdicts.age_s.tolist()
    made = []
    for k, name in enumerate(names):
        p_down, p_hold, p_up, atr, volatility, close = figures[k]
        voted = tuple(votes[k * members : (k + 1) * members]) if some[k] else ()
        made.append(
            Opinion(
                name, ready[k], p_down, p_hold, p_up, atr, volatility, close,
                verdicts.reason[k], voted, spread[k], age_s[k], books.get(name), findings[k],
            )
        )  # fmt: skip
    return made
