"""The command that writes bars for other programs.

Must not know the files' layout. Called by trader.commands.data.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from trader.commands.data_options import Instruments, LakeFolder, chosen, existing
from trader.commands.options import AsJson, emit


class Format(Enum):
    """What is written."""

    PARQUET = "parquet"
    PICKLE = "pickle"


def export(
    lake: LakeFolder,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="Folder (parquet) or file (pickle).")],
    venue: Annotated[str, typer.Option(help="Whose bars.")] = "kraken",
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.PARQUET,
    instruments: Instruments = "",
    as_json: AsJson = False,
) -> None:
    """Write hourly and monthly minute Parquet files, or all 5m bars as one pickle of Parquet bytes.

    Hours and 5m bars that were not recorded are made of the finest bars there are. Seamark itself
    never loads the pickle.
    """
    from feeds.lake_export import export_parquet, export_pickle

    root, names = existing(lake), chosen(instruments)
    if form is Format.PICKLE:
        paths = [export_pickle(root, out, venue, names)]
    else:
        paths = list(export_parquet(root, out, venue, names))
    written = [{"file": str(path), "bytes": path.stat().st_size} for path in paths]
    total = sum(path.stat().st_size for path in paths)
    emit(
        {"files": written, "bytes": total},
        as_json=as_json,
        lines=[*(f"{one['bytes']:>12}  {one['file']}" for one in written), f"{total:>12}  in all"],
    )
