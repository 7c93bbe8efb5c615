"""The command that imports Kraken's downloadable archives.

Must not know how archives are read. Called by trader.commands.data.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import DataError
from trader.commands.data_options import Instruments, LakeFolder, LogFile, chosen, progress
from trader.commands.options import AsJson, emit

if TYPE_CHECKING:
    from feeds.archive import ImportReport


def import_zip(
    archives: Annotated[list[Path], typer.Argument(metavar="ZIP...", help="Kraken's zip archives.")],
    lake: LakeFolder,
    instruments: Instruments = "",
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FILE", help="A saved answer of AssetPairs, for exact names."),
    ] = None,
    bars: Annotated[bool, typer.Option("--bars", help="Make bars of trades, too.")] = False,
    log: LogFile = None,
    as_json: AsJson = False,
) -> int:
    """Import OHLCVT and time-and-sales archives; run again after a stop, and it goes on.

    Lines that cannot be read are left out and counted by reason. A member or an archive that is
    damaged is refused by name while the others go on; then the exit code is 65.
    """
    import msgspec

    from core.clock import LiveClock
    from feeds.archive import Wanted, import_archive
    from feeds.archive_names import PairNames, read_names

    wanted = Wanted(read_names(pairs) if pairs else PairNames(), chosen(instruments), bars)
    reports, errors = [], []
    for archive in archives:
        with progress(f"import {archive.name}", log, LiveClock()) as tell:
            tell(0, 1, "started")
            try:
                report = import_archive(archive, lake, wanted, lambda step: tell(*step))
            except DataError as error:
                errors.append(str(error))
                tell(1, 1, f"refused {error}")
            else:
                reports.append(report)
                tell(1, 1, f"ended members={len(report.members)} refused={len(report.refused)}")
    refused = bool(errors or any(report.refused for report in reports))
    answer = {"ok": not refused, "archives": msgspec.to_builtins(reports), "errors": errors}
    lines = [line for report in reports for line in _lines(report)]
    emit(answer, as_json=as_json, lines=[*lines, *(f"refused: {error}" for error in errors)])
    return DataError.exit_code if refused else 0


def _lines(report: "ImportReport") -> list[str]:
    members = report.members
    skipped = ", ".join(f"{count} {reason}" for reason, count in report.skipped.items()) or "none"
    counts = {
        "rows": sum(one.rows for one in members),
        "added": sum(one.added for one in members),
        "replaced": sum(one.replaced for one in members),
        "repeated": sum(one.repeated for one in members),
        "malformed lines": sum(sum(one.malformed.values()) for one in members),
    }
    head = f"{report.archive}: {len(members)} members imported, {report.already} were there already"
    return [
        f"{head}, skipped: {skipped}",
        "  " + ", ".join(f"{name} {count}" for name, count in counts.items()),
        *(
            f"  {member.member} line {bad.line}: {bad.reason}: {bad.text!r}"
            for member in members
            for bad in member.first
        ),
        *(f"  refused: {one.member}: {one.reason}" for one in report.refused),
        *(f"  not resolved: {name}; see --pairs" for name in report.unresolved),
    ]
