"""A believable hour at the desk: events and commands for whoever shows or counts them.

Must not know the read model. Called by the tests of state, telemetry and dashboard; run as
`python -m tests.desk_story` it serves the page with this story, to look at it.
"""

import asyncio
import math
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random

from core.clock import DAY, MINUTE, SECOND, LiveClock
from core.events import (
    Command,
    Decision,
    Decisions,
    Event,
    Fill,
    LinkChange,
    Notice,
    OrderUpdate,
    Prediction,
    Quotes,
    Reconciled,
    SessionStarted,
    Severity,
    Stream,
    Timer,
    Verb,
)
from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.orders import OrderState, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from core.signal import Direction, Filter, Finding, Opinion, Vote
from risk.policy import ModelTerms, RiskPolicy
from trader.control import Health
from trader.setup import AccountSetup, DeskSetup, TraderSetup

START = 19_870 * DAY + 9 * 60 * MINUTE  # 2024-05-27T09:00:00Z
ACCOUNT = "main"
TRADER = "harbour-15m"
PRICES = {
    "BTC/USDT": (68_412.3, 1, 5),
    "ETH/USDT": (3_871.42, 2, 4),
    "SOL/USDT": (165.83, 2, 3),
    "XRP/USDT": (0.52871, 5, 2),
    "DOGE/USDT": (0.16642, 5, 1),
    "AVAX/USDT": (37.41, 2, 3),
}

MEMBERS = ("trend-4h", "entry-15m", "scalp-1m")
FILTERS = (
    Filter("meta-15m", "meta", "take", 0.35, 1.0),
    Filter("regime-1h", "regime", "high", 0.2, 0.8),
    Filter("volume-1h", "regime", "rising", 0.0, 0.9),
    Filter("manager-1m", "manager", "continue", 0.0, 1.0),
)
FINDINGS = (Finding(0.41, 0.0), Finding(0.13, 2700.0), Finding(None, 0.0))

Step = tuple[Event, Sequence[Command]]


def instrument(symbol: str) -> Instrument:
    _, price_places, quantity_places = PRICES[symbol]
    return Instrument.on_decimal_grid(
        symbol,
        price_places,
        quantity_places,
        minimum_quantity=Decimal(1).scaleb(-quantity_places),
        minimum_cost=Decimal(5),
        max_leverage=3,
    )


def setup(*, mode: str = "paper", policy: RiskPolicy | None = None) -> DeskSetup:
    return DeskSetup(
        mode=mode,
        venue="loopback",
        accounts=(AccountSetup(ACCOUNT, "USDT", Decimal(10_000)),),
        traders=(
            TraderSetup(
                name=TRADER,
                code="HB",
                account=ACCOUNT,
                stage="paper",
                decision=Timeframe.M15,
                instruments=tuple(PRICES),
                policy=policy or RiskPolicy(),
                terms=ModelTerms("5f3a9c0e71d2b84466", "entry-15m", Timeframe.M15, 1.5, 16),
            ),
        ),
        instruments=tuple(instrument(s) for s in PRICES),
    )


def history(until: int = START, *, seed: int = 7) -> list[Bar]:
    """Give 240 bars of each chart timeframe for every instrument, as a warm start would."""
    random = Random(seed)
    bars = []
    for symbol, (last, places, _) in PRICES.items():
        for timeframe in (Timeframe.M1, Timeframe.M5, Timeframe.M15):
            bars += _walk(symbol, timeframe, until, last=last, places=places, random=random)
    return bars


def _walk(
    symbol: str, timeframe: Timeframe, until: int, *, last: float, places: int, random: Random
) -> Iterator[Bar]:
    scale = 0.0007 * math.sqrt(timeframe.minutes)
    moves = [random.gauss(0.0, scale) + 0.5 * scale * math.sin(i / 19) for i in range(240)]
    price = last / math.prod(1 + m for m in moves)
    for index, move in enumerate(moves):
        opened, price = price, price * (1 + move)
        high = max(opened, price) * (1 + abs(random.gauss(0, scale / 2)))
        low = min(opened, price) * (1 - abs(random.gauss(0, scale / 2)))
        yield Bar(
            instrument=symbol,
            timeframe=timeframe,
            ts_open=until - (240 - index) * timeframe.ns,
            open=round(opened, places),
            high=round(high, places),
            low=round(low, places),
            close=round(price, places),
            volume=round(random.lognormvariate(3, 0.6) * (1 + 40 * abs(move)), 3),
            vwap=round((opened + price) / 2, places),
            trades=40,
        )


def quotes(ts: int, drift: float = 0.0) -> Quotes:
    return Quotes(ts, tuple(_quote(symbol, ts, drift) for symbol in PRICES))


def _quote(symbol: str, ts: int, drift: float) -> Quote:
    price, places, _ = PRICES[symbol]
    tick = Decimal(1).scaleb(-places)
    bid = Decimal(str(round(price * (1 + drift), places)))
    return Quote(symbol, ts, bid, bid + tick, Decimal(3), Decimal(2))


def submit(cl_ord_id: str, symbol: str, side: Side, quantity: str, **more: object) -> SubmitOrder:
    values = {
        "account": ACCOUNT,
        "trader": TRADER,
        "cl_ord_id": cl_ord_id,
        "instrument": symbol,
        "side": side,
        "quantity": Decimal(quantity),
        "order_type": OrderType.LIMIT,
        "purpose": Purpose.ENTRY,
        "time_in_force": TimeInForce.IOC,
        "deadline": START + MINUTE,
    }
    return SubmitOrder(**(values | more))


def fill(
    exec_id: str, cl_ord_id: str, symbol: str, side: Side, quantity: str, price: str, *, ts: int
) -> Fill:
    value = Decimal(quantity) * Decimal(price)
    return Fill(
        ts=ts,
        account=ACCOUNT,
        exec_id=exec_id,
        cl_ord_id=cl_ord_id,
        order_id=f"O{exec_id}",
        instrument=symbol,
        side=side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=(value * Decimal("0.0016")).quantize(Decimal("0.00000001")),
        maker=False,
        ts_event=ts,
    )


def order_update(cl_ord_id: str, state: OrderState, *, ts: int, **more: object) -> OrderUpdate:
    return OrderUpdate(ts=ts, account=ACCOUNT, cl_ord_id=cl_ord_id, state=state, **more)


def opening(ts: int = START) -> list[Step]:
    """Give what every session starts with: links, the venue's truth, first quotes."""
    return [
        (SessionStarted(ts, 3, "0.1.0", "9b41f0c2aa7d53e8c1", b""), []),
        (LinkChange(ts, Stream.PUBLIC, up=True), []),
        (LinkChange(ts, Stream.PRIVATE, up=True, account=ACCOUNT), []),
        (Reconciled(ts, ACCOUNT, Decimal(10_000), (), (), ()), []),
        (quotes(ts), []),
    ]


def round_trip(
    number: int, symbol: str, side: Side, quantity: str, *, prices: tuple[str, str], ts: int
) -> list[Step]:
    """Enter with a stop, then leave by the target or the stop."""
    entry, stop, exit_ = (f"SMHB{number:04d}{n}" for n in "123")
    return [
        (Timer(ts), _entry_orders(entry, stop, symbol, side, quantity, prices[0])),
        (order_update(stop, OrderState.WORKING, ts=ts + 1), []),
        (fill(f"T{number}A", entry, symbol, side, quantity, prices[0], ts=ts + 2), []),
        (
            order_update(entry, OrderState.FILLED, ts=ts + 2),
            [
                submit(
                    exit_,
                    symbol,
                    side.opposite,
                    quantity,
                    purpose=Purpose.TARGET,
                    limit_price=Decimal(prices[1]),
                    reduce_only=True,
                )
            ],
        ),
        (fill(f"T{number}B", exit_, symbol, side.opposite, quantity, prices[1], ts=ts + 6 * MINUTE), []),
        (order_update(exit_, OrderState.FILLED, ts=ts + 6 * MINUTE), []),
        (order_update(stop, OrderState.CANCELED, ts=ts + 6 * MINUTE), []),
    ]


def position(
    number: int, symbol: str, side: Side, quantity: str, *, prices: tuple[str, str, str], ts: int
) -> list[Step]:
    """Enter and stay: entry price, stop and target."""
    entry, stop, target = (f"SMHB{number:04d}{n}" for n in "123")
    price, guard, goal = prices
    wish = submit(
        target,
        symbol,
        side.opposite,
        quantity,
        purpose=Purpose.TARGET,
        limit_price=Decimal(goal),
        reduce_only=True,
        time_in_force=TimeInForce.GTC,
    )
    return [
        (Timer(ts), _entry_orders(entry, stop, symbol, side, quantity, price, guard=guard)),
        (order_update(stop, OrderState.WORKING, ts=ts + 1), []),
        (fill(f"T{number}A", entry, symbol, side, quantity, price, ts=ts + 2), [wish]),
        (order_update(entry, OrderState.FILLED, ts=ts + 2), []),
        (order_update(target, OrderState.WORKING, ts=ts + 3), []),
    ]


def _entry_orders(
    entry: str, stop: str, symbol: str, side: Side, quantity: str, price: str, guard: str = "1"
) -> list[Command]:
    return [
        submit(
            stop,
            symbol,
            side.opposite,
            quantity,
            order_type=OrderType.STOP_LOSS,
            purpose=Purpose.STOP,
            trigger_price=Decimal(guard),
            reduce_only=True,
            time_in_force=TimeInForce.GTC,
        ),
        submit(entry, symbol, side, quantity, limit_price=Decimal(price), after=stop),
    ]


def judged(ts: int, timeframe: Timeframe = Timeframe.M15, *, seed: int = 3) -> list[Step]:
    """Give one prediction over all instruments and the decisions that followed."""
    random = Random(seed)
    opinions, rows = [], []
    refusals = (
        ("already_positioned", "0.03600"),
        ("expected_value", "-0.00213 of +0.00050"),
        ("low_confidence", "0.412 of 0.450"),
        ("cooldown", "431 s left"),
        ("already_positioned", "-8800.0"),
        ("wide_spread", "0.00142 of 0.001"),
    )
    for symbol, (rule, detail) in zip(PRICES, refusals, strict=True):
        down = random.uniform(0.18, 0.46)
        up = random.uniform(0.18, 0.9 - down)
        ready = symbol != "AVAX/USDT" or timeframe is not Timeframe.H1
        opinions.append(
            Opinion(
                symbol,
                ready,
                down,
                1 - down - up,
                up,
                1.0,
                0.01,
                PRICES[symbol][0],
                "" if ready else "not warm",
                votes=votes(down, up) if ready else (),
                spread=0.18,
                age_s=0.4,
                findings=FINDINGS,
            )
        )
        lean = Direction.LONG if up > down else Direction.SHORT
        rows.append(Decision(symbol, lean, max(up, down), random.uniform(-0.004, 0.0004), rule, detail))
    name = f"HB{ts // SECOND}-{timeframe.value}"
    close = timeframe.floor(ts)
    asked = Prediction(
        ts,
        name,
        TRADER,
        close,
        timeframe,
        "5f3a9c0e71d2b84466",
        tuple(opinions),
        3_400_000 + seed * 90_000,
        members=MEMBERS,
        stages=(400_000, 1_100_000, 1_700_000, 200_000),
        filters=FILTERS,
    )
    return [
        (
            asked,
            [Decisions(TRADER, name, close, timeframe, tuple(rows))] if timeframe is Timeframe.M15 else [],
        )
    ]


def votes(down: float, up: float) -> tuple[Vote, ...]:
    """Give one vote for each of MEMBERS, around a blend; the last one is too old to count."""
    return (
        Vote(down + 0.05, 0.95 - down - up, up, 0.35, 6_300.0),
        Vote(down - 0.03, 1.0 - down - up, up + 0.03, 0.65, 0.0),
        Vote(0.31, 0.38, 0.31, 0.0, 900.0),
    )


def hour() -> list[Step]:
    """Give the whole story in order."""
    steps = opening()
    steps += round_trip(1, "SOL/USDT", Side.BUY, "6.100", prices=("165.02", "166.41"), ts=START + 2 * MINUTE)
    steps += round_trip(
        2, "ETH/USDT", Side.SELL, "0.2600", prices=("3880.10", "3886.55"), ts=START + 9 * MINUTE
    )
    steps += round_trip(
        3, "BTC/USDT", Side.BUY, "0.01460", prices=("68190.4", "68490.2"), ts=START + 16 * MINUTE
    )
    steps += round_trip(
        4, "XRP/USDT", Side.BUY, "1890.0", prices=("0.52710", "0.52966"), ts=START + 23 * MINUTE
    )
    steps += position(
        5, "BTC/USDT", Side.BUY, "0.03600", prices=("68325.1", "67890.0", "69120.0"), ts=START + 31 * MINUTE
    )
    steps += position(
        6, "DOGE/USDT", Side.SELL, "8800.0", prices=("0.16601", "0.16840", "0.16190"), ts=START + 33 * MINUTE
    )
    said = [
        Notice(
            Severity.INFO,
            "cash_adopted",
            "cash is 10004.1180 at the venue, 10004.1183 here; the venue's figure counts",
            TRADER,
        ),
        Notice(
            Severity.WARNING,
            "late_opinion",
            "an answer came 0.61 s after its bar; no entry was made on it",
            TRADER,
            "SOL/USDT",
        ),
    ]
    at = START + 45 * MINUTE
    steps += [(Timer(at), said)]
    for seed, timeframe in enumerate((Timeframe.M5, Timeframe.M15, Timeframe.H1)):
        steps += judged(at + 1 + seed, timeframe, seed=seed + 3)
    for second in range(60):
        steps.append((quotes(at + second * SECOND, drift=0.0004 * math.sin(second / 9)), []))
    return steps


class QuietControl:
    """Control that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Verb, str, str, bool]] = []
        self.state = Health(live=True, ready=True)

    async def submit(self, verb: Verb, actor: str, reason: str, *, force: bool = False) -> None:
        self.asked.append((verb, actor, reason, force))

    def health(self) -> Health:
        return self.state


TOKEN = "a token that is long enough to be a token"


async def _show(port: int, policy: RiskPolicy) -> None:
    from trader.dashboard.server import build_app, login_url, serve  # only to look at it
    from trader.state import ReadModel

    model = ReadModel(setup(policy=policy), speed=60.0)
    model.on_history(history(START + 45 * MINUTE))
    for seq, (event, commands) in enumerate(hour(), 1):
        model.on_step(seq, event, commands)
    for ns in range(200):
        model.on_latency(2_100_000 + ns * 21_000, 6)
    app = build_app(model, QuietControl(), token=TOKEN, clock=LiveClock())
    async with serve(app, "127.0.0.1", port) as base:
        sys.stdout.write(f"{login_url(app, base)}\n")
        sys.stdout.flush()
        while True:
            await asyncio.sleep(1.0)
            at = model.now + 2 * SECOND
            model.on_step(model.seq + 1, quotes(at, drift=0.0005 * math.sin(at / 9e9)), [])


if __name__ == "__main__":
    asyncio.run(_show(int(sys.argv[1]) if len(sys.argv) > 1 else 0, RiskPolicy()))
