"""A market of a few bars and scripted orders, on the exchange and the books of a real backtest.

Must not know risk or models. Used by the tests whose expected numbers were worked out by hand. Bars
are five minutes long; unless a test says otherwise a million is traded in each, so that half the spread
is 0.00005 + 0.02 x range (trader.backtest.quotes).
"""

from decimal import Decimal
from pathlib import Path

from core.clock import MINUTE, SECOND
from core.market import Bar, Timeframe
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from core.portfolio import ZERO
from trader.backtest.books import Books
from trader.backtest.exchange import Stake, open_exchange, stakes
from trader.backtest.quotes import path, turn
from trader.backtest.schedules import with_schedule
from trader.config import load
from venue.exchange_listing import listed

D = Decimal
BTC = "BTC/USDT"
BUY, SELL = Side.BUY, Side.SELL
ROOT = Path(__file__).parents[3]
BAR = 5 * MINUTE


def configured(schedule="kraken", **exchange):
    only = {"universe.instruments": [BTC]} | {f"exchange.{key}": value for key, value in exchange.items()}
    return with_schedule(load([ROOT / "configs" / "two-traders.toml"], {}, only), schedule)


class Hand:
    """One exchange, its books, and the time. `accounts` are the demonstration's: scalp and swing."""

    def __init__(self, schedule="kraken", cash=10_000, **exchange):
        config = configured(schedule, **exchange)
        accounts = [account.model_copy(update={"cash": D(cash)}) for account in config.accounts]
        self.config = config.model_copy(update={"accounts": tuple(accounts)})
        self.said = ""  # the desk's words for being flat
        self.books = Books(self.config.accounts, lambda account, instrument: self.said)
        self.instruments = listed([BTC])
        self.exchange = open_exchange(self.config, self.instruments, self.books.on_change)
        self.now, self.count, self.reports = 0, 0, []
        self.mid = ZERO

    @property
    def ledger(self):
        return self.books.ledgers["scalp"]

    @property
    def trip(self):
        """The only trip of the first account."""
        (trip,) = self.ledger.trips
        return trip

    def bar(self, open_, high, low, close, *, value=1_000_000):
        """Live through one bar as the World does."""
        volume = value / close
        bar = Bar(BTC, Timeframe.M5, self.now, open_, high, low, close, volume, close, 10)
        stake = stakes(self.exchange, self.books.ledgers, ()).get(BTC, Stake())
        values = {"held": stake.held, "stops": stake.stops, "limits": stake.limits}
        against = stake.against
        for quote in path(bar, self.instruments[BTC], **values, again=bool(against)):
            later = against if quote.ts_event < turn(bar) else frozenset()
            self.reports += self.exchange.on_quote(quote, later)
            self.mid = quote.mid
            self.proved()
        self.now += BAR
        self.books.on_marks(self.now, {BTC: self.mid})
        self.proved()

    def flat(self, price, bars=1):
        """Live through bars that do not move: half the spread is 0.00005 + 0.02 x 0.0001 of the price."""
        for _ in range(bars):
            self.bar(price, price, price, price)

    def send(self, side, quantity, *, account="scalp", limit=None, trigger=None, **more):
        """Send an order at the close of the newest bar; it arrives before the next one's first price."""
        self.count += 1
        kind = OrderType.STOP_LOSS if trigger else OrderType.LIMIT if limit else OrderType.MARKET
        values = {
            "account": account,
            "trader": account,
            "cl_ord_id": f"c{self.count}",
            "instrument": BTC,
            "side": side,
            "quantity": D(quantity),
            "order_type": kind,
            "purpose": Purpose.ENTRY,
            "time_in_force": TimeInForce.GTC,
            "deadline": 1 << 62,
            "limit_price": D(limit) if limit else None,
            "trigger_price": D(trigger) if trigger else None,
        } | more
        self.exchange.submit(SubmitOrder(**values), self.now)
        self.reports += self.exchange.advance(self.now + SECOND)
        self.proved()

    def close(self, side, quantity, purpose=Purpose.EXIT, **more):
        """Send an order that only shrinks the position."""
        self.send(side, quantity, purpose=purpose, reduce_only=True, **more)

    def held(self, account="scalp"):
        return self.exchange.account(account).portfolio.quantity(BTC)

    def finish(self):
        self.books.finish(self.now, {})
        for name, ledger in self.books.ledgers.items():
            assert sum((trip.net for trip in ledger.trips), ZERO) == ledger.equity - ledger.start, name

    def proved(self):
        """Equity is cash plus positions at their marks less what they cost: here, and at the exchange."""
        for name, ledger in self.books.ledgers.items():
            portfolio = self.exchange.account(name).portfolio
            worth = sum((p.unrealised(self.mark(name)) for p in portfolio.positions.values()), ZERO)
            assert ledger.equity == portfolio.cash + worth, (name, self.now)
            assert ledger.fees == portfolio.fees >= 0

    def mark(self, account):
        """The mark of the ledger, which is the mid of its newest fill or mark."""
        return self.books.ledgers[account].marks[BTC]
