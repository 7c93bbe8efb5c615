"""What the public session promises while market data is damaged, in virtual time."""

import pytest

from core.clock import SECOND
from tests.venue.fault_client import arm
from tests.venue.loopback_client import BTC, XRP, venue_at
from venue import public
from venue.loopback_connection import Connection, read_request
from venue.prints import TradeGap
from venue.session import Dead, Ready

STEP = SECOND // 4


class Watcher:
    """A public session carried through the venue's door; reconnects when it is cut."""

    def __init__(self):
        self.venue, self.clock = venue_at()
        self.session = public.PublicSession((XRP, BTC))
        self.events, self.dead, self.admitted = [], [], 0
        self.connection = None
        self._beat = 0

    def arm(self, name, **parameters):
        arm(self.venue, name, **parameters)

    def connect(self):
        if not self.venue.public_door.admits():
            return
        self.admitted += 1
        self.connection = Connection(700_000 + self.admitted)
        self.venue.public_door.opened(self.connection)
        self.session.connected(self.clock.monotonic())

    def passes(self, seconds):
        end = self.clock.now() + round(seconds * SECOND)
        while self.clock.now() < end:
            self.clock.advance_to(min(end, self.clock.now() + STEP))
            if self.connection is None:
                self.connect()
            self.venue.pump()
            if self.clock.now() - self._beat >= SECOND:
                self._beat = self.clock.now()
                self.venue.public.heartbeat()
            for _ in range(4):  # acks ask for more, and those are answered
                self._carry()
            if self.connection is not None:
                self._take(self.session.on_time(self.clock.monotonic()))
        return self

    def _carry(self):
        if self.connection is None:
            return
        for frame in self.session.outgoing():
            self.venue.public_door.receive(self.connection, read_request(frame.decode()))
        while self.connection is not None and not self.connection.frames.empty():
            frame = self.connection.frames.get_nowait()
            if frame is None:
                self._cut("closed")
            else:
                self._take(self.session.receive(frame.encode(), self.clock.monotonic()))

    def _take(self, events):
        self.events += events
        for event in events:
            if isinstance(event, Dead):
                self._cut(event.reason)
                return

    def _cut(self, reason):
        self.dead.append(reason)
        self.venue.public_door.closed(self.connection)
        self.connection = None

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def forget(self):
        self.events.clear()
        self.dead.clear()


@pytest.fixture
def watcher():
    made = Watcher().passes(3)
    assert made.of(Ready)
    made.forget()
    return made


def quotes(watcher, symbol=XRP):
    return [e.quote for e in watcher.of(public.TopMoved) if e.quote.instrument == symbol]


def test_a_corrupt_checksum_costs_one_book_one_resync(watcher):  # C01
    watcher.arm("corrupt_checksum", match={"symbol": XRP})
    watcher.passes(60)
    (lost,) = watcher.of(public.Lost)
    assert (lost.instrument, lost.degraded) == (XRP, False)
    assert watcher.dead == []
    watcher.forget()
    watcher.passes(30)
    assert quotes(watcher)
    assert quotes(watcher, BTC)
    assert watcher.of(public.Lost) == []


def test_a_lost_update_is_found_by_the_checksum(watcher):  # C01
    watcher.arm("lost_book", match={"symbol": XRP})
    watcher.passes(60)
    assert [one.instrument for one in watcher.of(public.Lost)] == [XRP]
    watcher.forget()
    assert quotes(watcher.passes(60))


def test_a_book_that_never_comes_right_is_given_up_and_the_other_goes_on(watcher):  # C01
    watcher.arm("corrupt_checksum", duration_s=7200, match={"symbol": XRP})
    watcher.passes(600)
    assert watcher.of(public.Lost)[-1].degraded
    assert 3 <= len(watcher.of(public.Lost)) <= 12
    assert quotes(watcher, BTC)
    assert watcher.dead == []


def test_a_crossed_book_is_refused_although_its_checksum_is_right():  # C02
    watcher = Watcher()
    watcher.arm("crossed_book", match={"symbol": XRP})
    watcher.passes(3)
    (lost,) = watcher.of(public.Lost)
    assert lost.instrument == XRP
    assert all(quote.bid < quote.ask for quote in quotes(watcher))
    watcher.passes(30)
    assert quotes(watcher)


@pytest.mark.parametrize("fault", ["silence", "stall"])  # C03, C04
def test_silence_is_cut_and_a_new_connection_serves_again(watcher, fault):
    watcher.arm(fault, duration_s=200)
    watcher.passes(11 if fault == "silence" else 190)
    assert watcher.dead
    watcher.forget()
    watcher.passes(400)
    assert quotes(watcher)


def test_a_burst_gives_each_trade_once(watcher):  # C05
    watcher.arm("burst", count=20, match={"channel": "trade"})
    watcher.passes(120)
    ids = [(t.instrument, t.trade_id) for e in watcher.of(public.Prints) for t in e.trades]
    assert len(ids) == len(set(ids)) > 0
    assert watcher.session.counters["repeated trade"] >= 49


def test_missed_trades_are_told_with_the_span_that_lacks_them(watcher):  # C06
    watcher.passes(60)
    watcher.arm("trade_gap", match={"symbol": XRP})
    watcher.passes(300)
    (gap,) = watcher.of(TradeGap)
    assert gap.instrument == XRP
    assert gap.next_id > gap.last_id + 1
    assert gap.since <= gap.until


@pytest.mark.parametrize("value", ["0", "-1", "1e308", "NaN", "Infinity"])  # C07
@pytest.mark.parametrize("channel", ["trade", "book"])
def test_prices_no_market_has_are_never_told(watcher, channel, value):
    watcher.arm("bad_number", value=value, count=3, match={"channel": channel})
    watcher.passes(60)
    assert watcher.venue.faults.schedule.fired["bad_number"] == 3
    told = [t.price for e in watcher.of(public.Prints) for t in e.trades]
    told += [price for quote in quotes(watcher) for price in (quote.bid, quote.ask)]
    assert all(price.is_finite() and 0 < price < 10**6 for price in told)


@pytest.mark.parametrize(
    "fault", ["malformed", "deep", "huge", "wrong_type", "unknown_keys", "unknown_channel", "bare_text"]
)
def test_frames_that_cannot_be_right_never_end_in_a_crash(watcher, fault):  # C09
    watcher.arm(fault, count=20, **({"times": 64} if fault == "huge" else {}))
    watcher.passes(60)
    watcher.forget()
    watcher.passes(60)
    assert quotes(watcher)


def test_a_changed_pair_is_told(watcher):  # C10
    watcher.arm("instrument_change", symbol=XRP, fields={"status": "reduce_only", "minimum_quantity": "50"})
    watcher.passes(1)
    (listed,) = watcher.of(public.Listed)
    assert [(i.symbol, i.status) for i in listed.instruments] == [(XRP, "reduce_only")]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])  # C11
def test_stamps_of_another_hour_are_survived(watcher, seconds):
    watcher.arm("shifted_time", seconds=seconds, count=5)
    watcher.passes(60)
    assert watcher.dead == []
    assert quotes(watcher)


def test_refused_handshakes_are_waited_out():  # C12
    watcher = Watcher()
    watcher.arm("connect_refused", count=5)
    watcher.passes(10)
    assert watcher.admitted == 1
    assert watcher.of(Ready)


@pytest.mark.parametrize("code", [1001, 1006])
def test_a_closed_connection_is_replaced(watcher, code):
    watcher.arm("close", code=code)
    watcher.passes(5)
    assert watcher.dead == ["closed"]
    assert watcher.of(Ready)
