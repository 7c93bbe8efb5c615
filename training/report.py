"""A card as people read it: tables, and one plain sentence about money.

Must not know how figures were made. Called by training.screen.
"""

from collections.abc import Iterator

import msgspec
from rich.table import Table

from inference.card import BinaryMetrics, Card, Interval, Metrics

_NOTHING = "-"


def tables(card: Card) -> Iterator[str | Table]:
    """Give what there is to say, in order; the sentence about money comes first."""
    yield f"{card.name} version {card.version}, {card.model_hash[:12]}"
    yield verdict(card)
    if isinstance(card.metrics, BinaryMetrics):
        yield _skill_of_two(card, card.metrics)
    else:
        yield _skill(card.metrics)
        yield _money(card, card.metrics)
        yield _months(card.metrics)
    yield (
        f"{card.split.test_rows:,} rows of {len(card.data.instruments)} instruments at "
        f"{card.label.decision} closes, {card.split.test_start[:10]} to {card.split.test_end[:10]}; "
        f"trained on what came before, from {card.split.train_start[:10]}. "
        f"Configurations tried on this span: {card.trials}. Intervals: {card.metrics.bootstrap}."
    )


def verdict(card: Card) -> str:
    """Say what the test span says about trading this model alone at Kraken's base tier."""
    if isinstance(card.metrics, BinaryMetrics):
        return f"This model opens no trades: it says {' or '.join(card.classes)}. {card.label.rule}"
    net = next(row.model for row in card.metrics.expectancy if row.schedule == "kraken")
    if net.value is None:
        return "No trade reached the threshold on the test span: nothing can be said about money."
    mean = f"a mean trade of {_figure(net, 1)} bps after Kraken's base fees"
    if net.high is not None and net.high < 0:
        return f"This model loses money: {mean} on the test span."
    if net.low is not None and net.low > 0:
        return f"Positive on this one test span, so look for a leak first: {mean}."
    return f"Not to be told from zero: {mean} on the test span."


def _skill_of_two(card: Card, metrics: BinaryMetrics) -> Table:
    table = _table("Skill out of sample", "figure", "model", "naive", metrics.rival)
    base, rival = f"{metrics.log_loss_base:.5f}", f"{metrics.log_loss_rival:.5f}"
    table.add_row("accuracy", _figure(metrics.accuracy, 4), f"{metrics.accuracy_base:.4f}", _NOTHING)
    table.add_row("log-loss", f"{metrics.log_loss:.5f}", base, rival)
    if metrics.log_loss_hour is not msgspec.UNSET:
        table.add_row("log-loss by the hour of the day", _NOTHING, f"{metrics.log_loss_hour:.5f}", _NOTHING)
    table.add_row("log-loss gain", _figure(metrics.log_loss_gain, 5), "0", _NOTHING)
    table.add_row("AUC", _figure(metrics.auc, 4), "0.5", _figure(metrics.auc_rival, 4))
    table.add_row(f"share of {card.classes[1]}", f"{metrics.share:.3f}", _NOTHING, _NOTHING)
    return table


def _skill(metrics: Metrics) -> Table:
    down, hold, up = metrics.class_shares
    table = _table("Skill out of sample", "figure", "model", "naive")
    table.add_row(
        "accuracy of 3 classes", _figure(metrics.accuracy, 4), f"{metrics.accuracy_base:.4f} base rate"
    )
    table.add_row("log-loss", f"{metrics.log_loss:.5f}", f"{metrics.log_loss_base:.5f} base rate")
    table.add_row("log-loss gain", _figure(metrics.log_loss_gain, 5), "0")
    table.add_row(
        "AUC up against down", _figure(metrics.auc, 4), f"{_figure(metrics.auc_momentum, 4)} momentum"
    )
    table.add_row("AUC of no barrier met", _figure(metrics.auc_hold, 4), "0.5")
    table.add_row("shares down / hold / up", f"{down:.3f} / {hold:.3f} / {up:.3f}", _NOTHING)
    return table


def _money(card: Card, metrics: Metrics) -> Table:
    title = (
        f"Mean trade in bps of notional: {metrics.trades:,} trades where |p_up - p_down| >= "
        f"{card.edge_threshold:.4f}, held {metrics.mean_hold_minutes:.0f} minutes"
    )
    table = _table(title, "fees", "model", f"momentum ({metrics.trades_momentum:,})", "coin flips")
    for row in metrics.expectancy:
        table.add_row(row.schedule, *(_figure(figure, 1) for figure in (row.model, row.momentum, row.random)))
    return table


def _months(metrics: Metrics) -> Table:
    names = ("month", "rows", "log-loss gain", "AUC", "trades", "gross bps", "kraken bps")
    table = _table("By month, same model", *names)
    for month in metrics.months:
        table.add_row(
            month.month,
            f"{month.rows:,}",
            f"{month.log_loss_gain:.5f}",
            f"{month.auc:.4f}",
            f"{month.trades:,}",
            _NOTHING if month.gross_bps is None else f"{month.gross_bps:.1f}",
            _NOTHING if month.kraken_bps is None else f"{month.kraken_bps:.1f}",
        )
    return table


def _table(title: str, *names: str) -> Table:
    """Make a table whose first column is words and the others figures."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left")
    return table


def _figure(figure: Interval, decimals: int) -> str:
    if figure.value is None:
        return _NOTHING
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{decimals}f}"
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"
