"""The card of a run: what was run, on which bars, under which assumptions.

Must not know the desk or results' statistics. Called by trader.backtest.run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.text import iso
from core.version import VERSION
from inference.ensemble import Ensemble
from trader.backtest.assumptions import sentences
from trader.backtest.listings import POINT_IN_TIME, SURVIVORS
from trader.backtest.record import ModelUsed, RunCard
from trader.backtest.result import BacktestResult
from trader.backtest.source import Recorded
from trader.config import PATH_KEYS, Config

CONFIGURED = "as configured"
"""Schedule of a configuration that states its two rates itself."""


def card(
    config: Config,
    models: Mapping[str, Ensemble],
    recorded: Recorded,
    result: BacktestResult,
    *,
    data_hash: str,
    delay_bars: int,
    point_in_time: bool,
) -> RunCard:
    """Give the card of a run that has ended; the command is whoever's who asked for it."""
    used = tuple(
        ModelUsed(name, model.name, model.model_hash, model.decision.value, trained_until(model))
        for name, model in models.items()
    )
    timeframe = recorded.series[0].timeframe
    notes = [*in_sample(used, result.start), POINT_IN_TIME if point_in_time else SURVIVORS]
    if delay_bars:
        notes.append(f"Delay: risk hears every opinion {delay_bars} decision bars after it was due.")
    return RunCard(
        version=VERSION,
        command="",
        config_hash=config.hash,
        config=without_paths(config.tree()),
        data_hash=data_hash,
        venue=config.exchange.source,
        timeframe=timeframe.value,
        instruments=recorded.symbols,
        start=result.start,
        end=result.end,
        cash={account.name: account.cash for account in config.accounts},
        schedule=config.exchange.schedule or CONFIGURED,
        models=used,
        assumptions=(*sentences(config, timeframe), *notes),
        counts={
            "bars": result.bars,
            "active_bars": result.active_bars,
            "orders": result.orders,
            "fills": result.fills,
            "decisions": result.decisions,
        },
        refusals=result.refusals,
        notices=result.notices,
        showcase=result.showcase,
    )


def trained_until(model: Ensemble) -> int:
    """Give when the last of an ensemble's members was trained, ns UTC."""
    return max(member.artifact.card.trained_until for member in model.members)


def in_sample(used: Sequence[ModelUsed], start: int) -> list[str]:
    """Give a sentence for each model that has seen a part of the span while it was trained."""
    return [
        f"In sample: {one.name} of trader {one.trader} was trained on data until {iso(one.trained_until)}; "
        "what the run earns before that is no evidence."
        for one in used
        if start < one.trained_until
    ]


def without_paths(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Give a configuration's values without the folders and files of this machine."""
    found: dict[str, Any] = {key: _copied(value) for key, value in tree.items()}
    for key in PATH_KEYS:
        head, *rest = [part for part in key.split(".") if part != "*"]
        rows = found.get(head)
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict):
                row.pop(rest[-1], None)
    return found


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
