"""The `training` command: fit models offline, show what they are worth.

Must not know how anything is computed. Called by people; `main` is the outer edge. Nothing heavy is
imported before a command runs, so `--help` answers without the training stack.
"""

import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import SeamarkError, UsageError
from core.market import Timeframe
from core.text import parse_iso
from training.cross.cli import app as crossval
from training.guard.cli import app as guard
from training.manager.cli import app as manager
from training.measure.cli import app as measure
from training.plan.cli import app as smoke
from training.registry.cli import app as registry
from training.registry.cli import hand_over
from training.significance.cli import app as significance
from training.synthetic.cli import app as synthetic
from training.targets.cli import app as labels
from training.tasks.cli import app as tasks
from training.vault.cli import app as vault
from training.walkforward.cli import app as walkforward

INSTALL = "./run setup train   (or: pip install 'seamark[train]')"
NEEDED = ("lightgbm", "onnx", "onnxmltools", "skl2onnx", "sklearn")
MODELS, WORK = Path("configs/models"), Path("_exp/train")
EXIT_USAGE = UsageError.exit_code
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Train models offline and show what they are worth after fees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(guard, name="guard")
app.add_typer(manager, name="manager")
app.add_typer(registry, name="registry")
app.add_typer(labels, name="labels")
app.add_typer(significance, name="significance")
app.add_typer(synthetic, name="synthetic")
app.add_typer(tasks, name="tasks")
app.add_typer(vault, name="vault")
app.add_typer(walkforward)
app.add_typer(measure)
app.add_typer(crossval)
app.add_typer(hand_over)
app.add_typer(smoke)


@app.callback()
def _group() -> None:
    """Keep two words on the command line whatever the number of commands."""


@app.command(
    help="""Train one model by options, or all models of a plan, and write artifacts that a trader runs.

    An entry model says which barrier is met first, a regime model whether the coming bars are volatile,
    a volume model whether more will be traded in them than is usual at that time of day.

    \b
    Examples:
      training train --spec entry_15m --lake configs/market --out configs/models/entry-15m
      training train --kind regime --spec regime_1h --horizon-bars 6 --lake DIR --out configs/models/regime-1h
      training train --kind volume --spec regime_1h --horizon-bars 1 --lake DIR --out configs/models/volume-1h
      training train --spec entry_1h --lake DIR --test-start 2024-05-01 --seed 1 --out out/entry-1h --json
      training train --config configs/train/full.toml --data DIR --workers 2
      training train --config configs/train/full.toml --data DIR --only net-1h,net-4h --resume
      training train --config configs/train/full.toml --data DIR --check
    """
)
def train(
    lake: Annotated[
        Path,
        typer.Option("--lake", "--data", help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet."),
    ],
    spec: Annotated[str, typer.Option(help="Feature spec, such as entry_15m.")] = "",
    config: Annotated[Path | None, typer.Option(help="Plan of models (TOML), instead of --spec.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Artifact folder, named as the model; of a plan: folder of all (configs/models)."),
    ] = None,
    only: Annotated[str, typer.Option(help="Plan: only these models, NAME,NAME,...")] = "",
    work: Annotated[Path, typer.Option(help="Plan: folder of records, logs, answers, panels.")] = WORK,
    workers: Annotated[int, typer.Option(min=1, help="Plan: models at a time, one thread each.")] = 1,
    resume: Annotated[
        bool, typer.Option(help="Plan: keep what was made of the same plan, bars, code and seed.")
    ] = False,
    check: Annotated[bool, typer.Option(help="Plan: make all again elsewhere and compare hashes.")] = False,
    kind: Annotated[str, typer.Option(help="entry, regime or volume.")] = "entry",
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Bars to read; labels are walked on them.")] = "5m",
    instruments: Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all in the lake.")] = "",
    test_start: Annotated[str, typer.Option(help="First day out of sample; empty = after 3/5.")] = "",
    barrier_atr: Annotated[float, typer.Option(help="Distance of both barriers in ATRs.")] = 3.0,
    horizon_bars: Annotated[int, typer.Option(help="Time limit in decision bars.")] = 24,
    seed: Annotated[int, typer.Option(help="Same seed and data give the same trees.")] = 1,
    trials: Annotated[int, typer.Option(help="Configurations tried on this test span so far.")] = 1,
    max_rows: Annotated[int, typer.Option(help="Use every n-th training row to stay below this.")] = 200_000,
    scaled: Annotated[bool, typer.Option(help="Scale columns by their training rows first.")] = False,
    model_version: Annotated[str, typer.Option(help="Version on the card.")] = "1",
    waive: Annotated[
        str,
        typer.Option(
            help="Series to use although the ingestion report blocks them: VENUE/BASE-QUOTE/1m[:LIMIT],..."
        ),
    ] = "",
    vault_start: Annotated[str, typer.Option(help="Bars from this day on are not read; see vault.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the card's metrics as JSON.")] = False,
) -> None:
    """Train; see `help` above."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}; install with: {INSTALL}")
    if (config is None) == (not spec):
        raise UsageError(f"expected either --spec or --config; found {'both' if spec else 'neither'}")
    if config is not None:
        from training.plan.job import Place
        from training.plan.told import Asked
        from training.plan.told import train as train_plan

        place = Place(lake, out or MODELS, work)
        train_plan(Asked(config, place, _listed(only), workers, resume, check, as_json))
        return
    if out is None:
        raise UsageError("--out: expected the artifact's folder; found none")
    _positive(barrier_atr=barrier_atr, horizon_bars=horizon_bars, trials=trials, max_rows=max_rows)
    from inference.card import Card
    from inference.features.spec import SPECS
    from training import recipe, regime, screen, volatility, volume
    from training.labels import BarrierTerms
    from training.provenance import Recipe

    makers: dict[str, Callable[[Recipe, Path, Path, recipe.Say], Card]] = {
        "entry": recipe.train,
        "regime": partial(regime.train, volatility.VOLATILITY),
        "volume": partial(regime.train, volume.VOLUME),
    }
    if kind not in makers:
        raise UsageError(f"--kind: expected one of {', '.join(makers)}; found {kind!r}")
    if spec not in SPECS:
        raise UsageError(f"--spec: expected one of {', '.join(SPECS)}; found {spec!r}")
    words: dict[str, str | bool] = {
        "kind": "" if kind == "entry" else kind,
        "spec": spec,
        "lake": "DIR",
        "venue": venue,
        "timeframe": timeframe,
        "instruments": instruments,
        "test-start": test_start,
        "barrier-atr": f"{barrier_atr:g}",
        "horizon-bars": str(horizon_bars),
        "seed": str(seed),
        "trials": str(trials),
        "max-rows": str(max_rows),
        "model-version": model_version,
        "waive": waive,
        "vault-start": vault_start,
        "scaled": scaled,
        "out": f"DIR/{out.name}" if out.is_absolute() else out.as_posix(),
    }
    plan = Recipe(
        name=out.resolve().name,
        version=model_version,
        spec=SPECS[spec],
        venue=venue,
        source=_timeframe(timeframe),
        terms=BarrierTerms(SPECS[spec].decision, barrier_atr, horizon_bars),
        instruments=_listed(instruments),
        waived=_listed(waive),
        test_start=_day(test_start),
        seed=seed,
        trials=trials,
        max_rows=max_rows,
        command=_command("train", words),
        scaled=scaled,
        vault_start=_day(vault_start, "--vault-start"),
    )
    with screen.phases() as say:
        card = makers[kind](plan, lake, out, say)
    screen.show(card, as_json=as_json)


@app.command(
    help="""Check an artifact and print the figures on its card, base rates and fees included.

    With --data an entry model is asked about recorded bars after its training instead. The first 90 days are
    there to set a threshold by, the rest is measured; the newest three months stay shut. --keep writes what
    it said, for training report and compare.

    \b
    Examples:
      training evaluate configs/models/entry-15m
      training evaluate configs/models/entry-15m --json
      training evaluate configs/models/entry-1h --data DIR --keep _exp/asked/entry-1h.npz
    """
)
def evaluate(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    lake: Annotated[
        Path | None, typer.Option("--lake", "--data", help="Bars to ask it about, after its training.")
    ] = None,
    vault_start: Annotated[
        str, typer.Option(help="With --data: bars from this day on are not read; none = all are.")
    ] = "",
    keep: Annotated[Path | None, typer.Option(help="With --data: file (.npz) for its answers.")] = None,
    settle_days: Annotated[
        int, typer.Option(min=0, help="With --data: days that are a fold of their own.")
    ] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show a card; see `help` above."""
    if lake is not None:
        import msgspec

        from training.measure.finished import asked, lines

        rows = asked(artifact, lake, shut=vault_start, settle_days=settle_days, keep=keep)
        print(msgspec.json.encode(rows).decode() if as_json else "\n".join(lines(rows)))
        return
    if vault_start or keep is not None:
        raise UsageError("--data: expected bars to ask the model about; found none")
    from inference.artifact import load
    from training import screen

    screen.show(load(artifact).card, as_json=as_json)


@app.command(
    help="""Bind models into one ensemble (ensemble.json) that a trader can be given in their place.

    \b
    Examples:
      training blend --vote models/entry-15m,models/entry-1h --out models/blend-15m
      training blend --vote models/entry-15m --regime models/regime-1h --regime-low 0.1 --out models/calm-15m
      training blend --vote models/entry-1h --regime models/regime-1h=0.5:1 --regime-rule any --out models/b
    """
)
def blend(
    out: Annotated[Path, typer.Option(help="Folder beside the members'; its last part is the name.")],
    vote: Annotated[str, typer.Option(help="Entry models, each FOLDER or FOLDER=PRIOR; the first decides.")],
    regime: Annotated[
        str,
        typer.Option(
            help="Regime and volume models that may refuse entries, each FOLDER or FOLDER=LOW:HIGH."
        ),
    ] = "",
    regime_low: Annotated[
        float, typer.Option(help="No entry below this chance, of those without bounds of their own.")
    ] = 0.0,
    regime_high: Annotated[float, typer.Option(help="No entry above it.")] = 1.0,
    regime_rule: Annotated[str, typer.Option(help="all or any of them must be within bounds.")] = "all",
    min_votes: Annotated[int, typer.Option(help="Fewest fresh votes for an opinion.")] = 1,
    max_spread: Annotated[float, typer.Option(help="Members may differ by this in p_up - p_down.")] = 0.25,
    abstain: Annotated[str, typer.Option(help="none or spread.")] = "spread",
    model_version: Annotated[str, typer.Option(help="Version on the card.")] = "1",
) -> None:
    """Write an ensemble; see `help` above."""
    import msgspec

    from inference.ensemble_card import Policy, Role
    from training.blend import Part, write

    if abstain not in ("none", "spread"):
        raise UsageError(f"--abstain: expected none or spread; found {abstain!r}")
    if regime_rule not in ("all", "any"):
        raise UsageError(f"--regime-rule: expected all or any; found {regime_rule!r}")
    policy = Policy(
        regime_low=regime_low,
        regime_high=regime_high,
        regime_rule="any" if regime_rule == "any" else msgspec.UNSET,
        min_votes=min_votes,
        max_spread=max_spread,
        abstain="spread" if abstain == "spread" else "none",
    )
    parts = [Part(folder, Role.VOTE, prior) for folder, prior in _weighed("--vote", vote)]
    parts += [Part(folder, Role.REGIME, low=low, high=high) for folder, low, high in _bounded(regime)]
    words: dict[str, str | bool] = {
        "vote": vote,
        "regime": regime,
        "regime-low": f"{regime_low:g}",
        "regime-high": f"{regime_high:g}",
        "regime-rule": "" if regime_rule == "all" else regime_rule,
        "min-votes": str(min_votes),
        "max-spread": f"{max_spread:g}",
        "abstain": abstain,
        "model-version": model_version,
        "out": f"DIR/{out.name}" if out.is_absolute() else out.as_posix(),
    }
    card = write(out, parts, policy, version=model_version, command=_command("blend", words))
    print(f"{card.name} version {card.version}, {card.model_hash[:12]}")
    for member in card.members:
        bounds = f" bounds {member.low:g} to {member.high:g}" if member.low is not msgspec.UNSET else ""
        print(
            f"  {member.role.value:6} {member.name} {member.model_hash[:12]} prior {member.prior:g}{bounds}"
        )


@app.command(
    help="""Show which columns of a spec a network could do without: nearly constant, or twins of others.

    \b
    Examples:
      training columns --spec entry_15m --lake configs/market --test-start 2024-05-01
    """
)
def columns(
    spec: Annotated[str, typer.Option(help="Feature spec, such as entry_15m.")],
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Bars to read.")] = "5m",
    test_start: Annotated[str, typer.Option(help="Rows from this day on are not looked at.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Show spare columns of the training rows; see `help` above."""
    import msgspec

    from inference.features.spec import SPECS
    from training.labels import BarrierTerms
    from training.provenance import Recipe
    from training.recipe import spare_columns

    if spec not in SPECS:
        raise UsageError(f"--spec: expected one of {', '.join(SPECS)}; found {spec!r}")
    terms = BarrierTerms(SPECS[spec].decision)
    plan = Recipe("columns", SPECS[spec], venue, _timeframe(timeframe), terms, test_start=_day(test_start))
    found = spare_columns(plan, lake)
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    print(f"{len(SPECS[spec].names)} columns, {len(found.dropped)} of them spare")
    for name in found.constant:
        print(f"{name}: nearly constant")
    for kept, twin, related in found.twins:
        print(f"{twin}: correlation {related:.3f} with {kept}")


def main() -> None:
    """Run the command line; every refusal is one line on stderr and an exit code of core.errors."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run with these arguments and give the exit code."""
    try:
        code = app(arguments, prog_name="training", standalone_mode=False)
    except SeamarkError as refused:
        return _refuse(f"training: {refused}", refused.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("training: interrupted; the artifact is as it was", EXIT_INTERRUPTED)
    except TyperException as misused:
        return _refuse(f"training: {misused.format_message()}", EXIT_USAGE)
    return int(code or 0)


def _refuse(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _command(verb: str, words: dict[str, str | bool]) -> str:
    """Give the command line as the card shows it: every decision, no folder of this machine."""
    told = ((f"--{name}", value) for name, value in words.items() if value)
    flags = (flag if value is True else f"{flag} {shlex.quote(str(value))}" for flag, value in told)
    return " ".join((f"training {verb}", *flags))


def _weighed(option: str, text: str) -> Iterator[tuple[Path, float]]:
    for one in _listed(text):
        folder, _, prior = one.partition("=")
        try:
            yield Path(folder), float(prior or 1.0)
        except ValueError as wrong:
            raise UsageError(f"{option}: expected FOLDER or FOLDER=PRIOR; found {one!r}") from wrong


def _bounded(text: str) -> Iterator[tuple[Path, float | None, float | None]]:
    for one in _listed(text):
        folder, given, bounds = one.partition("=")
        low, _, high = bounds.partition(":")
        try:
            yield Path(folder), *((float(low), float(high)) if given else (None, None))
        except ValueError as wrong:
            raise UsageError(f"--regime: expected FOLDER or FOLDER=LOW:HIGH; found {one!r}") from wrong


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _timeframe(text: str) -> Timeframe:
    if text not in (known := [timeframe.value for timeframe in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {text!r}")
    return Timeframe(text)


def _day(text: str, option: str = "--test-start") -> int | None:
    if not text:
        return None
    try:
        return parse_iso(text)
    except ValueError as wrong:
        raise UsageError(f"{option}: expected a date like 2024-05-01; found {text!r}") from wrong


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"--{name.replace('_', '-')}: expected a number above 0; found {value:g}")
