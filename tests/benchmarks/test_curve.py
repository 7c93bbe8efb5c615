"""The cost curve: lines, page and picture; what a decision is made of."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from benchmarks.curve import FIGURES, fits, line, write
from benchmarks.decide import decisions
from benchmarks.setup import closes, final, midnight, needed, specs_of
from benchmarks.synthetic import symbols
from core.market import TIMEFRAMES, Timeframe

SIZES = (10, 100, 1_000)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
def test_a_straight_line_is_found_again(intercept, slope):
    found = line(SIZES, [intercept + slope * size for size in SIZES])
    assert found.slope == pytest.approx(slope, rel=1e-6)
    assert found.intercept == pytest.approx(intercept, rel=1e-6, abs=1e-6 * slope * SIZES[-1])
    assert found.r2 == pytest.approx(1.0)


def test_a_bend_lowers_r2():
    assert line(SIZES, [1.0, 1.0, 1.0]).r2 == 1.0
    assert line((1, 2, 3, 4), [1.0, 4.0, 1.0, 4.0]).r2 < 0.5


def test_page_and_picture_hold_every_size(tmp_path):
    rows = [{"instruments": float(n), **dict.fromkeys(FIGURES, 5.0 + n), "stage: blend": 0.5} for n in SIZES]
    write(tmp_path, rows)
    page = (tmp_path / "cost-curve.md").read_text()
    assert "| 1,000 | 1,005.0 |" in page
    assert "| decision, median ms | 5.0 | 1,000.0 | 1.0000 |" in page
    assert "| blend | 0.5 | 0.5 | 0.5 |" in page
    picture = ET.parse(tmp_path / "cost-curve.svg").getroot()
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 3 * len(SIZES)
    assert fits(rows)["rss_mb"].slope == pytest.approx(1.0)


def test_bars_come_in_the_order_in_which_they_close():
    ts = midnight(1)
    wanted = {Timeframe.M15: 8, Timeframe.H1: 2}
    sets = list(closes(wanted, symbols(2), ts, default_rng(1)))
    ends = [bars[0].ts_close for bars in sets]
    assert ends == sorted(set(ends))
    assert ends[-1] == ts
    assert all(bar.ts_close == end for bars, end in zip(sets, ends, strict=True) for bar in bars)
    assert len(sets[-1]) == 2 * len(wanted)


def test_at_midnight_every_timeframe_is_decided_on_with_the_twins():
    ensembles = final()
    assert set(needed(specs_of(ensembles.values()))) == set(TIMEFRAMES)
    found = decisions(ensembles, count=3, rounds=1)
    assert (found.opinions, found.ready) == (3, 1.0)
    assert {f"features {one.value}" for one in TIMEFRAMES} | {"risk and engine", "journal commit"} <= set(
        found.profile()
    )
    assert sum(ms[0] for name, ms in found.stages.items() if not name.startswith("answer: ")) <= found.ms[0]
