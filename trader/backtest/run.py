"""The backtest: the desk of live trading, recorded bars, and the exchange model on virtual time.

Must not know sockets, threads or the wall, but for the stopwatch. Called by `trader backtest run`,
by benchmarks and by the test that compares its signals with those of a live run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from core.clock import DAY, SECOND, LiveClock
from core.errors import DataError, UsageError
from core.market import Bar, Timeframe
from core.text import iso
from feeds.replay import replay
from inference.ensemble import Ensemble
from risk.policy import ModelTerms
from trader.backtest import sparse
from trader.backtest.budget import MEMORY_MB, Span, planned
from trader.backtest.card import card
from trader.backtest.delay import heard_later
from trader.backtest.listings import relistings
from trader.backtest.opinion_cache import OpinionCache, key_of
from trader.backtest.opinion_table import TabledOpinions
from trader.backtest.opinions import FoldedOpinions, entangled
from trader.backtest.result import BacktestResult
from trader.backtest.source import GridLake, Recorded, series_of
from trader.backtest.world import Opinions, World
from trader.config import Config
from trader.models import load_models, terms_of
from venue.exchange_listing import listed


def run(
    config: Config,
    lake_root: Path,
    start: int,
    end: int,
    *,
    opinions: Opinions | None = None,
    keep_signals: bool = False,
    on_day: Callable[[int], None] | None = None,
    dense: bool = False,
    cache: Path | None = None,
    memory_mb: int = MEMORY_MB,
    delay_bars: int = 0,
) -> BacktestResult:
    """Trade [start, end) of the lake, ns UTC at midnight, with everything warm at `start`.

    `opinions` replaces the models' own answers (a script in tests). Only instruments at which something
    can happen are looked at, to the same end bit for bit as `dense` has it, which visits every bar; so do
    `keep_signals`, which lists every opinion, and opinions that are not in tables. `cache` is a folder
    where the models' answers are kept and found again, `delay_bars` lets risk hear each of them so many
    decision bars later. `on_day` is told each UTC day that is done, for progress. Raises UsageError for a
    span that is not whole days and for a run that does not fit `memory_mb`, DataError for a lake without
    the instruments.
    """
    if start % DAY or end % DAY or end <= start:
        raise UsageError(f"expected whole UTC days, first before last; found {iso(start)} to {iso(end)}")
    models = _entering(config)
    lake = GridLake(lake_root, config)
    series = series_of(lake, config)
    terms = {name: terms_of(model) for name, model in models.items()}
    needed = sorted({t for model in models.values() for t in model.timeframes}, key=lambda t: t.ns)
    since = start if opinions else max(0, start - _warm_up(models))
    span = Span(len(series), series[0].timeframe, since, start, end)
    plan = planned(span, list(models.values()), memory_mb, folds=opinions is None)
    recorded = Recorded(lake, series, since, end, keep=plan.keep)
    clock = LiveClock()
    began = clock.monotonic()
    heard, found = "given", recorded.content_hash()
    if opinions is None:
        opinions, heard = _tabled(models, recorded, found, None if cache is None else OpinionCache(cache))
    if delay_bars:
        opinions = heard_later(opinions, delay_bars)
    instruments = listed(config.universe.instruments)
    history = relistings(lake_root, instruments, start, end)
    world = World(config, terms, opinions, start=start, keep_signals=keep_signals, relistings=history or ())
    if dense or keep_signals or not isinstance(opinions, TabledOpinions):
        instants = _told(replay(lake, series, start, end, timeframes=needed), on_day)
        _live_dense(world, instants, series[0].timeframe)
    else:
        sparse.live(
            world,
            recorded.panels(start, [model.decision for model in models.values()], days=plan.panel_days),
            _seats(config, terms, opinions),
            instruments=instruments,
            wakes=[change.ts for change in history or ()],
            on_day=on_day,
        )
    result = world.result(end, (clock.monotonic() - began) / SECOND)
    made = card(
        config,
        models,
        recorded,
        result,
        data_hash=found,
        delay_bars=delay_bars,
        point_in_time=history is not None,
    )
    return msgspec.structs.replace(result, card=made, opinions=heard, estimate_mb=plan.estimate_mb)


def whole_span(config: Config, lake_root: Path) -> tuple[int, int]:
    """Give the longest [start, end) in whole days that all instruments share and that begins warm."""
    models = _entering(config)
    lake = GridLake(lake_root, config)
    bars = [lake.read(*one).ts_open for one in series_of(lake, config)]
    first = max(int(times[0]) for times in bars)
    last = min(int(times[-1]) for times in bars)
    start = -(-(first + _warm_up(models)) // DAY) * DAY
    end = last // DAY * DAY
    if end <= start:
        needed = _warm_up(models) // DAY
        raise DataError(
            f"{lake_root}: expected more than {needed} days of bars, which the features need; "
            f"found {(last - first) // DAY}"
        )
    return start, end


def simulate(
    config: Config,
    terms: Mapping[str, ModelTerms],
    opinions: Opinions,
    instants: Iterable[tuple[int, tuple[Bar, ...]]],
    *,
    start: int,
    end: int,
    source: Timeframe,
    keep_signals: bool = True,
) -> BacktestResult:
    """Trade closing instants as feeds.replay gives them, every one; `source` is their finest timeframe."""
    clock = LiveClock()
    began = clock.monotonic()
    world = World(config, terms, opinions, start=start, keep_signals=keep_signals)
    _live_dense(world, instants, source)
    return world.result(end, (clock.monotonic() - began) / SECOND)


def trade(
    config: Config,
    recorded: Recorded,
    opinions: TabledOpinions,
    terms: Mapping[str, ModelTerms],
    *,
    start: int,
    end: int,
) -> BacktestResult:
    """Trade opinions in tables on bars that are read already: no model, no card, listed all the time.

    For answers that were kept, of models that may have no file. As `run` does it with the same opinions.
    """
    clock = LiveClock()
    began = clock.monotonic()
    world = World(config, terms, opinions, start=start, keep_signals=False)
    sparse.live(
        world,
        recorded.panels(start, [one.decision for one in terms.values()], days=(end - start) // DAY),
        _seats(config, terms, opinions),
        instruments=listed(config.universe.instruments),
        wakes=(),
        on_day=None,
    )
    return world.result(end, (clock.monotonic() - began) / SECOND)


def span_opinions(config: Config, lake_root: Path, start: int, end: int) -> FoldedOpinions:
    """Give the models' opinions about [start, end), to be used for more than one run."""
    models = _entering(config)
    lake = GridLake(lake_root, config)
    needed = sorted({t for model in models.values() for t in model.timeframes}, key=lambda t: t.ns)
    recorded = Recorded(lake, series_of(lake, config), max(0, start - _warm_up(models)), end, keep=True)
    return FoldedOpinions(models, recorded.histories(needed), votes=False)


def _tabled(
    models: Mapping[str, Ensemble], recorded: Recorded, data_hash: str, kept: OpinionCache | None
) -> tuple[TabledOpinions, str]:
    """Give all opinions, those that are kept and the rest worked out, and where they came from."""
    together = entangled(models.values())
    beside = models.values() if together else ()
    keys = {name: key_of(model, data_hash, beside=beside) for name, model in models.items()} if kept else {}
    tables = {name: table for name, key in keys.items() if kept and (table := kept.get(key))}
    if together and len(tables) < len(models):
        tables = {}  # they are worked out together or not at all
    missing = {name: model for name, model in models.items() if name not in tables}
    told = f"{len(tables)} of {len(models)} kept from before"
    if missing:
        needed = sorted({t for model in missing.values() for t in model.timeframes}, key=lambda t: t.ns)
        made = FoldedOpinions(missing, recorded.histories(needed), votes=False).tables
        for name, table in made.items():
            if kept:
                kept.put(keys[name], table)
        tables |= made
    refused = "".join(f"; refused {damaged}" for damaged in kept.refused) if kept else ""
    return TabledOpinions(tables), told + refused


def _seats(config: Config, terms: Mapping[str, ModelTerms], opinions: TabledOpinions) -> list[sparse.Seat]:
    setup = config.desk_setup(terms, list(listed(config.universe.instruments).values()))
    return [sparse.Seat(trader, opinions.tables[trader.name]) for trader in setup.traders]


def _live_dense(world: World, instants: Iterable[tuple[int, tuple[Bar, ...]]], source: Timeframe) -> None:
    for ts_close, bars in instants:
        finest = [bar for bar in bars if bar.timeframe is source]
        world.on_bars(ts_close, bars, finest)
        world.count(len(finest))


def _told(
    instants: Iterable[tuple[int, tuple[Bar, ...]]], on_day: Callable[[int], None] | None
) -> Iterator[tuple[int, tuple[Bar, ...]]]:
    for ts_close, bars in instants:
        if on_day is not None and ts_close % DAY == 0:
            on_day(ts_close)
        yield ts_close, bars


def _entering(config: Config) -> dict[str, Ensemble]:
    """Give the models as far as they are asked here: nobody asks a manager, so its bars need not be there."""
    return {name: model.entering for name, model in load_models(config).items()}


def _warm_up(models: Mapping[str, Ensemble]) -> int:
    """Give the time before the first decision that the features need, in whole days of ns."""
    needed = max(model.warm_up_ns for model in models.values())
    return (needed // DAY + 2) * DAY
