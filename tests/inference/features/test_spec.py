"""A specification names its columns, and its hash follows whatever decides a number."""

from itertools import combinations

import msgspec
import pytest

from core.errors import ModelError
from core.market import Timeframe
from inference.features import spec as module
from inference.features.catalogue import COLUMNS, SLOTS, family_of
from inference.features.cross import CROSS
from inference.features.spec import SPECS, Block, Cross, FeatureSpec, Outside, check, read

M5, M15, H1 = Timeframe.M5, Timeframe.M15, Timeframe.H1
KRAKEN_BARS = 719
"""Closed bars of a timeframe that Kraken's REST serves at once."""
shipped = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def test_shipped_specifications_cover_every_decision_timeframe():
    assert {spec.decision for spec in SPECS.values()} == set(Timeframe)
    assert SPECS["entry_15m"].timeframes == (M15, H1, Timeframe.H4)
    assert SPECS["mtf_seven"].timeframes == (M15, *(one for one in Timeframe if one is not M15))


@shipped
def test_names_are_unique_and_end_with_the_clock(spec):
    assert len(set(spec.names)) == len(spec.names)
    assert spec.names[-1] == "clock.week_cos"
    assert spec.shapes.get("x", (0,)) == (len(spec.names),)
    assert set(spec.shapes) == {"x", *(block.name for block in spec.windows)}


@shipped
def test_history_that_the_venue_serves_at_once_is_enough_to_be_warm(spec):
    assert max(block.warm_up for block in spec.needed) <= KRAKEN_BARS


@shipped
def test_shipped_columns_need_no_tape_and_no_price_level(spec):
    for block in spec.needed:
        assert {column: family_of(column).needs for column in block.columns if family_of(column).needs} == {}
    assert not [name for name in spec.names if "level_" in name]


def test_requirements_name_columns_that_the_shipped_specifications_hold():
    def columns(name: str, timeframe: Timeframe) -> set[str]:
        return {c for block in SPECS[name].blocks if block.timeframe is timeframe for c in block.columns}

    assert {"ema_5", "rsi", "macd", "volume_burst"} <= columns("scalp_1m", Timeframe.M1)
    assert {"ema_cross", "atr", "adx", "rsi_divergence"} <= columns("trend_4h", Timeframe.H4)
    assert {"ema_9", "rsi", "macd", "volume_z"} <= columns("mtf", M15)
    assert {"ema_50", "rsi", "adx"} <= columns("mtf", H1)
    assert {"atr", "bollinger_width", "trend_slope"} <= columns("mtf", Timeframe.H4)


def test_slow_column_and_window_ask_for_more_bars():
    assert Block(M5, ("rsi", "ema_50")).warm_up > Block(M5, ("rsi",)).warm_up
    assert Block(M5, ("rsi",), window=20).warm_up == Block(M5, ("rsi",)).warm_up + 19
    assert Block(H1, ("volume_z_week",)).warm_up == 7 * 24 + 1


def test_a_day_may_not_be_missing_and_two_shorter_bars_may():
    assert Block(Timeframe.D1, ("rsi",)).missing_allowed == 0
    assert Block(H1, ("rsi",)).missing_allowed == 2
    assert Block(H1, ("rsi",), gap_limit=0).missing_allowed == 0


BASE = FeatureSpec("a", M5, (Block(M5, ("rsi", "adx")), Block(H1, ("atr",), window=4)))


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": (Block(M5, ("adx", "rsi")), Block(H1, ("atr",), window=4))},
        {"blocks": (Block(M5, ("rsi", "adx")), Block(H1, ("atr",), window=5))},
        {"blocks": (Block(M5, ("rsi", "adx"), gap_limit=1), Block(H1, ("atr",), window=4))},
        {"blocks": (Block(M5, ("rsi", "adx")), Block(H1, ("atr",), window=4, of="BTC"))},
        {"blocks": (Block(M5, ("rsi", "adx"), lag=1), Block(H1, ("atr",), window=4))},
        {"cross": (Cross("atr_ratio", (H1,)),)},
        {"cross": (Cross("trend_alignment", (M5, H1)),)},
        {"known": (Outside("funding", ("rate",), 60.0),)},
        {"known": (Outside("funding", ("rate",), 61.0),)},
        {"clock": ("day_sin",)},
    ],
    ids=["order", "window", "gap", "of", "lag", "cross", "cross_timeframes", "known", "age", "clock"],
)
def test_hash_follows_whatever_decides_a_number(change):
    changed = msgspec.structs.replace(BASE, **change)
    check(changed)
    assert changed.hash != BASE.hash
    if "known" in change:
        assert (
            changed.hash != msgspec.structs.replace(BASE, known=(Outside("funding", ("rate",), 62.0),)).hash
        )


def test_lag_is_in_the_name_and_in_the_warm_up():
    block = Block(Timeframe.M1, ("rsi",), lag=60)
    assert block.name == "1m-60"
    assert block.warm_up == Block(Timeframe.M1, ("rsi",)).warm_up + 60


def test_hash_does_not_follow_the_name_and_differs_between_specifications(monkeypatch):
    assert msgspec.structs.replace(BASE, name="b").hash == BASE.hash
    assert all(a.hash != b.hash for a, b in combinations([*SPECS.values(), BASE], 2))
    before = BASE.hash
    monkeypatch.setattr(module, "KERNEL_VERSION", 999)
    assert BASE.hash != before


ONE = '[a]\ndecision = "5m"\n[[a.blocks]]\ntimeframe = "5m"\ncolumns = ["rsi"]\n'


def test_specification_is_read_from_data():
    (spec,) = read(
        ONE + 'window = 3\ngap_limit = 1\n[[a.blocks]]\ntimeframe = "1h"\ncolumns = ["atr"]\n'
    ).values()
    assert spec == FeatureSpec("a", M5, (Block(M5, ("rsi",), window=3, gap_limit=1), Block(H1, ("atr",))))
    assert spec.names == ("1h.atr", "clock.day_sin", "clock.day_cos", "clock.week_sin", "clock.week_cos")
    assert spec.shapes == {"x": (5,), "5m": (3, 1)}


@pytest.mark.parametrize(
    "text,said",
    [
        ("a = ", "expected TOML"),
        ("a = 1", "feature spec a: expected a table"),
        ('[a]\nname = "b"', "without the key name"),
        ('[a]\ndecision = "5m"\nblocks = []', "feature spec a: expected blocks; found none"),
        (ONE.replace("5m", "7m"), "feature spec a: Invalid enum value '7m'"),
        (ONE.replace("rsi", "rsj"), "block 5m: columns that there are; found .'rsj'."),
        (ONE.replace('["rsi"]', '["rsi", "rsi"]'), "each column once; found twice: .'5m.rsi'."),
        (ONE.replace('["rsi"]', "[]"), "block 5m: expected columns; found none"),
        (ONE.replace("rsi", "level_support"), "expected columns without a price"),
        (ONE + "window = 0", "block 5m: expected a window of 1 or more; found 0"),
        (ONE + "gap_limit = 60", "block 5m: expected a gap_limit of 0 to 59; found 60"),
        (ONE + "lag = -1", "a lag of 0 or more; found -1"),
        (ONE + "windw = 2", "unknown field `windw`"),
        (ONE.replace('decision = "5m"', 'decision = "1h"'), "one of the decision timeframe 1h; found none"),
        (ONE.replace("[[", 'clock = ["noon"]\n[['), "clock columns that there are; found .'noon'."),
        (ONE.replace("[[", 'cross = [{column = "x", timeframes = []}]\n[['), "cross columns that there are"),
        (
            ONE.replace("[[", 'cross = [{column = "rv_ratio", timeframes = ["1h", "1m"]}]\n[['),
            "cross rv_ratio: expected 2 to 2 timeframes, shortest first; found .'1h', '1m'.",
        ),
        (
            ONE.replace("[[", 'known = [{name = "f", columns = [], max_age_s = 1.0}]\n[['),
            "known f: expected columns and a max_age_s above 0",
        ),
        (
            ONE + 'window = 2\n[[a.blocks]]\ntimeframe = "5m"\ncolumns = ["adx"]\nwindow = 3\n',
            "each tensor once; found twice: .'5m'.",
        ),
    ],
)
def test_specification_that_no_frame_can_follow_is_refused_in_one_line(text, said):
    with pytest.raises(ModelError, match=said) as refused:
        read(text)
    assert "\n" not in str(refused.value)


def test_catalogue_columns_are_unique_and_cross_columns_need_what_there_is():
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert all(set(cross.needs) <= set(COLUMNS) for cross in CROSS.values())
    assert SLOTS == 60
