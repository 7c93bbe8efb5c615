"""Bars from trades: one-minute bars closed by the clock, higher ones made of them.

Must not know where trades come from nor what time it is: the caller says both. Called by
feeds.live (trades) and by tests; feeds.lake makes the same higher bars from arrays.

What was not seen is not invented. A minute that the feed saw only in part has no bar, and neither
has any higher bar around it; a minute that was seen and empty is a quiet bar.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from core.clock import MINUTE
from core.errors import InternalError
from core.market import TIMEFRAMES, Bar, Timeframe, Trade
from core.orders import Side

# So many own minutes are kept to bridge a history that arrives after the minute it ends with.
_RECENT = 16
_COARSE_FIRST = tuple(timeframe.ns for timeframe in reversed(TIMEFRAMES))


_NOTHING = Decimal(0)
_BUY = Side.BUY  # looked up once: an enum is slow to ask, and every trade would


class _Minute:
    """The running bar of one minute. Sums are exact: a bar equals the venue's to the last digit."""

    __slots__ = ("bought", "close", "high", "low", "open", "sold", "trades", "turnover")

    def __init__(self, price: float) -> None:
        self.open = self.high = self.low = self.close = price
        self.bought = self.sold = self.turnover = _NOTHING
        self.trades = 0


class _Tier:
    """Makes bars of one timeframe out of bars of the next finer one."""

    __slots__ = ("parts", "timeframe")

    def __init__(self, timeframe: Timeframe) -> None:
        self.timeframe = timeframe
        self.parts: list[Bar] = []

    def push(self, bar: Bar) -> Bar | None:
        """Take the next part in; give the bar that it completes, None while or where there is none."""
        opened = self.timeframe.floor(bar.ts_open)
        if self.parts and self.parts[-1].ts_close != bar.ts_open:
            self.parts.clear()
        if not self.parts and bar.ts_open != opened:
            return None  # the beginning was not seen
        self.parts.append(bar)
        if bar.ts_close != opened + self.timeframe.ns:
            return None
        made = merged(self.timeframe, self.parts)
        self.parts.clear()
        return made


class _Slot:
    """All that is kept for one instrument."""

    __slots__ = ("covered", "held", "last_close", "minutes", "next_open", "recent", "seen_from", "tiers")

    def __init__(self, since: int, timeframes: Iterable[Timeframe]) -> None:
        self.held = False
        self.covered = 0
        self.seen_from = since
        self.next_open = Timeframe.M1.floor(since)
        self.minutes: dict[int, _Minute] = {}
        self.last_close = 0.0
        self.tiers = [_Tier(timeframe) for timeframe in timeframes]
        self.recent: deque[Bar] = deque(maxlen=_RECENT)


class BarBuilder:
    """Bars of many instruments. `late` counts trades that came after their minute had closed."""

    def __init__(self, timeframes: Sequence[Timeframe] = TIMEFRAMES) -> None:
        self._higher = sorted(
            (timeframe for timeframe in timeframes if timeframe is not Timeframe.M1),
            key=lambda timeframe: timeframe.ns,
        )
        self._slots: dict[str, _Slot] = {}
        self._gaps: list[tuple[int, int, str]] = []
        self.late = 0

    def add(self, instrument: str, since: int) -> None:
        """Watch an instrument whose trades are complete from `since` on."""
        self._slots[instrument] = _Slot(since, self._higher)

    @property
    def watched(self) -> frozenset[str]:
        """Give the instruments that were added."""
        return frozenset(self._slots)

    def warm(self, instrument: str, history: Mapping[Timeframe, Sequence[Bar]]) -> None:
        """Take closed bars of any timeframes in: the last close, and what running bars began with.

        Useful at the start and again after a gap. Minutes that the history covers are closed by
        it: no bar is made of them here. A bar absent from the history is a hole, not quiet.
        """
        bars = [bar for series in history.values() for bar in series]
        if not bars:
            return
        slot = self._slot(instrument)
        newest = max(bars, key=lambda bar: (bar.ts_close, -bar.ts_open))
        if newest.ts_close > slot.next_open:
            slot.next_open = slot.covered = newest.ts_close
            slot.minutes = {opened: m for opened, m in slot.minutes.items() if opened >= slot.next_open}
            slot.last_close = newest.close
        elif slot.last_close == 0.0:
            slot.last_close = newest.close
        known = {(bar.ts_open, bar.timeframe.ns): bar for bar in (*bars, *slot.recent)}
        below = slot.next_open  # what runs in the finer tier is not this tier's yet
        for tier in slot.tiers:
            opened = tier.timeframe.floor(slot.next_open)
            tier.parts = _tiled(known, opened, below)
            below = opened

    def on_trade(self, trade: Trade) -> bool:
        """Take one print in; False if its minute has closed, whose bar then stays as it is.

        One in a minute that history closed before the stream told of it is in its bar already.
        """
        slot = self._slots.get(trade.instrument)
        if slot is None:
            msg = f"bars: expected a watched instrument, found a trade of {trade.instrument}"
            raise InternalError(msg)
        ts = trade.ts_event
        opened = ts - ts % MINUTE
        if opened < slot.next_open:
            if opened < slot.covered:
                return True
            self.late += 1
            return False
        price = float(trade.price)
        minute = slot.minutes.get(opened)
        if minute is None:
            minute = slot.minutes[opened] = _Minute(price)
        elif price > minute.high:
            minute.high = price
        elif price < minute.low:
            minute.low = price
        minute.close = price
        if trade.side is _BUY:
            minute.bought += trade.quantity
        else:
            minute.sold += trade.quantity
        minute.turnover += trade.price * trade.quantity
        minute.trades += 1
        return True

    def mark_gap(self, since: int, until: int, instrument: str = "") -> None:
        """Say that [since, until) was not seen, by default of any instrument.

        Minutes that it touches and that have not closed yet get no bar.
        """
        if until > since:
            self._gaps.append((since, until, instrument))

    def hold(self, instruments: Iterable[str]) -> None:
        """Close no minute of these until they are released: trades of it may still be fetched."""
        for instrument in instruments:
            if instrument in self._slots:
                self._slots[instrument].held = True

    def release(self, instrument: str) -> None:
        """Close what was held back: all trades up to now are in, or their absence is marked as a gap."""
        self._slot(instrument).held = False

    @property
    def held(self) -> frozenset[str]:
        """Give the instruments whose minutes are held open."""
        return frozenset(name for name, slot in self._slots.items() if slot.held)

    def closed_until(self, instrument: str) -> int:
        """Give the end of the last minute that was closed, or left out, of an instrument."""
        return self._slot(instrument).next_open

    def recent(self, instrument: str) -> tuple[Bar, ...]:
        """Give the last own minutes of an instrument, oldest first."""
        return tuple(self._slot(instrument).recent)

    def close_until(self, ts: int) -> list[tuple[int, tuple[Bar, ...]]]:
        """Close every minute that ends at or before `ts`: (ts_close, bars) in time order.

        Minutes of instruments that were held come after those of others that closed meanwhile.

        Bars are sorted by timeframe, smallest first; instants without any bar are left out.
        """
        limit = Timeframe.M1.floor(ts)
        oldest = min((slot.next_open for slot in self._slots.values() if not slot.held), default=limit)
        closed = []
        for opened in range(oldest, limit, MINUTE):
            bars = self._close_minute(opened)
            if bars:
                bars.sort(key=lambda bar: bar.timeframe.ns)
                closed.append((opened + MINUTE, tuple(bars)))
        needed = min((slot.next_open for slot in self._slots.values()), default=limit)
        self._gaps = [gap for gap in self._gaps if gap[1] > needed]
        return closed

    def _close_minute(self, opened: int) -> list[Bar]:
        blind = {
            instrument
            for since, until, instrument in self._gaps
            if since < opened + MINUTE and opened < until
        }
        bars: list[Bar] = []
        for instrument, slot in self._slots.items():
            if slot.held or slot.next_open != opened:
                continue
            slot.next_open = opened + MINUTE
            minute = slot.minutes.pop(opened, None)
            if minute is not None:
                slot.last_close = minute.close
            seen = opened >= slot.seen_from and "" not in blind and instrument not in blind
            if not seen or slot.last_close == 0.0:
                continue
            bar = quiet(instrument, Timeframe.M1, opened, slot.last_close)
            if minute is not None:
                bar = _finished(instrument, opened, minute)
            bars.append(bar)
            slot.recent.append(bar)
            bars.extend(_climb(slot.tiers, bar))
        return bars

    def _slot(self, instrument: str) -> _Slot:
        if instrument not in self._slots:
            msg = f"bars: expected a watched instrument, found history of {instrument}"
            raise InternalError(msg)
        return self._slots[instrument]


def quiet(instrument: str, timeframe: Timeframe, ts_open: int, price: float) -> Bar:
    """Give the bar of a time in which nobody traded; `price` is the close before it."""
    return Bar(instrument, timeframe, ts_open, price, price, price, price, 0.0, price, 0, 0.0)


def merged(timeframe: Timeframe, parts: Sequence[Bar]) -> Bar:
    """Give the bar that consists of `parts`, which follow each other without a hole.

    Quiet parts lend no price: a bar opens with its first trade, as if made from trades directly.
    Takers' sides are known where they are of every part in which somebody traded.
    """
    traded = [part for part in parts if part.trades] or parts
    first, last = traded[0], traded[-1]
    high, low, volume, turnover, trades = first.high, first.low, 0.0, 0.0, 0
    delta: float | None = 0.0
    for part in traded:
        high = max(high, part.high)
        low = min(low, part.low)
        volume += part.volume
        turnover += part.vwap * part.volume
        trades += part.trades
        if part.trades:
            delta = None if delta is None or part.delta is None else delta + part.delta
    vwap = turnover / volume if volume > 0.0 else last.close
    return Bar(
        first.instrument,
        timeframe,
        parts[0].ts_open,
        first.open,
        high,
        low,
        last.close,
        volume,
        vwap,
        trades,
        delta,
    )


def _finished(instrument: str, opened: int, minute: _Minute) -> Bar:
    volume = minute.bought + minute.sold
    vwap = float(minute.turnover / volume) if volume else minute.close
    return Bar(
        instrument,
        Timeframe.M1,
        opened,
        minute.open,
        minute.high,
        minute.low,
        minute.close,
        float(volume),
        vwap,
        minute.trades,
        float(minute.bought - minute.sold),
    )


def _climb(tiers: Iterable[_Tier], bar: Bar) -> Iterable[Bar]:
    """Give the higher bars that a new minute completes, each made of the tier below it."""
    for tier in tiers:
        made = tier.push(bar)
        if made is None:
            return
        yield made
        bar = made


def _tiled(known: Mapping[tuple[int, int], Bar], start: int, end: int) -> list[Bar]:
    """Cover [start, end) with the coarsest bars that fit; empty if there is a hole."""
    parts: list[Bar] = []
    position = start
    while position < end:
        found = (known.get((position, length)) for length in _COARSE_FIRST if position + length <= end)
        bar = next((bar for bar in found if bar is not None), None)
        if bar is None:
            return []
        parts.append(bar)
        position = bar.ts_close
    return parts
