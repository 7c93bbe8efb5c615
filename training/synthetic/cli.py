"""The `training synthetic` commands: made patterns to list, to look at, and to write as a lake.

Must not know how anything is drawn. Mounted by training.cli, whose `run` turns refusals into one line.
Nothing heavy is imported before a command runs.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from core.errors import UsageError
from core.market import Timeframe

app = typer.Typer(
    help="Made patterns and markets, with the actions that their paths would have paid for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")]
Params = Annotated[str, typer.Option(help="NAME=NUMBER,...; see `training synthetic list`.")]
Noise = Annotated[
    float, typer.Option(help="Noise of a twentieth of the time, in heights of the pattern; 0 = none.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bars.")]


@app.command(
    name="list",
    help="""Print every pattern with its parameters: default, range, and what each means.

    \b
    Examples:
      training synthetic list
      training synthetic list --json
    """,
)
def list_patterns(as_json: Json = False) -> None:
    """List patterns; see `help` above."""
    from training.synthetic.catalogue import COMMON, PATTERNS

    if as_json:
        body = {
            name: {"about": one.about, "params": {key: _told(param) for key, param in one.params.items()}}
            for name, one in PATTERNS.items()
        }
        sys.stdout.write(json.dumps(body) + "\n")
        return
    print("| pattern | parameters beside the common ones: default, range |")
    print("|---|---|")
    for name, one in PATTERNS.items():
        own = {key: param for key, param in one.params.items() if key not in COMMON}
        print(f"| {name}: {one.about} | {'; '.join(_shown(own)) or '-'} |")
    print(f"| common | {'; '.join(_shown(COMMON))} |")


@app.command(
    help="""Draw patterns as pictures: bars, the path without noise, the best action, the volume.

    \b
    Examples:
      training synthetic show --pattern head_and_shoulders --out DIR
      training synthetic show --pattern flash_crash --params height=0.1 --noise 0 --out DIR --kind png
      training synthetic show --all --out docs/images/synthetic
    """
)
def show(
    out: Annotated[Path, typer.Option(help="Folder for PATTERN.svg or PATTERN.png.")],
    pattern: Annotated[str, typer.Option(help="A pattern, or several: NAME,NAME,...")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All patterns.")] = False,
    params: Params = "",
    noise: Noise = 0.05,
    seed: Seed = 1,
    kind: Annotated[str, typer.Option(help="svg or png.")] = "svg",
    as_json: Json = False,
) -> None:
    """Draw patterns; see `help` above."""
    from training.synthetic.catalogue import PATTERNS
    from training.synthetic.pictures import write_pictures

    if kind not in ("svg", "png"):
        raise UsageError(f"--kind: expected svg or png; found {kind!r}")
    if everything == bool(pattern):
        found = f"{pattern!r} and --all" if everything else "neither"
        raise UsageError(f"--pattern: expected a name, or --all instead; found {found}")
    names = list(PATTERNS) if everything else pattern.split(",")
    made = write_pictures(names, out, params=_numbers(params), noise_level=noise, seed=seed, kind=kind)
    paths = [path.as_posix() for path in _watched("pictures", made, len(names))]
    print(json.dumps(paths) if as_json else "\n".join(paths))


@app.command(
    help="""Write a market of all patterns strung together as a lake, for pretraining and for looking at.

    Bars go to ohlcv/synthetic/S0-USD/TIMEFRAME.parquet, and what is known of each minute (its pattern, the
    best action at 16 bps a side) to actions/S0-USD.parquet. Prints each pattern's share of the minutes.

    \b
    Examples:
      training synthetic write --pairs 6 --days 365 --seed 1 --out LAKE
      training synthetic write --pairs 2 --days 60 --seed 2 --timeframe 5m --out LAKE --json
    """
)
def write(
    out: Annotated[Path, typer.Option(help="New folder.")],
    pairs: Annotated[int, typer.Option(min=1, max=1000, help="Instruments S0/USD, S1/USD, ...")] = 3,
    days: Annotated[int, typer.Option(min=1, max=5000, help="Days of minutes from 2024-01-01.")] = 120,
    seed: Seed = 1,
    timeframe: Annotated[str, typer.Option(help="Bars to write, made of the minutes.")] = "1m",
    as_json: Json = False,
) -> None:
    """Write a market; see `help` above."""
    from training.guard.lake import write_lake
    from training.synthetic.market import made, shares, write_actions

    if timeframe not in (known := [one.value for one in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {timeframe!r}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out: expected a new or empty folder; found files in {out}")
    found = made(pairs, days, seed)
    write_lake(out, [one.bars for one in found], Timeframe(timeframe), venue="synthetic")
    write_actions(out, found)
    told = shares(found)
    if as_json:
        sys.stdout.write(json.dumps({"out": out.as_posix(), "shares": told}) + "\n")
        return
    for name, share in sorted(told.items(), key=lambda one: -one[1]):
        print(f"{100.0 * share:5.1f} %  {name}")
    print(out)


def _numbers(text: str) -> dict[str, float]:
    found = {}
    for word in filter(None, text.split(",")):
        name, equals, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--params: expected NAME=NUMBER,...; found {word!r}")
    return found


def _told(param: object) -> Mapping[str, object]:
    return param._asdict()  # type: ignore[attr-defined]  # a NamedTuple of a module that is not loaded yet


def _shown(params: Mapping[str, object]) -> Iterator[str]:
    for name, param in params.items():
        one = _told(param)
        yield f"`{name}` {one['default']:g}, {one['low']:g} to {one['high']:g}: {one['about']}"


def _watched(title: str, made: Iterable[T], total: int) -> Iterator[T]:
    """Pass on what comes, with a bar for a person; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield from made
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(made, title, total=total, console=Console(stderr=True), transient=True)
