"""What an account remembers, and what it forgets."""

from decimal import Decimal

from core.orders import OrderState, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from core.portfolio import Portfolio
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_listing import listed
from venue.exchange_orders import record

PAIRS = listed(["BTC/USDT", "MKR/USDT", "XRP/USDT", "AVAX/USDT"])


def order(order_id, cid, *, margin=True, side=Side.BUY, limit: Decimal | None = Decimal(10)):
    submit = SubmitOrder(
        account="a",
        trader="",
        cl_ord_id=cid,
        instrument="BTC/USDT",
        side=side,
        quantity=Decimal(2),
        order_type=OrderType.LIMIT if limit else OrderType.MARKET,
        purpose=Purpose.ENTRY,
        time_in_force=TimeInForce.GTC,
        deadline=0,
        limit_price=limit,
        margin=margin,
    )
    return record(submit, order_id, 0)


def closed(account, one):
    account.add(one)
    one.state = OrderState.CANCELED
    account.close(one)


def test_oldest_closed_orders_are_forgotten_but_a_reused_id_is_not():
    account = ExchangeAccount("a", Portfolio(cash=Decimal(1)), history=2)
    for order_id, cid in (("O1", "x"), ("O2", "y"), ("O3", "x")):
        closed(account, order(order_id, cid))
    assert account.find("O1") is None
    assert [account.find(key).order_id for key in ("x", "y", "O3")] == ["O3", "O2", "O3"]
    closed(account, order("O4", ""))
    assert account.find("y") is None
    assert account.find("O4").order_id == "O4"


def test_only_spot_orders_hold_balances():
    account = ExchangeAccount("a", Portfolio(cash=Decimal(100)))
    account.add(order("O1", "m"))
    account.add(order("O2", "b", margin=False))
    account.add(order("O3", "s", margin=False, side=Side.SELL))
    account.add(order("O4", "q", margin=False, limit=None))
    assert account.holds("USDT", PAIRS) == 20
    assert account.holds("BTC", PAIRS) == 2
    assert account.holds("XRP", PAIRS) == 0


def test_leverage_is_the_pairs_own_capped_at_five():
    assert [leverage(pair) for pair in PAIRS.values()] == [5, 1, 5, 3]
