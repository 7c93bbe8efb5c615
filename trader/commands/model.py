"""Commands about models: list and verify artifacts, explain what a running one said.

Must not know features or networks. Called by trader.cli.
"""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from core.errors import ModelError, TemporaryError, UsageError
from trader.commands.options import AsJson, ConfigFiles, Settings, emit, examples, load_config, moment

app = typer.Typer(no_args_is_help=True, help="List and verify model artifacts; explain opinions.")
Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="An instrument, such as BTC/USDT.")]
Folder = Annotated[Path, typer.Option("--models", help="Folder that holds one folder for each model.")]
SHIPPED = Path("configs/models")


@app.command("list", epilog=examples("model list", "model list --models DIR --json"))
def list_models(models: Folder = SHIPPED, as_json: AsJson = False) -> None:
    """List the artifacts of a folder, verified or not."""
    found = [_verified(path) for path in _folders(models)]
    emit(found, as_json=as_json, lines=[_line(row) for row in found] or [f"no models in {models}"])


@app.command(epilog=examples("model verify --all", "model verify configs/models/entry-5m --json"))
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Artifact folders.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every artifact of the --models folder.")] = False,
    models: Folder = SHIPPED,
    as_json: AsJson = False,
) -> None:
    """Prove card, hashes, features and golden vectors. Exit 65 when one fails."""
    chosen = [*(paths or []), *(_folders(models) if every else [])]
    if not chosen:
        raise UsageError("expected artifact folders or --all; found neither")
    found = [_verified(path) for path in chosen]
    emit(found, as_json=as_json, lines=[_line(row) for row in found])
    if not all(row["ok"] for row in found):
        raise typer.Exit(ModelError.exit_code)


@app.command(
    epilog=examples(
        "model explain BTC/USDT",
        "model explain BTC/USDT --trader swing --json",
        "model explain BTC/USDT --journal .demo --at 2024-06-03T04:15:00Z",
    )
)
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

    rows = _explanations(symbol, trader, at, journal, config, settings)
    if not rows:
        whose = f" of trader {trader}" if trader else ""
        raise UsageError(f"expected an opinion about {symbol}{whose}; found none")
    emit(rows, as_json=as_json, lines=[line for row in rows for line in told(row)])


def _explanations(
    symbol: str,
    trader: str,
    at: str,
    journal: Path | None,
    config: ConfigFiles,
    settings: Settings,
) -> list[dict[str, Any]]:
    if not at and journal is None:
        from trader.client import ask, checked

        try:
            query = urlencode({"instrument": symbol, "trader": trader})
            answer = ask(load_config(config, settings), "GET", f"/api/v1/explain?{query}")
        except TemporaryError:  # none runs: the journal knows what it said last
            pass
        else:
            return list(checked(answer)["rows"])
    from trader.client import state_root
    from trader.journal_explain import LATEST, from_journal
    from trader.statedir import StatePaths

    root = journal or load_config(config, settings).journal.directory
    database = StatePaths(state_root(root)).journal if root.is_dir() or journal is None else root
    if not database.is_file():
        raise UsageError(f"{root}: expected a journal or a state directory; found none")
    return from_journal(database, symbol, trader=trader, until=moment("--at", at) if at else LATEST)


def _folders(models: Path) -> list[Path]:
    if not models.is_dir():
        raise UsageError(f"--models: expected a folder; found nothing at {models}")
    return sorted(path for path in models.iterdir() if path.is_dir())


def _verified(path: Path) -> dict[str, Any]:
    from inference.ensemble import verify as prove

    return prove(path)


def _line(row: dict[str, Any]) -> str:
    if not row["ok"]:
        return f"BAD  {row['error']}"
    return (
        f"ok   {row['name']:<12} {row['decision']:>4}  {row['feature_spec']}  {str(row['model_hash'])[:12]}"
    )
