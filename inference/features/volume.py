"""How much is traded, against what was traded before, and where: volume without its unit.

Must not know what an instrument's usual volume is, nor bursts. Called through the catalogue. The VWAP
takes the typical price, not the bar's own vwap: most recorded series lack the latter, and training must
not see another number than trading does.
"""

import math

from inference.features.family import (
    ATR,
    BEFORE,
    CLOSE,
    COUNT,
    FIRST,
    HIGH,
    LOW,
    OPEN,
    ROW,
    STOP,
    TARGET,
    VOLUME,
    Family,
)
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.ratios import log_ratio, sign
from inference.features.rolling import TINY, in_units, moment_slots, push_moments
from inference.features.totals import push_sum, sum_slots

# A state row: mean and deviation as of the bar before, windows, then rings. A sum over 40 or 60 bars is
# that over 20 and the one or two that it was 20 and 40 bars ago.
_MEAN, _DEVIATION = range(2)
_MOMENTS = 2
_VOLUME_5 = _MOMENTS + moment_slots(20)
_VOLUME_15 = _VOLUME_5 + sum_slots(5)
_FLOW_20 = _VOLUME_15 + sum_slots(15)
_SIGNED_15 = _FLOW_20 + sum_slots(20)
_TURNOVER_20 = _SIGNED_15 + sum_slots(15)
_TURNOVERS = _TURNOVER_20 + sum_slots(20)
_VOLUMES = _TURNOVERS + 40
_SLOTS = _VOLUMES + 40


@inlined
def _longer(state: Floats, o: int, count: int, sum_20: float) -> tuple[float, float]:
    """Take the newest sum of 20 bars into the ring of the last 40 such sums; give those of 40 and of 60."""
    now = count % 40
    sum_40 = sum_20 + state[o + (now + 20) % 40]
    sum_60 = sum_40 + state[o + now]
    state[o + now] = sum_20
    return sum_40, sum_60


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    """On-balance volume is Granville's (1963), here as a share of what was traded."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        mean = row[_MEAN]
        deviation = row[_DEVIATION]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            volume = bars[VOLUME, t]
            atr = scales[ATR, at]
            floor = TINY * close
            z = in_units(volume - mean, deviation, TINY * mean)
            mean, variance = push_moments(row, _MOMENTS, 20, count, volume)
            deviation = math.sqrt(variance)
            volume_20 = mean * min(count + 1, 20)
            _, volume_60 = _longer(row, _VOLUMES, count, volume_20)
            mean_60 = volume_60 / min(count + 1, 60)
            mean_15 = push_sum(row, _VOLUME_15, 15, count, volume) / min(count + 1, 15)
            mean_5 = push_sum(row, _VOLUME_5, 5, count, volume) / min(count + 1, 5)
            flow = push_sum(row, _FLOW_20, 20, count, sign(close - scales[BEFORE, at]) * volume)
            signed = push_sum(row, _SIGNED_15, 15, count, sign(close - bars[OPEN, t]) * z)
            turnover = (bars[HIGH, t] + bars[LOW, t] + close) / 3.0 * volume
            turnover_20 = push_sum(row, _TURNOVER_20, 20, count, turnover)
            turnover_40, turnover_60 = _longer(row, _TURNOVERS, count, turnover_20)
            out[0, at] = flow / volume_20 if volume_20 > 0.0 else 0.0
            out[1, at] = log_ratio(mean_5, mean_60)
            out[2, at] = log_ratio(mean_15, mean_60)
            out[3, at] = z
            out[4, at] = in_units(close - turnover_20 / volume_20, atr, floor) if volume_20 > 0.0 else 0.0
            out[5, at] = in_units(close - turnover_60 / volume_60, atr, floor) if volume_60 > 0.0 else 0.0
            out[6, at] = signed / min(count + 1, 15)
            out[7, at] = 2.0 * turnover_20 / turnover_40 - 1.0 if turnover_40 > 0.0 else 0.0
            count += 1
            at += 1
        row[_MEAN] = mean
        row[_DEVIATION] = deviation


FAMILY = Family(
    name="volume",
    columns=(
        "obv",  # on-balance volume's change over 20 bars, as a share of their volume: -1..1
        "volume_mean_5",  # log of the mean over 5 bars to that over 60
        "volume_mean_15",
        "volume_z",  # against the 20 bars before
        "vwap_distance",  # close to the 20-bar VWAP, in ATR
        "vwap_60",
        "signed_volume_15",  # mean of volume_z, counted against for a falling bar
        "turnover_trend",  # share by which the last 20 bars turned over more than the 20 before: -1..1
    ),
    slots=_SLOTS,
    warm_up={
        "obv": 21,
        "volume_mean_5": 60,
        "volume_mean_15": 60,
        "volume_z": 21,
        "vwap_distance": 340,
        "vwap_60": 340,
        "signed_volume_15": 36,
        "turnover_trend": 40,
    },
    advance=advance,
)
