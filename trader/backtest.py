"""The backtest: the desk of live trading, recorded bars, and the exchange model on virtual time.

Must not know sockets, threads or the wall, but for the stopwatch. Called by `trader backtest run`,
by benchmarks and by the test that compares its signals with those of a live run.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Protocol, assert_never

import msgspec

from core.clock import DAY, SECOND, LiveClock
from core.errors import DataError, UsageError
from core.events import (
    BarsClosed,
    Command,
    Decisions,
    Event,
    Fill,
    LinkChange,
    Notice,
    OrderUpdate,
    Prediction,
    Quotes,
    RequestOpinion,
    RequestReconcile,
    SessionStarted,
    Stream,
    Timer,
)
from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.orders import AmendOrder, CancelOrder, OrderState, SubmitOrder
from core.portfolio import ZERO
from core.text import iso
from core.version import VERSION
from feeds.lake import BarArrays, Lake, Series, aggregate
from feeds.replay import replay
from inference.ensemble import Ensemble
from risk.policy import ModelTerms
from trader.backtest_market import close_quote, path
from trader.backtest_opinions import FoldedOpinions
from trader.backtest_result import BacktestResult, Ledger, SignalLine, Tally
from trader.config import Config
from trader.desk import Desk
from trader.models import load_models, terms_of
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import FeeSchedule

MS = 1_000_000


class Opinions(Protocol):
    """Whatever answers the desk's questions about closed bars."""

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in what closed at one instant."""
        ...

    def answer(self, request: RequestOpinion) -> Prediction:
        """Answer from the bars taken in so far."""
        ...


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
    world = _World(config, terms, opinions, start=start, keep_signals=keep_signals)
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


class _World:
    """Desk and exchange, joined by a queue of events in the order of market time."""

    def __init__(
        self,
        config: Config,
        terms: Mapping[str, ModelTerms],
        opinions: Opinions,
        *,
        start: int,
        keep_signals: bool,
    ) -> None:
        self._config = config
        self._start = self._now = start
        self._opinions = opinions
        self._instruments = listed(config.universe.instruments)
        self._exchange = _exchange(config, self._instruments)
        self._models = {name: known.model_hash for name, known in terms.items()}
        self._desk = Desk()
        self._events: deque[Event] = deque()
        self._waiting: dict[str, list[SubmitOrder]] = {}
        self._answers: dict[str, Prediction] = {}
        self._ledgers = {a.name: Ledger(a.cash) for a in config.accounts}
        self._tally = Tally()
        self._keep_signals = keep_signals
        setup = msgspec.msgpack.encode(config.desk_setup(terms, list(self._instruments.values())))
        self._put(SessionStarted(start, start // SECOND, VERSION, config.hash, setup))
        self._put(LinkChange(start, Stream.PUBLIC, up=True))
        for account in config.accounts:
            self._put(LinkChange(start, Stream.PRIVATE, up=True, account=account.name))

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...], source: Sequence[Bar]) -> None:
        """Live through the time up to one closing instant, then through the instant itself."""
        moving: list[Quote] = []
        closing: list[Quote] = []
        active = self._active()
        for bar in source:
            instrument = self._instruments[bar.instrument]
            if bar.instrument in active:
                held, stops = active[bar.instrument]
                moving += path(bar, instrument, held=held, stops=stops)
                closing.append(moving.pop())
            else:
                closing.append(close_quote(bar, instrument))
        self._tally.bars += len(source)
        self._tally.active += len(active)
        moving.sort(key=_time)
        for ts, quotes in groupby(moving, key=_time):
            self._on_quotes(ts, tuple(quotes))
        self._on_quotes(ts_close, tuple(closing))
        self._opinions.on_bars(bars)
        self._put(BarsClosed(ts_close, ts_close, bars))
        if active:  # time exits and open questions; a flat account has neither
            self._put(Timer(ts_close))
        # Orders of this instant arrive before the next bar's first price.
        self._settle(ts_close + SECOND)
        marks = {quote.instrument: quote.mid for quote in closing}
        for ledger in self._ledgers.values():
            ledger.on_marks(marks)

    def result(self, end: int, seconds: float) -> BacktestResult:
        """Sum up."""
        tally, ledgers = self._tally, self._ledgers.values()
        return BacktestResult(
            start=self._start,
            end=end,
            bars=tally.bars,
            active_bars=tally.active,
            seconds=seconds,
            orders=tally.orders,
            fills=sum(ledger.fills for ledger in ledgers),
            round_trips=sum(ledger.closed for ledger in ledgers),
            wins=sum(ledger.wins for ledger in ledgers),
            equity=sum((ledger.equity for ledger in ledgers), ZERO),
            cash=sum((ledger.start for ledger in ledgers), ZERO),
            fees=sum((ledger.portfolio.fees for ledger in ledgers), ZERO),
            max_drawdown=max(ledger.drawdown for ledger in ledgers),
            decisions=tally.decisions,
            refusals=dict(tally.refusals.most_common()),
            notices=dict(tally.notices.most_common()),
            models=self._models,
            config_hash=self._config.hash,
            showcase=self._config.showcase,
            accounts={name: ledger.equity for name, ledger in self._ledgers.items()},
            signals=tally.signals,
            sent=tally.sent,
        )

    def _active(self) -> dict[str, tuple[Decimal, list[Decimal]]]:
        """Give held quantity and stop triggers of every instrument that something could happen to."""
        active: dict[str, tuple[Decimal, list[Decimal]]] = {}
        for name in self._ledgers:
            account = self._exchange.account(name)
            for symbol, position in account.portfolio.positions.items():
                held, stops = active.get(symbol, (ZERO, []))
                active[symbol] = (held + position.quantity, stops)
            for order in account.open.values():
                _, stops = active.setdefault(order.submit.instrument, (ZERO, []))
                if order.trigger_price is not None and order.waits_for_trigger:
                    stops.append(order.trigger_price)
        return active

    def _on_quotes(self, ts: int, quotes: tuple[Quote, ...]) -> None:
        self._settle(ts)
        for quote in quotes:
            self._tell(self._exchange.on_quote(quote))
        self._put(Quotes(ts, quotes))

    def _settle(self, until: int) -> None:
        """Let requests arrive and orders expire, one after the other."""
        while (due := self._exchange.next_due()) is not None and due <= until:
            self._tell(self._exchange.advance(due))

    def _tell(self, reports: Iterable[OrderUpdate | Fill]) -> None:
        for report in reports:
            if isinstance(report, Fill):
                self._ledgers[report.account].on_fill(report)
            self._put(report)
            if isinstance(report, OrderUpdate):
                self._release(report)

    def _release(self, update: OrderUpdate) -> None:
        """Send what waited for this order, or report it as never sent (docs/adr/0006)."""
        if update.state is not OrderState.WORKING and not update.state.terminal:
            return
        for order in self._waiting.pop(update.cl_ord_id, ()):
            if update.state is OrderState.WORKING:
                self._exchange.submit(order, update.ts)
            else:
                reason = f"not sent: {order.after} is {update.state}"
                self._put(
                    OrderUpdate(update.ts, order.account, order.cl_ord_id, OrderState.REJECTED, reason=reason)
                )

    def _put(self, event: Event) -> None:
        """Take one event through the desk, and everything that follows from it at once."""
        self._events.append(event)
        while self._events:
            following = self._events.popleft()
            self._now = max(self._now, following.ts)
            stamped = (
                following if following.ts == self._now else msgspec.structs.replace(following, ts=self._now)
            )
            for command in self._desk.on_event(stamped):
                self._obey(command)

    def _obey(self, command: Command) -> None:
        now = self._now
        match command:
            case SubmitOrder():
                self._tally.orders += 1
                if self._keep_signals:
                    self._tally.sent.append(command)
                if command.after:
                    self._waiting.setdefault(command.after, []).append(command)
                else:
                    self._exchange.submit(command, now)
            case AmendOrder():
                self._exchange.amend(command, now)
            case CancelOrder():
                self._exchange.cancel(command, now)
            case RequestOpinion():
                prediction = msgspec.structs.replace(self._opinions.answer(command), ts=now)
                self._answers[prediction.prediction_id] = prediction
                self._events.append(prediction)
            case RequestReconcile():
                found = self._exchange.reconcile(command.account, command.asked, command.since)
                self._events.append(msgspec.structs.replace(found, ts=now))
            case Decisions():
                self._count(command)
            case Notice():
                self._tally.notices[command.code] += 1
            case _:
                assert_never(command)

    def _count(self, decisions: Decisions) -> None:
        tally = self._tally
        tally.decisions += len(decisions.rows)
        tally.refusals.update(row.rule for row in decisions.rows if row.rule)
        prediction = self._answers.pop(decisions.prediction_id, None)
        if prediction is None or not self._keep_signals:
            return
        opinions = {opinion.instrument: opinion for opinion in prediction.opinions if opinion.ready}
        tally.signals += (
            SignalLine(
                decisions.ts_close,
                decisions.trader,
                row.instrument,
                row.direction,
                o.p_down,
                o.p_hold,
                o.p_up,
            )
            for row in decisions.rows
            if (o := opinions.get(row.instrument)) is not None
        )


def _exchange(config: Config, instruments: Mapping[str, Instrument]) -> Exchange:
    table = config.exchange
    exchange = Exchange(
        instruments,
        fees=FeeSchedule(maker=table.maker_fee, taker=table.taker_fee),
        latency_ns=table.latency_ms * MS,
        seed=table.seed,
    )
    for account in config.accounts:
        exchange.open_account(account.name, account.cash)
    return exchange


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


def _time(quote: Quote) -> int:
    return quote.ts_event
