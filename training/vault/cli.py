"""The `training vault` commands: what is shut away, opening it once per release, proving the log.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from core.clock import LiveClock
from core.errors import UsageError
from core.market import Timeframe
from core.text import iso, parse_iso

app = typer.Typer(
    help="The newest months of the data, which open once per release and for ever on record.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Log = Annotated[Path, typer.Option(help="File of all openings; it belongs in the repository.")]
LakeRoot = Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")]
Venue = Annotated[str, typer.Option(help="Whose bars.")]
Frame = Annotated[str, typer.Option(help="Which bars.")]
Pairs = Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all in the lake.")]
Months = Annotated[int, typer.Option(min=1, help="How many of the newest whole months are shut away.")]
Start = Annotated[str, typer.Option(help="Shut away from this day on, instead of counting months.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")]

LOG = Path("configs/vault.jsonl")


@app.command(
    help="""Show what the vault holds and who has opened it.

    \b
    Examples:
      training vault status --lake DIR --venue binance --timeframe 15m
      training vault status --lake DIR --venue binance --timeframe 1h --vault-months 6 --json
    """
)
def status(
    lake: LakeRoot,
    venue: Venue = "binance",
    timeframe: Frame = "15m",
    instruments: Pairs = "",
    vault_months: Months = 3,
    vault_start: Start = "",
    log: Log = LOG,
    as_json: AsJson = False,
) -> None:
    """Show the vault; see `help` above."""
    from training.vault import log as vault_log
    from training.vault.bars import contents_hash

    held = _shut(lake, venue, timeframe, instruments, vault_months, vault_start)
    openings = vault_log.read(log)
    told = {
        "venue": held.venue,
        "timeframe": held.timeframe.value,
        "instruments": held.instruments,
        "start": iso(held.start),
        "end": iso(held.end),
        "data_hash": contents_hash(lake, held),
        "openings": openings,
    }
    if as_json:
        _json(told)
        return
    pairs = len(held.instruments)
    print(f"shut: {venue} {timeframe}, {pairs} pairs, {iso(held.start)} to {iso(held.end)}")
    print(f"bars: {told['data_hash']}")
    _lines(openings)


@app.command(
    name="open",
    help="""Open the vault for one version, once. The opening is on record for ever.

    \b
    Examples:
      training vault open --version 0.5.0 --reason "figures of the release" --lake DIR --timeframe 15m
    """,
)
def open_vault(
    version: Annotated[str, typer.Option(help="The release that looks.")],
    reason: Annotated[str, typer.Option(help="Why, in one sentence.")],
    lake: LakeRoot,
    venue: Venue = "binance",
    timeframe: Frame = "15m",
    instruments: Pairs = "",
    vault_months: Months = 3,
    vault_start: Start = "",
    who: Annotated[str, typer.Option(help="Who opens it; default: the user's name.")] = "",
    date: Annotated[str, typer.Option(help="Day of the opening; default: today.")] = "",
    log: Log = LOG,
    as_json: AsJson = False,
) -> None:
    """Open the vault; see `help` above."""
    from training.vault import log as vault_log
    from training.vault.bars import contents_hash

    if not version.strip() or not reason.strip():
        raise UsageError("vault open: expected a version and a reason; found an empty one")
    held = _shut(lake, venue, timeframe, instruments, vault_months, vault_start)
    day = _day("--date", date) if date else LiveClock().now()
    opening = vault_log.Opening(
        version=version.strip(),
        date=iso(day)[:10],
        venue=held.venue,
        timeframe=held.timeframe.value,
        instruments=held.instruments,
        start=iso(held.start),
        end=iso(held.end),
        data_hash=contents_hash(lake, held),
        who=who or getpass.getuser(),
        reason=reason.strip(),
    )
    opened = vault_log.open_once(log, opening)
    if as_json:
        _json(opened)
        return
    print(f"opened for version {opened.version}, once and for ever on record in {log}")
    _lines((opened,))


@app.command(
    help="""Prove that no opening was changed, added or taken out of the log.

    \b
    Examples:
      training vault verify
      training vault verify --head 3f9a1c --json
    """
)
def verify(
    log: Log = LOG,
    head: Annotated[str, typer.Option(help="Hash of a line that must still be there.")] = "",
    as_json: AsJson = False,
) -> None:
    """Prove the log; see `help` above."""
    from training.vault import log as vault_log

    openings = vault_log.verify(log, head)
    newest = openings[-1].hash if openings else vault_log.FIRST
    if as_json:
        _json({"ok": True, "openings": len(openings), "head": newest})
        return
    print(f"{len(openings)} openings, every line true; head {newest}")


def _shut(lake: Path, venue: str, timeframe: str, instruments: str, months: int, start: str) -> Any:
    """Give a training.vault.bars.Shut, whose module is imported when used."""
    from training.vault.bars import series_of, shut

    if timeframe not in (known := [one.value for one in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {timeframe!r}")
    named = tuple(part.strip() for part in instruments.split(",") if part.strip())
    series = series_of(lake, venue, Timeframe(timeframe), named)
    return shut(lake, series, months=months, start=_day("--vault-start", start) if start else None)


def _day(option: str, text: str) -> int:
    try:
        return parse_iso(text)
    except ValueError as wrong:
        raise UsageError(f"{option}: expected a date like 2025-05-01; found {text!r}") from wrong


def _lines(openings: Sequence[Any]) -> None:
    print(f"openings: {len(openings) or 'none'}")
    for one in openings:
        print(f"  {one.date} version {one.version} by {one.who}: {one.reason} ({one.hash[:12]})")


def _json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
