"""What a walk-forward leaves: a folder for each schedule, and one page and one file of figures.

Must not know how folds are made. Called by training.walkforward.cli.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.version import VERSION
from trader.evaluation.tables import write_tables
from trader.evaluation.trials import record_trial
from trader.evaluation.write import METRICS, keep, write_report
from training.walkforward.figures import Figures, encoded, figures
from training.walkforward.page import headline, markdown
from training.walkforward.run import Walked, versions

FIGURES, PAGE = "walkforward.json", "walkforward.md"


class Written(NamedTuple):
    """The figures as JSON and in a few lines."""

    headline: str
    lines: tuple[str, ...]
    json: bytes


def write(
    walked: Sequence[Walked],
    lake: Path,
    out: Path,
    page: Path | None,
    *,
    command: str,
    pages: bool,
    trials: Path,
) -> Written:
    """Write `out`/STUDY/SCHEDULE with record and tables (and HTML with `pages`), then the page and its JSON.

    Without `page` both go to `out`. Every record is counted as a trial in the ledger `trials`.
    """
    told: list[Figures] = []
    for one in walked:
        outcome = figures(one, lake)
        told.append(outcome.figures)
        for name, record in one.records.items():
            folder = out / one.study.name / name
            keep(record, folder)
            record_trial(record, trials)
            if pages:
                write_report(record, folder, outcome.market)
                continue
            judged = outcome.judged[name]
            body = msgspec.json.format(msgspec.json.encode(judged.figures), indent=1)
            (folder / METRICS).write_bytes(body + b"\n")
            write_tables(record, judged, folder)
    body = encoded(told)
    target = page or out / PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    data = " ".join(_bars(one) for one in told)
    text = markdown(told, command=command, data=data, libraries=versions() | {"seamark": VERSION})
    target.write_text(text, "utf-8")
    target.with_suffix(".json").write_bytes(body)
    return Written(headline(told).strip("*"), tuple(map(_line, told)), body)


def _bars(one: Figures) -> str:
    return f"{one.venue} {one.timeframe} ({len(one.instruments)} pairs);"


def _line(one: Figures) -> str:
    shown = ", ".join(
        f"{fees.schedule} {'-' if fees.pooled.cagr is None else format(fees.pooled.cagr * 100, '.1f')} %"
        for fees in one.fees
    )
    return f"{one.study}: a year {shown}"
