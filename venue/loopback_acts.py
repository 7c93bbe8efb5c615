"""Faults that need no request to strike: closed connections, modes, strangers, changed pairs.

Must not know HTTP or how a fault was asked for. Called by the loopback's pump.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from core.clock import MINUTE
from core.instrument import Instrument
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue.exchange import Exchange
from venue.loopback_door import Door, Faults
from venue.loopback_fault_catalogue import Point
from venue.loopback_faults import Fault
from venue.market_model import Tape

_FAR_BELOW = Decimal("0.5")


class Acts:
    """Carries out the faults of `Point.ACT`. Mutable only through what it acts on."""

    def __init__(
        self,
        faults: Faults,
        doors: tuple[Door, ...],
        exchange: Exchange,
        tapes: Mapping[str, Tape],
        announce: Callable[[list[Instrument]], None],
    ) -> None:
        self._faults = faults
        self._doors = doors
        self._exchange = exchange
        self._tapes = tapes
        self._announce = announce
        self._effects: Mapping[str, Callable[[Fault], None]] = {
            "close": self._close,
            "mode": self._mode,
            "instrument": self._instrument,
            "stranger_order": self._stranger_order,
            "stranger_position": self._stranger_position,
        }

    def run(self, now: int) -> None:
        """Carry out what is due."""
        for fault in self._faults.schedule.strike(Point.ACT, {}, now):
            self._effects[fault.kind.effect](fault)

    def _close(self, fault: Fault) -> None:
        code = int(fault.parameter("code"))
        for door in self._doors:
            if fault.stream in (None, door.stream):
                for connection in tuple(door.connections.values()):
                    connection.cut(code, "CloudFlare WebSocket proxy restarting")

    def _mode(self, fault: Fault) -> None:
        self._exchange.set_system(str(fault.system))
        for door in self._doors:
            door.tell_system()

    def _instrument(self, fault: Fault) -> None:
        listed = self._exchange.instruments[str(fault.symbol)]
        fields = fault.fields or {}
        values: dict[str, str | int | Decimal] = {
            name: text if name == "status" else Decimal(text) for name, text in fields.items()
        }
        for grid, places in (
            ("price_increment", "price_precision"),
            ("quantity_increment", "quantity_precision"),
        ):
            if grid in values:
                values[places] = max(0, -int(Decimal(fields[grid]).normalize().as_tuple().exponent))
        changed = msgspec.structs.replace(listed, **values)
        self._exchange.list_instrument(changed)
        self._announce([changed])

    def _stranger_order(self, fault: Fault) -> None:
        self._submit(fault, OrderType.LIMIT, _FAR_BELOW)

    def _stranger_position(self, fault: Fault) -> None:
        self._submit(fault, OrderType.MARKET, Decimal(1))

    def _submit(self, fault: Fault, order_type: OrderType, share: Decimal) -> None:
        """Buy the minimum as a client without ids would."""
        account, symbol = str(fault.account), str(fault.symbol)
        listed = self._exchange.instruments[symbol]
        now = self._faults.clock.now()
        found = self._tapes[symbol].at(now)
        if found is None:
            return  # before the first bar there is nothing to trade on
        price = self._tapes[symbol].quote(*found).ask
        limit = price * share // listed.price_increment * listed.price_increment
        cost = limit or price
        smallest = max(listed.minimum_quantity, listed.minimum_cost * 2 / cost)
        quantity = -(-smallest // listed.quantity_increment) * listed.quantity_increment
        self._exchange.submit(
            SubmitOrder(
                account=account,
                trader="",
                cl_ord_id="",
                instrument=symbol,
                side=Side.BUY,
                quantity=quantity,
                order_type=order_type,
                purpose=Purpose.ENTRY,
                time_in_force=TimeInForce.GTC,
                deadline=now + MINUTE,
                limit_price=limit if order_type is OrderType.LIMIT else None,
            ),
            now,
        )
