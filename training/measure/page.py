"""The page of results as Markdown: the answer first, then tables, then what every figure means.

Must not know how figures were made. Called by training.measure.report.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from core.market import Timeframe
from inference.card import Interval
from training.measure import verdicts
from training.measure.figures import CALIBRATION_BINS
from training.measure.gather import (
    LINEAR,
    LINEAR_VOICES,
    NAIVE,
    NAIVE_VOICES,
    NETWORK,
    OTHER,
    TREE_VOICES,
    TREES,
    Figures,
    Model,
)
from training.measure.sharpe import DRAWS
from training.measure.tables import TESTED, Row
from training.measure.traded import NAMES, AtFees, Traded
from training.measure.verdicts import row_of, shown

_NOTHING = "-"
RELIABILITY, SHARPES = "models-reliability.svg", "models-sharpe.svg"


def markdown(figures: Figures, *, command: str, detail: str) -> str:
    """Give the page; `detail` is the name of the other one."""
    return "\n".join(_lines(figures, command, detail)) + "\n"


def by_pair(figures: Figures, *, page: str) -> str:
    """Give the page of all figures by voice, pair and fold; `page` is the name of the first one."""
    lines = [
        "# What the models are worth: every pair and fold",
        "",
        f"What the words mean: [{page}]({page}).",
        "",
    ]
    for model in figures.models:
        lines += _details(figures, model)
    return "\n".join(lines) + "\n"


def _lines(figures: Figures, command: str, detail: str) -> Iterator[str]:
    yield "# What the models are worth"
    yield ""
    yield f"**{verdicts.headline(figures)}**"
    yield ""
    yield (
        "Every figure is of rows that the model had not seen, and none is an expectation of profit. Written "
        f"by `{command}`; the figures of every pair and fold are on [a page of their own]({detail}), and all "
        "as JSON beside this page."
    )
    yield ""
    yield from _many(figures)
    for sentence in verdicts.targets(figures):
        yield f"- {sentence}"
    yield ""
    yield f"![Net Sharpe ratio of every model at each fee schedule, with 95 % intervals]({SHARPES})"
    yield ""
    yield "## By timeframe"
    yield ""
    yield from _summary(figures)
    yield f"![Reliability: what was said against how often it came]({RELIABILITY})"
    yield ""
    yield "## What each model is good for"
    yield ""
    yield f"By these rules, and not by hand: {verdicts.RULES}"
    yield ""
    for model in figures.models:
        yield f"### {model.name}"
        yield ""
        yield f"{_about(model)}. {verdicts.paragraph(figures, model)}"
        yield ""
    for card in figures.cards:
        yield f"### {card.name}"
        yield ""
        yield (
            f"A {card.kind} model that decides at {card.decision} closes; {card.venue}, {card.pairs} pairs, "
            f"{card.start} to {card.end}, figures of its card. {card.rule} {verdicts.of_card(card)}"
        )
        yield ""
    yield "## How it was measured"
    yield ""
    yield from _method(figures)
    if figures.not_measured:
        yield "## What was not measured"
        yield ""
        yield from (f"- {line}" for line in figures.not_measured)
        yield ""


def _many(figures: Figures) -> Iterator[str]:
    count, trials = figures.multiplicity, sum(model.trials for model in figures.models)
    runs = sum(len(one.fees) for one in figures.traded)
    voices = {(row.model, row.voice) for row in figures.rows}
    yield (
        f"{_count(len(figures.models), 'model')} with {_count(len(voices), 'voice')}, "
        f"{_count(trials, 'configuration')} tried on these spans, {_count(len(figures.rows), 'row')} of "
        f"figures, {_count(runs, 'backtest')}. Of {count.rows} rows by voice and pair of the test span, "
        f"{count.above} have an AUC whose interval lies "
        f"above 0.5 and {count.below} one that lies below; {count.by_chance:.1f} of either would by chance, "
        "if pairs were independent, which they are not."
    )
    yield ""


def _summary(figures: Figures) -> Iterator[str]:
    """One table for each decision timeframe and market of models whose answers are sides."""

    def place(model: Model) -> tuple[bool, str, int]:
        study = not model.model_hash and model.family != OTHER
        return (study, model.venue, Timeframe(model.decision).ns)

    entries = sorted((m for m in figures.models if m.kind == "entry"), key=place)
    for (_, venue, _), group in groupby(entries, key=place):
        models = list(group)
        shipped = ", fitted on this market alone" if place(models[0])[0] else ""
        yield f"### {models[0].decision} decisions, {venue}{shipped}"
        yield ""
        yield _row(
            ("voice", "AUC", "gain, millinats", "ECE", *(f"Sharpe {name}" for name in NAMES), "trades")
        )
        yield _rule(5 + len(NAMES))
        for model, voice in _voices(figures, models):
            row = row_of(figures.rows, model.name, voice)
            run = _run(figures, model.name, voice)
            if row is None:
                continue
            by_name = {at.schedule: at for at in run.fees} if run else {}
            yield _row(
                (
                    _called(model, voice),
                    shown(row.scores.auc, 3),
                    _milli(row.scores.gain),
                    f"{row.scores.ece:.3f}",
                    *(shown(by_name[name].sharpe) if name in by_name else _NOTHING for name in NAMES),
                    f"{by_name['kraken'].trades:,}" if "kraken" in by_name else _NOTHING,
                )
            )
        held = next((one for m in models if (one := _run(figures, m.name, m.own)) and one.days), None)
        if held is not None:
            cells = (f"held, {held.start} to {held.end}", *(_NOTHING,) * 3, shown(held.hold))
            yield _row((*cells, *(_NOTHING,) * len(NAMES)))
            yield _row(("flat", *(_NOTHING,) * 3, *("0",) * len(NAMES), "0"))
        yield ""


def _voices(figures: Figures, models: Sequence[Model]) -> Iterator[tuple[Model, str]]:
    """Best network first, then every model's own voice, then baselines of the first model that has them."""
    networks = [model for model in models if model.family == NETWORK]

    def gain(model: Model) -> float:
        row = row_of(figures.rows, model.name, model.own)
        return -1.0 if row is None or row.scores.gain.value is None else row.scores.gain.value

    for model in sorted(networks, key=gain, reverse=True):
        yield model, model.own
    for model in models:
        if model.family != NETWORK:
            yield model, model.own
    families = (TREE_VOICES, LINEAR_VOICES, NAIVE_VOICES)
    known = {voice for names in families for voice in names}
    for model in models:
        yield from ((model, voice) for voice in model.voices if voice not in known and voice != model.own)
    for names in families:
        found = [(m, voice) for m in models for voice in names if voice in m.voices and voice != m.own]
        yield from found[:2]


def _about(model: Model) -> str:
    pairs = f"{len(model.instruments)} pair{'s' if len(model.instruments) > 1 else ''}"
    told = {NETWORK: "A network", TREES: "Boosted trees", LINEAR: "Logistic", NAIVE: "Persistence"}
    return (
        f"{told.get(model.family, 'A model')} ({model.kind}, target {model.target}, features {model.spec}) "
        f"that decides at {model.decision} closes; {model.venue} {model.source}, {pairs}"
    )


def _details(figures: Figures, model: Model) -> Iterator[str]:
    rows = [row for row in figures.rows if row.model == model.name]
    if not rows:
        return
    yield f"<details><summary>{model.name}: by voice, pair and fold</summary>"
    yield ""
    yield from _skill(rows)
    yield from _by_class(rows)
    for voice in dict.fromkeys(row.voice for row in rows):
        run = _run(figures, model.name, voice)
        if run is not None:
            yield from _trades(run)
    yield "</details>"
    yield ""


def _skill(rows: Sequence[Row]) -> Iterator[str]:
    yield _row((
        "voice", "rows of", "rows", "independent", "accuracy / base", "macro F1 / base", "log loss / base",
        "gain, millinats", "ECE", "Brier / base", "AUC", "IC",
    ))  # fmt: skip
    yield _rule(12)
    for row in rows:
        s = row.scores
        yield _row(
            (
                row.voice,
                row.instrument if row.span == TESTED else f"{row.span}, {row.start} to {row.end}",
                f"{s.rows:,}",
                _NOTHING if s.effective is None else f"{s.effective:,.0f}",
                f"{s.accuracy:.3f} / {s.accuracy_base:.3f}",
                f"{shown(s.macro_f1, 3)} / {s.macro_f1_base:.3f}",
                f"{s.log_loss:.4f} / {s.log_loss_base:.4f}",
                _milli(s.gain),
                f"{s.ece:.3f}",
                f"{s.brier:.4f} / {s.brier_base:.4f}",
                shown(s.auc, 3),
                shown(s.ic, 3),
            )
        )
    yield ""


def _by_class(rows: Sequence[Row]) -> Iterator[str]:
    """Precision, recall and F1 by class of the test span."""
    told = [row for row in rows if row.span == TESTED]
    if not told:
        return
    classes = told[0].classes
    yield _row(("voice", "pair", *(f"{name}: share, precision, recall, F1, AUC" for name in classes)))
    yield _rule(2 + len(classes))
    for row in told:
        s = row.scores
        cells = (
            " ".join(
                _plain(value) for value in (s.shares[k], s.precision[k], s.recall[k], s.f1[k], s.auc_rest[k])
            )
            for k in range(len(classes))
        )
        yield _row((row.voice, row.instrument, *cells))
    yield ""


def _trades(run: Traded) -> Iterator[str]:
    if run.why_not:
        yield f"{run.voice} was not traded: {run.why_not}."
        yield ""
        return
    yield (
        f"{run.voice}, traded on {run.bars} bars from {run.start} to {run.end} ({run.days} days); held: "
        f"Sharpe ratio {shown(run.hold)}, {run.hold_total:+.1%} in all."
    )
    yield ""
    names = [pair.instrument for pair in run.fees[0].pairs] if run.fees else []
    heads = (
        "fees",
        "acts by validation",
        "trades",
        "turnover a year",
        "net bps",
        "total",
        "deepest fall",
        "Sharpe",
        "random",
    )
    yield _row((*heads, *names))
    yield _rule(len(heads) + len(names))
    for at in run.fees:
        yield _row((*_cells(at), *(shown(pair.sharpe) for pair in at.pairs)))
    yield ""


def _cells(at: AtFees) -> tuple[str, ...]:
    return (
        at.schedule,
        "yes" if at.tuned.pays else "no",
        f"{at.trades:,}",
        f"{at.turnover:.1f}",
        _NOTHING if at.net_bps is None else f"{at.net_bps:.1f}",
        f"{at.total:+.2%}",
        f"{at.depth:.2%}",
        shown(at.sharpe),
        shown(at.random),
    )


def _method(figures: Figures) -> Iterator[str]:
    yield (
        "- **Rows.** All decisions of the test span that the model answered and whose label is known. A "
        "label lasts for many bars and pairs move together, so the rows are far from independent: "
        "*independent* is how many independent rows would leave the log loss as unsure as these do."
    )
    yield (
        "- **Base.** The classes' shares in the folds before the test span (of a fold: its own, which no "
        "model could know). Gain is the base rate's log loss less the model's."
    )
    yield (
        f"- **ECE.** Rows are sorted by the chance of the likeliest class (of two classes: of the second) "
        f"and cut into {CALIBRATION_BINS} bins of equal mass; the mean over rows of the distance between the "
        "mean chance and the share that came."
    )
    yield (
        "- **AUC** ranks up against down by p_up - p_down, or the last class against the rest. **IC** is "
        "Spearman's correlation of p_up - p_down with the return over the label. **F1** of a class that is "
        "never named is 0 in the mean over classes."
    )
    yield f"- **Intervals.** Bootstrap: {figures.bootstrap}; the same days for all voices of a span."
    yield (
        "- **Trades.** The real engine with the stops, targets and time limits of the label, an equal "
        "part of the equity for each pair, and what the exchange model takes: fees, margin fees, spread. "
        "The confidence from which a voice acts is tuned for each schedule on its out-of-fold rows before "
        "the test span and on nothing else; *acts by validation* says whether those rows promised a "
        "profit. It is traded all the same, so that losses are seen. Sharpe ratios are of daily equity, "
        "365 days a year; those of a pair are of what it added each day. Net bps are of a trade's "
        f"notional, after fees. *Random*: mean and middle 95 % of {DRAWS} draws of the same trades at "
        "random moments and sides."
    )
    yield (
        "- **Not counted**: the market impact of orders, and pairs that were delisted before the data were "
        "recorded, which makes results look better than they were."
    )
    yield ""


def _run(figures: Figures, model: str, voice: str) -> Traded | None:
    return next((one for one in figures.traded if (one.model, one.voice) == (model, voice)), None)


def _called(model: Model, voice: str) -> str:
    return f"**{model.name}**" if voice == model.own else f"{voice} (rows of {model.name})"


def _milli(gain: Interval) -> str:
    parts = (None if part is None else 1e3 * part for part in (gain.value, gain.low, gain.high))
    return shown(Interval(*parts), 1)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _plain(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns
