"""The whole truth about an account, put together from REST and the stream.

Must not know who asks, when, or what is done about it. Called by execution.live.
"""

from collections.abc import Callable

from core.events import Reconciled, RequestReconcile, VenueOrder
from core.orders import OrderState
from venue import rest
from venue.client import PublicRest, SignedRest, fills

Known = Callable[[str], VenueOrder | None]


async def read_truth(
    request: RequestReconcile, *, currency: str, signed: SignedRest, public: PublicRest, known: Known
) -> Reconciled:
    """Read orders, fills, positions and cash; raises Recoverable where any of it cannot be had.

    `known` gives what the stream says of an order by client id. An order is looked for in open,
    closed, and open orders again, before it counts as one that the venue does not know.
    """
    names = await public.names()
    opened = await signed.open_orders(names)
    closed = await signed.closed_orders(names, since=request.since)
    orders = opened | closed
    named = {order.cl_ord_id for order in orders.values()}
    for cl_ord_id in request.asked:
        if cl_ord_id not in named:
            orders |= await signed.closed_orders(names, cl_ord_id=cl_ord_id)
    if any(one not in named for one in request.asked):
        orders = await signed.open_orders(names) | orders  # it may have come in meanwhile
    trades = await signed.trades_history(request.since)
    strange = {row.ordertxid for row in trades.values()} - orders.keys()
    orders |= await signed.query_orders(names, tuple(sorted(strange)))
    positions = await signed.open_positions(names)
    balances = await signed.balances()
    return Reconciled(
        ts=0,
        account=request.account,
        cash=rest.cash(balances, currency, await public.assets()),
        positions=positions,
        orders=_freshest(orders, request.asked, known),
        fills=fills(request.account, trades, orders, names),
        asked=request.asked,
        asked_at=request.asked_at,
    )


def _freshest(orders: dict[str, VenueOrder], asked: tuple[str, ...], known: Known) -> tuple[VenueOrder, ...]:
    """Give open and asked orders; the stream wins over REST, which is known to lag behind it."""
    found = {order.cl_ord_id or order.order_id: order for order in orders.values()}
    for cl_ord_id in (*found, *asked):
        streamed, listed = known(cl_ord_id), found.get(cl_ord_id)
        if streamed and (listed is None or _newer(streamed, listed)):
            found[cl_ord_id] = streamed
    wanted = set(asked)
    return tuple(order for key, order in found.items() if key in wanted or order.state is OrderState.WORKING)


def _newer(streamed: VenueOrder, listed: VenueOrder) -> bool:
    ended = streamed.state.terminal and not listed.state.terminal
    return ended or (streamed.filled > listed.filled and not listed.state.terminal)
