"""One instrument's market inside the exchange model: touch, last price, open orders.

Must not know accounts or time. Called by the exchange alone. Liquidity is the best bid and ask
with their quantities: what one order takes the next does not find, until a new quote comes.
"""

from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.market import Quote
from core.orders import Side
from venue.exchange_orders import ZERO, ExchangeOrder


class Touch(msgspec.Struct, frozen=True):
    """Price and quantity that an order could have right now."""

    price: Decimal
    quantity: Decimal


class Market(msgspec.Struct, eq=False):
    """Mutable state of one instrument; `last` stays empty where only quotes are fed."""

    instrument: Instrument
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_left: Decimal = ZERO
    ask_left: Decimal = ZERO
    bid_shown: Decimal = ZERO
    ask_shown: Decimal = ZERO
    last: Decimal | None = None
    orders: list[ExchangeOrder] = []

    @property
    def mid(self) -> Decimal | None:
        """Half-way between bid and ask, once both are known."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    def take_quote(self, quote: Quote) -> None:
        """Replace the touch."""
        self.bid, self.ask = quote.bid, quote.ask
        self.bid_left = self.bid_shown = quote.bid_quantity
        self.ask_left = self.ask_shown = quote.ask_quantity

    def dry_up(self) -> None:
        """Leave the touch's prices and take its quantities away, until a new quote comes."""
        self.bid_left = self.bid_shown = self.ask_left = self.ask_shown = ZERO

    def touch(self, side: Side) -> Touch | None:
        """Give what a taker on `side` would meet, `None` if nothing is left there."""
        price, left = (self.ask, self.ask_left) if side is Side.BUY else (self.bid, self.bid_left)
        return None if price is None or left <= 0 else Touch(price, left)

    def reachable(self, order: ExchangeOrder) -> Touch | None:
        """Give the touch if the order's limit allows its price."""
        touch, limit = self.touch(order.submit.side), order.resting_limit
        if touch is None or limit is None:
            return touch
        return touch if (limit - touch.price) * order.submit.side.sign >= 0 else None

    def beyond(self, order: ExchangeOrder, touch: Touch, impact: Decimal) -> Touch:
        """Give price and quantity of a taker whose own size moves the price: linear in what was taken.

        The last unit shown costs `impact` spreads more than the first. A limit bounds the quantity.
        """
        sign, quantity = order.submit.side.sign, min(order.remaining, touch.quantity)
        shown = self.ask_shown if sign > 0 else self.bid_shown
        if self.bid is None or self.ask is None or shown <= 0:
            return touch
        taken, steep = shown - touch.quantity, impact * (self.ask - self.bid) / shown
        limit = order.resting_limit
        if limit is not None and steep > 0:
            room = (limit - touch.price) * sign / steep - taken
            quantity = min(quantity, self.instrument.quantity_down(max(ZERO, room)))
        moved = touch.price + steep * (taken + quantity) * sign
        price = self.instrument.price_down(moved + self.instrument.price_increment / 2)
        if limit is not None:
            price = min(price, limit) if sign > 0 else max(price, limit)
        return Touch(max(price, self.instrument.price_increment), quantity)

    def takes(self, order: ExchangeOrder, limit: Decimal | None) -> bool:
        """Tell whether an order at this limit, or at its own, would trade at once."""
        touch, price = self.touch(order.submit.side), limit or order.resting_limit
        return touch is not None and price is not None and (price - touch.price) * order.submit.side.sign >= 0

    def consume(self, side: Side, quantity: Decimal) -> None:
        """Take liquidity away from the side that a taker on `side` meets."""
        if side is Side.BUY:
            self.ask_left -= quantity
        else:
            self.bid_left -= quantity

    def reference(self, order: ExchangeOrder) -> Decimal | None:
        """Give the price that an order's trigger looks at.

        That is the last trade (Kraken's default). Where no trade was ever fed it is the side of
        the quote that the resulting market order would meet. An index is taken to be the mid.
        """
        if order.terms.index and self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        if self.last is not None:
            return self.last
        return self.ask if order.submit.side is Side.BUY else self.bid

    def fires(self, order: ExchangeOrder) -> bool:
        """Tell whether a waiting trigger is reached."""
        trigger, buys = order.trigger_price, order.submit.side is Side.BUY
        reference = self.last
        if reference is None or order.terms.index:
            reference = self.reference(order)
        if reference is None or trigger is None:
            return False
        above = buys is not order.profits
        return reference >= trigger if above else reference <= trigger

    def queue(self, order: ExchangeOrder, *, anew: bool) -> None:
        """Note what stands before a resting order; `anew`: it has just come to its price.

        A price that the touch has not come to yet hides its queue: then nothing is known. One better
        than the touch has none. All that the touch shows is taken to be earlier than the order.
        """
        limit, buys = order.resting_limit, order.submit.side is Side.BUY
        best, shown = (self.bid, self.bid_shown) if buys else (self.ask, self.ask_shown)
        if limit is None or best is None:
            return
        if anew:
            order.ahead = None
        if limit == best:
            order.ahead = shown if order.ahead is None else order.ahead
        elif (limit > best) is buys:
            order.ahead = ZERO

    def meets(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Give the resting orders of the same account that this order would trade with."""
        submit, limit = order.submit, order.resting_limit
        return [
            other
            for other in self.orders
            if other.submit.account == submit.account
            and other.submit.side is not submit.side
            and not (other.waits_for_trigger or other.dormant)
            and (price := other.resting_limit) is not None
            and (limit is None or (limit - price) * submit.side.sign >= 0)
        ]

    def step_back(self, order: ExchangeOrder) -> None:
        """Let an order lose its place in the queue of its price."""
        self.leave(order)
        self.orders.append(order)

    def leave(self, order: ExchangeOrder) -> None:
        """Take an order off the book."""
        del self.orders[next(i for i, other in enumerate(self.orders) if other is order)]

    def by_priority(self) -> list[ExchangeOrder]:
        """Give open orders, best price first, then oldest first; triggers and markets lead."""
        if len(self.orders) < 2:
            return self.orders[:]
        limits = [order for order in self.orders if order.resting_limit is not None]
        if len(limits) < 2:  # as it is for a stop and a target: nothing to compare
            return [order for order in self.orders if order.resting_limit is None] + limits
        return sorted(self.orders, key=_eagerness)


def _eagerness(order: ExchangeOrder) -> Decimal:
    limit = order.resting_limit
    return -Decimal("Infinity") if limit is None else limit * -order.submit.side.sign
