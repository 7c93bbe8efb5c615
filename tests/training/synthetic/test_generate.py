from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UsageError
from core.market import Timeframe
from feeds.lake import aggregate
from training.guard.market import START
from training.synthetic.catalogue import ALIASES, BAR_MINUTES, PATTERNS
from training.synthetic.generate import draw_pattern, generate_synthetic_pattern

COLUMNS = ["ts", "open", "high", "low", "close", "volume", "trades", "vwap", "action"]


def test_the_door_gives_a_table_of_bars_with_actions():
    found = generate_synthetic_pattern("head_and_shoulders", {"minutes": 90, "price": 30_000})
    assert found.columns == COLUMNS
    assert found["action"].dtype == pl.Enum(["short", "flat", "long"])
    assert found["ts"].to_list() == [START // 1_000_000 + 60_000 * t for t in range(90)]
    assert found["open"][0] == pytest.approx(30_000)
    assert found["action"][0] == "long"
    assert found["action"][-2:].to_list() == ["short", "flat"]


def test_the_page_shows_how(capsys):
    page = (Path(__file__).parents[3] / "docs" / "synthetic.md").read_text(encoding="utf-8")
    code = [line[4:] for line in page.splitlines() if line.startswith(("    from ", "    bars = "))]
    found: dict[str, pl.DataFrame] = {}
    exec("\n".join(code), {}, found)
    assert found["bars"].columns == COLUMNS
    assert len(found["bars"]) == 1_440


def test_the_same_seed_gives_the_same_table_and_another_does_not():
    first, again, other = (generate_synthetic_pattern("breakout", seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("short, name", ALIASES.items())
def test_a_short_word_means_its_pattern(short, name):
    assert generate_synthetic_pattern(short).equals(generate_synthetic_pattern(name))


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(PATTERNS)),
    noise=st.sampled_from([0.0, 0.05, 1.0]),
    minutes=st.integers(120, 400),
    seed=st.integers(0, 2**32),
)
def test_every_bar_is_sound(name, noise, minutes, seed):
    bars = draw_pattern(name, {"minutes": minutes}, noise, seed=seed).bars
    assert len(bars) == minutes
    assert (bars.low > 0).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.open[1:] == bars.close[:-1]).all()
    assert ((bars.vwap >= bars.low) & (bars.vwap <= bars.high)).all()
    assert (bars.volume > 0).all()
    assert (bars.trades > 0).all()
    if noise == 0.0:
        assert (bars.high == np.maximum(bars.open, bars.close)).all()
        assert (bars.low == np.minimum(bars.open, bars.close)).all()


@pytest.mark.parametrize("step", BAR_MINUTES)
def test_coarse_bars_are_made_of_the_minutes(step):
    minutes = draw_pattern("bull_trend", {"minutes": 2_880}, 0.05, seed=3)
    coarse = draw_pattern("bull_trend", {"minutes": 2_880, "bar_minutes": step}, 0.05, seed=3)
    made = aggregate(minutes.bars, next(one for one in Timeframe if one.minutes == step))
    for column in ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades"):
        assert np.array_equal(getattr(coarse.bars, column), getattr(made, column)), column
    assert (coarse.path == minutes.path[step - 1 :: step]).all()


def test_volume_goes_with_the_pattern():
    """A breakout's volume: 2.5 usual minutes on the way out, 0.7 inside the range, in the mean."""
    ratios = []
    for seed in range(30):
        volume = draw_pattern("breakout", None, 0.05, seed=seed).bars.volume
        # Legs: 5.5 in the range, 1.2 out, 0.8 back, 1.5 on, of 9 in all.
        inside, out = volume[:440], volume[440:536]
        ratios.append(out.mean() / inside.mean())
    assert np.exp(np.mean(np.log(ratios))) > 2.0


@pytest.mark.parametrize(
    "words, expected",
    [
        (("spiral",), "pattern_type: expected one of bull_trend, bear_trend"),
        (("breakout", {"tuches": 3}), "params of breakout: expected some of minutes, height"),
        (
            ("breakout", {"touches": 2.5}),
            "touches of breakout: expected a whole number from 2 to 8; found 2.5",
        ),
        (("breakout", {"height": "high"}), "height of breakout: expected a number from 0.001 to 0.8"),
        (("breakout", {"height": float("nan")}), "height of breakout: expected a number"),
        (("breakout", {"direction": 0}), "direction of breakout: expected 1 or -1; found 0"),
        (("breakout", {"bar_minutes": 7}), "expected bar_minutes of 1, 5, 15, 30, 60, 240 or 1440"),
        (("breakout", {"minutes": 721, "bar_minutes": 5}), "that divide minutes; found 5 and 721"),
        (("volatility_cycle", {"minutes": 60, "cycles": 8}), "expected at least one for each of 129 legs"),
        (("breakout", None, -0.1), "noise_level: expected a number from 0 to 10; found -0.1"),
    ],
)
def test_refusals_say_what_was_expected_in_one_line(words, expected):
    with pytest.raises(UsageError) as refused:
        generate_synthetic_pattern(*words)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_seed_is_a_whole_number_from_zero():
    with pytest.raises(UsageError, match="seed: expected a whole number from 0"):
        generate_synthetic_pattern("trend", seed=-1)
