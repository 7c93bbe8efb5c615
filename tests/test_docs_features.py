"""The page on features names what the code has, no more and no less, with the numbers that it has.

A row that is out of date fails with the row that is expected, so that the page is quickly mended.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from core.clock import DAY, MINUTE
from core.market import TIMEFRAMES, Timeframe
from inference.features import book
from inference.features.catalogue import COLUMNS, FAMILIES, MISSING, hole_limit, warm_up_of
from inference.features.cross import CROSS
from inference.features.family import DELTA
from inference.features.spec import CLOCK_COLUMNS, SPECS, Block, FeatureSpec
from tests.inference.features.walk import fold_family, jumping, recorded, silent_after

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "features_multiscale.md"
TEXT = PAGE.read_text("utf-8")
CODE = re.compile(r"`([^`\n]+)`")
DECISION = 20_000 * DAY + 615 * MINUTE  # 10:15


class Table(NamedTuple):
    """A table of the page: the heading above it, its header, its rows as cells of text."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def read(text: str) -> list[Table]:
    """Give the tables of a page in order; a row of another width is refused."""
    found: list[Table] = []
    heading, block = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(cells(line))
            continue
        if block:
            assert {len(row) for row in block} == {len(block[0])}, block[0]
            found.append(Table(heading, block[0], tuple(block[2:])))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")
    return found


TABLES = read(TEXT)


def table(*header: str) -> Table:
    """Give the one table whose header begins so."""
    (one,) = [one for one in TABLES if one.header[: len(header)] == header]
    return one


def named(cell: str) -> tuple[str, ...]:
    return tuple(CODE.findall(cell))


def columns(family: str) -> dict[str, tuple[str, str]]:
    """Give a family's columns on the page: range and warm-up of each."""
    (one,) = [one for one in TABLES if one.heading == family and one.header[0] == "column"]
    assert one.header == ("column", "formula", "range", "warm-up")
    assert all(row[1] for row in one.rows)
    return {named(row[0])[0]: row[2:] for row in one.rows}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_column_has_its_row_with_its_warm_up(family):
    found = columns(family.name)
    expected = {
        column: f"{family.warm_up[column]}{' and a week' if family.days == 7 else ''}"
        for column in family.columns
    }
    assert {column: warm_up for column, (_, warm_up) in found.items()} == expected


def test_page_has_a_table_for_each_family_and_for_no_other():
    found = [one.heading for one in TABLES if one.header[0] == "column"]
    assert found == [family.name for family in FAMILIES]
    assert f"`{MISSING}`" in TEXT


def limits(text: str) -> tuple[float, float]:
    if text == "0 or more":
        return 0.0, np.inf
    low, high = text.split(" to ")
    return float(low), float(high)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_recorded_bars_jumps_and_silence_stay_within_the_ranges_of_the_page(family):
    ranges = columns(family.name)
    bars = recorded("DOGE-USDT", 2_300)
    bars.bars[DELTA] = np.nan_to_num(bars.bars[DELTA])
    for history in (bars, jumping(bars, 1_200), jumping(bars, 1_200, 0.001), silent_after(bars, 1_200)):
        for column, values in zip(family.columns, fold_family(family, history)[0], strict=True):
            said, _ = ranges[column]
            assert (said == "hidden") is column.startswith("level_"), column
            if said == "hidden":
                continue
            low, high = limits(said)
            bad = np.flatnonzero((values < low - 1e-9) | (values > high + 1e-9))
            assert bad.size == 0, f"{column}: expected {said}; found {values[bad[0]]}"
            assert np.isfinite(values).any(), column


def test_week_of_volume_is_said_in_bars_of_each_timeframe():
    (line,) = [line for line in TEXT.splitlines() if "NaN, hence not ready" in line]
    found = {
        name: int(bars.replace(",", "")) for bars, name in re.findall(r"([\d,]+)(?: bars)? at (\w+)", line)
    }
    assert found == {one.value: warm_up_of("volume_z_week", one) for one in TIMEFRAMES}


def test_bars_that_may_be_absent_are_those_of_the_code():
    (one,) = [
        one
        for one in TABLES
        if one.header[1:] == tuple(frame.value for frame in TIMEFRAMES) and one.header[0] == "timeframe"
    ]
    assert [int(cell) for cell in one.rows[0][1:]] == [hole_limit(frame) for frame in TIMEFRAMES]


def clock(ts: int) -> str:
    minutes = ts % DAY // MINUTE
    return f"{minutes // 60:02}:{minutes % 60:02}"


def bar(ts_open: int, timeframe: Timeframe) -> str:
    return f"[{clock(ts_open)}, {clock(ts_open + timeframe.ns)})"


def test_bars_of_a_decision_are_the_ones_that_have_closed():
    one = table("timeframe", "newest closed bar")
    assert [row[0] for row in one.rows] == [timeframe.value for timeframe in TIMEFRAMES]
    for timeframe, (_, closed, ago, still_open) in zip(TIMEFRAMES, one.rows, strict=True):
        edge = timeframe.floor(DECISION)
        assert closed.removesuffix(" of the day before") == bar(edge - timeframe.ns, timeframe)
        assert ago == f"{(DECISION - edge) // MINUTE} min"
        assert still_open.removesuffix(" of this day") == bar(edge, timeframe)


def test_every_cross_column_has_its_row_with_what_it_takes():
    rows = {named(row[0])[0]: (named(row[1]), row[2]) for row in table("cross column").rows}
    assert rows == {
        f"cross.{name}": (terms.needs, f"{terms.least} to {terms.most}") for name, terms in CROSS.items()
    }


def test_columns_of_clock_and_books_are_named_in_order():
    assert tuple(f"clock.{name}" for name in CLOCK_COLUMNS) == tuple(re.findall(r"`(clock\.\w+)`", TEXT))
    assert tuple(named(row[0])[0] for row in table("book column").rows) == book.COLUMNS


def models() -> dict[str, list[str]]:
    """Give the shipped models of each specification, by the names on their cards."""
    found: dict[str, list[str]] = {name: [] for name in SPECS}
    for path in sorted((ROOT / "configs" / "models").glob("*/card.json")):
        card = json.loads(path.read_text("utf-8"))
        found[card["features"]["name"]].append(card["name"])
    return found


def test_every_specification_has_its_row_with_its_columns_and_models():
    one = table("spec", "decides at")
    shipped = models()
    expected = {
        spec.name: (
            spec.decision.value,
            str(len(spec.names)),
            " ".join(f"`{cross.column}`" for cross in spec.cross),
            ", ".join(shipped[spec.name]),
        )
        for spec in SPECS.values()
    }
    assert {named(row[0])[0]: row[1:5] for row in one.rows} == expected
    assert all(row[5] for row in one.rows)


def term(block: Block) -> str:
    window = f" × {block.window}" if block.window > 1 else ""
    lag = f" less {block.lag}" if block.lag else ""
    return f"{len(block.columns)}{window}{lag}"


def asked(spec: FeatureSpec, timeframe: Timeframe) -> str:
    """Say what a specification asks of a timeframe as the page does, empty for nothing."""
    needed = [block for block in spec.needed if block.timeframe is timeframe]
    if not needed:
        return ""
    blocks = [block for block in spec.blocks if block.timeframe is timeframe]
    terms = [term(block) for block in blocks]
    bars = max(block.warm_up for block in needed)
    return f"{', '.join(terms) or '0'}: {bars} ({bars * timeframe.ns / DAY:.1f} d)"


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_warm_up_of_every_specification_is_that_of_the_code(spec):
    rows = {named(row[0])[0]: row for row in table("spec", "1m").rows}
    assert set(rows) == set(SPECS)
    expected = (f"`{spec.name}`", *(asked(spec, timeframe) for timeframe in TIMEFRAMES))
    assert rows[spec.name] == expected, "expected the row: | " + " | ".join(expected) + " |"


# ---- what the page says besides ----


def words() -> list[str]:
    return named(TEXT)


def test_no_column_is_named_that_does_not_exist():
    known = {
        *COLUMNS,
        *(f"cross.{name}" for name in CROSS),
        *(f"clock.{name}" for name in CLOCK_COLUMNS),
        *(f"{frame.value}.{column}" for frame in TIMEFRAMES for column in COLUMNS),
    }
    prefixes = ("cross", "clock", *(frame.value for frame in TIMEFRAMES))
    dotted = [
        word for word in words() if word.partition(".")[0] in prefixes and re.fullmatch(r"\w+\.\w+", word)
    ]
    assert len(dotted) > 30
    assert [word for word in dotted if word not in known] == []


@cache
def sources() -> str:
    """Give all that a word of the page may come from: code, its data and tests, but this one."""
    folders: Iterable[Path] = (
        ROOT / name for name in ("core", "feeds", "inference", "trader", "training", "tests")
    )
    paths = [path for folder in folders for kind in ("*.py", "*.toml") for path in folder.rglob(kind)]
    return "\n".join(path.read_text("utf-8") for path in paths if path != Path(__file__))


def test_every_name_on_the_page_is_one_of_the_code():
    known = set(re.findall(r"\w+", sources()))
    names = [word for word in words() if re.fullmatch(r"[A-Za-z]\w*_\w+", word)]
    assert len(names) > 100
    assert [name for name in names if name not in known] == []


def test_every_test_on_the_page_exists():
    text = sources()
    found = [word for word in words() if word.startswith("test_")]
    assert len(found) > 8
    assert [name for name in found if f"def {name}(" not in text] == []


def test_every_file_and_link_of_the_page_exists():
    files = [
        word for word in words() if re.fullmatch(r"[\w/]+/[\w.]*", word) and not word.startswith("/metrics")
    ]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_every_heading_that_is_linked_exists():
    heads = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert links
    assert [link for link in links if link not in heads] == []
