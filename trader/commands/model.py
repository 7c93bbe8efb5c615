"""Commands about model artifacts: list, verify and show.

Must not know features or networks. Called by trader.cli.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import ModelError, UsageError
from trader.commands import model_live
from trader.commands.options import AsJson, emit, examples

app = typer.Typer(
    no_args_is_help=True, help="List, verify and show models; ask, explain and change running ones."
)
for command, lines in model_live.COMMANDS.items():
    app.command(command.__name__, epilog=examples(*lines))(command)
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


@app.command(epilog=examples("model show configs/models/blend-15m", "model show PATH --json"))
def show(
    path: Annotated[Path, typer.Argument(help="Folder of a model or an ensemble.")], as_json: AsJson = False
) -> None:
    """Show who is in a model: members by role, what they read and say, what bounds them, their heads."""
    from inference.described import described, told

    found = described(path)
    emit(found, as_json=as_json, lines=told(found))


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
    heads = f"  heads {', '.join(row['heads'])}" if row["heads"] else ""
    return (
        f"ok   {row['name']:<12} {row['decision']:>4}  {row['feature_spec']}  {str(row['model_hash'])[:12]}"
        f"{heads}"
    )
