"""Verdicts and counts of noise as text: tables for a terminal, Markdown for the record.

Must not know how figures are made. Called by training.significance.cli.
"""

from collections.abc import Sequence

from rich.table import Table

from inference.card import Interval
from trader.evaluation.significance import Significance
from training.significance.judge import FLAT, HOLD, RANDOM
from training.significance.noise_report import NoiseReport, NoiseRow

_WORDS = {HOLD: "holding", FLAT: "doing nothing", RANDOM: "random entry"}


def table(names: Sequence[str], found: Sequence[Significance]) -> Table:
    """Give one column for each run."""
    made = Table(show_edge=False)
    made.add_column("")
    for name in names:
        made.add_column(name, justify="right")
    for label, *values in rows(found):
        made.add_row(label, *values)
    return made


def rows(found: Sequence[Significance]) -> list[list[str]]:
    """Give the lines of the table: a label, then a value for each run."""
    lines = [
        ["days / round trips", *(f"{one.days} / {one.trips}" for one in found)],
        ["Sharpe ratio a year", *(_interval(one.sharpe, ".2f") for one in found)],
        ["growth a year", *(_interval(one.cagr, ".1%") for one in found)],
        ["mean day, basis points", *(_interval(one.mean_daily, ".1f", 1e4) for one in found)],
        ["deepest drawdown", *(_interval(one.max_drawdown, ".1%") for one in found)],
        ["trials counted / compared", *(f"{one.trials} / {one.compared}" for one in found)],
        ["independent trials", *(f"{one.effective:.1f}" for one in found)],
        ["best by luck, Sharpe", *(_plain(one.luck, ".2f") for one in found)],
        ["PSR: above zero", *(_plain(one.psr, ".3f") for one in found)],
        ["DSR: above luck (0.95)", *(_plain(one.dsr, ".3f") for one in found)],
        ["  by the textbook's spread", *(_plain(one.dsr_textbook, ".3f") for one in found)],
        ["  for independent trials", *(_plain(one.dsr_effective, ".3f") for one in found)],
        ["PBO: overfitted (0.05)", *(_plain(one.pbo, ".3f") for one in found)],
    ]
    for name, words in _WORDS.items():
        lines.append([f"SPA p: {words} (0.05)", *(_plain(one.spa.get(name), ".3f") for one in found)])
    return [
        *lines,
        ["named by the stepwise test", *("yes" if one.superior else "no" for one in found)],
        ["days to tell it from zero", *(_plain(one.min_track_days, "d") for one in found)],
        ["days in which luck does it", *(_plain(one.min_backtest_days, "d") for one in found)],
        ["told from luck", *("yes" if one.passed else "NO" for one in found)],
    ]


def markdown(report: NoiseReport) -> str:
    """Give the report as Markdown; nothing in it but what follows from the inputs."""
    about = (
        f"{len(report.instruments)} instruments of {report.venue} ({', '.join(report.instruments)}), "
        f"{report.days} days from {report.start}, closes of {report.timeframe}; holding them showed a Sharpe "
        f"ratio of {report.hold_sharpe:.2f}. In each draw {report.strategies} strategies enter, hold and "
        "take sides at random; the best of them is judged as a run would be. This is arithmetic on closes, "
        "not the engine."
    )
    rows_are = (
        "How often the planted strategy is the best of its draw, the median Sharpe ratio of the best after "
        "fees (a side, of notional), and how many draws pass each criterion alone and all together:"
    )
    head = [
        "# Noise put to the verdict",
        "",
        report.headline,
        "",
        f"`{report.command}`",
        "",
        about,
        "",
        rows_are,
        "",
        "| one is right | fee | draws | is the best | Sharpe | DSR | PBO | SPA | SPA, hold | together |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines = [
        f"| {_edge(row)} | {row.fee:.2%} | {row.draws} | {'-' if row.edge is None else row.found} | "
        f"{row.best_sharpe:.2f} | "
        + " | ".join(str(row.passing[key]) for key in ("dsr", "pbo", "spa", "hold", "together"))
        + " |"
        for row in report.rows
    ]
    return "\n".join([*head, *lines, "", *report.remarks, ""])


def _edge(row: NoiseRow) -> str:
    return "never: noise" if row.edge is None else f"{row.edge:.0%} of the time"


def _interval(value: Interval, form: str, times: float = 1.0) -> str:
    if value.value is None:
        return "-"
    shown = f"{value.value * times:{form}}"
    if value.low is None or value.high is None:
        return shown
    return f"{shown} [{value.low * times:{form}}, {value.high * times:{form}}]"


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
