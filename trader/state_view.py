"""How the desk's figures are written down: money as text, times as ISO-8601, fractions as numbers.

Must not know who reads it. Called by trader.state only. Tables are cut at MAX_ROWS, for a browser
cannot show a thousand rows four times a second and nobody would read them.
"""

import math
from decimal import Decimal
from typing import Any

import msgspec

from core.events import Stream
from core.market import Timeframe
from core.orders import Purpose
from core.portfolio import Position
from core.text import iso
from risk.limits import RULES
from trader.state_account import AccountBoard, FillLine, OrderLine
from trader.state_desk import DeskBoard, LinkLine
from trader.state_market import CHART_TIMEFRAMES
from trader.state_opinions import DecisionLine, OpinionLine

MAX_ROWS = 100
SHOWN_FILLS = 20
CHART_FILLS = 60
VENUES = {"loopback": "simulated Kraken", "kraken": "Kraken"}
CENT = Decimal("0.01")

Json = dict[str, Any]


def view(desk: DeskBoard) -> Json:
    """Give every section of the page."""
    accounts = list(desk.accounts.values())
    return {
        "mode": mode(desk),
        "session": _session(desk),
        "state": {
            "state": str(desk.phase),
            "why": desk.why,
            "since": iso(desk.phase_since) if desk.phase_since else "",
        },
        "equity": _equity(desk, accounts),
        "feed": _feed(desk),
        "latency": {
            "decision_ms": desk.opinions.decision.view(),
            "inference_ms": desk.opinions.inference.view(),
            "stages_ms": {name: kept.view() for name, kept in desk.opinions.stages.items()},
            "instruments": desk.opinions.decided_instruments,
            "late": desk.opinions.late,
            "errors": desk.opinions.errors,
            "last_error": desk.opinions.last_error,
        },
        "parity": msgspec.to_builtins(desk.parity),
        "instruments": _instruments(desk),
        "positions": [_position(desk, account, position) for account, position in desk.held()],
        "orders": [_order(desk, a, line) for a in accounts for line in a.orders.values()][:MAX_ROWS],
        "fills": _fills(desk, accounts),
        "opinions": [_opinion(line) for line in list(desk.opinions.opinions.values())[: 3 * MAX_ROWS]],
        "decisions": [_decision(line) for line in desk.opinions.near_misses(MAX_ROWS)],
        "notices": [
            {
                "at": iso(line.ts),
                "severity": str(line.notice.severity),
                "code": line.notice.code,
                "text": line.notice.text,
                "trader": line.notice.trader,
                "instrument": line.notice.instrument,
                "times": line.times,
            }
            for line in reversed(desk.notices)
        ],
        "chart_revision": desk.chart_revision,
    }


def headline(view: Json) -> list[tuple[str, str]]:
    """Give a view's main figures as label and text, for a terminal."""
    equity, state, latency = view["equity"], view["state"], view["latency"]
    timed = latency["decision_ms"] if latency["decision_ms"]["count"] else latency["inference_ms"]
    return [
        ("mode", view["mode"]["badge"]),
        *([("", view["mode"]["showcase"])] if view["mode"]["showcase"] else []),
        ("state", f"{state['state']} ({state['why']})" if state["why"] else state["state"]),
        ("market time", view["session"]["now"]),
        ("equity", f"{equity['total']} {equity['currency']}"),
        ("today", f"{equity['today']} ({equity['today_ratio']:+.2%})"),
        ("drawdown", f"{equity['drawdown']:.2%} of {equity['drawdown_limit'] or 0:.0%}"),
        ("round trips", f"{equity['round_trips']}, fees {equity['fees']}"),
        ("positions", str(len(view["positions"]))),
        ("working orders", str(len(view["orders"]))),
        ("feed age", f"{view['feed']['age_s']} s"),
        ("instruments", _coverage(view["feed"])),
        ("decision p50/p99", f"{timed['p50']} / {timed['p99']} ms"),
        ("late, failed", f"{latency['late']}, {latency['errors']} opinions"),
    ]


def _coverage(feed: Json) -> str:
    """Say how many instruments are ready, how long that took, and what is wrong with others."""
    cold = f", cold start {feed['cold_start_s']:.0f} s" if feed["cold_start_s"] is not None else ""
    wrong = "; ".join(f"{row['instrument']} {'+'.join(row['verdicts'])}" for row in feed["faults"][:3])
    faults = f"; {feed['faulty']} with data faults: {wrong}" if wrong else ""
    return f"{feed['ready']} of {feed['wanted']} ready{cold}{faults}"


def chart(desk: DeskBoard, instrument: str, timeframe: Timeframe) -> Json:
    """Give one chart: bar columns, fills inside their span, lines of what is open."""
    bars = desk.market.columns(instrument, timeframe)
    since = int(bars["time"][0]) if bars["time"] else 0
    fills = [
        {
            "time": line.fill.ts_event // 1_000_000,
            "price": float(line.fill.price),
            "quantity": text(line.fill.quantity),
            "side": str(line.fill.side),
            "purpose": str(line.purpose or ""),
        }
        for account in desk.accounts.values()
        for line in account.fills
        if line.fill.instrument == instrument and line.fill.ts_event // 1_000_000 >= since
    ]
    return {
        "instrument": instrument,
        "timeframe": timeframe.value,
        "revision": desk.chart_revision,
        "bars": bars,
        "fills": fills[-CHART_FILLS:],
        "lines": _lines(desk, instrument),
    }


def mode(desk: DeskBoard) -> Json:
    """Give the badge, and the showcase flag where a trader may enter at an expected loss."""
    setup = desk.setup
    venue = VENUES.get(setup.venue, setup.venue)
    lowest = min((t.policy.min_expected_value for t in setup.traders), default=0.0)
    showcase = (
        f"showcase thresholds: entries are allowed at an expected value of {lowest:.2%} after fees"
        if lowest < 0
        else ""
    )
    return {
        "mode": setup.mode,
        "venue": venue,
        "badge": f"{setup.mode} - {venue}".upper(),
        "showcase": showcase,
        "speed": desk.speed,
    }


def text(value: Decimal | None) -> str | None:
    """Write money in plain digits, without exponent or trailing zeros."""
    if value is None:
        return None
    plain = f"{value.normalize():f}"
    return "0" if plain == "-0" else plain


def cents(value: Decimal) -> str:
    """Write an amount of account currency to the cent."""
    return f"{value.quantize(CENT):f}"


def number(value: float) -> float | None:
    """Give None for what JSON cannot hold."""
    return value if math.isfinite(value) else None


# ---- sections ----


def _session(desk: DeskBoard) -> Json:
    session = desk.session
    return {
        "version": session.version if session else "",
        "config_hash": session.config_hash if session else "",
        "number": session.session if session else 0,
        "started": iso(session.ts) if session else "",
        "now": iso(desk.now) if desk.now else "",
        "seq": desk.seq,
        "models": [
            {
                "trader": t.name,
                "stage": t.stage,
                "timeframe": t.decision.value,
                "model": t.terms.name,
                "hash": t.terms.model_hash,
                "min_expected_value": t.policy.min_expected_value,
            }
            for t in desk.setup.traders
        ],
    }


def _equity(desk: DeskBoard, accounts: list[AccountBoard]) -> Json:
    rows = [_account(desk, account) for account in accounts]
    same = [a for a in accounts if a.currency == desk.currency]
    total = desk.total_equity()
    today = sum((a.today(desk.marks(a))[0] for a in same), Decimal(0))
    opened = total - today
    worst = max(rows, key=lambda row: row["drawdown"] / (row["drawdown_limit"] or 1), default=None)
    return {
        "currency": desk.currency,
        "total": cents(total),
        "today": cents(today),
        "today_ratio": float(today / opened) if opened > 0 else 0.0,
        "drawdown": worst["drawdown"] if worst else 0.0,
        "drawdown_limit": worst["drawdown_limit"] if worst else None,
        "round_trips": sum(a.portfolio.round_trips for a in accounts),
        "realised": cents(sum((a.portfolio.realised for a in same), Decimal(0))),
        "fees": cents(sum((a.portfolio.fees for a in same), Decimal(0))),
        "accounts": rows,
        "curve": [[ts // 1_000_000, float(equity)] for ts, equity in desk.curve],
    }


def _account(desk: DeskBoard, account: AccountBoard) -> Json:
    marks = desk.marks(account)
    limits = [t.policy.max_drawdown for t in desk.setup.traders if t.account == account.name]
    today, ratio = account.today(marks)
    return {
        "account": account.name,
        "currency": account.currency,
        "equity": cents(account.portfolio.equity(marks)),
        "cash": cents(account.portfolio.cash),
        "notional": cents(account.portfolio.notional(marks)),
        "today": cents(today),
        "today_ratio": ratio,
        "drawdown": float(account.portfolio.drawdown(marks)),
        "drawdown_limit": min(limits, default=None),
        "round_trips": account.portfolio.round_trips,
        "reconciled": account.reconciled,
    }


def _feed(desk: DeskBoard) -> Json:
    heard = desk.market.heard_at
    return {
        "age_s": round(max(0.0, desk.seconds(desk.now - heard)), 3) if heard else None,
        "public": _link(desk.link(Stream.PUBLIC)),
        "private": _link(desk.link(Stream.PRIVATE)),
        "ready": desk.readiness.ready,
        "wanted": desk.readiness.wanted,
        "cold_start_s": desk.readiness.cold_start_s,
        "faults": [
            {"instrument": name, "verdicts": list(verdicts)}
            for name, verdicts in list(desk.quality.items())[:MAX_ROWS]
        ],
        "faulty": len(desk.quality),
    }


def _link(line: LinkLine | None) -> Json:
    if line is None:
        return {"up": None, "since": "", "system": "", "reason": ""}
    return {"up": line.up, "since": iso(line.since), "system": line.system, "reason": line.reason}


def _instruments(desk: DeskBoard) -> list[Json]:
    names = dict.fromkeys(name for trader in desk.setup.traders for name in trader.instruments)
    shown = list(names or desk.instruments)[:MAX_ROWS]
    return [_instrument(desk, name) for name in shown]


def _instrument(desk: DeskBoard, name: str) -> Json:
    quote = desk.market.quotes.get(name)
    instrument = desk.instruments.get(name)
    places = instrument.price_precision if instrument else None
    mark = desk.market.mark(name)
    return {
        "instrument": name,
        "status": instrument.status if instrument else "",
        "precision": places,
        "bid": text(quote.bid) if quote else None,
        "ask": text(quote.ask) if quote else None,
        "mark": _price(desk, name, mark),
        "timeframes": [t.value for t in CHART_TIMEFRAMES],
    }


def _price(desk: DeskBoard, name: str, price: Decimal | None) -> str | None:
    """Write a price with the decimals of its instrument, so that columns line up."""
    instrument = desk.instruments.get(name)
    if price is None or instrument is None:
        return text(price)
    return f"{price:.{instrument.price_precision}f}"


def _position(desk: DeskBoard, account: AccountBoard, position: Position) -> Json:
    name = position.instrument
    mark = desk.market.mark(name)
    unrealised = position.unrealised(mark) if mark is not None else None
    row: Json = {
        "account": account.name,
        "trader": account.trader_of(name),
        "instrument": name,
        "side": "long" if position.quantity > 0 else "short",
        "quantity": text(abs(position.quantity)),
        "entry": _price(desk, name, position.entry_price),
        "mark": _price(desk, name, mark),
        "notional": cents(abs(position.quantity) * (mark or position.entry_price)),
        "unrealised": cents(unrealised) if unrealised is not None else None,
        "unrealised_ratio": float(unrealised / position.cost) if unrealised is not None else None,
        "fees": cents(position.fees),
        "opened": iso(position.opened),
        "age_s": round(desk.seconds(desk.now - position.opened), 1),
    }
    for purpose in (Purpose.STOP, Purpose.TARGET):
        price = account.price_of(name, purpose)
        row[str(purpose)] = _price(desk, name, price)
        row[f"{purpose}_distance"] = float(price / mark - 1) if price and mark else None
    return row


def _order(desk: DeskBoard, account: AccountBoard, line: OrderLine) -> Json:
    return {
        "account": account.name,
        "trader": line.trader,
        "cl_ord_id": line.cl_ord_id,
        "instrument": line.instrument,
        "side": str(line.side),
        "purpose": str(line.purpose) if line.purpose else "not ours",
        "type": str(line.order_type) if line.order_type else "",
        "state": str(line.state),
        "quantity": text(line.quantity),
        "filled": text(line.filled),
        "price": _price(desk, line.instrument, line.trigger_price or line.limit_price),
        "created": iso(line.created),
        "reason": line.reason,
    }


def _fills(desk: DeskBoard, accounts: list[AccountBoard]) -> list[Json]:
    newest = sorted(
        ((line, a) for a in accounts for line in list(a.fills)[-SHOWN_FILLS:]),
        key=lambda pair: pair[0].fill.ts_event,
        reverse=True,
    )
    return [_fill(desk, line, account) for line, account in newest[:SHOWN_FILLS]]


def _fill(desk: DeskBoard, line: FillLine, account: AccountBoard) -> Json:
    fill = line.fill
    return {
        "account": account.name,
        "trader": line.trader,
        "purpose": str(line.purpose) if line.purpose else "",
        "exec_id": fill.exec_id,
        "at": iso(fill.ts_event),
        "instrument": fill.instrument,
        "side": str(fill.side),
        "quantity": text(fill.quantity),
        "price": _price(desk, fill.instrument, fill.price),
        "value": cents(fill.quantity * fill.price),
        "fee": cents(fill.fee),
        "maker": fill.maker,
    }


def _opinion(line: OpinionLine) -> Json:
    opinion = line.opinion
    return {
        "trader": line.asked.trader,
        "timeframe": line.asked.timeframe.value,
        "instrument": opinion.instrument,
        "ready": opinion.ready,
        "reason": opinion.reason,
        "down": number(opinion.p_down),
        "hold": number(opinion.p_hold),
        "up": number(opinion.p_up),
        "at": iso(line.asked.ts_close),
    }


def _decision(line: DecisionLine) -> Json:
    decision = line.decision
    return {
        "trader": line.trader,
        "timeframe": line.timeframe.value,
        "at": iso(line.ts_close),
        "instrument": decision.instrument,
        "direction": str(decision.direction),
        "confidence": number(decision.confidence),
        "expected_value": number(decision.expected_value),
        "rule": decision.rule,
        "sentence": RULES.get(decision.rule, decision.rule.replace("_", " ")),
        "detail": decision.detail,
    }


def _lines(desk: DeskBoard, instrument: str) -> list[Json]:
    lines: list[Json] = []
    for account, position in desk.held():
        if position.instrument != instrument:
            continue
        lines.append({"kind": "entry", "price": float(position.entry_price), "account": account.name})
        for purpose in (Purpose.STOP, Purpose.TARGET):
            price = account.price_of(instrument, purpose)
            if price is not None:
                lines.append({"kind": str(purpose), "price": float(price), "account": account.name})
    return lines
