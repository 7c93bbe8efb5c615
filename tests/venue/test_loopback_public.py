"""The loopback's public answers where clients of others depend on details, over WS and REST."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from core.instrument import Instrument
from core.market import Trade
from core.orders import Side
from tests.venue.loopback_client import BTC, SETTINGS, START, XRP, Client, public, rows, venue_at
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import FeeSchedule
from venue.loopback_listing import rest_pair
from venue.loopback_names import find_pair, pair_name
from venue.loopback_rest_public import PublicAnswers, RestError
from venue.loopback_templates import book
from venue.market_model import Ladder, Level


def connected():
    client = Client(*venue_at())
    client.frames()
    return client


# ---- WebSocket: requests ----


def test_ping_takes_no_params():
    (ack,) = connected().ask("ping", 3, extra=1)
    assert ack["error"] == "Unsupported field: 'params' for the given msg type: ping"
    assert (ack["method"], ack["success"], ack["req_id"]) == ("ping", False, 3)


@pytest.mark.parametrize(
    "params,error",
    [
        ({"channel": "book", "depth": 11}, "Subscription depth not supported"),
        ({"channel": "book", "depth": True}, "Subscription depth not supported"),
        ({"channel": "ohlc", "interval": 7}, "Subscription ohlc interval not supported"),
        ({"channel": "ticker", "event_trigger": "sometimes"}, "Event trigger not supported"),
        (
            {"channel": "trade", "maxratecount": 1},
            "Unsupported field: 'maxratecount' for the given msg type: subscribe",
        ),
        ({"channel": "trade", "depth": 10}, "Unsupported field: 'depth' for the given msg type: subscribe"),
        ({"channel": "trade", "snapshot": "yes"}, "Snapshot field must be a boolean"),
        ({"channel": "weather"}, "Unsupported channel"),
    ],
)
def test_refusals_are_acks_and_leave_the_connection_alive(params, error):
    client = connected()
    acks = client.ask("subscribe", 5, symbol=[XRP, BTC], **params)
    assert [(ack["error"], ack["req_id"], ack["success"]) for ack in acks] == [(error, 5, False)] * 2
    assert all("result" not in ack for ack in acks)
    assert client.ask("subscribe", 6, channel="trade", symbol=[XRP])[0]["success"] is True


def test_an_unsubscription_must_match_what_was_subscribed():
    client = connected()
    client.ask("subscribe", channel="book", symbol=[XRP], depth=25)
    (refused,) = client.ask("unsubscribe", 1, channel="book", symbol=[XRP])
    assert refused["error"] == "Subscription Not Found"
    assert rows(client.wait(MINUTE), "book")
    (ack,) = client.ask("unsubscribe", 2, channel="book", symbol=[XRP], depth=25)
    assert ack["result"] == {"channel": "book", "depth": 25, "symbol": XRP}
    assert client.wait(MINUTE) == []


def test_a_second_subscription_brings_a_fresh_snapshot():
    client = connected()
    client.ask("subscribe", channel="book", symbol=[XRP])
    client.wait(MINUTE)
    client.ask("unsubscribe", channel="book", symbol=[XRP])
    client.wait(MINUTE)
    ack, snapshot = client.ask("subscribe", channel="book", symbol=[XRP])
    assert ack["result"]["depth"] == 10
    assert snapshot["type"] == "snapshot"
    best = public(client.venue, "Depth", pair=XRP, count="1")["XRPUSDT"]
    assert snapshot["data"][0]["bids"][0]["price"] == Decimal(best["bids"][0][0])


# ---- WebSocket: data ----


def test_bbo_speaks_when_the_touch_moves_and_trades_when_something_trades():
    client, other = connected(), connected()
    client.ask("subscribe", channel="ticker", symbol=[XRP], event_trigger="bbo")
    client.ask("subscribe", channel="trade", symbol=[XRP])
    other.ask("subscribe", channel="ticker", symbol=[XRP], event_trigger="trades")
    frames = client.wait(10 * MINUTE)
    touches = [
        tuple(row[key] for key in ("bid", "bid_qty", "ask", "ask_qty")) for row in rows(frames, "ticker")
    ]
    assert len(touches) > len(rows(frames, "trade")) / 2
    assert all(one != two for one, two in pairwise(touches))
    mine = other.wait(10 * MINUTE)
    assert len(rows(mine, "ticker")) == len(rows(frames, "trade"))


def test_a_quiet_book_keeps_the_time_of_its_last_change():
    client = connected()
    first = client.ask("subscribe", channel="book", symbol=[XRP])[-1]["data"][0]
    updates = rows(client.wait(MINUTE), "book")
    client.ask("unsubscribe", channel="book", symbol=[XRP])
    changed = updates[-1]["timestamp"] if updates else first["timestamp"]
    assert changed < "2024-06-14T12:01:00"
    late = Client(client.venue, client.clock)
    late.subscribed("book", symbol=[XRP])
    client.frames()
    client.venue.public._publish_book(
        client.venue.exchange.instruments[XRP], *client.venue._tapes[XRP].at(client.clock.now())
    )
    assert rows(late.frames(), "book") == []  # the same book again is no change


def test_books_of_no_and_of_few_levels_are_framed():
    pair, none = listed([XRP])[XRP], Ladder(1, (), ())
    frame = json.loads(book(pair, none, 10))["data"][0]
    assert (frame["bids"], frame["asks"], frame["checksum"]) == ([], [], 0)
    one = Ladder(2, (Level(5000, 7),), ())
    assert json.loads(book(pair, one, 10, none))["data"][0]["bids"] == [{"price": 0.5, "qty": 7e-08}]
    assert json.loads(book(pair, none, 10, one))["data"][0]["bids"] == [{"price": 0.5, "qty": 0.0}]


def test_idle_candles_say_nothing_and_running_ones_everything():
    client = connected()
    client.ask("subscribe", channel="ohlc", symbol=[XRP], interval=1)
    client.ask("subscribe", channel="trade", symbol=[XRP])
    frames = client.wait(5 * MINUTE)
    updates, trades = rows(frames, "ohlc"), rows(frames, "trade")
    assert len(updates) == len(trades)
    for begin in {row["interval_begin"] for row in updates}:
        inside = [t for t in trades if t["timestamp"][:16] == begin[:16]]
        final = [row for row in updates if row["interval_begin"] == begin][-1]
        assert final["trades"] == len(inside)
        assert final["volume"] == sum(t["qty"] for t in inside)
        assert (final["open"], final["close"]) == (inside[0]["price"], inside[-1]["price"])
        assert (final["high"], final["low"]) == (
            max(t["price"] for t in inside),
            min(t["price"] for t in inside),
        )


# ---- REST ----


def test_ticker_tells_today_and_the_rolling_day_apart():
    venue, _ = venue_at(START + HOUR)
    row = public(venue, "Ticker", pair=XRP)["XRPUSDT"]
    daily = public(venue, "OHLC", pair=XRP, interval="1440")["XRPUSDT"][-1]
    assert daily[0] * SECOND == START - START % DAY
    assert Decimal(row["v"][0]) == Decimal(daily[6]) < Decimal(row["v"][1])
    assert row["t"][0] == daily[7] < row["t"][1]
    assert (Decimal(row["l"][0]), Decimal(row["h"][0])) == (Decimal(daily[3]), Decimal(daily[2]))
    assert Decimal(row["o"]) == Decimal(daily[1])


def test_candles_after_since_always_hold_the_running_one():
    venue, _ = venue_at(START + 7 * SECOND)
    whole = public(venue, "OHLC", pair=XRP)["XRPUSDT"]
    assert len(whole) == 720
    assert public(venue, "OHLC", pair=XRP, since=str(whole[-3][0]))["XRPUSDT"] == whole[-2:]
    assert public(venue, "OHLC", pair=XRP, since=str(whole[-1][0]))["XRPUSDT"] == whole[-1:]
    assert public(venue, "OHLC", pair=XRP, since="1")["XRPUSDT"] == whole


def test_the_grouped_book_holds_the_books_volume_on_a_coarser_grid():
    venue, _ = venue_at()
    fine = public(venue, "GroupedBook", pair=XRP, depth="1000")
    coarse = public(venue, "GroupedBook", pair=XRP, depth="1000", grouping="50")
    assert (coarse["pair"], coarse["grouping"]) == (XRP, 50)
    for side in ("bids", "asks"):
        assert sum(Decimal(r["qty"]) for r in fine[side]) == sum(Decimal(r["qty"]) for r in coarse[side])
        assert all(Decimal(row["price"]) % Decimal("0.005") == 0 for row in coarse[side])
    assert Decimal(coarse["bids"][0]["price"]) <= Decimal(fine["bids"][0]["price"])
    assert Decimal(coarse["asks"][0]["price"]) >= Decimal(fine["asks"][0]["price"])


def test_spreads_are_the_touch_as_it_changed():
    venue, clock = venue_at()
    answer = public(venue, "Spread", pair=XRP)
    table = answer["XRPUSDT"]
    assert len(table) == 200
    assert all(Decimal(bid) < Decimal(ask) for _, bid, ask in table)
    assert [row[0] for row in table] == sorted(row[0] for row in table)
    assert all(one[1:] != two[1:] for one, two in pairwise(table))
    clock.advance_to(clock.now() + MINUTE)
    later = public(venue, "Spread", pair=XRP, since=str(answer["last"]))["XRPUSDT"]
    assert later[0] == table[-1]
    assert len(later) > 3


@pytest.mark.parametrize(
    "method,query,error",
    [
        ("Depth", {"pair": XRP, "count": "0"}, "EGeneral:Invalid arguments"),
        ("Depth", {"pair": XRP, "count": "501"}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": XRP, "count": "1001"}, "EGeneral:Invalid arguments"),
        ("GroupedBook", {"pair": XRP, "grouping": "3"}, "EGeneral:Invalid arguments"),
        ("GroupedBook", {"pair": XRP, "depth": "²"}, "EGeneral:Invalid arguments"),
        ("AssetPairs", {"info": "everything"}, "EGeneral:Invalid arguments"),
        ("AssetPairs", {"pair": f"{XRP},NO/PE"}, "EQuery:Unknown asset pair"),
        ("Assets", {"asset": "XRP,NOPE"}, "EQuery:Unknown asset"),
        ("Spread", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
    ],
)
def test_refusals_over_rest(method, query, error):
    with pytest.raises(RestError, match=error):
        public(venue_at()[0], method, **query)


def test_assets_answer_to_all_their_names_and_only_their_class():
    venue, _ = venue_at()
    assert list(public(venue, "Assets", asset="XXBT,XRP,USDT")) == ["XXBT", "XXRP", "USDT"]
    assert public(venue, "Assets", asset="BTC")["XXBT"]["altname"] == "XBT"
    assert public(venue, "Assets", aclass="tokenized_asset") == {}
    assert isinstance(public(venue, "Assets")["XXBT"]["margin_rate"], str)


def test_pairs_are_named_as_kraken_names_them():
    def pair(base, quote):
        grid = Decimal("0.01")
        return Instrument(f"{base}/{quote}", base, quote, grid, grid, 2, 2, grid, grid)

    names = {
        "BTC/USD": ("XXBTZUSD", "XBTUSD", "XBT/USD"),
        "ETH/BTC": ("XETHXXBT", "ETHXBT", "ETH/XBT"),
        "DOGE/USD": ("XXDGZUSD", "XDGUSD", "XDG/USD"),
        "SOL/USD": ("SOLUSD", "SOLUSD", "SOL/USD"),
        "BTC/USDT": ("XBTUSDT", "XBTUSDT", "XBT/USDT"),
        "USDT/USD": ("USDTZUSD", "USDTUSD", "USDT/USD"),
        "EUR/USD": ("ZEURZUSD", "EURUSD", "EUR/USD"),
    }
    pairs = {symbol: pair(*symbol.split("/")) for symbol in names}
    for symbol, texts in names.items():
        name = pair_name(pairs[symbol])
        assert (name.key, name.altname, name.wsname) == texts
        assert all(find_pair(text, pairs) is pairs[symbol] for text in (*texts, symbol))
    assert find_pair("NOPE", pairs) is None


def test_the_fee_schedule_begins_at_the_simulations_own_fee():
    xrp = listed([XRP])[XRP]
    row = rest_pair(xrp, FeeSchedule(maker=Decimal("0.0025"), taker=Decimal("0.004")))
    assert row["fees"][:2] == [[0, 0.4], [10_000, 0.35]]
    assert row["fees_maker"][-1] == [10_000_000, 0.0]
    cheap = rest_pair(xrp, FeeSchedule(maker=Decimal(0), taker=Decimal("0.0015")))
    assert cheap["fees"] == [[0, 0.15], [2_500_000, 0.14], [5_000_000, 0.12], [10_000_000, 0.1]]
    assert cheap["fees_maker"] == [[0, 0.0]]


class BurstTape:
    """Trades with equal timestamps, as one large order makes them."""

    def __init__(self, times):
        self.rows = [
            Trade(XRP, START + 1000 * moment, Decimal("0.5"), Decimal(1), Side.BUY, number)
            for number, moment in enumerate(sorted(times), 1)
        ]

    def trades(self, after, until, limit):
        return [t for t in self.rows if after < t.ts_event <= until][:limit]

    def latest(self, until, count):
        return [t for t in self.rows if t.ts_event <= until][-count:]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 7))
def test_paging_through_bursts_of_one_timestamp_loses_and_repeats_nothing(times, count):
    tape = BurstTape(times)
    exchange = Exchange(listed([XRP]), fees=SETTINGS.fees)
    answers = PublicAnswers(exchange, {XRP: tape}, ManualClock(START + MINUTE))
    since, ids = "0", []
    for _ in range(len(times) + 1):
        page = answers.methods["Trades"]({"pair": XRP, "since": since, "count": str(count)})
        ids += [row[6] for row in page["XRPUSDT"]]
        if page["last"] == since:
            break
        since = page["last"]
    assert ids == [t.trade_id for t in tape.rows]
