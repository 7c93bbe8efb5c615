"""Commands that look at a lake: list, verify, report.

Must not know the rules. Called by trader.commands.data.
"""

from typing import Annotated

import typer

from core.errors import DataError
from trader.commands.data_options import LakeFolder, LogFile, existing, progress
from trader.commands.options import AsJson, columns, emit

MIB = 1 << 20


def list_series(lake: LakeFolder, as_json: AsJson = False) -> None:
    """List what a lake holds: bars and trades by instrument, with span and size."""
    from feeds.lake_census import census

    found = list(census(existing(lake)))
    head = ("venue", "instrument", "kind", "rows", "first", "last", "files", "MiB")
    table = [
        (
            one["venue"],
            one["instrument"],
            one["kind"],
            str(one["rows"]),
            one["first"][:16],
            one["last"][:16],
            str(one["files"]),
            f"{one['bytes'] / MIB:.1f}",
        )
        for one in found
    ]
    emit(found, as_json=as_json, lines=columns([head, *table]) if table else [f"nothing in {lake}"])


def verify(lake: LakeFolder, log: LogFile = None, as_json: AsJson = False) -> int:
    """Check every row of a lake, and its timeframes against each other. Exit 65 names the first bad rows."""
    import msgspec

    from core.clock import LiveClock
    from feeds.lake_verify import checks

    plan = checks(existing(lake))
    rows, findings = 0, []
    with progress("verify", log, LiveClock()) as tell:
        for number, check in enumerate(plan, 1):
            name, count, finding = check()
            rows += count
            if finding is not None:
                findings.append(finding)
            tell(number, len(plan), f"{name} rows={count} {'BAD' if finding else 'ok'}")
    answer = {
        "ok": not findings,
        "checks": len(plan),
        "rows": rows,
        "findings": msgspec.to_builtins(findings),
    }
    lines = [f"BAD  {one.file} row {one.row}: {one.rule}, found {one.found}" for one in findings]
    lines.append(
        f"{'ok' if not findings else 'BAD'}   {len(plan)} checks, {rows} rows, {len(findings)} findings"
    )
    emit(answer, as_json=as_json, lines=lines)
    return DataError.exit_code if findings else 0


def report(
    lake: LakeFolder,
    max_missing: Annotated[float, typer.Option(min=0, max=100, help="Missing bars, percent.")] = 50.0,
    max_gap_h: Annotated[float, typer.Option(min=0, help="Longest time without a bar, hours.")] = 72.0,
    max_outliers: Annotated[float, typer.Option(min=0, max=100, help="Outliers, percent.")] = 0.5,
    log: LogFile = None,
    as_json: AsJson = False,
) -> int:
    """Measure every series, write the verdict into the lake, exit 65 where a limit is broken.

    `training` refuses a series that breaks a limit, unless it is waived by name. An outlier is a log
    return between adjacent bars of more than 20 robust standard deviations.
    """
    import msgspec

    from core.clock import LiveClock
    from feeds import ingest_report
    from feeds.lake import Lake

    root = existing(lake)
    limits = ingest_report.Limits(
        max_missing_percent=max_missing, max_gap_h=max_gap_h, max_outliers_percent=max_outliers
    )
    total = len(Lake(root).series())
    found = []
    with progress("report", log, LiveClock()) as tell:
        for one in ingest_report.judge(root, limits):
            found.append(one)
            tell(len(found), total, f"{one.name} rows={one.rows} breaches={len(one.breaches)}")
    verdict = ingest_report.Verdict(limits, tuple(found))
    ingest_report.write_verdict(root, verdict)
    blocked = [f"{one.name}:{limit}" for one in found for limit in one.breaches]
    answer = {
        **msgspec.to_builtins(verdict),
        "outlier_rule": ingest_report.OUTLIER_RULE,
        "bytes": sum(one.bytes for one in found),
        "blocked": blocked,
    }
    head = (
        "series",
        "rows",
        "first",
        "last",
        "missing %",
        "gap h",
        "outliers",
        "repeated",
        "MiB",
        "breaches",
    )
    table = [
        (
            one.name,
            str(one.rows),
            one.first[:16],
            one.last[:16],
            f"{one.missing_percent:.2f}",
            f"{one.longest_gap_h:.2f}",
            str(one.outliers),
            "-" if one.duplicates is None else str(one.duplicates),
            f"{one.bytes / MIB:.1f}",
            "; ".join(f"{limit}: {text}" for limit, text in one.breaches.items()),
        )
        for one in found
    ]
    lines = [*columns([head, *table]), f"outliers: {ingest_report.OUTLIER_RULE}"]
    emit(answer, as_json=as_json, lines=lines if table else [f"no bars in {lake}"])
    return DataError.exit_code if blocked else 0
