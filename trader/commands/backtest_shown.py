"""What the backtest commands print: a run in a few honest lines, several runs as a table.

Must not know the engine or files. Called by trader.commands.backtest.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trader.commands.options import columns, rows

if TYPE_CHECKING:
    from trader.evaluation.assessment import Assessment
    from trader.evaluation.compare import Comparison


def summary(figures: "Assessment", places: Mapping[str, str]) -> list[str]:
    """Give the verdict, what stands against it, and the figures that matter most."""
    from trader.evaluation.markup import number, percent

    part, returns, trips = figures.headline, figures.headline.returns, figures.headline.trips
    depth = part.drawdown.depth if part.drawdown else 0.0
    error = "" if returns.sharpe_error is None else f" +- {number(returns.sharpe_error)}"
    paid, even = figures.stress.paid_fee_bps, figures.stress.break_even_fee_bps
    ended = ", ".join(f"{name} {count}" for name, count in trips.ended.items())
    table = [
        ("days", f"{returns.days:,} {part.name if figures.evidence else 'of the run'}"),
        ("return after fees", percent(returns.total, 2, plus=True)),
        *((f"return {one.name}", percent(one.returns.total, 2, plus=True)) for one in figures.evidence[:1]),
        ("sharpe", f"{number(returns.sharpe)}{error}"),
        ("deepest drawdown", percent(depth, 2)),
        ("trades", f"{trips.trades:,} ({number(part.trades_per_day)} a day)"),
        ("ended by", ended or "-"),
        ("won", percent(trips.win_rate)),
        ("mean of a trade", f"{number(trips.expectancy_bps, 1, plus=True)} bps net"),
        (
            "gross, fees, net",
            f"{number(trips.gross)}, {number(trips.fees + trips.margin_fees)}, {number(trips.net)}",
        ),
        ("fee a side", f"{number(paid, 1)} bps paid, break-even {number(even, 1)} bps"),
        *places.items(),
    ]
    return [figures.verdict, *figures.warnings, "", *rows(table)]


def several(runs: Mapping[str, "Assessment"]) -> list[str]:
    """Give one row for each run: the days that count, and beside them what was earned in sample."""
    from trader.evaluation.markup import number, percent

    head = ("run", "days", "return", "in sample", "sharpe", "drawdown", "trades", "won")
    table = [(*head, "bps a trade", "fees", "net")]
    for name, figures in runs.items():
        part, trips = figures.headline, figures.headline.trips
        seen = figures.evidence[0].returns.total if figures.evidence else None
        table.append(
            (
                name,
                f"{part.returns.days:,}",
                percent(part.returns.total, 2, plus=True),
                percent(seen, 2, plus=True),
                number(part.returns.sharpe),
                percent(part.drawdown.depth if part.drawdown else 0.0, 2),
                f"{trips.trades:,}",
                percent(trips.win_rate),
                number(trips.expectancy_bps, 1, plus=True),
                number(trips.fees + trips.margin_fees),
                number(trips.net),
            )
        )
    said = dict.fromkeys(warning for figures in runs.values() for warning in figures.warnings)
    against = {warning: [name for name, f in runs.items() if warning in f.warnings] for warning in said}
    whole = len(runs)
    lines = [w if len(names) == whole else f"{', '.join(names)}: {w}" for w, names in against.items()]
    return [*lines, "", *columns(table)] if lines else columns(table)


def compared(found: "Comparison") -> list[str]:
    """Give figures side by side, what was different, and whether the difference shows."""
    from trader.evaluation.compare_page import shown

    table: list[Sequence[str]] = [("", *found.names)]
    table += [(row.name, *(shown(row, n) for n in range(len(found.names)))) for row in found.rows]
    lines = columns(table)
    if found.differences:
        lines += [
            "",
            *columns([("different", *found.names), *((d.key, *d.values) for d in found.differences)]),
        ]
    verdicts = [f"{name}: {said}" for name, said in zip(found.names, found.verdicts, strict=True)]
    return [*verdicts, "", *lines, "", *(one.sentence for one in found.against)]


def brief(figures: "Assessment") -> dict[str, Any]:
    """Give what `--json` says of a run beside the engine's own figures; metrics.json has the rest."""
    import msgspec

    names = ("verdict", "warnings", "evidence", "pooled", "hold", "stress")
    return {name: msgspec.to_builtins(getattr(figures, name)) for name in names}
