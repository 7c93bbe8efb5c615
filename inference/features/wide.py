"""Columns of windows of 240 bars: where the close lies in a wide range, and the hour in the session.

Must not know levels or bursts. Called through the catalogue. A family of its own, for its windows are
long: who does not ask for it does not pay.
"""

from inference.features.family import CLOSE, COUNT, FIRST, HIGH, LOW, ROW, STOP, TARGET, VOLUME, Family
from inference.features.kernel import Floats, Ints, kernel
from inference.features.ratios import in_range, log_ratio
from inference.features.totals import push_reach, push_sum, reach_slots, sum_slots

_WINDOW = 240
_REACH = 0
_VOLUME_60 = _REACH + reach_slots(_WINDOW)
_VOLUMES = _VOLUME_60 + sum_slots(60)  # sums over 60 bars as of the last 180
_SLOTS = _VOLUMES + 180


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, _scales: Floats, out: Floats
) -> None:
    """Both are of the last 240 bars, this one included; of those there are before that."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            highest, lowest = push_reach(row, _REACH, _WINDOW, count, bars[HIGH, t], bars[LOW, t])
            hour = push_sum(row, _VOLUME_60, 60, count, bars[VOLUME, t])
            now = count % 180
            session = hour + row[_VOLUMES + (now + 120) % 180] + row[_VOLUMES + (now + 60) % 180]
            session += row[_VOLUMES + now]
            row[_VOLUMES + now] = hour
            out[0, at] = in_range(bars[CLOSE, t], lowest, highest)
            out[1, at] = log_ratio(hour / min(count + 1, 60), session / min(count + 1, _WINDOW))
            count += 1
            at += 1


FAMILY = Family(
    name="wide",
    columns=(
        "range_position_240",  # -1 at the lowest low, 1 at the highest high
        "volume_mean_60",  # log of the mean over 60 bars to that over 240
    ),
    slots=_SLOTS,
    warm_up={"range_position_240": 240, "volume_mean_60": 240},
    advance=advance,
)
