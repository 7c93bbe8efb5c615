"""`training smoke`: every path of the training package once, in little, as a table.

Must not know how anything is computed. Mounted by training.cli. Nothing heavy is imported before it runs.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command(
    help="""Train, export, prove and trade a small member of every kind from the bars in the repository.

    Run it in the checkout. What it makes is worth nothing: it shows that every path is whole.

    \b
    Examples:
      training smoke
      training smoke --out _exp/smoke --workers 2 --json
    """
)
def smoke(
    out: Annotated[Path | None, typer.Option(help="Folder to keep it all in; else a temporary one.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Models at a time, one thread each.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Make one of everything; see `help` above."""
    import msgspec

    from training.plan import smoke as small
    from training.plan.schema import read_plan
    from training.plan.show import following

    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seamark-smoke-")))
        names = [order.name for order in read_plan(small.PLAN).orders]
        with following(folder / "work", names) as on_done:
            found = small.smoke(folder, workers=workers, on_done=on_done)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for line in small.lines(found):
        print(line)
