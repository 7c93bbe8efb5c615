"""The watch is silent over an honest frame and names the column of one that lies."""

import numpy as np
import pytest

from core.market import Bar, Timeframe
from inference.features.frame import FeatureFrame
from inference.features.parity import SPARE, ParityMonitor
from inference.features.spec import Block, FeatureSpec
from tests.inference.features.walk import recorded

M5 = Timeframe.M5
COLUMNS = ("rsi", "atr", "ema_9", "adx", "volume_z", "volatility")
SPEC = FeatureSpec("test", M5, (Block(M5, COLUMNS),))
PAIRS = ("BTC/USD", "DOGE/USD")
BARS = 1_500


@pytest.fixture(scope="module")
def stream() -> list[list[Bar]]:
    """Recorded bars of both instruments, close by close."""
    told = [recorded(pair, BARS) for pair in ("BTC-USDT", "DOGE-USDT")]
    return [
        [
            Bar(name, M5, int(one.ts_open[t]), *one.bars[:5, t].tolist(), float(one.close[t]), 1)
            for name, one in zip(PAIRS, told, strict=True)
        ]
        for t in range(BARS)
    ]


def watched(
    stream: list[list[Bar]], sample: tuple[str, ...] = PAIRS[1:]
) -> tuple[FeatureFrame, ParityMonitor]:
    frame = FeatureFrame([SPEC], PAIRS)
    monitor = ParityMonitor(frame, sample)
    for bars in stream:
        frame.on_bars(bars)
        monitor.on_bars(bars)
    return frame, monitor


def test_honest_frame_is_checked_and_nothing_is_found(stream):
    frame, monitor = watched(stream[:300])
    assert monitor.check(frame) == []
    # Half of the columns need more bars than were seen.
    assert 0 < monitor.checked < len(frame.layouts[M5].rows)
    for bars in stream[300:]:
        frame.on_bars(bars)
        monitor.on_bars(bars)
    before = monitor.checked
    assert monitor.check(frame) == []
    assert monitor.checked - before == len(frame.layouts[M5].rows)


def test_one_cell_of_state_that_was_written_over_is_found_at_the_next_close(stream):
    frame, monitor = watched(stream[:-1])
    live = frame._live[M5]
    scale = [family.name for family in live.layout.families].index("scale")
    live.states[scale][1, 0] *= 1 + 1e-6  # the average true range of DOGE
    frame.on_bars(stream[-1])
    monitor.on_bars(stream[-1])
    found = monitor.check(frame)
    assert {one.instrument for one in found} == {"DOGE/USD"}
    assert {"atr", "ema_9"} <= {one.column for one in found}
    assert not {"volume_z", "volatility", "rsi"} & {one.column for one in found}
    (atr,) = (one for one in found if one.column == "atr")
    assert atr.ts_close == stream[-1][0].ts_close
    assert atr.live == pytest.approx(atr.offline, rel=1e-5)
    assert abs(atr.live - atr.offline) > 1e-9


def test_column_that_became_nan_is_found(stream):
    frame, monitor = watched(stream)
    frame._live[M5].work.out[frame.layouts[M5].rows["rsi"], 1] = np.nan
    assert [one.column for one in monitor.check(frame)] == ["rsi"]


def test_instrument_outside_the_sample_is_not_watched(stream):
    frame, monitor = watched(stream, PAIRS[:1])
    frame._live[M5].work.out[:, 1] = 7.0
    assert monitor.check(frame) == []


def test_bar_that_the_monitor_was_not_given_is_not_taken_for_a_fault(stream):
    frame, monitor = watched(stream[:-1])
    frame.on_bars(stream[-1])
    checked = monitor.checked
    assert monitor.check(frame) == []
    assert monitor.checked == checked


def test_bar_that_was_absent_before_the_watch_began_is_no_fault(stream):
    """A restored state knows of a hole that the tape of this run does not."""
    frame = FeatureFrame([SPEC], PAIRS)
    for bars in [*stream[:380], *stream[381:400]]:
        frame.on_bars(bars)
    again = FeatureFrame([SPEC], PAIRS)
    again.restore(frame.save())
    monitor = ParityMonitor(again, PAIRS)
    for bars in stream[400:470]:
        again.on_bars(bars)
        monitor.on_bars(bars)
        assert monitor.check(again) == []
    # As soon as the hole has left both, it is compared.
    again._live[M5].work.out[frame.layouts[M5].rows["missing"], :] = 0.5
    assert {one.column for one in monitor.check(again)} == {"missing"}


def test_tape_is_bounded_and_goes_on_checking(stream):
    _, monitor = watched(stream)
    (tape,) = monitor._tapes.values()
    assert tape.size <= 2 * tape.kept
    assert tape.kept == max(monitor._warm_ups[M5].values()) + SPARE
    assert tape.size >= tape.kept


@pytest.mark.parametrize("continued", [True, False])
def test_history_is_taken_as_the_frame_takes_it(stream, continued):
    """The history's older bars differ from what was seen live: only one of both paths used them."""
    frame, monitor = watched(stream[:900] if continued else stream[:5])
    history = [
        Bar(
            bar.instrument,
            M5,
            bar.ts_open,
            bar.open,
            bar.high * 1.01,
            bar.low,
            bar.close,
            bar.volume,
            bar.vwap,
            1,
        )
        for bars in stream[100:1_200]
        for bar in bars
    ]
    if not continued:
        history = [bar for bar in history if bar.ts_open > stream[100][0].ts_open]
    frame.warm(history)
    monitor.on_history(frame, history)
    assert (frame.snapshot("DOGE/USD", M5).since == stream[0][0].ts_open) is continued
    for bars in stream[1_200:]:
        frame.on_bars(bars)
        monitor.on_bars(bars)
    before = monitor.checked
    assert monitor.check(frame) == []
    assert monitor.checked - before == len(frame.layouts[M5].rows)
