"""An exchange with one account, and the orders that the tests send to it.

Must not know sockets or clocks. Used by the tests of the exchange model.
"""

from decimal import Decimal

from core.events import Fill
from core.market import Quote, Trade
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import FeeSchedule
from venue.exchange_terms import PLAIN, Terms

D = Decimal
BTC = "BTC/USDT"
FEES = FeeSchedule(maker=D("0.0025"), taker=D("0.004"))
LATENCY = 5_000_000
BUY, SELL = Side.BUY, Side.SELL


def exchange(**options):
    """`rules` are the plain ones unless a test names others."""
    venue = Exchange(listed([BTC, "MKR/USDT"]), fees=FEES, latency_ns=LATENCY, **options)
    venue.open_account("a", D(10_000))
    return venue


def quote(bid="100.00", ask="100.02", *, size="5", ts=0, symbol=BTC):
    return Quote(symbol, ts, D(bid), D(ask), D(size), D(size))


def trade(price, *, quantity="1", ts=0):
    return Trade(BTC, ts, D(price), D(quantity), SELL, 1)


def order(cid, side, quantity, *, limit=None, trigger=None, kind=None, **more):
    kind = kind or (OrderType.STOP_LOSS if trigger else OrderType.LIMIT if limit else OrderType.MARKET)
    values = {
        "account": "a",
        "trader": "t",
        "cl_ord_id": cid,
        "instrument": BTC,
        "side": side,
        "quantity": D(quantity),
        "order_type": kind,
        "purpose": Purpose.ENTRY,
        "time_in_force": TimeInForce.GTC,
        "deadline": 1 << 62,
        "limit_price": D(limit) if limit else None,
        "trigger_price": D(trigger) if trigger else None,
    }
    return SubmitOrder(**(values | more))


def ioc(cid, side, quantity, limit, **more):
    return order(cid, side, quantity, limit=limit, time_in_force=TimeInForce.IOC, **more)


def send(venue, *orders, **terms):
    """Submit, with further terms if any are named, and let the latency pass."""
    for one in orders:
        venue.submit(one, venue.now, Terms(**terms) if terms else PLAIN)
    return venue.advance(venue.now + LATENCY)


def told(reports):
    return [(r.cl_ord_id, "fill" if isinstance(r, Fill) else r.state.value) for r in reports]


def position(venue):
    return venue.account("a").portfolio.quantity(BTC)


def opened(venue, side=BUY, quantity="1"):
    """A venue whose account holds a position at the touch."""
    venue.on_quote(quote())
    send(venue, order("open", side, quantity))
    assert abs(position(venue)) == D(quantity)
    return venue
