"""A comparison as one small page: growth in one chart, figures side by side, and what was different.

Must not know how figures come about. Called by `trader backtest compare`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.clock import DAY
from trader.evaluation.assessment import Judged
from trader.evaluation.compare import Comparison, Difference, Row
from trader.evaluation.markup import Column, Markup, hold_time, join, number, page, panel, percent, table, tag
from trader.evaluation.page_data import MS
from trader.evaluation.page_parts import bar

MODULES = ("charts.js",)
SIGNED = frozenset({"Return", "Return out of sample", "CAGR", "Holding returned"})


def write_comparison(found: Comparison, runs: Mapping[str, Judged], path: Path) -> None:
    """Write the page; the same runs write the same bytes."""
    lines = [
        {
            "name": name,
            "start": int(run.lines.days[0]) // MS,
            "growth": np.round(run.lines.daily / run.lines.daily[0] - 1.0, 6).tolist(),
        }
        for name, run in runs.items()
    ]
    text = page(
        f"{' against '.join(found.names)} \u00b7 Seamark",
        _body(found),
        {"runs": lines, "day": DAY // MS},
        "comparison.js",
        MODULES,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def shown(row: Row, column: int) -> str:
    """Write one figure as its kind is read."""
    value = row.values[column]
    match row.kind:
        case "share":
            return percent(value, 2, plus=row.name in SIGNED)
        case "count":
            return number(value, 0)
        case "bps":
            return number(value, 1, plus=True)
        case "time":
            return hold_time(value)
        case _:
            return number(value, 2)


def _body(found: Comparison) -> Markup:
    entries = [tag("li", tag("i", class_=f"line s{n % 6}"), name) for n, name in enumerate(found.names)]
    said = [tag("li", one.sentence) for one in found.against]
    verdicts = [
        tag("li", tag("b", name), f": {verdict}")
        for name, verdict in zip(found.names, found.verdicts, strict=True)
    ]
    chart = tag(
        "div",
        tag("p", "The chart needs JavaScript.", class_="empty"),
        id="growth-chart",
        role="img",
        aria_label="Growth of each run since its start; the figures are in the table of this page.",
    )
    return join(
        [
            bar(f"{len(found.names)} runs side by side"),
            tag(
                "main",
                panel("What came of each", tag("ul", *verdicts, class_="said")),
                panel(f"Told apart from {found.names[0]}?", tag("ul", *said, class_="said")),
                panel("Growth since the start", chart, tag("ul", *entries, class_="legend")),
                panel("Figures", table("Figures of each run", _figure_columns(found), found.rows)),
                _differences(found),
                class_="report",
            ),
        ]
    )


def _figure_columns(found: Comparison) -> list[Column[Row]]:
    def column(number: int) -> Column[Row]:
        return Column(found.names[number], lambda row: shown(row, number))

    return [Column("", lambda row: row.name, "name"), *map(column, range(len(found.names)))]


def _differences(found: Comparison) -> Markup:
    def column(number: int) -> Column[Difference]:
        return Column(found.names[number], lambda one: one.values[number], "words")

    if not found.differences:
        return panel(
            "What was different", tag("p", "Nothing: the same settings, models and data.", class_="empty")
        )
    rest = map(column, range(len(found.names)))
    first: Column[Difference] = Column("Setting", lambda one: one.key, "name")
    return panel("What was different", table("What was different", [first, *rest], found.differences))
