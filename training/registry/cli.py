"""The `training registry` commands and `training export`: shelving models, putting one in force, going back.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import getpass
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.clock import LiveClock
from core.errors import ModelError, UsageError

app = typer.Typer(
    help="A folder of models by version: list, add, verify, compare, activate, roll back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
hand_over = typer.Typer(rich_markup_mode=None)

Root = Annotated[Path, typer.Option("--registry", help="Folder of the registry.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")]
Who = Annotated[str, typer.Option(help="Who does it, for the log; empty = this account's name.")]
HOME = Path("models")


@app.command(
    name="list",
    help="""Show all models, their versions, and which is in force.

    \b
    Examples:
      training registry list
      training registry list --registry models --json
    """,
)
def listed(registry: Root = HOME, as_json: AsJson = False) -> None:
    """List versions; see `help` above."""
    from training.registry import active, shelf

    rows = []
    for name in shelf.names(registry):
        now = active.active(registry, name)
        for one in shelf.versions(registry, name):
            lines = [line for line in active.happened(registry, name) if line.to == one.digits]
            since = lines[-1].when if lines else ""
            rows.append(
                {"name": name, "version": one.digits, "active": one.digits == now, "activated": since}
            )
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        mark, since = ("*", f"  since {row['activated']}") if row["active"] else (" ", "")
        print(f"{mark} {row['name']} {row['version']}{since}")
    if not rows:
        print(f"{registry}: no models; begin with: training registry add FOLDER")


@app.command(
    help="""Put a proved copy of a model, or of an ensemble with its members, into the registry.

    \b
    Examples:
      training registry add configs/models/entry-15m
      training registry add configs/models/blend-15m --registry models --json
    """
)
def add(
    model: Annotated[Path, typer.Argument(help="Folder of a model or an ensemble.")],
    registry: Root = HOME,
    as_json: AsJson = False,
) -> None:
    """Shelve a model; see `help` above."""
    from training.registry import shelf

    added = shelf.add(registry, model)
    if as_json:
        print(json.dumps({"name": added.name, "version": added.digits, "folder": added.folder.as_posix()}))
        return
    print(f"{added.name} {added.digits}: {added.folder}")


@app.command(
    help="""Prove every version of every model, and that each link in force leads to one of them.

    \b
    Examples:
      training registry verify
      training registry verify entry-15m --json
    """
)
def verify(
    name: Annotated[str, typer.Argument(help="One model; empty = all.")] = "",
    registry: Root = HOME,
    as_json: AsJson = False,
) -> None:
    """Prove versions; see `help` above. Exits with an error if one of them is bad."""
    from inference import ensemble
    from training.registry import active, shelf

    rows: list[dict[str, Any]] = []
    for model in (name,) if name else shelf.names(registry):
        found = shelf.versions(registry, model)
        now = active.active(registry, model)
        rows += [_row(one, ensemble.verify(one.folder)) for one in found]
        if now and now not in [one.digits for one in found]:
            lost = f"{registry / model}: expected the version in force, {now}; found no such folder"
            rows.append({"name": model, "version": now, "ok": False, "error": lost})
    bad = [row for row in rows if not row["ok"]]
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{'ok  ' if row['ok'] else 'BAD '} {row['name']} {row['version']} {row['error']}".rstrip())
    if bad:
        raise ModelError(f"expected every version to prove; found {len(bad)} of {len(rows)} that do not")


@app.command(
    help="""Show two versions side by side, as their cards tell it.

    \b
    Examples:
      training registry compare entry-15m 655de1 9f03aa
      training registry compare entry-15m 655de1 --json      (with the version in force)
    """
)
def compare(
    name: Annotated[str, typer.Argument(help="The model.")],
    first: Annotated[str, typer.Argument(help="First digits of a version.")],
    second: Annotated[str, typer.Argument(help="Of the other; empty = the version in force.")] = "",
    registry: Root = HOME,
    as_json: AsJson = False,
) -> None:
    """Compare versions; see `help` above."""
    from training.registry import active, shelf
    from training.registry.compare import compare as compared

    other = second or active.active(registry, name)
    if not other:
        raise UsageError(f"{name}: expected a second version, or one in force; found neither")
    one, two = (shelf.version(registry, name, digits) for digits in (first, other))
    found = compared(one.folder, two.folder)
    if as_json:
        print(json.dumps({"rows": found.rows, "not_comparable": found.comparable}))
        return
    width = max(len(what) for what, _, _ in found.rows)
    for what, left, right in found.rows:
        print(f"{what:{width}}  {left:34}  {right}{'' if left == right else '  <'}")
    if found.comparable:
        print(f"figures cannot be set against each other: {found.comparable}")


@app.command(
    help="""Put a version in force: traders whose model is REGISTRY/NAME/active read it at their next start
    or reload.

    \b
    Examples:
      training registry activate entry-15m 655de1
      training registry activate blend-15m e383d5 --who ada --json
    """
)
def activate(
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="First digits of the version.")],
    registry: Root = HOME,
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Activate a version; see `help` above."""
    from training.registry import active, shelf

    chosen = shelf.version(registry, name, version)
    done = active.activate(registry, chosen, when=LiveClock().now(), who=who or getpass.getuser())
    _told(done, registry, as_json=as_json)


@app.command(
    help="""Put the version back in force that was before the present one.

    \b
    Examples:
      training registry rollback entry-15m
    """
)
def rollback(
    name: Annotated[str, typer.Argument(help="The model.")],
    registry: Root = HOME,
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Go back one version; see `help` above."""
    from training.registry import active

    done = active.rollback(registry, name, when=LiveClock().now(), who=who or getpass.getuser())
    _told(done, registry, as_json=as_json)


@hand_over.command(
    help="""Copy a model, or an ensemble with its members, to another folder, prove the copy, and print how
    far its graphs are from their golden answers in batches of 1, 2, 7 and 64 rows.

    \b
    Examples:
      training export configs/models/entry-15m --out handed/
      training export configs/models/blend-15m --out handed/ --json
    """
)
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a model or an ensemble.")],
    out: Annotated[Path, typer.Option(help="Folder to copy it into, under its name.")],
    as_json: AsJson = False,
) -> None:
    """Hand a model over; see `help` above."""
    from training.registry import handover

    told = handover.export(model, out)
    if as_json:
        print(json.dumps([one._asdict() for one in told]))
        return
    print(f"{'model':18} {'hash':12} {'bytes':>9}  " + " ".join(f"{f'b={n}':>8}" for n in handover.BATCHES))
    for one in told:
        errors = " ".join(f"{error:8.1e}" for error in one.errors.values())
        print(f"{one.name:18} {one.model_hash[:12]} {one.bytes:9,}  {errors}")


def _row(one: Any, found: dict[str, object]) -> dict[str, Any]:
    named = found.get("model_hash", "")
    error = str(found["error"])
    if found["ok"] and not str(named).startswith(one.digits):
        error = f"{one.folder}: expected a model whose hash begins with {one.digits}; found {str(named)[:12]}"
    return {"name": one.name, "version": one.digits, "ok": not error, "error": error}


def _told(done: Any, registry: Path, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print(msgspec.json.encode(done).decode())
        return
    before = f"before: {done.since}" if done.since else "the first"
    before = "already in force" if done.since == done.to else before
    print(f"{done.name} {done.to} in force ({before}): {registry / done.name / 'active'}")
