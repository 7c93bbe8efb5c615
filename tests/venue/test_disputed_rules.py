"""Where Kraken's documents are open, the venue takes either side and the real client stays safe.

Each test runs both values of one switch; docs/faults.md lists them.
"""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from core.clock import MINUTE, SECOND, ManualClock
from core.errors import LinkLost
from core.events import Fill
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from tests.venue.loopback_client import BTC, SECRET, SETTINGS, START, XRP, rest, top
from venue import loopback_templates as templates
from venue import public, wire
from venue import rest as client_rest
from venue.client import Credentials, SignedRest
from venue.exchange_listing import listed
from venue.exchange_settings import ExchangeRules
from venue.loopback import application, build
from venue.loopback_connection import read_request
from venue.loopback_switches import AccessSwitches, PrivateSwitches, PublicSwitches
from venue.private import PrivateSession
from venue.session import Dead, Ready
from venue.tops import instruments

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BOTH = pytest.mark.parametrize("other", [False, True])


class Desk:
    """A venue with some switches and one of our sessions on it, in virtual time."""

    def __init__(self, session, *, private=False, symbols=(XRP, BTC), **switches):
        self.clock = ManualClock(START)
        settings = msgspec.structs.replace(SETTINGS, symbols=symbols, **switches)
        self.venue = build(settings, self.clock)
        self.session, self.events, self.texts = session, [], []
        self._door = self.venue.private_door if private else self.venue.public_door
        self._connection = self.venue.connection(1)
        self._door.opened(self._connection)
        if private:
            token = rest(self.venue, "GetWebSocketsToken")["token"]
            session.authorise(token)
        session.connected(self.clock.monotonic())
        self.carry()

    def carry(self):
        for _ in range(20):
            for frame in self.session.outgoing():
                self._door.receive(self._connection, read_request(frame.decode()))
            while not self._connection.frames.empty():
                text = self._connection.frames.get_nowait()
                self.texts.append(text)
                self.events += self.session.receive(text.encode(), self.clock.monotonic())

    def passes(self, seconds):
        for _ in range(seconds):
            self.clock.advance_to(self.clock.now() + SECOND)
            self.venue.pump()
            self.venue.public.heartbeat()
            self.venue.private.heartbeat()
            self.carry()
            self.events += self.session.on_time(self.clock.monotonic())
        return self

    def told(self, words):
        return sum(words in text for text in self.texts)

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]


# ---- market data ----


def market(**switches):
    desk = Desk(
        public.PublicSession((XRP, BTC), candles=True), public_switches=PublicSwitches(**switches)
    ).passes(MINUTE // SECOND)
    assert desk.of(Ready)
    assert not desk.of(Dead, public.Lost, public.Refused)
    return desk


@pytest.fixture(scope="module")
def plain():
    return market()


def test_an_instrument_is_read_with_its_least_cost_as_text_or_number(plain):
    texts = market(cost_min_text=True)
    assert '"cost_min":"0.5"' in "".join(texts.texts)
    assert '"cost_min":0.5' in "".join(plain.texts)
    assert texts.events == plain.events


def test_initial_margin_as_percent_lends_nothing_instead_of_too_much(plain):
    percent = market(margin_percent=True)
    assert '"margin_initial":20' in "".join(percent.texts)
    lent = {one.symbol: one.max_leverage for event in plain.of(public.Listed) for one in event.instruments}
    none = {one.symbol: one.max_leverage for event in percent.of(public.Listed) for one in event.instruments}
    assert lent == {XRP: 5, BTC: 10}
    assert none == {XRP: 1, BTC: 1}

    def others(desk):
        return [event for event in desk.events if not isinstance(event, public.Listed)]

    assert others(percent) == others(plain)


@pytest.mark.parametrize("percent", [False, True])
def test_no_leverage_is_read_out_of_percent(percent):
    (pair,) = listed([BTC]).values()
    for most in range(2, 101):
        one = msgspec.structs.replace(pair, max_leverage=most)
        text = templates.instruments([one], "snapshot", PublicSwitches(margin_percent=percent))
        (read,) = instruments(wire.decode(text.encode()).data.pairs)
        assert read.max_leverage == (1 if percent else most)


def test_the_time_inside_a_candle_is_never_looked_at(plain):
    begin = market(candle_begin=True)
    for desk, same in ((begin, True), (plain, False)):
        frames = [json.loads(text) for text in desk.texts if text.startswith('{"channel":"ohlc"')]
        for row in (row for frame in frames for row in frame["data"]):
            assert (row["timestamp"][:19] == row["interval_begin"][:19]) is same
    assert begin.of(public.Candles) == plain.of(public.Candles) != []
    assert begin.events == plain.events


@pytest.mark.parametrize("most", [0, 3, 2, 1])
def test_a_limit_of_symbols_per_subscribe_is_found_and_kept(most):
    traded_here = (XRP, BTC, *(f"{base}/USDT" for base in ("SOL", "ETH", "DOGE", "AVAX")))
    session = public.PublicSession((*traded_here, "ADA/USDT"), candles=True)
    desk = Desk(session, symbols=traded_here, public_switches=PublicSwitches(most_symbols=most)).passes(20)
    assert desk.of(Ready)
    assert not desk.of(Dead, public.Lost)
    assert [(e.channel, e.instrument) for e in desk.of(public.Refused)] == [("instrument", "ADA/USDT")]
    assert session.trading == frozenset(traded_here)
    assert all(session.book(symbol) is not None for symbol in traded_here)
    refusals = {0: 0, 3: 3, 2: 9, 1: 9}[most]  # of three channels, each halved from 6
    assert desk.told("Symbol list too long") == refusals
    session.connected(desk.clock.monotonic())
    desk.passes(5)
    assert desk.told("Symbol list too long") == refusals


@pytest.mark.parametrize("error", ["Subscription depth not supported", "no"])
def test_a_refusal_for_another_reason_ends_as_one_refusal_per_symbol(error):
    session = public.PublicSession((XRP, BTC))
    session.connected(0)
    pairs = Desk(public.PublicSession((XRP, BTC))).texts
    session.receive(next(t for t in pairs if '"channel":"instrument","type"' in t).encode(), 0)
    told, asked = [], 0
    while requests := [json.loads(raw) for raw in session.outgoing()]:
        for request in (r for r in requests if r["params"]["channel"] == "book"):
            asked += 1
            answer = {"method": "subscribe", "success": False, "error": error, "req_id": request["req_id"]}
            for _ in request["params"]["symbol"]:  # one answer for each, none with a name
                told += session.receive(json.dumps(answer).encode(), 0)
    assert set(told) == {public.Refused("book", symbol, error) for symbol in (XRP, BTC)}
    assert asked == (1 if "supported" in error else 3)


# ---- connections and keys ----


@BOTH
@pytest.mark.parametrize("side", ["public", "private"])
def test_both_sides_live_with_either_rule_of_heartbeats(other, side):
    switches = AccessSwitches(quiet_heartbeat=other)
    if side == "private":
        desk = Desk(PrivateSession("paper"), private=True, access_switches=switches)
    else:
        session = public.PublicSession((XRP,), book_stale_s=9e9, trade_stale_s=9e9)
        desk = Desk(session, symbols=(XRP,), access_switches=switches)
    desk.passes(60)
    assert desk.of(Ready)
    assert not desk.of(Dead)
    beats = desk.told("heartbeat")
    assert beats == 60 if not other else 0 < beats < 60


class Hurried(ManualClock):
    """Lets market time pass as soon as somebody wants to wait for it."""

    def wall_seconds(self, market_ns):
        self.advance_to(self.now() + market_ns)
        return 0.0


async def reads(*, believed, calls=12, **switches):
    """Let our own client read history and balances in a row; gives its refusals, and the seconds."""
    clock, refusals = Hurried(START), []
    venue = build(msgspec.structs.replace(SETTINGS, access_switches=AccessSwitches(**switches)), clock)
    async with TestServer(application(venue)) as server:
        client = SignedRest(Credentials("key", SECRET), clock, str(server.make_url("")))
        client.budget.adopt(believed)
        for number in range(calls):
            try:
                await client.trades_history(START)
                await client.balances()
            except LinkLost as error:
                refusals.append((number, str(error)))
        await client.close()
    return refusals, (clock.now() - START) / SECOND


STARTER, INTERMEDIATE = 60, 125  # what the engine tells of an account's tier


@pytest.mark.e2e
@pytest.mark.parametrize("cost", [4, 2])
@BOTH
async def test_reads_fit_the_counter_whatever_it_is(cost, other):
    switches = {"history_cost": cost, "starter": other}
    refusals, seconds = await reads(believed=STARTER, **switches)
    assert refusals == []
    assert seconds == pytest.approx((12 * 5 - 15) / 0.33, rel=0.02)
    refusals, seconds = await reads(believed=INTERMEDIATE, **switches)
    if not other:
        assert (refusals, seconds) == ([], pytest.approx((12 * 5 - 20) / 0.5, rel=0.02))
        return
    assert all("EAPI:Rate limit exceeded" in error for _, error in refusals)
    assert len(refusals) < 6  # a refusal makes it wait until the counter is empty enough


# ---- accounts and orders ----


ENTRY = SubmitOrder(
    account="paper",
    trader="t",
    cl_ord_id="SMaa1",
    instrument=BTC,
    side=Side.BUY,
    quantity=Decimal("0.01"),
    order_type=OrderType.LIMIT,
    purpose=Purpose.ENTRY,
    time_in_force=TimeInForce.IOC,
    deadline=START + MINUTE,
    margin=True,
)


def traded(**switches):
    """Give a desk on which our own session has bought on margin."""
    session = PrivateSession("paper")
    desk = Desk(session, private=True, switches=PrivateSwitches(**switches)).passes(1)
    assert desk.of(Ready)
    _, ask = top(desk.venue, BTC)
    session.request(msgspec.structs.replace(ENTRY, limit_price=ask + 10), desk.clock.monotonic())
    desk.carry()
    desk.passes(2)
    assert desk.of(Fill)
    assert not desk.of(Dead)
    return desk


def fills(desk):
    return [msgspec.structs.replace(fill, fee=Decimal(0)) for fill in desk.of(Fill)]


def test_a_fee_told_in_base_is_the_same_fee_in_quote():
    quote, base = traded(), traded(fees_in_base=True)
    assert quote.told('"fees":[{"asset":"USDT"')
    assert base.told('"fees":[{"asset":"BTC"')
    assert fills(base) == fills(quote)
    for one, other in zip(base.of(Fill), quote.of(Fill), strict=True):
        assert one.fee > 0
        assert abs(one.fee - other.fee) <= one.price * Decimal("1e-10")  # the decimals of the wire
    rest_fee = next(iter(rest(base.venue, "TradesHistory")["trades"].values()))["fee"]
    assert rest_fee == next(iter(rest(quote.venue, "TradesHistory")["trades"].values()))["fee"]


def test_margin_of_the_pair_moves_collateral_only():
    capped, uncapped = traded(), traded(margin_uncapped=True)
    assert fills(capped) == fills(uncapped)
    ratios = []
    for desk in (capped, uncapped):
        rows = msgspec.convert(
            rest(desk.venue, "OpenPositions"), dict[str, client_rest.PositionRow], strict=False
        )
        assert sum(row.vol for row in rows.values()) == ENTRY.quantity
        (order,) = rest(desk.venue, "ClosedOrders")["closed"].values()
        ratios.append(order["descr"]["leverage"])
    assert ratios == ["5:1", "10:1"]
    needed, less = (Decimal(rest(desk.venue, "TradeBalance")["m"]) for desk in (capped, uncapped))
    assert 2 * less == needed.quantize(less)  # who counts on 5 never runs short


# ---- the page ----


def test_the_page_lists_every_switch_with_its_default_and_a_test():
    text = PAGE.read_text().partition("## Disputed rules")[2]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[2:5]] for line in text.splitlines() if "` |" in line
    ]
    kinds = (PublicSwitches, PrivateSwitches, AccessSwitches)
    fields = [(kind.__name__, one) for kind in kinds for one in msgspec.structs.fields(kind)]
    ours = ("index", "reduce_only_needs_position")
    fields += [("ExchangeRules", f) for f in msgspec.structs.fields(ExchangeRules) if f.name in ours]
    assert [row[:2] for row in rows] == [[f"{kind}.{one.name}", str(one.default)] for kind, one in fields]
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for _, _, name in rows if f"def {name}(" not in tests] == []
