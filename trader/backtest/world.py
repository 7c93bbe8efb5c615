"""Desk and exchange of a backtest, joined by one queue of events in the order of market time.

Must not know files, models or the wall. Called by trader.backtest.run.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, Protocol, assert_never

import msgspec

from core.clock import DAY, SECOND
from core.events import (
    BarsClosed,
    Command,
    Decisions,
    Event,
    Fill,
    InstrumentsChanged,
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
from core.market import Bar, Quote
from core.orders import AmendOrder, CancelOrder, OrderState, SubmitOrder
from core.portfolio import ZERO
from core.version import VERSION
from risk.policy import ModelTerms
from trader.backtest.books import Books
from trader.backtest.exchange import open_exchange, stakes
from trader.backtest.ledger import curve_rows, pairs_rows
from trader.backtest.listings import Relisting
from trader.backtest.quotes import close_quote, path, turn
from trader.backtest.result import BacktestResult, SignalLine, Tally
from trader.config import Config
from trader.desk import Desk
from trader.setup import DeskSetup
from venue.exchange import NOBODY
from venue.exchange_listing import listed
from venue.exchange_orders import Change, ChangeKind

NOTHING: Mapping[str, int] = {}


class Opinions(Protocol):
    """Whatever answers the desk's questions about closed bars."""

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in what closed at one instant."""
        ...

    def answer(self, request: RequestOpinion) -> Prediction:
        """Answer from the bars taken in so far."""
        ...


_AT_ONCE: Final = (NOBODY, 0)


class World:
    """Desk and exchange, joined by a queue of events in the order of market time."""

    def __init__(
        self,
        config: Config,
        terms: Mapping[str, ModelTerms],
        opinions: Opinions,
        *,
        start: int,
        keep_signals: bool,
        relistings: Sequence[Relisting] = (),
    ) -> None:
        self._config = config
        self._start = self._now = start
        self._opinions = opinions
        self._instruments = listed(config.universe.instruments)
        self.books = Books(config.accounts, self._why)
        self._exchange = open_exchange(config, self._instruments, self._on_change)
        self._unasked: set[str] = set()  # accounts at which the exchange did something by itself
        self._models = {name: known.model_hash for name, known in terms.items()}
        self._desk = Desk()
        self._events: deque[Event] = deque()
        self._later: dict[str, tuple[frozenset[str], int]] = {}  # whose targets wait, and until when
        self._waiting: dict[str, list[SubmitOrder]] = {}
        self._under_way: dict[str, SubmitOrder] = {}  # what has not ended, by client id
        self.restless = True
        """Whether something happened after the last closing instant's prices."""
        self._answers: dict[str, Prediction] = {}
        self._tally = Tally()
        self._keep_signals = keep_signals
        self._relistings = deque(relistings)
        setup = _trusting(config.desk_setup(terms, list(self._instruments.values())))
        encoded = msgspec.msgpack.encode(setup)
        self._put(SessionStarted(start, start // SECOND, VERSION, config.hash, encoded))
        self._put(LinkChange(start, Stream.PUBLIC, up=True))
        for account in config.accounts:
            self._put(LinkChange(start, Stream.PRIVATE, up=True, account=account.name))

    @property
    def desk(self) -> Desk:
        """The desk, for read-only looks."""
        return self._desk

    @property
    def exposed(self) -> frozenset[str]:
        """Give the instruments on which anything is open at the exchange or on its way there."""
        held = (self._exchange.account(name).portfolio.positions for name in self.books.ledgers)
        return frozenset(order.instrument for order in self._under_way.values()).union(*held)

    def count(self, bars: int, refused: Mapping[str, int] = NOTHING) -> None:
        """Count finest bars that were lived through, and refusals that a sparse run did not ask for."""
        self._tally.bars += bars
        self._tally.decisions += sum(refused.values())
        self._tally.refusals.update(refused)

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...], source: Sequence[Bar]) -> None:
        """Live through the time up to one closing instant, then through the instant itself."""
        self._relist(ts_close)
        moving: list[Quote] = []
        closing: list[Quote] = []
        active = stakes(self._exchange, self.books.ledgers, self._under_way.values())
        for bar in source:
            instrument = self._instruments[bar.instrument]
            if bar.instrument in active:
                stake = active[bar.instrument]
                if against := stake.against:
                    self._later[bar.instrument] = against, turn(bar)
                moving += path(
                    bar,
                    instrument,
                    held=stake.held,
                    stops=stake.stops,
                    limits=stake.limits,
                    again=bool(against),
                )
                closing.append(moving.pop())
            else:
                closing.append(close_quote(bar, instrument))
        self._tally.active += len(active)
        for symbol in active.keys() - {bar.instrument for bar in source}:
            self._exchange.dry_up(symbol)  # no bar, no market: what is open leaves when there is one again
        moving.sort(key=_time)
        for ts, quotes in groupby(moving, key=_time):
            self._on_quotes(ts, tuple(quotes))
        self._on_quotes(ts_close, tuple(closing))
        # Before what follows from this close: the hour that ends now ends at its own prices.
        self.books.on_marks(ts_close, {quote.instrument: quote.mid for quote in closing})
        self._later.clear()
        self.restless = False
        self._opinions.on_bars(bars)
        self._put(BarsClosed(ts_close, ts_close, bars))
        if active:  # time exits and open questions; a flat account has neither
            self._put(Timer(ts_close))
            self._compare()
        # Orders of this instant arrive before the next bar's first price.
        self._settle(ts_close + SECOND)

    def result(self, end: int, seconds: float) -> BacktestResult:
        """Sum up."""
        tally, ledgers = self._tally, list(self.books.ledgers.values())
        self.books.finish(end, {})  # what is open has its last mark
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
            fees=sum((ledger.fees for ledger in ledgers), ZERO),
            max_drawdown=max(ledger.drawdown for ledger in ledgers),
            decisions=tally.decisions,
            refusals=dict(tally.refusals.most_common()),
            notices=dict((tally.notices + self.books.margin_calls()).most_common()),
            models=self._models,
            config_hash=self._config.hash,
            showcase=self._config.showcase,
            accounts={ledger.account: ledger.equity for ledger in ledgers},
            signals=tally.signals,
            sent=tally.sent,
            trips=tuple(
                sorted((t for one in ledgers for t in one.trips), key=lambda t: (t.closed, t.account))
            ),
            curve=curve_rows(ledgers),
            pairs=pairs_rows(ledgers),
        )

    def _on_quotes(self, ts: int, quotes: tuple[Quote, ...]) -> None:
        self._settle(ts)
        for quote in quotes:
            against, until = self._later.get(quote.instrument, _AT_ONCE)
            self._tell(self._exchange.on_quote(quote, against if ts < until else NOBODY))
        self._put(Quotes(ts, quotes))

    def _relist(self, ts_close: int) -> None:
        """Tell the desk what has come to the exchange or left it; what is open there may still be closed."""
        while self._relistings and self._relistings[0].ts <= ts_close:
            self._put(InstrumentsChanged(self._now, self._relistings.popleft().instruments))

    def _settle(self, until: int) -> None:
        """Let requests arrive and orders expire, one after the other."""
        while (due := self._exchange.next_due()) is not None and due <= until:
            self._tell(self._exchange.advance(due))

    def _tell(self, reports: Iterable[OrderUpdate | Fill]) -> None:
        for report in reports:
            self.restless = True
            if isinstance(report, OrderUpdate) and report.state.terminal:
                self._under_way.pop(report.cl_ord_id, None)
            self._put(report)
            if isinstance(report, OrderUpdate):
                self._release(report)

    def _on_change(self, change: Change) -> None:
        self.books.on_change(change)
        if change.kind is ChangeKind.ROLLED or (change.order and change.order.terms.liquidation):
            self._unasked.add(change.account)

    def _compare(self) -> None:
        """Show the desk the account where the exchange did something that nobody had asked for."""
        for account in sorted(self._unasked):
            found = self._exchange.reconcile(account)
            self.restless = True
            self._put(msgspec.structs.replace(found, ts=self._now, asked_at=self._now))
        self._unasked.clear()

    def _why(self, account: str, instrument: str) -> str:
        """Give the desk's reason for being flat in an instrument."""
        state = next(e.state for e in self._desk.engines if e.state.account == account)
        intent = state.execution.intents.get(instrument)
        return intent.reason if intent is not None and intent.target == 0 else ""

    def _release(self, update: OrderUpdate) -> None:
        """Send what waited for this order, or report it as never sent (docs/adr/0006)."""
        if update.state is not OrderState.WORKING and not update.state.terminal:
            return
        for order in self._waiting.pop(update.cl_ord_id, ()):
            if update.state is OrderState.WORKING:
                self._exchange.submit(order, update.ts)
            else:
                reason = f"not sent: {order.after} is {update.state}"
                self._under_way.pop(order.cl_ord_id, None)
                self._put(
                    OrderUpdate(update.ts, order.account, order.cl_ord_id, OrderState.REJECTED, reason=reason)
                )

    def _cancel(self, command: CancelOrder, now: int) -> None:
        """Take an order back; one that still waits for its stop was never sent, and never will be."""
        for waiting in self._waiting.values():
            for order in waiting:
                if order.cl_ord_id == command.cl_ord_id:
                    waiting.remove(order)
                    self._under_way.pop(order.cl_ord_id, None)
                    reason = f"never sent: waited for {order.after}"
                    self._events.append(
                        OrderUpdate(now, order.account, order.cl_ord_id, OrderState.CANCELED, reason=reason)
                    )
                    return
        self._exchange.cancel(command, now)

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
                self._tally.sent.append(command)
                self._under_way[command.cl_ord_id] = command
                if command.after:
                    self._waiting.setdefault(command.after, []).append(command)
                else:
                    self._exchange.submit(command, now)
            case AmendOrder():
                self._exchange.amend(command, now)
            case CancelOrder():
                self._cancel(command, now)
            case RequestOpinion():
                prediction = msgspec.structs.replace(self._opinions.answer(command), ts=now)
                self._answers[prediction.prediction_id] = prediction
                self._events.append(prediction)
            case RequestReconcile():
                self.restless = True
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


def _trusting(setup: DeskSetup) -> DeskSetup:
    """Let the desk compare with the exchange once a day: reports are never lost here (see _compare)."""
    traders = tuple(
        msgspec.structs.replace(trader, timing=msgspec.structs.replace(trader.timing, poll_s=DAY / SECOND))
        for trader in setup.traders
    )
    return msgspec.structs.replace(setup, traders=traders)


def _time(quote: Quote) -> int:
    return quote.ts_event
