"""Who crossed the spread: bought minus sold volume, as far as the source knows takers' sides.

Must not know trades. Called through the catalogue; such columns need a tape. What is not known is NaN,
never 0, and stays so for as long as a window holds it.
"""

from inference.features.family import ATR, CLOSE, COUNT, DELTA, FIRST, ROW, STOP, TARGET, VOLUME, Family
from inference.features.kernel import Floats, Ints, kernel
from inference.features.ratios import sign
from inference.features.rolling import TINY, in_units
from inference.features.totals import push_sum, sum_slots

_WINDOW = 20
_VOLUME = 0
_DELTA = _VOLUME + sum_slots(_WINDOW)
_CLOSES = _DELTA + sum_slots(_WINDOW)
_SLOTS = _CLOSES + _WINDOW


@kernel
def _share(delta: float, volume: float) -> float:
    """Give delta / volume; 0 where nobody traded, NaN where delta is unknown."""
    return delta / volume if volume > 0.0 else 0.0 * delta


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    """Hold the takers' side of 20 bars against the move from the close before them."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            volume = push_sum(row, _VOLUME, _WINDOW, count, bars[VOLUME, t])
            share = _share(push_sum(row, _DELTA, _WINDOW, count, bars[DELTA, t]), volume)
            cell = _CLOSES + count % _WINDOW
            move = in_units(close - row[cell], scales[ATR, at], TINY * close) if count >= _WINDOW else 0.0
            row[cell] = close
            opposed = sign(move) * sign(share) < 0.0
            out[0, at] = _share(bars[DELTA, t], bars[VOLUME, t])
            out[1, at] = share
            out[2, at] = share * min(abs(move), 1.0) if opposed else 0.0 * share
            count += 1
            at += 1


FAMILY = Family(
    name="flow",
    columns=(
        "volume_delta",  # bought minus sold, as a share of the volume: -1..1
        "volume_delta_20",
        "delta_divergence",  # volume_delta_20 where price went the other way by an ATR or more, less below
    ),
    slots=_SLOTS,
    warm_up={"volume_delta": 1, "volume_delta_20": 20, "delta_divergence": 340},
    advance=advance,
    needs="flow",
)
