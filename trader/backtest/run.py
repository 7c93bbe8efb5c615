"""The backtest: the desk of live trading, recorded bars, and the exchange model on virtual time.

Must not know sockets, threads or the wall, but for the stopwatch. Called by `trader backtest run`,
by benchmarks and by the test that compares its signals with those of a live run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from core.clock import DAY, SECOND, LiveClock
from core.errors import DataError, UsageError
from core.market import Bar, Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series, aggregate
from feeds.replay import replay
from inference.ensemble import Ensemble
from risk.policy import ModelTerms
from trader.backtest.opinions import FoldedOpinions
from trader.backtest.result import BacktestResult
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
    keep_signals: bool = True,
    on_day: Callable[[int], None] | None = None,
) -> BacktestResult:
    """Trade [start, end) of the lake, ns UTC at midnight, with everything warm at `start`.

    `opinions` replaces the models' own answers (a cache in benchmarks, a script in tests); `on_day`
    is told each UTC day that is done, for progress. Raises UsageError for a span that is not whole
    days, DataError for a lake without the instruments.
    """
    if start % DAY or end % DAY or end <= start:
        raise UsageError(f"expected whole UTC days, first before last; found {iso(start)} to {iso(end)}")
    models = load_models(config)
    lake = _GridLake(lake_root, config)
    series = _series(lake, config)
    needed = sorted({t for model in models.values() for t in model.timeframes}, key=lambda t: t.ns)
    return simulate(
        config,
        {name: terms_of(model) for name, model in models.items()},
        opinions or _folded(models, lake, series, start, end),
        _told(replay(lake, series, start, end, timeframes=needed), on_day),
        start=start,
        end=end,
        source=series[0].timeframe,
        keep_signals=keep_signals,
    )


def whole_span(config: Config, lake_root: Path) -> tuple[int, int]:
    """Give the longest [start, end) in whole days that all instruments share and that begins warm."""
    models = load_models(config)
    lake = _GridLake(lake_root, config)
    bars = [lake.read(*one).ts_open for one in _series(lake, config)]
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
    """Trade closing instants as feeds.replay gives them; `source` is the finest timeframe in them."""
    world = World(config, terms, opinions, start=start, keep_signals=keep_signals)
    clock = LiveClock()
    began = clock.monotonic()
    for ts_close, bars in instants:
        world.on_bars(ts_close, bars, [bar for bar in bars if bar.timeframe is source])
    return world.result(end, (clock.monotonic() - began) / SECOND)


def span_opinions(config: Config, lake_root: Path, start: int, end: int) -> FoldedOpinions:
    """Give the models' opinions about [start, end), to be used for more than one run."""
    models = load_models(config)
    lake = _GridLake(lake_root, config)
    return _folded(models, lake, _series(lake, config), start, end)


def _folded(
    models: Mapping[str, Ensemble], lake: Lake, series: Sequence[Series], start: int, end: int
) -> FoldedOpinions:
    needed = {t for model in models.values() for t in model.timeframes}
    since = max(0, start - _warm_up(models))
    histories = {}
    for one in series:
        bars = lake.read(*one, start=since, end=end)
        histories[one.instrument] = {timeframe: aggregate(bars, timeframe) for timeframe in needed}
    return FoldedOpinions(models, histories)


class _GridLake(Lake):
    """A lake whose prices come back on each instrument's grid, as the live feed gives them."""

    def __init__(self, root: Path, config: Config) -> None:
        super().__init__(root)
        self._grids = {i.symbol: i.price_increment for i in listed(config.universe.instruments).values()}

    def read(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe,
        *,
        start: int | None = None,
        end: int | None = None,
        price_increment: Decimal | None = None,
    ) -> BarArrays:
        """Read as Lake does, on the grid that the exchange model lists."""
        grid = price_increment or self._grids.get(instrument)
        return super().read(venue, instrument, timeframe, start=start, end=end, price_increment=grid)


def _told(
    instants: Iterable[tuple[int, tuple[Bar, ...]]], on_day: Callable[[int], None] | None
) -> Iterable[tuple[int, tuple[Bar, ...]]]:
    for ts_close, bars in instants:
        if on_day is not None and ts_close % DAY == 0:
            on_day(ts_close)
        yield ts_close, bars


def _series(lake: Lake, config: Config) -> list[Series]:
    """Give one series of each instrument, all of the finest timeframe that they share."""
    symbols = config.universe.instruments
    found = [one for one in lake.series() if one.venue == config.exchange.source]
    held = {symbol: {one.timeframe for one in found if one.instrument == symbol} for symbol in symbols}
    missing = [symbol for symbol in symbols if not held[symbol]]
    if missing:
        raise DataError(
            f"{lake.root}: expected {config.exchange.source} bars of {', '.join(missing)}; found none"
        )
    shared = set.intersection(*held.values())
    if not shared:
        raise DataError(
            f"{lake.root}: expected a timeframe that all {len(symbols)} instruments share; found none"
        )
    finest = min(shared, key=lambda timeframe: timeframe.ns)
    return [Series(config.exchange.source, symbol, finest) for symbol in symbols]


def _warm_up(models: Mapping[str, Ensemble]) -> int:
    """Give the time before the first decision that the features need, in whole days of ns."""
    needed = max(model.warm_up_ns for model in models.values())
    return (needed // DAY + 2) * DAY
