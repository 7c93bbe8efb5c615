"""Putting a daemon together: configuration to parts, each made once.

Must not run anything by itself. Called by trader.live; the only place where concrete gateways,
models and sessions are chosen.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from core.clock import SECOND, Clock
from core.errors import ConfigError
from core.events import Event, InstrumentsChanged, Prediction, VenuePosition
from core.instrument import Instrument
from core.orders import OrderState
from execution.gateway import Gateway
from execution.live import VenueGateway, VenueUrls
from execution.paper import PaperGateway
from execution.state import unfinished
from feeds.bars import BarBuilder
from feeds.live import FeedLimits, LiveFeed
from feeds.pace import Pace
from feeds.sink import FeedSink
from inference.ensemble import Ensemble
from inference.pipeline import OpinionSource
from inference.predictor import PredictorThread
from risk.state import Mode
from trader import feature_state
from trader.config import Config
from trader.control import Control, Models
from trader.dashboard.server import build_app, login_url, serve
from trader.desk import Desk
from trader.history import HistoryGate, Told, Wanted
from trader.journal import Resume
from trader.kernels import prepare
from trader.models import load_models, terms_of
from trader.notify_systemd import Notifier
from trader.parity_watch import WatchedSource, spread
from trader.recovery import recover
from trader.setup import DeskSetup
from trader.state import ReadModel
from trader.state_desk import Phase
from trader.statedir import StatePaths, api_token, held
from trader.tables import Account as AccountTable
from trader.telemetry import Telemetry
from trader.universe import Selection, select
from venue.client import Credentials, PublicRest
from venue.exchange import Exchange
from venue.limits import ConnectionBudget

if TYPE_CHECKING:
    from feeds.recorder import Recorder


class Parts:
    """Everything a daemon is made of. Made by `gather`, which also owns what must be closed."""

    def __init__(
        self,
        selection: Selection,
        env: Mapping[str, str],
        clock: Clock,
        *,
        paths: StatePaths,
        models: Mapping[str, Ensemble],
        rest: PublicRest,
        recovered: "_Recovered",
    ) -> None:
        """Compose around what was selected; what is traded most is made ready first."""
        config, turnovers = selection.config, selection.turnovers
        self.config = config
        self.clock = clock
        self.paths = paths
        self.rest = rest
        self.connections = ConnectionBudget()
        self.symbols = config.universe.instruments
        self.ranked = tuple(sorted(self.symbols, key=lambda s: -turnovers.get(s, Decimal(0))))
        self.instruments = dict(selection.instruments)
        self.terms = {name: terms_of(model) for name, model in models.items()}
        self.setup: DeskSetup = config.desk_setup(self.terms, tuple(self.instruments.values()))
        self.source = OpinionSource(models, self.symbols, clock.monotonic)
        table = config.inference
        self.watched = WatchedSource(self.source, spread(self.ranked, table.parity_sample))
        feature_state.restore(paths.features, self.source.restore, clock.now())
        self.timeframes = frozenset(t for m in models.values() for t in m.timeframes)
        self.builder = BarBuilder()
        self.pace = Pace(clock)
        self.recorder = _recorder(config, clock)
        self.budget_ns = config.inference.budget_ms * SECOND // 1000
        self.read_model = ReadModel(self.setup, speed=config.clock.speed)
        self.telemetry = Telemetry(self.read_model)
        self.notifier = Notifier(env)
        self.desk, self.resume, self.last_ts = recovered
        refuse_orphans(self.desk, self.setup)
        self._env = env
        self._show_recovered()

    @classmethod
    async def gather(
        cls, config: Config, env: Mapping[str, str], clock: Clock, stack: AsyncExitStack
    ) -> "Parts":
        """Take the state directory, check the models, and ask the venue for its instruments."""
        paths = stack.enter_context(held(config.journal.directory))
        await prepare(clock)
        models = load_models(config)
        recovered = _recovered(paths)
        rest = await stack.enter_async_context(PublicRest(config.venue.rest))
        kept = {symbol for engine in recovered.desk.engines for symbol in engine.in_play()}
        selection = await select(config, rest, paths, clock, kept=kept)
        return cls(selection, env, clock, paths=paths, models=models, rest=rest, recovered=recovered)

    def gateways(self, sink: Callable[[Event], None]) -> dict[str, Gateway]:
        """Give a gateway for each account, by the configured style of execution."""
        if self.config.execution.style == "paper":
            return {a.name: self._paper(a, sink) for a in self.config.accounts}
        urls = VenueUrls(private=self.config.venue.ws_private, rest=self.config.venue.rest)
        made: dict[str, Gateway] = {}
        for account in self.config.accounts:
            key, secret = account.credentials(self._env)
            credentials = Credentials(key.get_secret_value(), secret.get_secret_value())
            made[account.name] = VenueGateway(
                account.name,
                urls,
                credentials,
                self.clock,
                sink,
                currency=account.currency,
                budget=self.connections,
                keys=self.paths.keys,
                any_address=account.any_address,
                holds=self._holds(account.name),
            )
        return made

    def _holds(self, account: str) -> bool:
        """Tell whether an earlier process left a position or an order at the venue."""
        states = (engine.state for engine in self.desk.engines if engine.state.account == account)
        return any(
            state.portfolio.positions or any(map(unfinished, state.execution.orders.values()))
            for state in states
        )

    def feed(self, sink: FeedSink) -> LiveFeed:
        """Give the public feed of the whole universe."""
        table = self.config.feed
        return LiveFeed(
            self.config.venue.ws_public,
            self.ranked,
            self.clock,
            self.builder,
            sink,
            limits=FeedLimits(table.instruments_per_connection, table.books),
            rest=self.rest,
            pace=self.pace,
            budget=self.connections,
            taps=() if self.recorder is None else (self.recorder,),
        )

    def thread(self, deliver: Callable[[Prediction], None]) -> PredictorThread:
        """Give the thread on which the models run; it runs already."""
        return PredictorThread(self.watched, budget_ns=self.budget_ns, clock=self.clock, deliver=deliver)

    def history(
        self, told: Told, thread: PredictorThread, deliver: Callable[[Prediction], None]
    ) -> HistoryGate:
        """Give what stands between the feed and the models."""
        return HistoryGate(
            Wanted(self.ranked, self.timeframes),
            self.rest,
            thread,
            builder=self.builder,
            pace=self.pace,
            clock=self.clock,
            told=told,
            deliver=deliver,
        )

    def learn(self, instruments: Sequence[Instrument]) -> InstrumentsChanged | None:
        """Note what the venue lists now; gives an event if anything differs from what was known."""
        changed = tuple(i for i in instruments if self.instruments.get(i.symbol) not in {None, i})
        self.instruments.update({i.symbol: i for i in changed})
        return InstrumentsChanged(0, changed) if changed else None

    def dashboard(self, control: Control, models: Models) -> AbstractAsyncContextManager[str]:
        """Give the page as a context manager whose value is its one-time login address."""
        return _served(self, control, models)

    def _show_recovered(self) -> None:
        """Let the page begin where the last process ended: positions, guards, brakes."""
        for engine in self.desk.engines:
            known = engine.state
            self.read_model.on_recovered(
                known.account,
                known.portfolio,
                known.execution.orders.values(),
                day_equity=known.risk.day_equity,
            )
            if known.risk.mode is not Mode.ACTIVE:
                why = known.risk.halted or known.risk.reducing or known.risk.paused
                self.read_model.on_brake(Phase(known.risk.mode.value), why)

    def _paper(self, account: AccountTable, sink: Callable[[Event], None]) -> Gateway:
        """Give a simulated account; after a restart it is what the journal says it was."""
        table = self.config.exchange
        exchange = Exchange(
            self.instruments,
            fees=table.fees,
            latency_ns=table.latency_ns,
            latency_sigma=table.latency_sigma,
            rules=msgspec.structs.replace(table.rules, queue=True),
            # Every process draws other execution ids: they are the key that fills are counted by.
            seed=table.seed + self.clock.now() // SECOND,
        )
        known = next((e.state for e in self.desk.engines if e.state.account == account.name), None)
        if known is None:
            exchange.open_account(account.name, account.cash)
        else:
            held_positions = known.portfolio.positions.values()
            exchange.adopt(
                account.name,
                known.portfolio.cash,
                [VenuePosition(p.instrument, p.quantity, p.cost) for p in held_positions],
                [o for o in known.execution.orders.values() if o.state is OrderState.WORKING],
                self.clock.now(),
            )
        return PaperGateway(account.name, exchange, self.clock, sink)


def refuse_orphans(desk: Desk, setup: DeskSetup) -> None:
    """Insist that every instrument with a position or an open order still has its trader.

    Raises ConfigError: an engine that lost the instrument could neither guard nor close it.
    """
    kept = {trader.account: set(trader.instruments) for trader in setup.traders}
    for state in (engine.state for engine in desk.engines):
        orders = state.execution.orders.values()
        held = {*state.portfolio.positions, *(o.submit.instrument for o in orders if unfinished(o))}
        if lost := sorted(held - kept.get(state.account, set())):
            names = ", ".join(lost)
            msg = f"account {state.account}: expected a trader of {names}, which is still open; found none"
            raise ConfigError(msg)


@asynccontextmanager
async def _served(parts: Parts, control: Control, models: Models) -> AsyncIterator[str]:
    table = parts.config.dashboard
    app = build_app(
        parts.read_model,
        control,
        token=api_token(parts.paths),
        clock=parts.clock,
        metrics=parts.telemetry.exposition,
        models=models,
    )
    async with serve(app, table.host, table.port) as base:
        parts.paths.address.write_text(base)
        try:
            yield login_url(app, base)
        finally:
            parts.paths.address.unlink(missing_ok=True)


def _recorder(config: Config, clock: Clock) -> "Recorder | None":
    table = config.recorder
    if not table.enabled or table.directory is None:
        return None
    from feeds.recorder import Recorder  # noqa: PLC0415 - polars: 23 MB that nothing else here needs

    return Recorder(table.directory, config.venue.name, clock, instruments=table.instruments)


class _Recovered(NamedTuple):
    """What an earlier process left: its desk, where its journal goes on, its last moment."""

    desk: Desk
    resume: Resume | None
    last_ts: int


def _recovered(paths: StatePaths) -> _Recovered:
    if not paths.journal.exists():
        return _Recovered(Desk(), None, 0)
    recovered = recover(paths.journal)
    return _Recovered(recovered.desk, recovered.resume, recovered.last_ts)
