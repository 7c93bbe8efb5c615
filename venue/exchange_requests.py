"""What the exchange does with a request once it arrives: new, amended, edited, cancelled orders.

Must not know latency or the agenda; times to come are given to `later`. Called by venue.exchange.
Sources: WS v2 `add_order`, `amend_order`, `edit_order`, `batch_add`, `cancel_all_orders_after`
and their REST twins under https://docs.kraken.com/api/docs/.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from core.events import Fill, OrderUpdate
from core.orders import AmendOrder, CancelOrder, OrderState, OrderType, SubmitOrder, TimeInForce
from venue import exchange_limits as limits
from venue import exchange_rules as rules
from venue.exchange_account import ExchangeAccount
from venue.exchange_market import Market
from venue.exchange_matching import Matcher
from venue.exchange_orders import Change, ChangeKind, ExchangeOrder, record
from venue.exchange_prices import affordable_with, move_trigger, resolved
from venue.exchange_settle import settle
from venue.exchange_terms import PLAIN, RESTING, SelfTrade, Terms

REPLACED = "Order replaced"
SELF_TRADE = "Self trade prevention"


class NewOrder(msgspec.Struct, frozen=True):
    """An order with its terms."""

    submit: SubmitOrder
    terms: Terms = PLAIN


class EditOrder(msgspec.Struct, frozen=True):
    """Replace an open order by a new one; `None` keeps a value."""

    account: str
    key: str
    deadline: int
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    display: Decimal | None = None
    post_only: bool | None = None
    userref: int | None = None


class Requests:
    """The arrival desk. Owns nothing but its way to the matcher."""

    def __init__(self, core: Matcher, later: Callable[[ExchangeOrder], None]) -> None:
        self._core = core
        self._later = later  # an order that starts or expires at a time to come

    # ---- new orders ----

    def arrive(self, new: NewOrder, number: int, *, charged: bool = False) -> None:
        """Take a new order or reject it; `charged`: its batch has paid the rate counter."""
        core, account = self._core, self._core.account(new.submit.account)
        submit, error = new.submit, ""
        if account.counter is not None and not charged:
            error = account.counter.charge(submit.instrument, limits.add_cost(), core.now)
        completed = error or self._completed(new, account)
        if isinstance(completed, str):
            self._reject(record(submit, core.identifier("O"), core.now, new.terms), number, completed)
            return
        order = record(completed, core.identifier("O"), core.now, new.terms)
        if error := self._refusal(order, account):
            self._reject(order, number, error)
            return
        if submit.order_type is OrderType.SETTLE_POSITION:
            settle(core, order, number)
            return
        self._enter(order, number)

    def arrive_together(self, orders: Sequence[NewOrder], numbers: Sequence[int]) -> None:
        """Take a batch: one bad order refuses all, one that cannot be paid only itself."""
        core, first = self._core, orders[0].submit
        account = core.account(first.account)
        error = ""
        if account.counter is not None:
            error = account.counter.charge(first.instrument, limits.batch_cost(len(orders)), core.now)
        errors = [error or self.trial(new) for new in orders]
        fatal = next((error for error in errors if error and error not in rules.FUNDING), "")
        for new, number in zip(orders, numbers, strict=True):
            if fatal:
                order = record(new.submit, core.identifier("O"), core.now, new.terms)
                self._reject(order, number, fatal)
            else:
                self.arrive(new, number, charged=True)

    def trial(self, new: NewOrder) -> str:
        """Check an order as if it arrived now, and change nothing (`validate`)."""
        account = self._core.account(new.submit.account)
        completed = self._completed(new, account)
        if isinstance(completed, str):
            return completed
        return self._refusal(record(completed, "", self._core.now, new.terms), account)

    def answer_fills(self) -> None:
        """Place the close order that every fill of an order with `conditional` asks for."""
        while self._core.owed:
            parent, fill = self._core.owed.pop(0)
            self._close_order(parent, fill)

    def start(self, order: ExchangeOrder) -> None:
        """Let a scheduled order become live."""
        order.dormant = False
        self._core.tell(ChangeKind.STARTED, order)
        self._activate(order)

    def _enter(self, order: ExchangeOrder, number: int) -> None:
        core = self._core
        order.dormant = order.terms.starts is not None and order.terms.starts > core.now
        core.enter(order)
        self._later(order)
        core.trail(order)
        core.tell(ChangeKind.ACCEPTED, order, request=number)
        if not order.dormant:
            self._activate(order)

    def _activate(self, order: ExchangeOrder) -> None:
        core, submit = self._core, order.submit
        market = core.markets[submit.instrument]
        if submit.post_only and market.reachable(order) is not None:
            core.close(order, OrderState.CANCELED, "Post only order")
            return
        if submit.time_in_force is TimeInForce.FOK and not self._fills_whole(order, market):
            core.close(order, OrderState.CANCELED, "Fill or kill")
            return
        if core.rules.prevents_self_trades and not order.waits_for_trigger:
            self._prevent_self_trade(order, market)
        core.work(order, market, maker=False)
        if order.state is OrderState.WORKING and submit.time_in_force is TimeInForce.IOC:
            core.close(order, OrderState.CANCELED, "Immediate or cancel")
        core.rest(order)

    def _fills_whole(self, order: ExchangeOrder, market: Market) -> bool:
        touch, submit = market.reachable(order), order.submit
        if touch is None or touch.quantity < order.quantity:
            return False
        account = self._core.account(submit.account)
        return not submit.reduce_only or account.closable(submit.instrument, submit.side) >= order.quantity

    def _prevent_self_trade(self, order: ExchangeOrder, market: Market) -> None:
        for other in market.meets(order):
            if order.terms.self_trade is not SelfTrade.NEWEST:
                self._core.close(other, OrderState.CANCELED, SELF_TRADE)
            if order.terms.self_trade is not SelfTrade.OLDEST:
                self._core.close(order, OrderState.CANCELED, SELF_TRADE)
                return

    def _close_order(self, parent: ExchangeOrder, fill: Fill) -> None:
        close, core = parent.terms.close, self._core
        if close is None:
            return
        instrument = core.instruments[fill.instrument]
        submit = msgspec.structs.replace(
            parent.submit,
            cl_ord_id="",
            side=fill.side.opposite,
            quantity=fill.quantity,
            order_type=close.order_type,
            time_in_force=TimeInForce.GTC,
            limit_price=close.limit_price,
            trigger_price=close.trigger_price,
            expires=None,
            post_only=False,
        )
        terms = Terms(
            userref=parent.terms.userref,
            limit_offset=close.limit_offset,
            trigger_offset=close.trigger_offset,
            parent=parent.order_id,
        )
        done = resolved(submit, terms, fill.price, instrument)
        order = record(submit if isinstance(done, str) else done, core.identifier("O"), core.now, terms)
        error = done if isinstance(done, str) else rules.malformed(done, terms, instrument)
        if error:
            self._reject(order, 0, error)
        else:
            self._enter(order, 0)

    def _completed(self, new: NewOrder, account: ExchangeAccount) -> SubmitOrder | str:
        """Fill in what the order leaves open: relative prices, cash amounts, whole positions."""
        submit, terms = new.submit, new.terms
        instrument = self._core.instruments.get(submit.instrument)
        if instrument is None:
            return rules.UNKNOWN_PAIR
        if terms is PLAIN:
            return submit
        market = self._core.markets[submit.instrument]
        if terms.index and not self._core.rules.index:
            return rules.NO_INDEX
        if terms.whole_position:
            held = account.closable(submit.instrument, submit.side)
            if held == 0:
                return rules.UNKNOWN_POSITION
            submit = msgspec.structs.replace(submit, quantity=held, reduce_only=True)
        if terms.cash is not None:
            touch = market.touch(submit.side)
            price = touch.price if touch is not None else market.last
            if price is None or terms.cash <= 0:
                return "EGeneral:Invalid arguments:cash_order_qty"
            submit = msgspec.structs.replace(submit, quantity=affordable_with(terms.cash, price, instrument))
        reference = market.reference(record(submit, "", self._core.now, terms))
        return resolved(submit, terms, reference, instrument)

    def _refusal(self, order: ExchangeOrder, account: ExchangeAccount) -> str:
        submit, core = order.submit, self._core
        instrument = core.instruments[submit.instrument]
        if core.now > submit.deadline:
            return rules.DEADLINE
        if submit.cl_ord_id and account.uses(submit.cl_ord_id):
            return "EGeneral:Invalid arguments:cl_ord_id"
        if account.counter is not None:
            resting = sum(o.submit.instrument == submit.instrument for o in account.open.values())
            if resting >= account.counter.tier.open_orders:
                return limits.ORDERS_LIMIT
        touch = core.markets[submit.instrument].touch(submit.side)
        price = submit.limit_price or submit.trigger_price or (touch.price if touch else None)
        error = (
            rules.malformed(submit, order.terms, instrument)
            or rules.market_closed(submit, core.system)
            or rules.market_closed(submit, instrument.status)
            or rules.too_small(submit, submit.quantity, price, instrument)
        )
        if error or submit.order_type is OrderType.SETTLE_POSITION:
            return error
        if submit.reduce_only:
            flat = account.closable(submit.instrument, submit.side) == 0
            return rules.NO_POSITION if core.rules.reduce_only_needs_position and flat else ""
        return "" if price is None else core.unaffordable(order, price, submit.quantity)

    def _reject(self, order: ExchangeOrder, number: int, error: str) -> None:
        order.state, order.reason = OrderState.REJECTED, error
        self._core.tell(ChangeKind.REJECTED, order, request=number, error=error)

    # ---- changes of orders ----

    def amend(self, amend: AmendOrder, terms: Terms, number: int) -> None:
        """Change an order in place. Less keeps its place in the queue, more or another price not."""
        core, account = self._core, self._core.account(amend.account)
        order = account.find(amend.cl_ord_id)
        error = self._amend_refusal(amend, terms, order)
        if order is None or error:
            self._refuse(amend.account, amend.cl_ord_id, order, number, error)
            return
        market = core.markets[order.submit.instrument]
        moves = _loses_place(amend, order)
        if moves:
            market.step_back(order)
        order.quantity = amend.quantity if amend.quantity is not None else order.quantity
        order.limit_price = amend.limit_price if amend.limit_price is not None else order.limit_price
        if amend.trigger_price is not None:
            move_trigger(order, amend.trigger_price, market.instrument)
        if terms.display is not None:
            order.display = terms.display
            order.shown = min(terms.display, order.remaining)
        order.amended, order.amended_at = True, core.now
        core.tell(ChangeKind.AMENDED, order, request=number)
        if order.remaining <= 0:  # documented: below what is filled, the rest is cancelled
            core.close(order, OrderState.CANCELED, "User requested")
            return
        if order.submit.post_only and market.reachable(order) is not None:
            core.close(order, OrderState.CANCELED, "Post only order")
            return
        if core.rules.prevents_self_trades and not order.waits_for_trigger:
            self._prevent_self_trade(order, market)
        core.work(order, market, maker=False)
        if moves:
            core.rest(order)

    def _amend_refusal(self, amend: AmendOrder, terms: Terms, order: ExchangeOrder | None) -> str:
        if error := rules.change_closed(self._core.system):
            return error
        if order is None or order.state is not OrderState.WORKING:
            return rules.UNKNOWN_ORDER
        account, now = self._core.account(amend.account), self._core.now
        ends = amend.quantity is not None and amend.quantity <= order.filled
        if account.counter is not None:
            age, pair = now - order.amended_at, order.submit.instrument
            if ends:
                account.counter.force(pair, limits.cancel_cost(age), now)
            elif error := account.counter.charge(pair, limits.amend_cost(age), now):
                return error
        if now > amend.deadline:
            return rules.DEADLINE
        if order.terms.close is not None:
            return "EOrder:Invalid order"
        if (amend.limit_price is not None and order.limit_price is None) or (
            amend.trigger_price is not None and not order.waits_for_trigger
        ):
            return "EGeneral:Invalid arguments:price"
        instrument = self._core.instruments[order.submit.instrument]
        quantity = order.quantity if amend.quantity is None else amend.quantity
        price = amend.limit_price or amend.trigger_price or order.limit_price or order.trigger_price
        error = rules.off_grid(amend.limit_price, amend.trigger_price, instrument)
        if error or ends:
            return error
        if terms.post_only and self._core.markets[instrument.symbol].takes(order, amend.limit_price):
            return rules.POST_ONLY
        if terms.display is not None and (error := rules.bad_display(terms.display, quantity, instrument)):
            return error
        return rules.too_small(order.submit, quantity, price, instrument)

    def edit(self, edit: EditOrder, number: int) -> None:
        """Cancel an order and place its successor, which has a new id and no fills."""
        core, account = self._core, self._core.account(edit.account)
        order = account.find(edit.key)
        new = self._successor(edit, account, order)
        if order is None or isinstance(new, str):
            self._refuse(edit.account, edit.key, order, number, new if isinstance(new, str) else "")
            return
        core.close(order, OrderState.CANCELED, REPLACED)
        self.arrive(new, number, charged=True)

    def _successor(
        self, edit: EditOrder, account: ExchangeAccount, order: ExchangeOrder | None
    ) -> NewOrder | str:
        if order is None or order.state is not OrderState.WORKING:
            return rules.UNKNOWN_ORDER
        core, submit = self._core, order.submit
        if account.counter is not None:
            cost = limits.edit_cost(core.now - order.amended_at)
            if error := account.counter.charge(submit.instrument, cost, core.now):
                return error
        if submit.cl_ord_id or order.terms.close is not None or order.triggered:
            return "EOrder:Invalid order"  # documented as not to be edited
        changes = {
            "quantity": edit.quantity if edit.quantity is not None else order.remaining,
            "limit_price": edit.limit_price if edit.limit_price is not None else order.limit_price,
            "trigger_price": edit.trigger_price if edit.trigger_price is not None else order.trigger_price,
            "post_only": submit.post_only if edit.post_only is None else edit.post_only,
            "deadline": edit.deadline,
        }
        terms = msgspec.structs.replace(
            order.terms,
            display=order.display if edit.display is None else edit.display,
            userref=order.terms.userref if edit.userref is None else edit.userref,
            cash=None,
            whole_position=False,
            parent=order.order_id,
        )
        new = NewOrder(msgspec.structs.replace(submit, **changes), terms)
        trial = record(new.submit, order.order_id, core.now, terms)  # its id: its own hold is free
        return self._refusal(trial, account) or new

    def cancel(self, cancel: CancelOrder, number: int) -> None:
        """Take an order off the book; the rate counter counts it and never stops it."""
        core, account = self._core, self._core.account(cancel.account)
        order = account.find(cancel.cl_ord_id)
        if order is None or order.state is not OrderState.WORKING or core.system == "maintenance":
            error = rules.UNAVAILABLE if core.system == "maintenance" else rules.UNKNOWN_ORDER
            self._refuse(cancel.account, cancel.cl_ord_id, order, number, error)
            return
        if account.counter is not None:
            cost = limits.cancel_cost(core.now - order.amended_at)
            account.counter.force(order.submit.instrument, cost, core.now)
        core.close(order, OrderState.CANCELED, "User requested", request=number)

    def cancel_everything(self, account: str, reason: str, number: int) -> None:
        """Cancel all open orders of an account, triggers too."""
        core = self._core
        if core.system == "maintenance":
            core.notify(Change(core.now, ChangeKind.CANCELED_ALL, account, number, error=rules.UNAVAILABLE))
            return
        orders = list(core.account(account).open.values())
        for order in orders:
            core.close(order, OrderState.CANCELED, reason)
        core.notify(Change(core.now, ChangeKind.CANCELED_ALL, account, number, count=len(orders)))

    def _refuse(
        self, account: str, cl_ord_id: str, order: ExchangeOrder | None, number: int, error: str
    ) -> None:
        core = self._core
        if order is not None:
            core.tell(ChangeKind.REFUSED, order, request=number, error=error)
            return
        core.notify(Change(core.now, ChangeKind.REFUSED, account, number, error=error))
        core.reports.append(OrderUpdate(core.now, account, cl_ord_id, OrderState.REJECTED, reason=error))


def _loses_place(amend: AmendOrder, order: ExchangeOrder) -> bool:
    more = amend.quantity is not None and amend.quantity > order.quantity
    moved = amend.limit_price is not None and amend.limit_price != order.limit_price
    return order.submit.order_type in RESTING and (more or moved)
