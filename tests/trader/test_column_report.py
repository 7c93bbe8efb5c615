"""`trader data columns`: figures of real bars, and no two columns that say the same without a reason."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.market import TIMEFRAMES, Timeframe
from core.text import parse_iso
from feeds.lake import Lake, Series
from inference.features.catalogue import COLUMNS, warm_up_of
from inference.features.fold import fold
from inference.features.kept import KEPT, LIMIT, Kept, reason_to_keep
from inference.features.spec import SPECS
from trader import cli
from trader.column_report import Alike, Report, Wanted, merged, of_catalogue, reports
from trader.column_statistics import Column, Statistics
from trader.commands.data_columns import UNEXPLAINED, _told

SHIPPED = Path(__file__).parents[2] / "configs" / "market"
SERIES = Series("binance", "BTC/USDT", Timeframe.M5)


def quiet(*_):
    """Nobody watches."""


def some_bars(days=6):
    start = parse_iso("2024-03-06T00:00:00Z")
    return Lake(SHIPPED).read(*SERIES, start=start, end=start + days * Timeframe.D1.ns)


def run(capsys, *arguments):
    code = cli.run([str(word) for word in ("data", "columns", *arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_every_column_is_reported_where_it_is_warm_and_nowhere_else():
    bars = some_bars()
    half = int(bars.ts_open[len(bars) // 2])
    parts = [bars.between(0, half), bars.between(half, int(bars.ts_close[-1]))]
    report = of_catalogue("one", SERIES, parts, len(bars), quiet)
    whole = of_catalogue("one", SERIES, [bars], len(bars), quiet)
    assert (report.rows, report.first, report.last) == (whole.rows, whole.first, whole.last)
    for ours, theirs in zip(report.columns, whole.columns, strict=True):
        if theirs.autocorrelation is None:
            continue
        assert (ours.mean, ours.autocorrelation) == pytest.approx(
            (theirs.mean, theirs.autocorrelation), rel=1e-6, abs=1e-9
        )
    assert [column.name for column in report.columns] == list(COLUMNS)
    rsi = next(column for column in report.columns if column.name == "rsi")
    spec = SPECS["entry_5m"]
    folded = fold(spec, dict.fromkeys(spec.timeframes, bars))
    x = folded.x[warm_up_of("rsi", Timeframe.M5) - 1 :, spec.names.index("5m.rsi")].astype(float)
    assert rsi.mean == pytest.approx(x.mean(), abs=1e-6)
    assert rsi.std == pytest.approx(x.std(), rel=1e-5)


def test_a_specification_is_reported_on_the_rows_that_models_get():
    (report,) = reports(SHIPPED, Wanted("binance", frozenset({"BTC/USDT"}), frozenset(), "entry_5m"), quiet)
    spec = SPECS["entry_5m"]
    assert [column.name for column in report.columns] == list(spec.names)
    assert all(column.nan_share == 0.0 for column in report.columns)
    assert 0 < report.rows < len(Lake(SHIPPED).read(*SERIES))


def test_progress_reaches_the_whole():
    heard = []
    list(reports(SHIPPED, Wanted(instruments=frozenset({"BTC/USDT"})), lambda *told: heard.append(told)))
    assert heard[-1] == (100, 100, "binance/BTC/USDT/5m")
    assert [done for done, *_ in heard] == sorted(done for done, *_ in heard)


def test_the_catalogue_on_real_bars_has_no_two_columns_alike_without_a_reason(capsys):
    code, out, err = run(capsys, "--lake", SHIPPED, "--instruments", "BTC/USDT", "--all", "--json")
    found = json.loads(out)
    assert err == ""
    assert [pair for pair in found["merged"][0]["alike"] if not pair["reason"]] == []
    assert code == 0


def test_two_columns_alike_without_a_reason_are_an_error(capsys):
    statistics = Statistics(("rsi", "atr"), 50)
    line = np.linspace(0.0, 1.0, 50)[:, None]
    statistics.add(np.hstack([line, line]))
    alike = tuple(Alike(one.first, one.second, one.correlation, "") for one in statistics.pairs(LIMIT))
    report = Report("v/A/B/1h", 50, "", "", tuple(statistics.columns()), alike)
    assert _told([report], as_json=False) == 65
    assert f"rsi ~ atr: +1.0000: {UNEXPLAINED}" in capsys.readouterr().out


def test_series_of_a_timeframe_are_told_by_their_middle_and_their_worst():
    def column(mean, shift):
        return Column("rsi", 0.0, mean, 1.0, 1.0, 0.5, -9.0, shift, constant=False)

    group = [
        Report(f"v/{k}/1h", 10, "", "", (column(mean, shift),), (Alike("a", "b", 0.98 + k / 1_000, ""),))
        for k, (mean, shift) in enumerate([(1.0, 0.1), (2.0, -0.9), (9.0, 0.2)])
    ]
    (table,) = merged(group)
    (told,) = table.columns
    assert (told.mean, told.shift, told.hints) == (2.0, -0.9, {"mean moved": 1})
    assert table.rows == 30
    assert [pair.correlation for pair in table.alike] == [0.982]


def test_reasons_name_columns_that_exist_and_hold_in_every_timeframe():
    for kept in KEPT:
        assert kept.columns <= set(COLUMNS), kept
        assert kept.reason
        first, second, *_ = sorted(kept.columns)
        assert reason_to_keep(f"15m.{first}", f"15m.{second}") == kept.reason
    assert reason_to_keep("rsi", "no such column") == ""
    # A column twice is not two columns of a kind, and reasons are of one timeframe of one instrument.
    for other in ("1h.rsi", "1h.ema_21", "BTC.15m.rsi"):
        assert reason_to_keep("15m.rsi", other) == ""
    assert Kept._fields == ("columns", "reason")


def test_either_a_specification_or_everything_is_asked_for(capsys):
    code, _, err = run(capsys, "--lake", SHIPPED)
    assert code == 64
    assert "expected either --spec NAME or --all; found neither" in err
    code, _, err = run(capsys, "--lake", SHIPPED, "--all", "--timeframes", "7m")
    assert code == 64
    assert f"expected some of {','.join(one.value for one in TIMEFRAMES)}; found 7m" in err
    code, _, err = run(capsys, "--lake", SHIPPED, "--spec", "none")
    assert code == 64
    assert "expected one of" in err
