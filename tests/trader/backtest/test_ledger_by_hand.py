"""Small markets whose every figure was worked out by hand, compared to the last digit.

Prices of quotes: half the spread outward from the path's price, then outward to the tick of 0.01.
"""

from core.clock import HOUR, SECOND
from core.orders import OrderState, Purpose, TimeInForce
from tests.trader.backtest.by_hand import BUY, SELL, D, Hand

IOC = {"time_in_force": TimeInForce.IOC}


def test_a_long_pays_the_spread_and_two_taker_fees():
    hand = Hand("legacy16", margin=False)
    hand.flat(100.0)  # half 0.000052: 99.9948 -> 99.99, 100.0052 -> 100.01; mid 100.00
    hand.send(BUY, "5")
    # Range 11/110 = 0.1, half 0.00205: 109.7745 -> 109.77, 110.2255 -> 110.23. Of 909 at the touch five move
    # the price by 0.46 x 5/909 = 0.0025, which is no tick.
    hand.bar(100.0, 111.0, 100.0, 110.0)
    hand.close(SELL, "5")
    hand.finish()
    trip = hand.trip
    assert (trip.side, trip.entry, trip.exit) == ("long", D("100.01"), D("109.77"))
    assert trip.gross == (D("109.77") - D("100.01")) * 5 == D("48.80")
    assert trip.fees == D("500.05") * D("0.0016") + D("548.85") * D("0.0016") == D("1.67824")
    assert trip.slippage == D("0.01") * 5 + (D("110.00") - D("109.77")) * 5 == D("1.20")
    assert trip.turnover == D("1048.90")
    assert hand.ledger.equity == 10_000 + D("48.80") - D("1.67824")


def test_an_order_that_is_large_for_the_bar_moves_its_own_price():
    hand = Hand("gross")
    hand.bar(100.0, 111.0, 100.0, 110.0)  # as above; half a minute of 1,000,000 / 110 are 909.09 coins
    hand.send(SELL, "90")  # 0.46 x 90/909.09 = 0.0455 further, to the nearest tick 0.05
    hand.finish()
    assert hand.trip.entry == D("109.77") - D("0.05")


def test_a_short_borrows_the_coin_and_its_opening_fee_stands_apart():
    hand = Hand("kraken")
    hand.flat(100.0)
    hand.send(SELL, "10")
    hand.bar(
        100.0, 100.0, 90.0, 90.0
    )  # range 1/9, half 0.002272..: ask 90.2045 -> 90.21, bid 89.7955 -> 89.79
    hand.close(BUY, "10")
    hand.finish()
    trip = hand.trip
    assert (trip.side, trip.entry, trip.exit) == ("short", D("99.99"), D("90.21"))
    assert trip.gross == (D("99.99") - D("90.21")) * 10
    assert trip.fees == D("999.90") * D("0.004") + D("902.10") * D("0.004")
    assert trip.margin_fees == D("999.90") * D("0.0001")  # what borrowing bitcoin costs, at the opening
    assert trip.net == D("97.80") - D("7.608") - D("0.09999")
    assert hand.ledger.equity == D(10_000) + trip.net


def test_leverage_multiplies_what_a_move_is_worth_and_ties_up_a_fifth():
    hand = Hand("gross", cash=1_000)
    hand.flat(100.0)
    hand.send(BUY, "40", leverage=5)  # 4000.40 on 1000 of cash
    assert hand.exchange.trade_balance("scalp").used == D("4000.40") / 5
    hand.send(BUY, "11", leverage=5)  # 1100.11 / 5 = 220.022 more, free 1000 - 0.40 - 800.08 = 199.52
    assert hand.reports[-1].reason == "EOrder:Insufficient margin"
    hand.bar(100.0, 101.0, 100.0, 101.0)  # range 1/101, half 0.000248..: bid 100.9749 -> 100.97
    hand.close(SELL, "40")
    hand.finish()
    assert hand.trip.net == (D("100.97") - D("100.01")) * 40 == D("38.40")
    assert (hand.trip.fees, hand.trip.margin_fees) == (0, 0)


def test_a_taker_gets_half_a_minute_of_volume_and_pays_a_spread_more_for_the_last_of_it():
    hand = Hand("vip9", margin=False)
    # A hundred coins in five minutes: ten in half a minute. Value 10,000, so half is
    # 0.00005 + 0.02 x 0.0001 x 10 = 0.00007: 99.993 -> 99.99, 100.007 -> 100.01, the spread 0.02.
    hand.bar(100.0, 100.0, 100.0, 100.0, value=10_000)
    hand.send(BUY, "25", limit="101", **IOC)
    assert hand.held() == 10
    assert hand.reports[-1].state is OrderState.CANCELED
    hand.finish()
    assert hand.trip.entry == D("100.01") + D("0.02")
    assert hand.trip.slippage == (D("100.03") - D("100.00")) * 10
    assert hand.trip.fees == D("1000.30") * D("0.0002")
    assert (hand.trip.ended_by, hand.trip.exit) == ("end", D("100.00"))


def test_a_market_exit_waits_for_more_and_is_one_trip():
    hand = Hand("gross")
    hand.flat(100.0)
    hand.send(BUY, "30")
    hand.bar(100.0, 100.0, 100.0, 100.0, value=10_000)  # ten at a time from here on
    hand.close(SELL, "30")
    assert hand.held() == 20
    hand.bar(100.0, 100.0, 100.0, 100.0, value=10_000)  # open and low take the rest
    hand.finish()
    assert (hand.trip.fills, hand.held()) == (4, 0)
    # 99.99 less the spread of 0.02, three times; the entry's 30 of 1000 move 0.03 x 0.02, which is no tick.
    assert hand.trip.gross == (D("99.97") - D("100.01")) * 30


def test_stop_and_target_in_one_bar_are_the_stop():
    hand = Hand("legacy16", margin=False)
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.close(SELL, "10", Purpose.STOP, trigger="98")
    hand.close(SELL, "10", Purpose.TARGET, limit="102")
    # Range 8/100, half 0.00165. At the stop's price: bid 98 x 0.99835 = 97.8383 -> 97.83.
    hand.bar(100.0, 104.0, 96.0, 100.0)
    hand.finish()
    trip = hand.trip
    assert (trip.ended_by, trip.exit) == ("stop", D("97.83"))
    assert trip.gross == (D("97.83") - D("100.01")) * 10
    assert trip.fees == (D("1000.10") + D("978.30")) * D("0.0016")
    assert hand.held() == 0


def test_a_short_meets_its_stop_first_too():
    hand = Hand("gross")
    hand.flat(100.0)
    hand.send(SELL, "10")
    hand.close(BUY, "10", Purpose.STOP, trigger="102")
    hand.close(BUY, "10", Purpose.TARGET, limit="98")
    hand.bar(100.0, 104.0, 96.0, 100.0)  # ask at the stop: 102 x 1.00165 = 102.1683 -> 102.17
    hand.finish()
    assert (hand.trip.ended_by, hand.trip.exit) == ("stop", D("102.17"))
    assert hand.trip.net == (D("99.99") - D("102.17")) * 10


def test_a_gap_through_the_stop_fills_at_the_open():
    hand = Hand("gross")
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.close(SELL, "10", Purpose.STOP, trigger="98")
    # Range 1/95, half 0.00005 + 0.02 / 95 = 0.000260526: bid 95 x 0.999739.. = 94.97525 -> 94.97.
    hand.bar(95.0, 95.5, 94.5, 95.0)
    hand.finish()
    assert (hand.trip.ended_by, hand.trip.exit) == ("stop", D("94.97"))
    assert hand.trip.gross == (D("94.97") - D("100.01")) * 10 == D("-50.40")


def test_a_target_that_price_goes_through_fills_as_maker_at_its_own_price():
    hand = Hand("kraken", margin=False)
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.close(SELL, "10", Purpose.TARGET, limit="102")
    # Range 3/102.5, half 0.000635366: on its way to 103 the bid is 102.00 where the price is 102.06985, the
    # ask 102.1347 -> 102.14, the mid 102.07: the price had to come through by half a spread.
    hand.bar(100.0, 103.0, 100.0, 102.5)
    hand.finish()
    trip = hand.trip
    assert (trip.ended_by, trip.exit) == ("target", D(102))
    assert trip.fees == D("1000.10") * D("0.0040") + D("1020.00") * D("0.0025")
    assert trip.slippage == D("0.01") * 10 + (D("102.07") - 102) * 10


def test_a_target_that_price_only_touches_does_not_fill():
    hand = Hand("kraken", margin=False)
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.close(SELL, "10", Purpose.TARGET, limit="102")
    hand.bar(100.0, 102.0, 100.0, 101.0)  # the bid at the high is below it
    hand.finish()
    assert hand.trip.ended_by == "end"


def test_a_long_rolls_over_every_four_hours_at_the_rate_of_its_quote():
    hand = Hand("kraken")
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.flat(100.0, bars=8 * 12 + 1)  # eight hours and a bar: two rollovers
    hand.close(SELL, "10")
    hand.finish()
    trip = hand.trip
    assert trip.closed - trip.opened > 8 * HOUR
    opening = D("1000.10") * D("0.0002")  # a borrowed USDT
    assert trip.margin_fees == opening + 2 * opening == D("0.60006")
    assert trip.fees == D("1000.10") * D("0.004") + D("999.90") * D("0.004")
    assert trip.net == D("-0.20") - trip.fees - D("0.60006")


def test_free_lending_rolls_for_nothing():
    hand = Hand("gross")
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.flat(100.0, bars=5 * 12)
    hand.finish()
    assert hand.trip.margin_fees == 0


def test_a_liquidation_closes_at_market_at_the_stop_level_of_forty_percent():
    hand = Hand("gross", cash=1_000)
    hand.flat(100.0)
    hand.send(BUY, "40", leverage=5)  # cost 4000.40, used 800.08; forty percent of it are 320.032
    # Equity 1000 + 40 x (mid - 100.01) is at most that from a mid of 83.0108 on downwards.
    # The call comes at eighty: 640.064, at a mid of 91.0116.
    hand.bar(100.0, 100.0, 91.5, 92.0)
    assert hand.ledger.margin_calls == 0
    hand.bar(92.0, 92.0, 83.5, 84.0)  # down to a mid of 83.50, back up to 92.00, and down again: two calls
    assert (hand.held(), hand.ledger.margin_calls) == (40, 2)
    hand.bar(84.0, 84.0, 82.0, 83.0)
    # Range 2/83, half 0.000531928: at the low 81.9564 -> 81.95, 82.0436 -> 82.05; the mid is 82.00.
    hand.finish()
    trip = hand.trip
    assert (trip.ended_by, trip.exit, hand.held()) == ("liquidation", D("81.95"), 0)
    assert trip.gross == (D("81.95") - D("100.01")) * 40 == D("-722.40")
    assert hand.ledger.equity == D("277.60")
    assert trip.reason == "margin level at the stop level"


def test_an_order_below_the_minimum_is_refused_and_costs_nothing():
    hand = Hand("kraken")
    hand.flat(100.0)
    hand.send(BUY, "0.00004")
    assert hand.reports[-1].reason == "EOrder:Order minimum not met"
    hand.send(BUY, "0.00499")  # 0.499 of value; the minimum is 0.5
    assert hand.reports[-1].reason == "EOrder:Cost minimum not met"
    hand.finish()
    assert (hand.ledger.trips, hand.ledger.equity) == ([], 10_000)


def test_an_order_that_travels_two_seconds_meets_the_next_bars_open():
    hand = Hand("gross", latency_ms=2_000)
    hand.flat(100.0)
    hand.send(BUY, "10")
    assert hand.held() == 0
    # Range 0.5/101.5 = 0.004926.., half 0.000148522: the open's ask is 101.01500 -> 101.02.
    hand.bar(101.0, 101.5, 101.0, 101.5)
    assert hand.held() == 10
    hand.finish()
    assert hand.trip.entry == D("101.02")
    assert hand.trip.opened == 300 * SECOND + 2 * SECOND


def test_two_accounts_pay_for_themselves_alone():
    hand = Hand("legacy16", margin=False)
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.send(SELL, "4", account="swing")
    hand.flat(100.0)
    hand.finish()
    scalp, swing = (hand.books.ledgers[name] for name in ("scalp", "swing"))
    assert scalp.equity == 10_000 + (D("100.00") - D("100.01")) * 10 - D("1000.10") * D("0.0016")
    assert swing.equity == 10_000 + (D("99.99") - D("100.00")) * 4 - D("399.96") * D("0.0016")
    assert (scalp.trips[0].account, swing.trips[0].side) == ("scalp", "short")


def opposite_accounts():
    """Ten long in one account, four short in the other, both with a stop and a target two away."""
    hand = Hand("gross")
    hand.flat(100.0)
    hand.send(BUY, "10")
    hand.send(SELL, "4", account="swing")
    hand.close(SELL, "10", Purpose.STOP, trigger="98")
    hand.close(SELL, "10", Purpose.TARGET, limit="102")
    hand.close(BUY, "4", Purpose.STOP, trigger="102", account="swing")
    hand.close(BUY, "4", Purpose.TARGET, limit="98", account="swing")
    return hand


def ends(hand):
    hand.finish()
    return [[trip.ended_by for trip in ledger.trips] for ledger in hand.books.ledgers.values()]


def test_opposite_accounts_both_meet_their_stop_first():
    hand = opposite_accounts()
    hand.bar(100.0, 104.0, 96.0, 100.0)
    assert ends(hand) == [["stop"], ["stop"]]
    # Asks at the stop of the short: 102 x 1.00165 = 102.1683 -> 102.17.
    assert hand.books.ledgers["swing"].trips[0].exit == D("102.17")


def test_opposite_accounts_have_their_targets_when_only_those_are_met():
    hand = opposite_accounts()
    hand.bar(100.0, 100.0, 96.0, 100.0)  # range 4/100, half 0.00085: the long stops out, the short is done
    assert ends(hand) == [["stop"], ["target"]]
    hand = opposite_accounts()
    hand.bar(100.0, 104.0, 100.0, 100.0)
    assert ends(hand) == [["target"], ["stop"]]


def test_the_desks_words_name_the_end_of_an_exit():
    for words, ended_by in [
        ("opposite opinion", "opinion"),
        ("held for 12 bars of 5m", "time"),
        ("no stop rests and the price is through 98", "stop"),
        ("the day's loss of 3.1 % is over 3 %", "brake"),
    ]:
        hand = Hand("gross")
        hand.flat(100.0)
        hand.send(BUY, "1")
        hand.said = words
        hand.close(SELL, "1")
        assert (hand.trip.ended_by, hand.trip.reason) == (ended_by, words)
