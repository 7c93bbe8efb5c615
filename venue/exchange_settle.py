"""Settling margin positions: the loan is repaid from balances, without a trade and without a fee.

Must not know requests or queues. Called by the exchange's arrival desk for orders of type
`settle-position`; https://support.kraken.com/hc/en-us/articles/203325763 and REST `AddOrder`.
"""

from core.orders import OrderState, Side
from venue import exchange_rules as rules
from venue.exchange_matching import Matcher
from venue.exchange_orders import ZERO, ChangeKind, ExchangeOrder


def settle(core: Matcher, order: ExchangeOrder, number: int) -> None:
    """Settle positions opposite to the order's side, oldest first, up to its quantity."""
    submit, account = order.submit, core.account(order.submit.account)
    instrument = core.instruments[submit.instrument]
    positions = account.closing(submit.instrument, submit.side)
    held = sum((p.remaining for p in positions), ZERO)
    quantity = min(submit.quantity, held)
    cost = sum((p.open_cost for p in positions), ZERO) * quantity / held if held else ZERO
    long = submit.side is Side.SELL
    free = account.portfolio.cash if long else account.assets.get(instrument.base, ZERO)
    error = rules.UNKNOWN_POSITION if quantity == 0 else ""
    if not error and free < (cost if long else quantity):
        error = rules.NO_FUNDS
    if error:
        order.state, order.reason = OrderState.REJECTED, error
        core.tell(ChangeKind.REJECTED, order, request=number, error=error)
        return
    core.enter(order)
    core.tell(ChangeKind.ACCEPTED, order, request=number)
    lines = account.settle(positions, quantity, instrument, core.identifier("T"), core.now)
    core.tell(ChangeKind.SETTLED, order, ledger=lines)
    order.quantity = order.filled = quantity
    core.close(order, OrderState.FILLED)
