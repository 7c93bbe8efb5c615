"""The engine between its stages: what a restart, a gap or a late answer must not break."""

from decimal import Decimal

import msgspec

from core.clock import SECOND
from core.events import (
    BarsClosed,
    Command,
    Decisions,
    Event,
    Fill,
    InstrumentQuality,
    InstrumentsChanged,
    LinkChange,
    Notice,
    Operator,
    OrderUpdate,
    QualityChanged,
    Reconciled,
    RequestOpinion,
    RequestReconcile,
    Stream,
    Timer,
    VenuePosition,
    Verb,
)
from core.market import Bar, Timeframe
from core.orders import CancelOrder, OrderState, OrderType, Purpose, SubmitOrder
from tests.day import BTC, Day, enter_long, listed, only, submits
from trader.desk import Desk
from trader.records import NOBODY, decode_event, make_step


def engine(day: Day):
    return day.desk.engines[0]


def question(day: Day) -> RequestReconcile:
    asked = only(day.said, RequestReconcile)
    assert isinstance(asked, RequestReconcile)
    return asked


def answer(day: Day, asked: RequestReconcile, *fills: Fill) -> None:
    cash = engine(day).state.portfolio.cash
    day.tell(
        Reconciled(day.after(0.1), "main", cash, (), (), fills, asked=asked.asked, asked_at=asked.asked_at)
    )


def holding() -> tuple[Day, SubmitOrder]:
    """Begin a day, prove the account, and hold a long behind the stop that is given back."""
    day = Day()
    day.begin()
    day.link_up()
    answer(day, question(day))
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    return day, stop


def test_a_new_session_starts_from_the_instruments_that_the_venue_lists_now():
    day = Day()
    day.begin()
    day.tell(InstrumentsChanged(day.after(1), (msgspec.structs.replace(listed(), status="cancel_only"),)))
    day.after(3600)
    day.begin()
    day.link_up()
    day.reconcile()
    stop, _ = enter_long(day)
    assert isinstance(stop, SubmitOrder)


def test_an_answer_to_a_question_from_before_the_gap_does_not_end_it():
    day = Day()
    day.begin()
    day.link_up()
    before = question(day)
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, False, account="main"))
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))
    after = question(day)
    answer(day, before)
    assert not engine(day).state.reconciled
    answer(day, after)
    assert engine(day).state.reconciled


def test_a_stop_that_filled_unseen_starts_the_cooldown_when_it_is_found():
    day, stop = holding()
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, False, account="main"))
    gone = Fill(
        0, "main", "T2", stop.cl_ord_id, "O1", BTC, stop.side, Decimal(59000), stop.quantity,
        Decimal("0.5"), maker=False, ts_event=day.after(1),
    )  # fmt: skip
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))
    answer(day, question(day), gone)
    assert day.position() == 0
    assert engine(day).state.risk.closed_at == {BTC: day.now}


def test_a_stop_that_has_not_been_acknowledged_is_still_under_way():
    day = Day()
    day.begin()
    day.link_up()
    answer(day, question(day))
    stop, entry = enter_long(day)
    day.working(stop)
    (target,) = submits(day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1"))
    day.working(target)
    assert not engine(day).orders_under_way()
    gone = OrderUpdate(day.after(1), "main", stop.cl_ord_id, OrderState.CANCELED, reason="by hand")
    (again,) = submits(day.tell(gone))
    assert engine(day).orders_under_way()  # a process that ends now would leave the position naked
    day.working(again)
    assert not engine(day).orders_under_way()


def test_a_desk_that_is_restored_after_any_step_goes_on_like_the_one_that_never_stopped():
    whole = busy_hour()
    told: list[tuple[Event, bytes, list[Command]]] = []
    desk = Desk()
    for event in whole:
        commands = desk.on_event(event)
        told.append((event, desk.snapshot(), commands))
    for at, (_, state, _) in enumerate(told):
        again = Desk.restore(state)
        for event, _, commands in told[at + 1 :]:
            assert again.on_event(event) == commands, (at, event)
        assert again.snapshot() == told[-1][1]


def busy_hour() -> list[Event]:
    """Give the events of a position that opens and closes, with idle polls around it."""
    day = Day()
    events: list[Event] = []
    tell = day.tell

    def noted(event: Event) -> list[Command]:
        events.append(event)
        return tell(event)

    day.tell = noted  # type: ignore[method-assign]
    day.begin()
    day.link_up()
    answer(day, question(day))
    stop, entry = enter_long(day)
    day.working(stop)
    (target,) = submits(day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1"))
    day.working(target)
    day.filled(stop, price="59000", quantity=entry.quantity, exec_id="T2")
    day.tell(OrderUpdate(day.after(1), "main", target.cl_ord_id, OrderState.CANCELED))
    for _ in range(4):
        day.tell(Timer(day.after(61)))
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))
    answer(day, question(day))
    for _ in range(4):
        day.tell(Timer(day.after(61)))
    return events


def test_a_deposit_does_not_loosen_the_day_s_loss_limit():
    day = Day()
    day.begin()
    day.link_up()
    answer(day, question(day))
    day.quote("59999.9", "60000.1")
    day.tell(Reconciled(day.after(1), "main", Decimal(20000), (), (), ()))
    assert engine(day).state.risk.day_equity == 20000
    day.tell(Reconciled(day.after(1), "main", Decimal(19900), (), (), ()))
    assert engine(day).state.risk.day_equity == 20000  # what is missing counts as lost


def paid(day: Day, amount: Decimal, *, after_s: float) -> list[str]:
    """Let the venue's cash be smaller by an amount, some time later; gives the codes of what is said."""
    state = engine(day).state
    day.after(after_s)
    held = tuple(VenuePosition(p.instrument, p.quantity, p.cost) for p in state.portfolio.positions.values())
    said = day.tell(Reconciled(day.now, "main", state.portfolio.cash - amount, held, (), ()))
    return [notice.code for notice in said if isinstance(notice, Notice)]


def test_lending_is_paid_without_a_word_and_a_leak_of_the_same_size_is_not():
    day, _ = holding()
    (held,) = engine(day).state.portfolio.positions.values()
    rollover = held.cost * Decimal("0.0003")
    assert rollover > Decimal("0.01")
    for _ in range(12):
        assert "cash_adopted" not in paid(day, rollover, after_s=4 * 3_600)
    day.after(8 * 3_600)
    assert ["cash_adopted" in paid(day, rollover, after_s=60) for _ in range(6)] == [False] * 3 + [True] * 3


def test_every_lot_of_a_close_is_a_question_of_its_own():
    """Bars of one close come in several lots, even at one instant and with another close between them."""
    day = Day()
    day.begin()
    length = Timeframe.M15.ns
    first = Timeframe.M15.floor(day.now) + length
    day.now = first + length + 1
    closes = [first, first + length, first, first + length, first]
    names = []
    for place, close in enumerate(closes):
        if place == 3:
            day.after(0.25)
        bar = Bar(BTC, Timeframe.M15, close - length, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
        asked = only(day.tell(BarsClosed(day.now, close, (bar,))), RequestOpinion)
        assert isinstance(asked, RequestOpinion)
        names.append(asked.prediction_id)
    assert len(set(names)) == 5
    assert [name.partition("-")[0] for name in names] == [f"{names[0][:2]}{c // SECOND}" for c in closes]


def rule_of(day: Day) -> str:
    """Offer a certain entry; gives the rule that refused it."""
    day.quote("59999.9", "60000.1")
    request = only(day.bar_closes(), RequestOpinion)
    assert isinstance(request, RequestOpinion)
    day.quote("59999.9", "60000.1")
    decided = only(day.opine(request, up=0.7, down=0.1), Decisions)
    assert isinstance(decided, Decisions)
    return f"{decided.rows[0].rule} {decided.rows[0].detail}"


def test_data_faults_stop_entries_by_name_until_they_are_lifted():
    day = Day()
    day.begin()
    day.link_up()
    day.reconcile()
    day.tell(
        QualityChanged(
            day.after(1),
            (InstrumentQuality(BTC, ("gap", "mismatch")), InstrumentQuality("ETH/USDT", ("down",))),
        )
    )
    assert rule_of(day) == "data_quality gap, mismatch"
    restored = Desk.restore(day.desk.snapshot())
    assert restored.engines[0].state.quality == {BTC: ("gap", "mismatch")}
    day.tell(QualityChanged(day.after(1), (InstrumentQuality(BTC, ()),)))
    stop, _ = enter_long(day)
    assert isinstance(stop, SubmitOrder)


def test_data_faults_leave_protection_and_exits_alone_and_end_with_the_session():
    day = Day()
    day.begin()
    day.link_up()
    day.reconcile()
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    assert engine(day).in_play() == {BTC}
    day.tell(QualityChanged(day.after(1), (InstrumentQuality(BTC, ("book",)),)))
    day.quote("59999.9", "60000.1")
    sent = submits(day.tell(Operator(day.after(1), Verb.FLATTEN, "test")))
    assert [order.purpose for order in sent] == [Purpose.EXIT]
    day.after(60)
    day.begin()
    assert engine(day).state.quality == {}


def test_verdicts_are_rows_of_the_journal_and_read_back():
    event = QualityChanged(5, (InstrumentQuality(BTC, ("gap",)),))
    step = make_step(1, event, [], labels=NOBODY, before=b"")
    assert step.taped == b""
    assert [(row.kind, decode_event(row.body)) for row in step.records] == [("quality", event)]


def after_a_gap_with_rest_down(day: Day) -> None:
    """A guarded long, then a link that comes back while nobody answers the reconciliation."""
    day.begin()
    day.link_up()
    answer(day, question(day))
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, False, account="main"))
    day.tell(OrderUpdate(day.after(1), "main", stop.cl_ord_id, OrderState.CANCELED))
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))


def test_a_stop_is_put_back_although_rest_stays_down():
    day = Day()
    after_a_gap_with_rest_down(day)
    assert not submits(day.said)
    day.tell(Timer(day.after(2.9)))
    assert not submits(day.said)  # REST has its time first
    day.tell(Timer(day.after(0.2)))
    (stop,) = submits(day.said)
    assert (stop.purpose, stop.reduce_only) == (Purpose.STOP, True)
    assert not engine(day).state.reconciled


def test_a_kill_closes_although_rest_stays_down():
    day = Day()
    after_a_gap_with_rest_down(day)
    day.tell(Operator(day.after(0.1), Verb.KILL, "a person"))
    day.tell(Timer(day.after(3)))
    (leave,) = submits(day.said)
    assert (leave.purpose, leave.order_type, leave.reduce_only) == (Purpose.EXIT, OrderType.MARKET, True)
    day.tell(Timer(day.after(0.5)))
    assert not [one for one in day.said if isinstance(one, SubmitOrder | CancelOrder)]  # nothing twice
