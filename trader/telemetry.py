"""Logs and metrics: what machines read about the daemon.

Must not know the engine, sockets or files. Set up and fed by the live shell; `Telemetry.exposition`
is served by the dashboard. Secrets are taken out of every log line, whoever wrote it.
"""

import logging
import re
import sys
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from core.clock import SECOND, Clock, LiveClock
from core.events import Command, Decisions, Event, Fill, LinkChange, OrderUpdate, Prediction
from core.orders import SubmitOrder
from core.text import iso
from core.version import VERSION
from trader.state import ReadModel
from trader.state_desk import Phase

REDACTED = "[redacted]"
SECRET_NAMES = re.compile(
    r"(?i)(^|[_-])(api[_-]?key|key[_-]?secret|secret|password|passphrase|token|authorization|cookie|api[_-]?sign)($|[_-])"
)
SECRET_SHAPES = re.compile(
    r"(?i)bearer\s+[^\s'\"]+"  # an Authorization header in a library's line
    r"|(?<=#t=)[\w-]{20,}"  # a login link
    r"|(?<![\w+/])[A-Za-z0-9+/]{80,}={0,2}(?![\w+/])"  # Kraken's private keys: 88 characters of base64
    r"|(?<=API-Key: )\S+|(?<=API-Sign: )\S+"
)
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
DECISION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ACK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ORDERS_WATCHED = 1024

Line = MutableMapping[str, Any]


# ---- logs ----


class Redactor:
    """A structlog processor that blanks secrets by name, by shape, and by being known."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._known = tuple(s for s in secrets if len(s) >= 8)  # shorter ones would blank plain words

    def __call__(self, _logger: Any, _method: str, line: Line) -> Line:
        """Blank one line's values."""
        return {
            key: REDACTED if SECRET_NAMES.search(key) else self.clean(value) for key, value in line.items()
        }

    def clean(self, value: Any) -> Any:
        """Give a value without secrets; containers are cleaned inside, other objects by their text."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self._clean_text(value)
            case bytes():
                return self._clean_text(value.decode("utf-8", "replace"))
            case Mapping():
                return self(None, "", {str(k): v for k, v in value.items()})
            case list() | tuple() | set() | frozenset():
                return [self.clean(item) for item in value]
            case _:
                return self._clean_text(str(value))

    def _clean_text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return SECRET_SHAPES.sub(REDACTED, text)


def set_up_logging(
    clock: Clock | None = None,
    *,
    level: str = "info",
    secrets: Collection[str] = (),
    path: Path | None = None,
    stream: TextIO | None = None,
    journald: bool = False,
    **context: str,
) -> None:
    """Send every log line of the process to `path`, else to `stream` (stdout).

    Lines are JSON, on a terminal coloured text. `journald` puts a syslog priority before each;
    `context` (mode, run_id) is on each. Raises ValueError for an unknown level.
    """
    out = stream or sys.stdout
    # A watched file is opened anew after logrotate has moved it away.
    handler = WatchedFileHandler(path, encoding="utf-8") if path else logging.StreamHandler(out)
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level: expected debug, info, warning, error or critical; found {level!r}")
    pretty = path is None and out.isatty() and not journald
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _with_context(clock or LiveClock(), context),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.format_exc_info,
        Redactor(secrets),
    ]
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if pretty:
        last.append(
            structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)
        )
    else:
        last.append(structlog.processors.JSONRenderer(sort_keys=False))
    if journald:
        last.append(_Priority())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=last, pass_foreign_args=False)
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _with_context(clock: Clock, context: Mapping[str, str]) -> Any:
    def add(_logger: Any, _method: str, line: Line) -> Line:
        return {"ts": iso(clock.now()), **context, **line}

    return add


class _Priority:
    """Puts `<N>` before a line, which journald reads as its priority."""

    def __call__(self, _logger: Any, method: str, rendered: str) -> str:
        return f"<{PRIORITIES.get(method, 6)}>{rendered}"


# ---- metrics ----


class Telemetry:
    """Prometheus figures: counters are folded from steps, gauges are read off the read model."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._asked_at: OrderedDict[str, tuple[int, SubmitOrder]] = OrderedDict()
        self._links_seen: set[tuple[str, str]] = set()
        self.registry = CollectorRegistry()
        self._build()

    def _build(self) -> None:
        own = self.registry
        mode = self._model.setup.mode
        Gauge("trader_build_info", "Version and mode", ["version", "mode"], registry=own).labels(
            VERSION, mode
        ).set(1)
        self._state = Gauge("trader_state", "1 for the current state", ["state"], registry=own)
        self._equity = Gauge(
            "trader_equity_usd",
            "Equity in the account's quote currency (dollars or a dollar coin)",
            ["account"],
            registry=own,
        )
        self._drawdown = Gauge("trader_drawdown_ratio", "Fraction below the peak", ["account"], registry=own)
        self._notional = Gauge(
            "trader_position_notional_usd", "Signed exposure in quote currency", ["symbol"], registry=own
        )
        self._bar_age = Gauge(
            "trader_bar_age_seconds", "Age of the newest closed bar", ["symbol", "tf"], registry=own
        )
        self._feed_age = Gauge("trader_feed_age_seconds", "Time since market data came", registry=own)
        self._ready = Gauge("trader_instruments_ready", "Instruments with their history", registry=own)
        self._checked = Gauge("trader_parity_values", "Live feature values compared offline", registry=own)
        self._differing = Gauge("trader_parity_differing", "Values that differed last time", registry=own)
        self._cold_start = Gauge(
            "trader_cold_start_seconds", "From the start until all instruments were ready", registry=own
        )
        self._faults = Gauge("trader_data_faults", "Instruments with a data fault", ["verdict"], registry=own)
        self._model_info = Gauge(
            "trader_model_info", "The models in use", ["trader", "name", "sha"], registry=own
        )
        self._loop_lag = Gauge("trader_event_loop_lag_seconds", "How late the event loop wakes", registry=own)
        self._steps = Counter("trader_steps", "Engine steps", ["event"], registry=own)
        self._orders = Counter(
            "trader_orders", "Order states as reported", ["symbol", "side", "status"], registry=own
        )
        self._fills = Counter("trader_fills", "Executions", ["symbol", "side"], registry=own)
        self._acks = Histogram(
            "trader_order_ack_seconds",
            "Request to first report, market time",
            buckets=ACK_BUCKETS,
            registry=own,
        )
        self._decisions = Histogram(
            "trader_decision_seconds",
            "Time by stage; `inference` and `decision` are sums of several",
            ["stage"],
            buckets=DECISION_BUCKETS,
            registry=own,
        )
        self._late = Counter("trader_late_predictions", "Answers over budget, not traded on", registry=own)
        self._failed = Counter("trader_failed_predictions", "Answers without an opinion", registry=own)
        self._reconnects = Counter("trader_ws_reconnects", "Links that came back", ["stream"], registry=own)
        self._refusals = Counter(
            "trader_risk_rejections", "Opinions refused, by rule", ["rule"], registry=own
        )

    def on_step(self, _seq: int, event: Event, commands: Sequence[Command]) -> None:
        """Count one engine step."""
        self._steps.labels(str(event.__struct_config__.tag)).inc()
        match event:
            case Prediction():
                self.on_stage("inference", event.latency_ns)
                self._late.inc(event.late)
                self._failed.inc(bool(event.error))
            case OrderUpdate():
                self._on_order(event)
            case Fill():
                self._fills.labels(event.instrument, str(event.side)).inc()
            case LinkChange():
                self._on_link(event)
            case _:
                pass
        for command in commands:
            if isinstance(command, SubmitOrder):
                self._on_submit(event.ts, command)
            elif isinstance(command, Decisions):
                # Counted first: a thousand refusals of one closing instant have a handful of rules.
                for rule, count in Counts(row.rule for row in command.rows if row.rule).items():
                    self._refusals.labels(rule).inc(count)

    def on_latency(self, ns: int) -> None:
        """Take one measured decision: last bar in to last intent out, monotonic ns."""
        self.on_stage("decision", ns)

    def on_stage(self, stage: str, ns: int) -> None:
        """Take how long one stage of a decision took, in ns."""
        self._decisions.labels(stage).observe(ns / SECOND)

    def on_loop_lag(self, seconds: float) -> None:
        """Take how late the event loop woke."""
        self._loop_lag.set(seconds)

    def exposition(self) -> bytes:
        """Give the exposition text."""
        self._read_model()
        return generate_latest(self.registry)

    # ---- inside ----

    def _on_submit(self, ts: int, order: SubmitOrder) -> None:
        self._orders.labels(order.instrument, str(order.side), "submitting").inc()
        self._asked_at[order.cl_ord_id] = (ts, order)
        while len(self._asked_at) > ORDERS_WATCHED:
            self._asked_at.popitem(last=False)

    def _on_order(self, update: OrderUpdate) -> None:
        asked = self._asked_at.get(update.cl_ord_id)
        if asked is None:
            return
        ts, order = asked
        self._orders.labels(order.instrument, str(order.side), str(update.state)).inc()
        if ts >= 0:
            self._acks.observe((update.ts - ts) / SECOND)
            self._asked_at[update.cl_ord_id] = (-1, order)
        if update.state.terminal:
            del self._asked_at[update.cl_ord_id]

    def _on_link(self, event: LinkChange) -> None:
        if not event.up:
            return
        key = (str(event.stream), event.account)
        if key in self._links_seen:
            self._reconnects.labels(str(event.stream)).inc()
        self._links_seen.add(key)

    def _read_model(self) -> None:
        model = self._model
        for phase in Phase:
            self._state.labels(str(phase)).set(phase is model.phase)
        for account in model.accounts.values():
            marks = model.marks(account)
            self._equity.labels(account.name).set(float(account.portfolio.equity(marks)))
            self._drawdown.labels(account.name).set(float(account.portfolio.drawdown(marks)))
        self._notional.clear()
        for _, position in model.held():
            mark = model.market.mark(position.instrument) or position.entry_price
            self._notional.labels(position.instrument).inc(float(position.quantity * mark))
        for (symbol, timeframe), closed_at in model.market.closed_at.items():
            self._bar_age.labels(symbol, timeframe.value).set(max(0.0, model.seconds(model.now - closed_at)))
        if model.market.heard_at:
            self._feed_age.set(max(0.0, model.seconds(model.now - model.market.heard_at)))
        self._ready.set(model.readiness.ready)
        self._cold_start.set(model.readiness.cold_start_s or 0.0)
        self._checked.set(model.parity.values)
        self._differing.set(model.parity.differing)
        self._faults.clear()
        for verdicts in model.quality.values():
            for verdict in verdicts:
                self._faults.labels(verdict).inc()
        self._model_info.clear()
        for trader in model.setup.traders:
            self._model_info.labels(trader.name, trader.terms.name, trader.terms.model_hash[:12]).set(1)
