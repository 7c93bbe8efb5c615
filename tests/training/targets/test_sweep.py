import math

import pytest

from core.market import Timeframe
from tests.training.targets.paths import told
from training.panel.panel import UNKNOWN
from training.targets.sweep import HIGH, LOW, NONE, Sweep

M15 = Timeframe.M15
BEFORE = [(100.0, 101.0, 99.0, 100.0)] * 20  # lowest low 99, highest high 101
INSIDE = (100.0, 100.5, 99.5, 100.0)
ASKED = Sweep("sweep", M15, past=20, bars=4, back=1, depth_atr=0.1)  # ATR 5: deeper than 0.5


def swept(*after, before=BEFORE, **options):
    rows = [*before, *after, *[INSIDE] * (4 - len(after))]
    return told(ASKED, rows, at=20, timeframe=M15, **options)


@pytest.mark.parametrize(
    "after, expected",
    [
        # Down to 98 and back within the bar.
        ([INSIDE, (100, 100, 98, 99.5)], (LOW, 0.2, 2)),
        # Taken back by the bar after; the depth is that of the deeper one.
        ([(100, 100, 98, 98.5), (98.5, 100, 97, 99.5)], (LOW, 0.4, 2)),
        # Taken back two bars later: too late, the low was broken. A second spike through it is no news.
        ([(100, 100, 98, 98.5), (98.5, 98.9, 98, 98.5), (98.5, 100, 98, 99.5)], (NONE, 0.0, 4)),
        # Not deep enough: 98.5 is just 0.1 ATR under the low.
        ([(100, 100, 98.5, 99.5)], (NONE, 0.0, 4)),
        # Over the high and back.
        ([(100, 103, 100, 100.5)], (HIGH, -0.4, 1)),
        # The low first, the high later: the first counts.
        ([(100, 100, 98, 99.5), (99.5, 103, 99.5, 100)], (LOW, 0.2, 1)),
        # Both within one bar: nobody knows which came first.
        ([(100, 103, 98, 100)], (NONE, 0.0, 1)),
        # A close at the very low is not above it.
        ([(100, 100, 98, 99), (99, 99, 98.9, 99)], (NONE, 0.0, 4)),
        ([], (NONE, 0.0, 4)),
    ],
)  # fmt: skip
def test_a_spike_is_a_sweep_if_it_is_taken_back_in_time(after, expected):
    kind, depth, bars = expected
    assert swept(*after) == (kind, pytest.approx(depth), bars)


def test_only_the_last_twenty_bars_make_the_level():
    deep = [(100.0, 101.0, 90.0, 100.0), *BEFORE]
    rows = [*deep, (100, 100, 98, 99.5), *[INSIDE] * 3]
    assert told(ASKED, rows, at=21, timeframe=M15)[0] == LOW
    assert told(ASKED, rows[:-4] + [INSIDE] * 4, at=20, timeframe=M15)[0] == NONE


def test_nothing_is_known_across_a_hole_without_a_past_or_a_scale():
    rows = [*BEFORE, (100, 100, 98, 99.5), *[INSIDE] * 3]
    assert told(ASKED, rows, at=20, timeframe=M15)[0] == LOW
    for hole in (0, 7, 19, 20, 23):
        kind, depth, bars = told(ASKED, rows, at=20, timeframe=M15, skip={hole})
        assert (kind, bars) == (UNKNOWN, 4)
        assert math.isnan(depth)
    assert told(ASKED, rows, at=19, timeframe=M15)[0] == UNKNOWN
    assert told(ASKED, rows[:-1], at=20, timeframe=M15)[0] == UNKNOWN
    assert told(ASKED, rows, at=20, timeframe=M15, atr=0.0)[0] == UNKNOWN


def test_decision_bars_are_made_of_finer_ones():
    fine = [bar for bar in BEFORE for _ in range(3)]
    spike = [INSIDE, (100, 100, 98, 99.5), INSIDE]
    assert told(ASKED, [*fine, *spike, *[INSIDE] * 9], at=60) == (LOW, pytest.approx(0.2), 3)
    assert ASKED.classes == ("none", "swept_low", "swept_high")
