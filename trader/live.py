"""The asyncio shell: sockets, threads, signals and the journal around one synchronous desk.

Must not know how decisions are made. Called by `trader run` and `trader demo`. Every task lives in
one TaskGroup: when any of them fails the process ends, and what rests at the venue protects.
"""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from core.clock import SECOND, Clock
from core.errors import EXIT_RISK_HALT, SeamarkError, TemporaryError
from core.events import (
    MUTATING,
    BarsClosed,
    Command,
    Decisions,
    Event,
    Fill,
    InstrumentQuality,
    LinkChange,
    Operator,
    OrderUpdate,
    Prediction,
    QualityChanged,
    Reconciled,
    RequestOpinion,
    RequestReconcile,
    SessionStarted,
    Stream,
    Timer,
    Verb,
)
from core.instrument import Instrument
from core.market import Bar, Quote, Trade
from core.version import VERSION
from execution.paper import PaperGateway
from feeds.quality import Verdict
from risk.state import Mode
from trader import state_view
from trader.assemble import Parts
from trader.config import Config
from trader.control import Health, Question
from trader.door import Door
from trader.journal import Journal
from trader.model_desk import ModelDesk
from trader.notify_systemd import READY, STOPPING, WATCHDOG
from trader.outbox import Outbox
from trader.reload import Changes
from trader.stages import StageClock
from trader.summary import RunSummary
from trader.upkeep import Upkeep

log = structlog.get_logger()

TICK_S = 0.25
LIVE_WITHIN = 5 * SECOND
DRAIN_POLL_S = 0.05
SWITCH_S = 0.0005
SNAPSHOT_STEPS = 50_000
"""Steps after which the desk is kept: what a crash leaves to fold again is seconds of work."""


class _Stopped(Exception):
    """Raised inside the TaskGroup to end it on purpose."""


class Daemon:
    """One running desk. `stop` ends it in good order; a failing task ends it at once."""

    def __init__(self, parts: Parts, journal: Journal, *, started: int) -> None:
        """Wire the parts together; `started` is a monotonic reading from the start of the process."""
        self.parts = parts
        self.clock: Clock = parts.clock
        self.desk = parts.desk
        self.journal = journal
        self.read_model = parts.read_model
        self.telemetry = parts.telemetry
        self.notifier = parts.notifier
        self.summary = RunSummary(self.clock, started=started)
        self.door = Door(self.clock, last_ts=parts.last_ts)
        gateways = parts.gateways(self.door.put)
        self.stages = StageClock(self.clock, self.read_model, self.telemetry)
        watch = partial(self.stages.watch, "order")
        self.outboxes = {name: Outbox(gateway, watch=watch) for name, gateway in gateways.items()}
        self._simulated = [g for g in gateways.values() if isinstance(g, PaperGateway)]
        self.feed = parts.feed(self)
        self.thread = parts.thread(self._predicted)
        self.history = parts.history(self, self.thread, self._predicted)
        self.models = ModelDesk(parts.source, self.thread, lambda: self.read_model.setup, self.clock)
        self._sampled = 0
        self.upkeep = Upkeep(
            parts.watched,
            self.models.worker,
            parts.paths.features,
            table=parts.config.inference,
            clock=self.clock,
            board=self.read_model,
            cold=lambda: self.history.cold,
            repair=self.history.on_hole,
            put=self.door.put,
        )
        self.changes = Changes(
            parts.config,
            parts.terms,
            parts.setup.instruments,
            models=self.models,
            put=self.door.put,
            tell=self.read_model.on_notice,
        )
        self._beat = self.clock.monotonic()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def config(self) -> Config:
        """Give the configuration in force."""
        return self.changes.config

    # ---- life ----

    async def run(self, *, on_ready: Callable[["Daemon"], None] | None = None) -> int:
        """Trade until stopped; gives the exit code."""
        setup = msgspec.msgpack.encode(self.parts.setup)
        session = self.clock.now() // SECOND
        self.door.put(SessionStarted(0, session, VERSION, self.config.hash, setup))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.journal.run())
                group.create_task(self._decide())
                group.create_task(self._tick())
                group.create_task(self.feed.run())
                group.create_task(self.history.run())
                group.create_task(self.changes.run())
                group.create_task(self.upkeep.run())
                if self.parts.recorder is not None:
                    group.create_task(self.parts.recorder.run())
                for outbox in self.outboxes.values():
                    group.create_task(outbox.run())
                self._on_signals()
                self.notifier.send(READY)
                if on_ready is not None:
                    on_ready(self)
                await self._until_stopped()
        except* _Stopped:
            pass
        finally:
            self.notifier.send(STOPPING)
            self.history.stop()
        await self.journal.snapshot(self.desk.snapshot())
        halted = any(engine.state.risk.mode is Mode.HALTED for engine in self.desk.engines)
        return EXIT_RISK_HALT if halted else 0

    async def _until_stopped(self) -> None:
        await self._ended.wait()
        await self._drain()
        raise _Stopped

    def stop(self) -> None:
        """Ask for an orderly end: entries are cancelled, protection stays at the venue."""
        self._ended.set()

    async def _drain(self) -> None:
        await self.submit(
            Verb.FLATTEN if self.config.shutdown.flatten else Verb.DRAIN, "shutdown", "stopping"
        )
        deadline = self.clock.monotonic() + int(self.config.shutdown.timeout_s * SECOND)
        while self.clock.monotonic() < deadline and not self._quiet():  # noqa: ASYNC110 - the state of a desk has no event
            await asyncio.sleep(DRAIN_POLL_S)
        with suppress(TemporaryError):  # the models hang: a restart begins with history
            await self.upkeep.keep()
        await self.journal.commit()

    def _quiet(self) -> bool:
        flatten = self.config.shutdown.flatten
        return all(
            not engine.orders_under_way() and not (flatten and engine.state.portfolio.positions)
            for engine in self.desk.engines
        )

    def _on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_hangup(self) -> None:
        """Read the configuration anew; the demonstration has none to read: its terminal was closed."""
        if self.changes.read is None:
            self.stop()
        else:
            self.changes.ask()

    # ---- the loop of decisions ----

    async def _decide(self) -> None:
        while True:
            event, journaled = await self.door.next()
            began = self.clock.monotonic()
            commands = self.desk.on_event(event)
            if isinstance(event, Prediction):
                self.stages.on_prediction(event, self.clock.monotonic() - began)
            step = self.journal.append(
                event, commands, self.desk.labels, self._release(event.ts, commands, journaled)
            )
            self.read_model.on_step(step.seq, event, commands)
            self.telemetry.on_step(step.seq, event, commands)
            self.summary.on_step(event, commands)
            self._inform(event, commands)
            if step.seq % SNAPSHOT_STEPS == 0:
                await self.journal.snapshot(self.desk.snapshot())
            self._beat = self.clock.monotonic()
            await asyncio.sleep(0)

    def _release(
        self, ts: int, commands: Sequence[Command], journaled: Callable[[], None] | None
    ) -> Callable[[], None] | None:
        """Give what to do once the step is durable: only then does anything leave."""
        leaving = [c for c in commands if isinstance(c, (*MUTATING, RequestReconcile))]
        if not leaving and journaled is None:
            return None

        committed = self.stages.watch("journal")

        def release() -> None:
            committed()
            for command in leaving:
                self.outboxes[command.account].put(command)
            if journaled is not None:
                journaled()

        return release

    def _inform(self, event: Event, commands: Sequence[Command]) -> None:
        """Feed the opinion source and measure decisions; none of it touches the venue."""
        if isinstance(event, BarsClosed):
            self.history.on_bars(event.ts_close, event.bars)
            self._sample(event)
        if isinstance(event, (Fill, OrderUpdate, Reconciled)) or any(
            isinstance(c, MUTATING) for c in commands
        ):
            self.feed.play(frozenset[str]().union(*(engine.in_play() for engine in self.desk.engines)))
        for command in commands:
            if isinstance(command, RequestOpinion):
                self.stages.on_request(command.ts_close)
                self.history.request(command)
            elif isinstance(command, Decisions) and isinstance(event, Prediction) and event.opinions:
                self._measure(event, len(command.rows))

    def _sample(self, closed: BarsClosed) -> None:
        """Hand over what the books look like, once a close: laggards close bars of it again."""
        if closed.ts_close > self._sampled:
            self._sampled = closed.ts_close
            quotes = tuple(self.read_model.market.quotes.values())
            self.thread.on_tops(closed.ts, quotes, self.feed.depths())

    def _measure(self, event: Prediction, rows: int) -> None:
        taken = self.stages.since_close(event.ts_close)
        if taken is not None:
            self.read_model.on_latency(taken, rows)
            self.telemetry.on_latency(taken)
            self.summary.on_latency(taken)

    async def _tick(self) -> None:
        while True:
            due = self.clock.monotonic() + int(TICK_S * SECOND)
            await asyncio.sleep(TICK_S)
            self.telemetry.on_loop_lag((self.clock.monotonic() - due) / SECOND)
            self.door.put(Timer(0))
            if self.health().live:
                self.notifier.send(WATCHDOG)

    # ---- what the feed says (feeds.sink.FeedSink) ----

    def on_trade(self, trade: Trade) -> None:
        for gateway in self._simulated:
            gateway.on_trade(trade)

    def on_quote(self, quote: Quote) -> None:
        self.door.put_quote(quote)
        for gateway in self._simulated:
            gateway.on_quote(quote)

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        self.stages.on_bars(ts_close)
        self.models.on_bars(ts_close)
        self.upkeep.on_bars()
        self.door.put(BarsClosed(0, ts_close, bars))

    def on_link(self, stream: Stream, up: bool, system: str, reason: str) -> None:
        self.door.put(LinkChange(0, stream, up, system=system, reason=reason))

    def on_hole(self, instruments: tuple[str, ...]) -> None:
        self.history.on_hole(instruments)

    def on_quality(self, changes: tuple[InstrumentQuality, ...]) -> None:
        self.door.put(QualityChanged(0, changes))
        for change in changes:
            if Verdict.REFUSED in change.verdicts:
                self.history.leave_out(change.instrument)

    def on_instruments(self, instruments: tuple[Instrument, ...]) -> None:
        changed = self.parts.learn(instruments)
        if changed is not None:
            self.door.put(changed)

    # ---- what became of history (trader.history.Told) ----

    def on_history(self, instrument: str, bars: Sequence[Bar]) -> None:
        self.read_model.on_history(bars)
        self.feed.repaired(instrument)

    def on_readiness(self, ready: int, wanted: int, cold_start_s: float | None) -> None:
        self.read_model.on_readiness(ready, wanted, cold_start_s)

    def _predicted(self, prediction: Prediction) -> None:
        self._loop.call_soon_threadsafe(self.door.put, prediction)

    # ---- control (trader.control.Control) ----

    async def submit(self, verb: Verb, actor: str, reason: str, *, force: bool = False) -> None:
        """Put a wish through the door and wait until it is in the journal."""
        done = asyncio.Event()
        self.door.put(Operator(0, verb, actor, reason, force), done.set)
        async with asyncio.timeout(10):
            await done.wait()

    async def predict(self, question: Question) -> dict[str, Any]:
        """Answer a question to the models behind everything that trades."""
        return await self.models.predict(question)

    async def activate(self, trader: str, path: Path | None, actor: str) -> dict[str, Any]:
        """Let a trader use another model; returns once the change is in the journal."""
        log.info("model_asked_for", trader=trader, path=str(path or "the one before"), actor=actor)
        return await self.changes.activate(trader, path)

    def health(self) -> Health:
        """Tell whether the loop turns, and what keeps the desk from trading."""
        live = self.clock.monotonic() - self._beat < LIVE_WITHIN
        reasons = [] if live else ["the engine's loop stands still"]
        for engine in self.desk.engines:
            reasons += engine.obstacles()
        if not self.history.warm:
            reasons.append("features are warming up")
        if self.thread.trouble:
            reasons.append(self.thread.trouble)
        return Health(live=live, ready=not reasons, reasons=tuple(dict.fromkeys(reasons)))

    def report(self) -> dict[str, Any]:
        """Give the figures of this run."""
        engines = self.desk.engines
        equity = sum(engine.equity() for engine in engines)
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "mode": self.config.mode,
            **self.summary.figures(),
            "round_trips": sum(engine.state.portfolio.round_trips for engine in engines),
            "equity": str(equity),
            "journal": str(self.parts.paths.journal),
            "journal_steps": self.journal.seq,
            "showcase": self.config.showcase,
            "thresholds": state_view.mode(self.read_model)["showcase"] or "as configured for profit",
            "cpu_s": round(used.ru_utime + used.ru_stime, 1),
            "peak_rss_mb": round(used.ru_maxrss / 1024),
        }


async def run_daemon(
    config: Config,
    env: Mapping[str, str] = os.environ,
    *,
    on_ready: Callable[[Daemon], None] | None = None,
    on_url: Callable[[str], None] | None = None,
    on_end: Callable[[Daemon], None] | None = None,
    reload: Callable[[], Config] | None = None,
) -> int:
    """Assemble a daemon from its configuration, run it, and give the exit code.

    Raises a Fatal error (one line, an exit code) for everything that keeps it from starting.
    """
    clock = config.make_clock()
    started = clock.monotonic()
    # Worker threads give the loop back within half a millisecond: a stop must not wait for features.
    sys.setswitchinterval(SWITCH_S)
    async with AsyncExitStack() as stack:
        parts = await Parts.gather(config, env, clock, stack)
        journal = await Journal.open(parts.paths.journal, after=parts.resume, clock=clock)
        stack.push_async_callback(journal.close)
        daemon = Daemon(parts, journal, started=started)
        daemon.changes.read = reload
        if config.dashboard.enabled:
            url = await stack.enter_async_context(parts.dashboard(daemon, daemon))
            if on_url is not None:
                on_url(url)
        try:
            code = await daemon.run(on_ready=on_ready)
        except BaseExceptionGroup as group:
            known = group.subgroup(SeamarkError)
            if known is None:
                raise
            raise _first(known) from group
        if on_end is not None:
            on_end(daemon)
        return code


def _first(group: BaseExceptionGroup[SeamarkError]) -> SeamarkError:
    """Give the first error of a tree of tasks: the others are mostly its echo."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, SeamarkError)
    return error
