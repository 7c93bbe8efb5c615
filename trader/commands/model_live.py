"""Commands about the models of a running daemon: explain, predict, activate, roll back.

Must not know features or networks. Registered by trader.commands.model.
"""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from core.errors import TemporaryError, UsageError
from trader.commands.options import AsJson, ConfigFiles, Settings, columns, emit, load_config, moment

Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="An instrument, such as BTC/USDT.")]
Trader = Annotated[str, typer.Argument(metavar="TRADER", help="A trader's name in the configuration.")]


def explain(
    symbol: Symbol,
    trader: Annotated[str, typer.Option("--trader", help="Of this trader only.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="As it stood then, from the journal.")] = "",
    journal: Annotated[
        Path | None, typer.Option("--journal", help="A state directory or its journal.db.")
    ] = None,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show what each member of a model said, what they weighed, and which gate or rule refused.

    The running daemon is asked; with --at or --journal, or where none runs, the journal is read.
    """
    from trader.state_explain import told

    rows = _explanations(symbol, trader, at=at, journal=journal, configured=(config, settings))
    if not rows:
        whose = f" of trader {trader}" if trader else ""
        raise UsageError(f"expected an opinion about {symbol}{whose}; found none")
    emit(rows, as_json=as_json, lines=[line for row in rows for line in told(row)])


def _explanations(
    symbol: str, trader: str, *, at: str, journal: Path | None, configured: tuple[ConfigFiles, Settings]
) -> list[dict[str, Any]]:
    if not at and journal is None:
        from trader.client import ask, checked

        try:
            query = urlencode({"instrument": symbol, "trader": trader})
            answer = ask(load_config(*configured), "GET", f"/api/v1/explain?{query}")
        except TemporaryError:  # none runs: the journal knows what it said last
            pass
        else:
            return list(checked(answer)["rows"])
    from trader.client import state_root
    from trader.journal_explain import LATEST, from_journal
    from trader.statedir import StatePaths

    root = journal or load_config(*configured).journal.directory
    database = StatePaths(state_root(root)).journal if root.is_dir() or journal is None else root
    if not database.is_file():
        raise UsageError(f"{root}: expected a journal or a state directory; found none")
    return from_journal(database, symbol, trader=trader, until=moment("--at", at) if at else LATEST)


def predict(
    trader: Trader,
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="Instruments; none = all of the trader.")
    ] = None,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Ask a trader's models about the newest features, behind everything that trades."""
    from trader.client import ask, checked

    body = {"trader": trader, "instruments": symbols or []}
    answer = checked(ask(load_config(config, settings), "POST", "/api/v1/predict", body))
    emit(
        answer,
        as_json=as_json,
        lines=columns([["instrument", "down", "hold", "up", ""], *map(_odds, answer["rows"])]),
    )


def activate(
    trader: Trader,
    path: Annotated[Path, typer.Argument(help="Folder of the model, on the daemon's machine.")],
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Trade with another model from now on, without a restart; a bad one changes nothing.

    It holds until the configuration is read again (a reload or a start): name it there, too.
    """
    _choose({"trader": trader, "path": str(path.absolute())}, config, settings, as_json=as_json)


def rollback(
    trader: Trader, config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False
) -> None:
    """Go back to the model that the trader had before the last change."""
    _choose({"trader": trader}, config, settings, as_json=as_json)


COMMANDS: dict[Callable[..., None], tuple[str, ...]] = {
    explain: (
        "model explain BTC/USDT",
        "model explain BTC/USDT --trader swing --json",
        "model explain BTC/USDT --journal .demo --at 2024-06-03T04:15:00Z",
    ),
    predict: ("model predict swing", "model predict swing BTC/USDT ETH/USDT --json"),
    activate: ("model activate swing configs/models/entry-15m",),
    rollback: ("model rollback swing",),
}


def _choose(body: dict[str, str], config: ConfigFiles, settings: Settings, *, as_json: bool) -> None:
    from trader.client import ask, checked

    body["actor"] = f"cli:{getpass.getuser()}"
    now = checked(ask(load_config(config, settings), "POST", "/api/v1/model", body))
    line = f"{now['trader']}: {now['model']} {now['model_hash'][:12]} from {now['path']}"
    emit(now, as_json=as_json, lines=[line, f"before: {now['before']}"])


def _odds(row: dict[str, Any]) -> list[str]:
    if not row["ready"]:
        return [row["instrument"], "-", "-", "-", row["gate"]]
    return [row["instrument"], *(f"{row['blend'][name]:.3f}" for name in ("down", "hold", "up")), ""]
