"""This bar's volume against the bars of the same hour of the day on the seven days before.

Must not know weekdays. Called through the catalogue. A family of its own, for it keeps a week of hours:
who does not ask for it does not pay. NaN until a week was seen, be that 10,080 bars or seven.
"""

import math

from inference.features.family import COUNT, FIRST, ROW, STOP, TARGET, VOLUME, Family
from inference.features.kernel import Floats, Ints, kernel
from inference.features.rolling import TINY, in_units

_NS_HOUR = 3_600_000_000_000
_DAY = 24
_WEEK = 7 * _DAY

# A state row: the running hour, the first whole one, what it compares with; then a bucket an hour.
_HOUR, _SINCE, _MEAN, _DEVIATION = range(4)
_BUCKETS = 4
_SIZE = 3  # bars, mean, squared deviations
_SLOTS = _BUCKETS + _SIZE * _WEEK


@kernel
def _bucket(hour: int) -> int:
    return _BUCKETS + _SIZE * (hour % _WEEK)


@kernel
def _begin(row: Floats, hour: int) -> None:
    """Set what a new hour compares with (Chan, Golub and LeVeque 1983), then empty its own bucket.

    Its bucket is that of a week ago until then. Hours without a bar leave theirs empty.
    """
    for empty in range(max(int(row[_HOUR]) + 1, hour - _WEEK + 1), hour):
        row[_bucket(empty)] = 0.0
    size, mean, squares = 0.0, 0.0, 0.0
    for day in range(1, 8):
        cell = _bucket(hour - day * _DAY)
        bars = row[cell]
        if bars > 0.0:
            both = size + bars
            delta = row[cell + 1] - mean
            mean += delta * (bars / both)
            squares += row[cell + 2] + delta * delta * (size * bars / both)
            size = both
    known = size > 0.0 and hour - _WEEK >= row[_SINCE]
    row[_MEAN] = mean if known else math.nan
    row[_DEVIATION] = math.sqrt(squares / size) if known else math.nan
    row[_bucket(hour)] = 0.0
    row[_HOUR] = hour


@kernel
def _add(row: Floats, hour: int, volume: float) -> None:
    """Take a bar into its hour's bucket (Welford 1962)."""
    cell = _bucket(hour)
    if row[cell] == 0.0:
        row[cell + 1] = 0.0
        row[cell + 2] = 0.0
    row[cell] += 1.0
    delta = volume - row[cell + 1]
    row[cell + 1] += delta / row[cell]
    row[cell + 2] += delta * (volume - row[cell + 1])


@kernel
def advance(
    state: Floats, plan: Ints, ts_open: Ints, bars: Floats, _length: int, _scales: Floats, out: Floats
) -> None:
    """Take hours by the bar's open, UTC; a day-long bar belongs to hour 0."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        at = plan[k, TARGET]
        if plan[k, COUNT] == 0:
            opened = ts_open[plan[k, FIRST]]
            row[_SINCE] = (opened + _NS_HOUR - 1) // _NS_HOUR
            row[_HOUR] = opened // _NS_HOUR - 1
        for t in range(plan[k, FIRST], plan[k, STOP]):
            hour = ts_open[t] // _NS_HOUR
            if hour != row[_HOUR]:
                _begin(row, hour)
            volume = bars[VOLUME, t]
            mean = row[_MEAN]
            z = in_units(volume - mean, row[_DEVIATION], TINY * mean)
            out[0, at] = math.nan if math.isnan(mean) else z
            _add(row, hour, volume)
            at += 1


FAMILY = Family(
    name="volume_week",
    columns=("volume_z_week",),
    slots=_SLOTS,
    warm_up={"volume_z_week": 8},
    advance=advance,
    days=7,
)
