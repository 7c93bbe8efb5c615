"""The `training crossval` command: how much a model's skill depends on which months were tested.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from core.market import Timeframe
from core.text import parse_iso

app = typer.Typer(rich_markup_mode=None)
NEEDED = ("lightgbm", "purgedcv")


@app.command(
    name="crossval",
    help="""Fit an entry model for every choice of test spans, purged and embargoed by event times.

    Each path runs through all of time out of sample; none of them could have been traded, for models were
    trained on what came later, too. Beside them, what shuffled rows would have shown.

    \b
    Examples:
      training crossval --spec entry_15m --lake DIR --vault-start 2025-05-01
      training crossval --spec entry_5m --timeframe 5m --lake configs/market --groups 6 --tested 2 --json
    """,
)
def crossval(
    spec: Annotated[str, typer.Option(help="Feature spec, such as entry_15m.")],
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Bars to read; labels are walked on them.")] = "15m",
    instruments: Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all in the lake.")] = "",
    groups: Annotated[int, typer.Option(min=2, help="Spans that time is cut into.")] = 6,
    tested: Annotated[int, typer.Option(min=1, help="How many of them are tested at a time.")] = 2,
    vault_months: Annotated[int, typer.Option(min=1, help="Newest months that are shut away.")] = 3,
    vault_start: Annotated[str, typer.Option(help="Shut away from this day on, instead.")] = "",
    max_rows: Annotated[
        int, typer.Option(min=100, help="Use every n-th instant to stay below this.")
    ] = 60_000,
    seed: Annotated[int, typer.Option(help="Same seed and bars give the same figures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Cross-validate; see `help` above."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}; install with: ./run setup train")
    import msgspec

    from inference.features.spec import SPECS
    from training import screen
    from training.cross.validate import cross_validate
    from training.labels import BarrierTerms
    from training.provenance import Recipe
    from training.vault.bars import series_of, shut

    if spec not in SPECS:
        raise UsageError(f"--spec: expected one of {', '.join(SPECS)}; found {spec!r}")
    if timeframe not in (known := [one.value for one in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {timeframe!r}")
    named = tuple(part.strip() for part in instruments.split(",") if part.strip())
    series = series_of(lake, venue, Timeframe(timeframe), named)
    plan = Recipe(
        name=spec,
        spec=SPECS[spec],
        venue=venue,
        source=Timeframe(timeframe),
        terms=BarrierTerms(SPECS[spec].decision),
        instruments=named,
        seed=seed,
        max_rows=max_rows,
        vault_start=shut(lake, series, months=vault_months, start=_day(vault_start)).start,
    )
    with screen.phases() as say:
        found = cross_validate(plan, lake, groups=groups, tested=tested, say=say)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    print(
        f"{found.splits} splits of {groups} spans, {tested} tested at a time: {len(found.paths)} paths, "
        f"{found.rows:,} rows, {found.purged:.1%} of them purged or embargoed in a split"
    )
    for number, path in enumerate(found.paths, 1):
        print(f"  path {number}: AUC {path.auc:.4f}, log-loss gain {path.gain:+.5f} nats")
    print(f"  shuffled rows would have shown an AUC of {found.shuffled:.4f}")


def _day(text: str) -> int | None:
    try:
        return parse_iso(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"--vault-start: expected a date like 2025-05-01; found {text!r}") from wrong
