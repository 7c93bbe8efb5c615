"""Feature kernels: one bar in, one row of columns out, all state in flat arrays.

Must not know instruments, files or models. Called by inference.features.frame alone.
Every kernel lives in this file: numba's cache notices a change of the kernel's own file only.

Windowed statistics are kept without subtracting what leaves the window, so nothing drifts and a
window of equal values has a variance of exactly zero: the last WINDOW values are the tail of the
previous block and the head of the running one, joined as in Chan, Golub and LeVeque (1983). Tails
are prepared once a block, which makes a step O(1) amortised. Averages with infinite memory start at
the first bar; `spec.WARM_UP` says after how many bars that start is forgotten.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

KERNEL_VERSION = 1
"""Raise it when any number below changes: models trained before then refuse to load."""

COLUMNS = (
    "ema_5",  # close to its average, in ATR, like every distance below
    "ema_9",
    "ema_21",
    "ema_50",
    "ema_cross",  # ema_9 over ema_21
    "macd",  # 12/26
    "macd_histogram",  # macd over its 9-bar average
    "rsi",  # 14, scaled to -1..1
    "atr",  # 14, fraction of close
    "adx",  # 14, 0..1
    "di_plus",  # 0..1
    "di_minus",
    "bollinger_position",  # 20, +-1 at two deviations
    "bollinger_width",  # four deviations, fraction of the mean
    "volume_z",  # 20
    "vwap_distance",  # 20 bars of typical price
    "return_1",  # move over n bars, in ATR
    "return_4",
    "return_12",
    "volatility",  # deviation of 20 log returns
)
ATR_COLUMN = COLUMNS.index("atr")
VOLATILITY_COLUMN = COLUMNS.index("volatility")

WINDOW = 20
NEVER = -(2**62)
_LIMIT = 20.0  # after a jump into silence ATR decays faster than a slow average: bound the quotient
_TINY = 1e-12  # relative to price or volume: below it a scale means "nothing happened"
_WILDER = 1 / 14
_SIGNAL_ALPHA = 2 / 10
_ALPHA = (2 / 6, 2 / 10, 2 / 22, 2 / 51, 2 / 13, 2 / 27)  # spans 5, 9, 21, 50, 12, 26

# Slots of a state row. The six averages of close come first, in the order of _ALPHA.
_EMA_5, _EMA_9, _EMA_21, _EMA_50, _EMA_12, _EMA_26 = range(6)
_SIGNAL, _GAIN, _LOSS, _ATR, _PLUS, _MINUS, _ADX, _HIGH, _LOW, _CLOSE = range(6, 16)
_HEADS = 16  # per window: mean and squared deviations of the running block
_PRICES, _VOLUMES, _TURNOVERS, _RETURNS = range(4)
_RING = _HEADS + 2 * 4  # per position, per window: value, mean and squared deviations from here on
STATE = _RING + WINDOW * 4 * 3

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Matrix = NDArray[np.float32]


@njit(cache=True)
def _cell(position: int, window: int) -> int:
    return _RING + (position * 4 + window) * 3


@njit(cache=True)
def _sane(high: float, low: float, close: float, volume: float) -> bool:
    """Tell whether a bar can be true; a comparison with NaN never holds."""
    return 0.0 < low <= close <= high < math.inf and 0.0 <= volume < math.inf


@njit(cache=True)
def _in_units(value: float, scale: float, floor: float) -> float:
    """Give value / scale within +-_LIMIT, 0 where the scale says that nothing happened."""
    if scale <= floor:
        return 0.0
    return min(max(value / scale, -_LIMIT), _LIMIT)


@njit(cache=True)
def _seed(state: Floats, row: int, high: float, low: float, close: float) -> None:
    state[row, :] = 0.0
    for slot in range(6):
        state[row, slot] = close
    state[row, _ATR] = high - low
    state[row, _HIGH] = high
    state[row, _LOW] = low
    state[row, _CLOSE] = close


@njit(cache=True)
def _prepare_tails(state: Floats, row: int, window: int) -> None:
    mean = 0.0
    squares = 0.0
    for size in range(1, WINDOW):
        cell = _cell(WINDOW - size, window)
        delta = state[row, cell] - mean
        mean += delta / size
        squares += delta * (state[row, cell] - mean)
        state[row, cell + 1] = mean
        state[row, cell + 2] = squares


@njit(cache=True)
def _push(state: Floats, row: int, window: int, count: int, value: float) -> tuple[float, float]:
    """Take the newest value in; give mean and deviation (population) of the last WINDOW."""
    position = count % WINDOW
    size = position + 1
    head = _HEADS + 2 * window
    mean = value
    squares = 0.0
    if position > 0:
        delta = value - state[row, head]
        mean = state[row, head] + delta / size
        squares = state[row, head + 1] + delta * (value - mean)
    state[row, head] = mean
    state[row, head + 1] = squares
    state[row, _cell(position, window)] = value
    if size == WINDOW:
        _prepare_tails(state, row, window)
    elif count >= WINDOW:
        rest = WINDOW - size
        cell = _cell(size, window)
        delta = state[row, cell + 1] - mean
        squares += state[row, cell + 2] + delta * delta * (size * rest / WINDOW)
        mean += delta * (rest / WINDOW)
        size = WINDOW
    return mean, math.sqrt(squares / size)


@njit(cache=True)
def _trend(state: Floats, row: int, close: float, out: Floats, at: int) -> None:
    """Averages of close, MACD and RSI; needs this bar's ATR and the previous close."""
    for slot in range(6):
        state[row, slot] += (close - state[row, slot]) * _ALPHA[slot]
    atr = state[row, _ATR]
    floor = _TINY * close
    for slot in range(4):
        out[at, slot] = _in_units(close - state[row, slot], atr, floor)
    out[at, 4] = _in_units(state[row, _EMA_9] - state[row, _EMA_21], atr, floor)
    macd = state[row, _EMA_12] - state[row, _EMA_26]
    state[row, _SIGNAL] += (macd - state[row, _SIGNAL]) * _SIGNAL_ALPHA
    out[at, 5] = _in_units(macd, atr, floor)
    out[at, 6] = _in_units(macd - state[row, _SIGNAL], atr, floor)
    change = close - state[row, _CLOSE]
    state[row, _GAIN] += (max(change, 0.0) - state[row, _GAIN]) * _WILDER
    state[row, _LOSS] += (max(-change, 0.0) - state[row, _LOSS]) * _WILDER
    gain = state[row, _GAIN]
    loss = state[row, _LOSS]
    out[at, 7] = _in_units(gain - loss, gain + loss, floor)


@njit(cache=True)
def _direction(state: Floats, row: int, high: float, low: float, close: float) -> None:
    """Wilder's true range and directional movement (New Concepts, 1978) into the state."""
    before = state[row, _CLOSE]
    true_range = max(high, before) - min(low, before)
    up = high - state[row, _HIGH]
    down = state[row, _LOW] - low
    plus = up if up > down and up > 0.0 else 0.0
    minus = down if down > up and down > 0.0 else 0.0
    state[row, _ATR] += (true_range - state[row, _ATR]) * _WILDER
    state[row, _PLUS] += (plus - state[row, _PLUS]) * _WILDER
    state[row, _MINUS] += (minus - state[row, _MINUS]) * _WILDER
    plus = state[row, _PLUS]
    minus = state[row, _MINUS]
    strength = _in_units(abs(plus - minus), plus + minus, _TINY * close)
    state[row, _ADX] += (strength - state[row, _ADX]) * _WILDER


@njit(cache=True)
def _step(
    state: Floats,
    row: int,
    count: int,
    high: float,
    low: float,
    close: float,
    volume: float,
    out: Floats,
    at: int,
) -> None:
    """Fold one bar into state[row] and write its columns to out[at].

    The rolling VWAP takes the typical price, not the bar's own vwap: most recorded series lack
    the latter, and training must not see another number than trading does.
    """
    if count == 0:
        _seed(state, row, high, low, close)
    _direction(state, row, high, low, close)
    _trend(state, row, close, out, at)
    atr = state[row, _ATR]
    floor = _TINY * close
    out[at, 8] = atr / close
    out[at, 9] = state[row, _ADX]
    out[at, 10] = _in_units(state[row, _PLUS], atr, floor)
    out[at, 11] = _in_units(state[row, _MINUS], atr, floor)
    mean, deviation = _push(state, row, _PRICES, count, close)
    out[at, 12] = _in_units(close - mean, 2.0 * deviation, floor)
    out[at, 13] = 4.0 * deviation / mean
    traded, deviation = _push(state, row, _VOLUMES, count, volume)
    out[at, 14] = _in_units(volume - traded, deviation, _TINY * traded)
    turnover, _ = _push(state, row, _TURNOVERS, count, (high + low + close) / 3.0 * volume)
    out[at, 15] = _in_units(close - turnover / traded, atr, floor) if traded > 0.0 else 0.0
    out[at, 16] = _in_units(close - state[row, _CLOSE], atr, floor)
    out[at, 17] = _in_units(close - state[row, _cell((count - 4) % WINDOW, _PRICES)], atr, floor)
    out[at, 18] = _in_units(close - state[row, _cell((count - 12) % WINDOW, _PRICES)], atr, floor)
    _, deviation = _push(state, row, _RETURNS, count, math.log(close / state[row, _CLOSE]))
    out[at, 19] = deviation
    state[row, _HIGH] = high
    state[row, _LOW] = low
    state[row, _CLOSE] = close


@njit(cache=True)
def step_rows(
    state: Floats,
    counts: Ints,
    last_open: Ints,
    columns: Floats,
    rows: Ints,
    ts_open: Ints,
    values: Floats,
    length: int,
) -> None:
    """Step many instruments of one timeframe at once.

    state [n, STATE], counts [n], last_open [n] and columns [n, C] are updated in place; bar k
    belongs to row rows[k], opened at ts_open[k], and is values[:, k] = high, low, close, volume.
    A bar that does not follow the row's last one starts the row anew, one that cannot be true
    ends it; one already seen is ignored.
    """
    for k in range(rows.size):
        row = rows[k]
        high, low, close, volume = values[0, k], values[1, k], values[2, k], values[3, k]
        if ts_open[k] <= last_open[row]:
            continue
        if not _sane(high, low, close, volume):
            last_open[row] = NEVER
            continue
        if ts_open[k] != last_open[row] + length:
            counts[row] = 0
        _step(state, row, counts[row], high, low, close, volume, columns, row)
        counts[row] += 1
        last_open[row] = ts_open[k]


@njit(cache=True)
def fold_series(
    ts_open: Ints,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    length: int,
    columns: Floats,
    counts: Ints,
) -> None:
    """Step one instrument through its history: columns[t] and counts[t] as step_rows leaves them.

    counts[t] is 0 for a bar that cannot be true; its columns are left alone.
    """
    state = np.zeros((1, STATE))
    last_open = NEVER
    count = 0
    for t in range(ts_open.size):
        if not _sane(high[t], low[t], close[t], volume[t]):
            last_open = NEVER
            counts[t] = 0
            continue
        if ts_open[t] != last_open + length:
            count = 0
        _step(state, 0, count, high[t], low[t], close[t], volume[t], columns, t)
        count += 1
        counts[t] = count
        last_open = ts_open[t]


@njit(cache=True)
def align(
    ts_close: Ints,
    ts_open: Ints,
    counts: Ints,
    length: int,
    warm_up: int,
    at: Ints,
    ready: Flags,
) -> None:
    """Find, for each decision time, the bar of a series that closed last: its row goes to `at`.

    `ready` falls where that bar is not the last one that can have closed by then, or not warm.
    """
    k = 0
    for t in range(ts_close.size):
        expected = ts_close[t] - ts_close[t] % length - length
        while ts_open[k] < expected and k + 1 < ts_open.size:
            k += 1
        at[t] = k
        ready[t] &= ts_open[k] == expected and counts[k] >= warm_up


@njit(cache=True)
def gather(columns: Floats, at: Ints, picked: Ints, x: Matrix, start: int, finite: Flags) -> None:
    """Copy the picked columns of rows `at` into x[:, start:]; `finite` falls where one is not."""
    for t in range(at.size):
        for j in range(picked.size):
            value = columns[at[t], picked[j]]
            x[t, start + j] = value
            finite[t] &= math.isfinite(value)
