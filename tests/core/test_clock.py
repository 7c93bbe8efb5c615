"""Clocks: market time and wall time map both ways, and no clock runs backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import clock as module
from core.clock import DAY, SECOND, LiveClock, ManualClock, ScaledClock

SPEEDS = st.sampled_from([0.5, 1.0, 60.0, 600.0, 3600.0])


class Wall:
    """The machine's time, held still."""

    def __init__(self, now: int) -> None:
        self.now = now

    def time_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return 7


@given(
    market=st.integers(0, 10**18), wall=st.integers(0, 2 * 10**18), speed=SPEEDS, passed=st.integers(0, DAY)
)
def test_a_scaled_clock_maps_wall_to_market_and_back(market, wall, speed, passed):
    clock = ScaledClock(market_epoch=market, wall_epoch=wall, speed=speed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", Wall(wall + passed))
        grown = clock.now() - market
    assert abs(grown - passed * speed) <= 1
    assert clock.wall_seconds(grown) == pytest.approx(passed / SECOND, abs=1e-8)


def test_two_scaled_clocks_with_the_same_anchor_agree(monkeypatch):
    monkeypatch.setattr(module, "time", Wall(5 * SECOND))
    one, two = (ScaledClock(market_epoch=DAY, wall_epoch=SECOND, speed=60.0) for _ in range(2))
    assert one.now() == two.now() == DAY + 240 * SECOND
    assert one.monotonic() == 7


def test_the_live_clock_is_the_machines(monkeypatch):
    monkeypatch.setattr(module, "time", Wall(DAY))
    clock = LiveClock()
    assert (clock.now(), clock.monotonic(), clock.wall_seconds(3 * SECOND // 2)) == (DAY, 7, 1.5)


@given(st.lists(st.integers(-5, 50), max_size=30))
def test_a_manual_clock_moves_forward_only(steps):
    clock, reached = ManualClock(100), 100
    for step in steps:
        if step < 0:
            with pytest.raises(ValueError, match=f"go back from {reached} to {reached + step}"):
                clock.advance_to(reached + step)
        else:
            reached += step
            clock.advance_to(reached)
        assert clock.now() == clock.monotonic() == reached
    assert clock.wall_seconds(2 * SECOND) == 2.0
