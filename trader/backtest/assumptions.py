"""What a backtest takes for granted about fills, as sentences for a report's first page.

Must not know results or pages. Called by trader.backtest when a run's card is made. Every sentence says
what the exchange model does under this configuration; the last one says what it does not do.
"""

from collections.abc import Iterator
from decimal import Decimal

from core.clock import HOUR, SECOND
from core.market import Timeframe
from trader.backtest.exchange import IMPACT
from trader.backtest.quotes import BASE, DEPTH_S, SHARE, WIDEST
from trader.config import Config
from trader.tables import Exchange
from venue.exchange_positions import MarginRules

_BPS = 10_000


def sentences(config: Config, timeframe: Timeframe) -> tuple[str, ...]:
    """Give the assumptions of a run over bars of `timeframe`, in the order of an order's life."""
    return (_latency(config.exchange), *_prices(timeframe), *_costs(config.exchange), _LEFT_OUT)


def _latency(table: Exchange) -> str:
    spread = (
        f", log-normal with a sigma of {table.latency_sigma:g} and drawn from seed {table.seed}"
        if table.latency_sigma
        else " without variation"
    )
    return (
        f"Latency: an order arrives {table.latency_ms} ms (median{spread}) after the close that caused it; "
        "an entry, which is sent when its stop has been accepted, after two such times. Within a second it "
        "meets the touch around that close, later the prices of the next bar."
    )


def _prices(timeframe: Timeframe) -> Iterator[str]:
    yield (
        f"Spread: half of it is {BASE * _BPS:g} bps plus {SHARE:g} x the bar's range x the root of "
        f"(1,000,000 / traded value), range and value brought to five minutes; at most {WIDEST * _BPS:g} bps "
        "and rounded outward to the tick. The rule is rough: bars hold no spread, and little order book was "
        "recorded to hold it against. The quote currency is taken for dollars."
    )
    share = DEPTH_S * SECOND / timeframe.ns
    yield (
        f"Depth and impact: one quote offers {DEPTH_S} s of the bar's average volume ({share:.3%} of a "
        f"{timeframe.value} bar). Who takes all of it pays {IMPACT:g} spread more, less in proportion."
    )
    yield (
        "Partial fills: what does not fit is cancelled for an entry; an exit waits for the next quote, of "
        "which a bar has four and one at each stop."
    )
    yield (
        "Path: a bar goes from its open to the extreme that hurts the position, to the other one, to its "
        "close. A stop and a target in one bar are therefore the stop, for each account: one that stands "
        "against the others has its targets only after the extreme that hurts it."
    )
    yield (
        "Stops fire when the bid (of a long) or the ask (of a short) reaches the trigger, and fill at the "
        "touch found there. A stop whose trigger lies beyond the open fills at the open, and where a pair "
        "has no bar nothing of it fills before the next one's open."
    )
    yield (
        "Queue: bars have none. A resting limit order fills at its own price as maker once the other side "
        "of the touch has come to it: the price must go through it by half a spread."
    )


def _costs(table: Exchange) -> Iterator[str]:
    fees, name = table.fees, f"schedule {table.schedule}" if table.schedule else "as configured"
    yield (
        f"Fees ({name}): {_bps(fees.taker)} taker, {_bps(fees.maker)} maker, whatever the "
        "volume of the last thirty days."
    )
    rules = table.rules.margin
    if rules is None:
        yield "Margin: lending is free, and there are no margin calls and no liquidation."
    else:
        yield _lending(rules)
        yield (
            f"Liquidation: nothing new opens at a margin level of {rules.open_level} % or less; at "
            f"{rules.stop_level} % the exchange closes positions at market, the oldest first, and the desk "
            "halts. A margin order borrows the pair's leverage, at most five to one."
        )
    yield (
        "Sizes: orders below the exchange's minimum quantity or cost are refused, prices and quantities lie "
        "on its grids. Reduce-only orders may be of any size."
    )


def _lending(rules: MarginRules) -> str:
    if not rules.fees:
        return "Margin fees: none."
    costs = ", ".join(f"{_bps(rate)} {asset}" for asset, rate in sorted(rules.rates.items()))
    return (
        f"Margin fees at opening and again every {rules.period_ns // HOUR} hours, of what was borrowed (the "
        f"quote for a long, the coin for a short): {costs}, {_bps(rules.other_rate)} anything else."
    )


def _bps(rate: Decimal) -> str:
    return f"{float(rate * _BPS):g} bps"


_LEFT_OUT = (
    "Not modelled: outages and refused requests, halts of single markets, other traders' answer to our "
    "orders beyond the bar they fill in, funding of perpetual futures, lending limits, deposits and "
    "withdrawals, taxes."
)
