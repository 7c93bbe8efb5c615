"""Walk-forward figures as Markdown, the bad news first.

Must not know records or how figures are made. Called by training.walkforward.cli. Nothing in it depends on
the machine's time or folders, so the same figures give the same bytes.
"""

from collections.abc import Iterable, Sequence

from inference.card import Interval
from training.walkforward.figures import UNSEEN, AtFees, Figures, FoldPart, Part

DEAREST = "kraken"

METHOD = (
    "Where a model is trained anew, every fold trains, calibrates and tunes on rows whose labels ended "
    "before its test span; then the "
    "engine that trades live runs over the test span with that model alone. Thresholds are chosen for "
    "each fee schedule on the tail of the training span, by the lower end of the 95 % interval of the "
    "mean result per trade after costs, from 200 trades on, and pulled towards a turnover that nobody "
    "tuned; fees take nearly the same from every candidate, so the choice hardly differs between "
    "schedules. A fold acts even where validation says that acting loses; the column *vetoed* shows what "
    "is left if those folds stand aside."
)
FINISHED = (
    "A finished model is not tuned: it acts from the confidence on that a twentieth of its opinions of the "
    "90 days before a test span reached, which for the first span may be days of its training. Its recipe "
    "and policy were chosen before this, by people who may have seen these days."
)
SHUT = "The newest months of each lake (the vault) are in no figure."
OPENED = (
    "The vault was opened for this: the newest months are in the figures of each study that names a version."
)
SURVIVORS = (
    "The pairs are those that the lake holds: pairs that were delisted meanwhile are not among them. A "
    "study is one of several looked at ({studies} here), so the best of them is not evidence of anything."
)
LOOKED = (
    "Look-ahead: {rows:,} rows with {looked:,} looked-up bars were held against the time of their "
    "decision; the newest had closed {before:g} s before it."
)
CAPTION = (
    "CAGR and Sharpe from daily equity, 365 days a year, the interval by a stationary bootstrap over "
    "days. *before fees* and *fees* are parts of the starting cash, compounded over the folds as the "
    "total is; *won* counts trades that earned after fees, *right* those that earned before them."
)
CHANCE = (
    "The same trades with the same costs, each entered at a random time of its fold and on a random side."
)
UNPAID = "x: validation said that acting does not pay."


def markdown(told: Sequence[Figures], *, command: str, data: str, libraries: dict[str, str]) -> str:
    """Give the page; `command` makes it again, `data` says where the bars come from."""
    parts = [
        headline(told),
        "",
        f"Made by `{command}`. The same program on the same machine and lock file gives the same bytes. "
        f"Bars: {data} "
        + ", ".join(f"{name} {version}" for name, version in sorted(libraries.items()))
        + ".",
        "",
        *_reading(told),
        "## All studies",
        "",
        *_overview(told),
        *(line for one in told for line in _study(one)),
    ]
    return "\n".join(parts) + "\n"


def headline(told: Sequence[Figures]) -> str:
    """Say in a sentence or two what came of it."""
    dear = [(one, fees) for one in told for fees in one.fees if fees.schedule == DEAREST]
    if not dear:
        dear = [(one, one.fees[-1]) for one in told]
    rates = [fees.pooled.cagr for _, fees in dear if fees.pooled.cagr is not None]
    lost = sum(rate < 0 for rate in rates)
    name = dear[0][1].schedule
    told_lost = "every one" if lost == len(dear) else f"{lost}"
    worst, best = _percent(min(rates, default=None)), _percent(max(rates, default=None))
    first = f"**At {_whose(name)} fees {told_lost} of the {len(dear)} walk-forwards lost money: "
    first += f"between {worst} and {best} a year.**"
    if len(dear) == 1:
        what = "lost money" if lost else "made money" if any(rates) else "made nothing"
        first = f"**At {_whose(name)} fees the walk-forward {what}: {worst} a year.**"
    above = [
        fees
        for one in told
        for fees in one.fees
        if fees.sharpe.low is not None and fees.sharpe.low > 0 and fees.schedule != "gross"
    ]
    gross = [fees for one in told for fees in one.fees if fees.schedule == "gross"]
    told_gross = sum((fees.pooled.total or 0.0) > 0 for fees in gross)
    certain = sum(fees.sharpe.low is not None and fees.sharpe.low > 0 for fees in gross)
    before = (
        f" Before any fee {told_gross} of {len(gross)} earned something, {certain} with a Sharpe ratio whose "
        "95 % interval lies above zero."
        if gross
        else ""
    )
    charged = any(fees.schedule != "gross" for one in told for fees in one.fees)
    after = (
        f" After fees of any schedule that is so for {len(above)}."
        if above
        else " After fees, whatever the schedule, that is so for none."
        if charged
        else ""
    )
    return first + before + after


def _whose(schedule: str) -> str:
    return "Kraken's" if schedule == DEAREST else f"the schedule {schedule}'s"


def _reading(told: Sequence[Figures]) -> list[str]:
    looked = sum(one.aligned_sources for one in told)
    rows = sum(one.aligned_rows for one in told)
    latest = [one.latest_source_s for one in told if one.latest_source_s is not None]
    vault = SHUT if all(one.vault.endswith(UNSEEN) for one in told) else OPENED
    method = [METHOD] if any(one.trained for one in told) else []
    method += [] if all(one.trained for one in told) else [FINISHED]
    lines = [" ".join((*method, vault)), "", SURVIVORS.format(studies=len(told)), ""]
    if latest:
        lines += [LOOKED.format(rows=rows, looked=looked, before=abs(max(latest))), ""]
    return lines


def _overview(told: Sequence[Figures]) -> list[str]:
    rows = []
    for one in told:
        for fees in one.fees:
            pooled = fees.pooled
            rows.append(
                [
                    one.study,
                    fees.schedule,
                    _percents(fees.cagr),
                    _interval(fees.sharpe),
                    _percent(pooled.depth),
                    f"{pooled.trades:,}",
                    _number(pooled.per_day, 2),
                    _number(pooled.hold_h, 1),
                    _percent(pooled.win_rate),
                    _percent(pooled.right),
                    _percent(fees.gross),
                    _percent(fees.fees_cash),
                    _percent(pooled.total),
                    _percent(fees.vetoed),
                    f"{fees.acts} of {len(fees.folds)}" if one.trained else "-",
                ]
            )
        held = one.held
        if held:
            figures = [_percent(held.cagr), _number(held.sharpe, 2), _percent(held.depth)]
            rows.append([one.study, "*hold*", *figures, *[""] * 7, _percent(held.total), "", ""])
        rows.append([one.study, "*flat*", "0.0 %", "-", "-", *[""] * 7, "0.0 %", "", ""])
    head = [
        *(
            "study",
            "fees",
            "CAGR [95 %]",
            "Sharpe [95 %]",
            "max drawdown",
            "trades",
            "a day",
            "hold h",
            "won",
        ),
        *("right", "before fees", "fees", "total", "vetoed", "folds that pay"),
    ]
    return [
        *_table(head, rows),
        "",
        CAPTION,
        "",
    ]


def _study(one: Figures) -> list[str]:
    span = f"{one.start} to {one.end}"
    name = f"`{one.model}`"
    how = (
        f"Model trained anew for each fold on spec {name}"
        if one.trained
        else f"Finished model {name} as it is, after its own training"
    )
    bases = ", ".join(symbol.partition("/")[0] for symbol in one.instruments)
    models = ", ".join(f"`{digest[:8]}`" for digest in one.models)
    about = (
        f"{how}, decisions at {one.decision} closes; {one.venue} {one.timeframe} bars of "
        f"{len(one.instruments)} pairs ({bases}), out of sample {span}. Vault: {one.vault}. "
        f"Data `{one.data_hash[:16]}`, models {models}."
    )
    lines = [
        f"## {one.title}",
        "",
        about,
        "",
        "### Against chance",
        "",
        CHANCE,
        "",
        *_table(
            ["fees", "total", "random entry [95 %]", "draws", "Sharpe [95 %]", "stops hit", "targets hit"],
            [
                [
                    fees.schedule,
                    _percent(fees.pooled.total),
                    _percents(fees.random.total),
                    str(fees.random.draws),
                    _interval(fees.sharpe),
                    _percent(fees.pooled.stops),
                    _percent(fees.pooled.targets),
                ]
                for fees in one.fees
            ],
        ),
        "",
        "### By fold",
        "",
        *_folds(one),
        "",
        "### By pair",
        "",
        *_parts("pair", one, [list(fees.pairs) for fees in one.fees]),
        "",
    ]
    if one.fees[0].regimes:
        lines += [
            "### By regime",
            "",
            one.regime_rule,
            "",
            *_parts("regime", one, [list(fees.regimes) for fees in one.fees]),
            "",
        ]
    lines += ["### Assumptions", "", *(f"- {line}" for line in _assumptions(one.fees)), ""]
    return lines


def _folds(one: Figures) -> list[str]:
    last = one.fees[-1].schedule
    head = [
        "fold",
        "test span",
        "pairs",
        "AUC [95 %]",
        "purged",
        f"threshold ({last})",
        "trades",
        "a day",
        "hold h",
    ]
    head += [f"{fees.schedule}: Sharpe, total" for fees in one.fees]
    rows = []
    for number, fold in enumerate(one.fees[-1].folds):
        pays = "" if not one.trained or fold.metrics.get("pays") else " x"
        row = [fold.name, f"{fold.start} to {fold.end}", str(fold.pairs), _auc(fold), f"{fold.purged:,}"]
        row += [f"{fold.tuned['min_confidence']:.3f}{pays}", f"{fold.trades:,}"]
        row += [_number(fold.per_day, 2), _number(fold.hold_h, 1)]
        parts = [fees.folds[number] for fees in one.fees]
        rows.append(row + [f"{_number(part.sharpe, 2)}, {_percent(part.total)}" for part in parts])
    marked = ["", UNPAID] if one.trained else []
    return [*_table(head, rows), *marked]


def _auc(fold: FoldPart) -> str:
    low, value, high = (fold.metrics.get(name) for name in ("auc_low", "auc", "auc_high"))
    return _interval(Interval(value, low, high))


def _parts(word: str, one: Figures, by_fees: Sequence[Sequence[Part]]) -> list[str]:
    last = one.fees[-1].schedule
    head = [word, "days", f"trades ({last})", "hold h", f"won ({last})", "right"]
    head += [f"{fees.schedule}: bps a trade, total" for fees in one.fees]
    rows = []
    for number, part in enumerate(by_fees[-1]):
        row = [part.name, str(part.days), f"{part.trades:,}", _number(part.hold_h, 1)]
        row += [_percent(part.win_rate), _percent(part.right)]
        same = [parts[number] for parts in by_fees]
        rows.append(row + [f"{_number(each.net_bps, 1)}, {_percent(each.total)}" for each in same])
    return _table(head, rows)


def _assumptions(fees: Iterable[AtFees]) -> list[str]:
    """Give every sentence once; one that only some schedules say, with their names."""
    by_line: dict[str, list[str]] = {}
    count = 0
    for one in fees:
        count += 1
        for line in one.assumptions:
            by_line.setdefault(line, []).append(one.schedule)
    return [
        line if len(names) == count else f"{line} ({', '.join(names)})" for line, names in by_line.items()
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _percent(fraction: float | None) -> str:
    if fraction is None:
        return "-"
    shown = f"{fraction * 100:,.1f}"
    return ("0.0" if shown == "-0.0" else shown) + " %"


def _percents(found: Interval) -> str:
    if found.low is None or found.high is None:
        return _percent(found.value)
    return f"{_percent(found.value)} [{_percent(found.low)}, {_percent(found.high)}]"


def _number(value: float | None, places: int) -> str:
    if value is None:
        return "-"
    shown = f"{value:,.{places}f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown


def _interval(found: Interval) -> str:
    value = _number(found.value, 2)
    if found.low is None or found.high is None:
        return value
    return f"{value} [{_number(found.low, 2)}, {_number(found.high, 2)}]"
