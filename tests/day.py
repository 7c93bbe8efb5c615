"""A day of one trader, told to a real desk event by event.

Must not know files or sockets. Used by the story, journal and recovery tests.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from core.clock import DAY, MINUTE, SECOND
from core.events import (
    BarsClosed,
    Command,
    Event,
    Fill,
    LinkChange,
    OrderUpdate,
    Prediction,
    Quotes,
    Reconciled,
    RequestOpinion,
    SessionStarted,
    Stream,
    VenueOrder,
    VenuePosition,
)
from core.instrument import Instrument
from core.market import Bar, Quote, Timeframe
from core.orders import OrderState, SubmitOrder
from core.signal import Opinion
from risk.policy import ModelTerms, RiskPolicy
from trader.desk import Desk
from trader.setup import AccountSetup, DeskSetup, TraderSetup

NINE = 19_870 * DAY + 9 * 60 * MINUTE
BTC = "BTC/USDT"


def listed() -> Instrument:
    return Instrument(
        symbol=BTC,
        base="BTC",
        quote="USDT",
        price_increment=Decimal("0.1"),
        quantity_increment=Decimal("0.00001"),
        price_precision=1,
        quantity_precision=8,
        minimum_quantity=Decimal("0.0001"),
        minimum_cost=Decimal(5),
        max_leverage=5,
    )


def setup() -> DeskSetup:
    policy = RiskPolicy(min_confidence=0.5, min_expected_value=0.0, taker_fee=0.0004, max_quote_age_s=60.0)
    terms = ModelTerms("cafe", "entry-15m", Timeframe.M15, 1.5, 16)
    trader = TraderSetup("day", "DY", "main", "paper", Timeframe.M15, (BTC,), policy, terms)
    return DeskSetup(
        "paper", "loopback", (AccountSetup("main", "USDT", Decimal(10000)),), (trader,), (listed(),)
    )


class Day:
    """A desk and the last thing it said; every verb is one event through its door."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.now = NINE
        self.said: list[Command] = []

    def tell(self, event: Event) -> list[Command]:
        self.said = self.desk.on_event(event)
        return self.said

    def after(self, seconds: float) -> int:
        self.now += int(seconds * SECOND)
        return self.now

    def begin(self) -> list[Command]:
        return self.tell(
            SessionStarted(self.now, self.now // SECOND, "1", "c0ffee", msgspec.msgpack.encode(setup()))
        )

    def link_up(self) -> None:
        self.tell(LinkChange(self.after(0.1), Stream.PUBLIC, True))
        self.tell(LinkChange(self.after(0.1), Stream.PRIVATE, True, account="main"))

    def reconcile(
        self, *, positions: Iterable[VenuePosition] = (), orders: Iterable[VenueOrder] = ()
    ) -> None:
        cash = self.desk.engines[0].state.portfolio.cash
        self.tell(Reconciled(self.after(0.1), "main", cash, tuple(positions), tuple(orders), ()))

    def quote(self, bid: str, ask: str) -> list[Command]:
        quote = Quote(BTC, self.now, Decimal(bid), Decimal(ask), Decimal(2), Decimal(2))
        return self.tell(Quotes(self.after(0.1), (quote,)))

    def bar_closes(self) -> list[Command]:
        close = Timeframe.M15.floor(self.now) + Timeframe.M15.ns
        self.now = close + SECOND
        bar = Bar(BTC, Timeframe.M15, close - Timeframe.M15.ns, 60000, 60100, 59900, 60000, 10, 60000, 50)
        return self.tell(BarsClosed(self.now, close, (bar,)))

    def opine(self, request: RequestOpinion, *, up: float, down: float) -> list[Command]:
        opinion = Opinion(BTC, True, down, 1 - up - down, up, 400.0, 0.01, 60000.0)
        return self.tell(
            Prediction(
                self.after(0.1),
                request.prediction_id,
                "day",
                request.ts_close,
                Timeframe.M15,
                "cafe",
                (opinion,),
            )
        )

    def working(self, order: SubmitOrder) -> list[Command]:
        return self.tell(
            OrderUpdate(self.after(0.01), "main", order.cl_ord_id, OrderState.WORKING, order_id="O1")
        )

    def filled(self, order: SubmitOrder, *, price: str, quantity: Decimal, exec_id: str) -> list[Command]:
        self.tell(
            Fill(
                self.after(0.01),
                "main",
                exec_id,
                order.cl_ord_id,
                "O1",
                BTC,
                order.side,
                Decimal(price),
                quantity,
                Decimal("0.5"),
                maker=False,
                ts_event=self.now,
            )
        )
        return self.said + self.tell(
            OrderUpdate(self.after(0.01), "main", order.cl_ord_id, OrderState.FILLED, filled=quantity)
        )

    def position(self) -> Decimal:
        return self.desk.engines[0].state.portfolio.quantity(BTC)


def submits(commands: Iterable[Command]) -> list[SubmitOrder]:
    return [c for c in commands if isinstance(c, SubmitOrder)]


def only(commands: Iterable[Command], kind: type) -> Command:
    found = [c for c in commands if isinstance(c, kind)]
    assert len(found) == 1, found
    return found[0]


def enter_long(day: Day) -> tuple[SubmitOrder, SubmitOrder]:
    day.quote("59999.9", "60000.1")
    request = only(day.bar_closes(), RequestOpinion)
    assert isinstance(request, RequestOpinion)
    day.quote("59999.9", "60000.1")
    stop, entry = submits(day.opine(request, up=0.7, down=0.1))
    return stop, entry
