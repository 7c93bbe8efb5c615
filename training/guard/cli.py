"""The `training guard` commands: made markets to look at, to train on, and to be proved against.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from core.market import Timeframe

app = typer.Typer(
    help="Made markets: a null one that nobody can foresee, a planted one with an edge of known size.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Pairs = Annotated[int, typer.Option(min=1, max=1000, help="Instruments G0/USD, G1/USD, ...")]
Days = Annotated[int, typer.Option(min=2, max=5000, help="Days of minutes from 2024-01-01.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bars.")]


@app.command(
    help="""Compare recorded minute bars with made ones: volatility, tails, memory, hours, volume.

    \b
    Examples:
      training guard describe --lake DIR --venue binance
      training guard describe --lake DIR --venue binance --pairs 2 --days 73 --seed 1 --json
    """
)
def describe(
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/1m.parquet.")],
    venue: Annotated[str, typer.Option(help="Whose bars to compare with.")] = "binance",
    pairs: Pairs = 2,
    days: Days = 73,
    seed: Seed = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare recorded with made minutes; see `help` above."""
    from feeds.lake import Lake
    from training.guard.describe import as_rows, describe
    from training.guard.market import null_market

    recorded = [one for one in Lake(lake).series() if one[::2] == (venue, Timeframe.M1)]
    if not recorded:
        raise UsageError(f"--lake: expected 1m bars of {venue} in {lake}; found none")
    facts = [describe(Lake(lake).read(*one)) for one in recorded]
    facts += [describe(bars) for bars in null_market(pairs, days, seed)]
    if as_json:
        import msgspec

        sys.stdout.write(json.dumps(msgspec.to_builtins(facts)) + "\n")
        return
    for row in as_rows(facts):
        print(row)


@app.command(
    help="""Write a made market as a lake, to run any pipeline on.

    \b
    Examples:
      training guard write --market null --pairs 3 --days 120 --seed 1 --out DIR
      training guard write --market planted --decision 15m --strength 0.1 --span 21 --timeframe 5m --out DIR
    """
)
def write(
    out: Annotated[Path, typer.Option(help="New folder; bars go to ohlcv/guard/G0-USD/TIMEFRAME.parquet.")],
    market: Annotated[str, typer.Option(help="null or planted.")] = "null",
    pairs: Pairs = 3,
    days: Days = 120,
    seed: Seed = 1,
    timeframe: Annotated[str, typer.Option(help="Bars to write, made of the minutes.")] = "1m",
    decision: Annotated[str, typer.Option(help="Bars that the planted edge moves.")] = "15m",
    strength: Annotated[float, typer.Option(help="Drift of a bar in deviations of that bar.")] = 0.1,
    span: Annotated[int, typer.Option(min=2, help="Span of the EMA whose side the drift takes.")] = 21,
) -> None:
    """Write a made market; see `help` above."""
    from training.guard.edge import Edge
    from training.guard.lake import write_lake
    from training.guard.market import null_market, planted_market

    if market not in ("null", "planted"):
        raise UsageError(f"--market: expected null or planted; found {market!r}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out: expected a new or empty folder; found files in {out}")
    coarse = _timeframe("--timeframe", timeframe)
    if market == "null":
        series = null_market(pairs, days, seed)
    else:
        edge = Edge(_timeframe("--decision", decision), strength, span)
        series = planted_market(pairs, days, seed, edge=edge)
        best = edge.optimum()
        print(
            f"best accuracy of the next bar's sign: {best.accuracy:.6f} (gain {best.log_loss_gain:.6f} nats)"
        )
    for path in write_lake(out, series, coarse):
        print(path)


@app.command(
    help="""Train on made markets and score on others: chance on the null one, the optimum on the planted one.

    \b
    Examples:
      training guard check --seeds 5
      training guard check --specs entry_15m,entry_1h --seeds 1 --json
      training guard check --maker persistence,logistic,lightgbm,perceptron,hybrid --seeds 5 --out FILE.md
      training guard check --maker fusion --specs mtf --seeds 1
    """
)
def check(
    specs: Annotated[
        str, typer.Option(help="entry_15m,...; empty = all for trees, with --maker seq_15m.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Markets of each kind for each spec.")] = 1,
    first_seed: Annotated[int, typer.Option(min=1, help="Seed of the first of them.")] = 1,
    pairs: Pairs = 3,
    maker: Annotated[
        str, typer.Option(help="Kinds of model (hybrid,lightgbm,...) to prove on panels instead of trees.")
    ] = "",
    decisions: Annotated[int, typer.Option(min=500, help="With --maker: rows of each instrument.")] = 16_000,
    markets: Annotated[str, typer.Option(help="With --maker: null, planted or both.")] = "null,planted",
    out: Annotated[Path | None, typer.Option(help="With --maker: Markdown page to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Prove pipelines on made markets; see `help` above. Exit code 1 if one fails."""
    from inference.features.spec import SPECS
    from training.guard.check import as_row, check, shipped

    if maker:
        kinds = tuple(name for name in maker.split(",") if name)
        _prove(
            kinds,
            specs or "seq_15m",
            range(first_seed, first_seed + seeds),
            pairs,
            decisions,
            markets,
            out,
            as_json=as_json,
        )
        return
    named = tuple(name for name in specs.split(",") if name) or shipped()
    if strange := [name for name in named if name not in SPECS]:
        raise UsageError(f"--specs: expected some of {', '.join(SPECS)}; found {', '.join(strange)}")
    passed = True
    if not as_json:
        print("| spec | market | seed | rows | AUC on the card | side on unseen | oracle | passed |")
        print("|---|---|---:|---:|---:|---:|---:|---|")
    for name in named:
        for market in ("null", "planted"):
            for seed in range(first_seed, first_seed + seeds):
                with tempfile.TemporaryDirectory() as folder:
                    finding = check(SPECS[name], market, seed, Path(folder), pairs=pairs)
                passed &= finding.passed
                print(_line(finding) if as_json else as_row(finding), flush=True)
    if not passed:
        raise typer.Exit(1)


def _prove(
    kinds: tuple[str, ...],
    specs: str,
    seeds: range,
    pairs: int,
    decisions: int,
    markets: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from inference.features.spec import SPECS
    from training.guard import makers
    from training.members.member import silent

    named = tuple(name for name in specs.split(",") if name)
    if strange := [name for name in named if name not in SPECS]:
        raise UsageError(f"--specs: expected some of {', '.join(SPECS)}; found {', '.join(strange)}")
    chosen = [one for one in makers.MARKETS if one in markets.split(",")]
    if len(chosen) != len(markets.split(",")):
        raise UsageError(f"--markets: expected some of {', '.join(makers.MARKETS)}; found {markets!r}")
    proofs: list[makers.Proof] = []
    if not as_json:
        print(f"{makers.HEAD}\n{makers.RULE}")
    for name in named:
        spec = SPECS[name]
        for market in chosen:
            for seed in seeds:
                fresh = makers.shipped(spec, kinds)
                found = makers.prove(spec, market, seed, fresh, silent, pairs=pairs, decisions=decisions)
                proofs += found
                for proof in found:
                    print(_line(proof) if as_json else makers.as_row(proof), flush=True)
    if out is not None:
        drawn = f"--seeds {len(seeds)} --first-seed {seeds.start} --pairs {pairs} --decisions {decisions}"
        drawn += "" if len(chosen) == len(makers.MARKETS) else f" --markets {markets}"
        command = f"training guard check --maker {','.join(kinds)} --specs {specs} {drawn}"
        text = "\n".join(makers.page(proofs, command)) + "\n"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    if not all(one[-1] for one in makers.over_seeds(proofs)):
        raise typer.Exit(1)


@app.command(
    help="""Plant leaks on purpose and see that each is detected, by name, and its honest twin is not.

    shuffled_folds: overlapping labels under shuffled folds. right_closed_resample: hours that own the bar
    after them. two_sided_label: a label that looks back as well. On random walks, where chance is 0.5.

    \b
    Examples:
      training guard canaries
      training guard canaries --seeds 5
      training guard canaries --only two_sided_label --json
    """
)
def canaries(
    only: Annotated[str, typer.Option(help="shuffled_folds,...; empty = all.")] = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Random walks for each.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Look for planted leaks; see `help` above. Exit code 1 if one is missed, or a twin is accused."""
    from training.guard import canaries as birds

    named = tuple(name for name in only.split(",") if name) or tuple(birds.CANARIES)
    if strange := [name for name in named if name not in birds.CANARIES]:
        raise UsageError(f"--only: expected some of {', '.join(birds.CANARIES)}; found {', '.join(strange)}")
    detected = True
    if not as_json:
        print("| canary | seed | rows | planted | honest twin | |")
        print("|---|---:|---:|---|---|---|")
    for name in named:
        for seed in range(1, seeds + 1):
            finding = birds.look(name, seed)
            detected &= finding.detected
            print(_line(finding) if as_json else birds.as_row(finding), flush=True)
    if not detected:
        raise typer.Exit(1)


def _line(finding: object) -> str:
    import msgspec

    return msgspec.json.encode(finding).decode()


def _timeframe(option: str, text: str) -> Timeframe:
    if text not in (known := [timeframe.value for timeframe in Timeframe]):
        raise UsageError(f"{option}: expected one of {', '.join(known)}; found {text!r}")
    return Timeframe(text)
