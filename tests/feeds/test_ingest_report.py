import polars as pl
import pytest

from core.clock import DAY, MINUTE
from core.errors import DataError
from core.market import Timeframe
from feeds.archive import Wanted, import_archive
from feeds.archive_names import PairNames
from feeds.ingest_report import Limits, Verdict, blocking, examine, judge, read_verdict, write_verdict
from feeds.lake import Series
from feeds.shards import Shards
from tests.feeds.archives import bar_lines, make_zip, text

START = 19_723 * DAY
M1 = Series("kraken", "BTC/USD", Timeframe.M1)
NAME = "kraken/BTC-USD/1m"


def fill(root, minutes, prices=None):
    count = len(minutes)
    close = prices or [100.0 + k % 3 for k in range(count)]
    table = {
        "ts": [(START + minute * MINUTE) // 1_000_000 for minute in minutes],
        "open": close,
        "high": [price * 1.01 for price in close],
        "low": [price * 0.99 for price in close],
        "close": close,
        "volume": 1.0,
    }
    Shards(root).merge_bars(M1, pl.DataFrame(table))


def judged(root, **limits):
    settled = Limits(**limits)
    verdict = Verdict(settled, tuple(judge(root, settled)))
    write_verdict(root, verdict)
    assert read_verdict(root) == verdict
    return verdict.series


def test_report_counts_rows_span_share_missing_and_the_longest_gap(tmp_path):
    fill(tmp_path, [0, 1, 2, 5, 9])
    report = examine(tmp_path, M1, Limits())
    assert (report.name, report.rows, report.missing_percent) == (NAME, 5, 50.0)
    assert report.first == "2024-01-01T00:00:00.000000Z"
    assert report.last == "2024-01-01T00:09:00.000000Z"
    assert report.longest_gap_h == round(3 / 60, 4)
    assert report.gap_from == "2024-01-01T00:05:00.000000Z"
    assert report.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert report.duplicates is None
    assert report.breaches == {}


def test_one_bar_has_no_gap(tmp_path):
    fill(tmp_path, [3])
    report = examine(tmp_path, M1, Limits())
    assert (report.longest_gap_h, report.missing_percent, report.outliers) == (0.0, 0.0, 0)


def test_outlier_is_a_move_beyond_the_robust_multiple_of_adjacent_bars(tmp_path):
    prices = [100.0 + k % 3 for k in range(60)]
    prices[30] = 250.0
    fill(tmp_path, list(range(60)), prices)
    report = examine(tmp_path, M1, Limits(max_outliers_percent=1.0))
    assert report.outliers == 2  # out and back
    assert report.first_outlier == "2024-01-01T00:30:00.000000Z"
    assert list(report.breaches) == ["outliers"]


def test_a_jump_over_a_gap_is_no_outlier(tmp_path):
    fill(
        tmp_path,
        [*range(20), *range(600, 620)],
        [100.0 + k % 3 for k in range(20)] + [300.0 + k % 3 for k in range(20)],
    )
    assert examine(tmp_path, M1, Limits()).outliers == 0


def test_duplicates_and_malformed_lines_of_imports_are_told(tmp_path):
    lines = bar_lines(1, 100, 1)
    content = text([*lines, *lines[:7], "broken"])
    archive = make_zip(
        tmp_path / "O.zip", {"XBTUSD_1.csv": content, "XBTUSD_60.csv": text(bar_lines(1, 5, 60))}
    )
    import_archive(archive, tmp_path / "lake", Wanted(PairNames()))
    report = examine(tmp_path / "lake", M1, Limits())
    assert (report.duplicates, report.malformed) == (7, 1)


@pytest.mark.parametrize(
    "limits,limit", [({"max_missing_percent": 49.0}, "missing"), ({"max_gap_h": 0.04}, "gap")]
)
def test_broken_limit_blocks_until_it_is_waived_by_name(tmp_path, limits, limit):
    fill(tmp_path, [0, 1, 2, 5, 9])
    judged(tmp_path, **limits)
    (blocked,) = blocking(tmp_path, [M1])
    assert (blocked.name, blocked.limit) == (NAME, limit)
    assert blocking(tmp_path, [M1], [NAME]) == []
    assert blocking(tmp_path, [M1], [f"{NAME}:{limit}"]) == []
    assert blocking(tmp_path, [M1], [f"{NAME}:other", "kraken/ETH-USD/1m"]) == [blocked]


def test_lake_that_nobody_judged_blocks_nothing(tmp_path):
    fill(tmp_path, [0, 1])
    assert blocking(tmp_path, [M1]) == []


def test_series_that_changed_since_it_was_judged_blocks(tmp_path):
    fill(tmp_path, [0, 1])
    judged(tmp_path)
    assert blocking(tmp_path, [M1]) == []
    fill(tmp_path, list(range(2, 500)))
    assert [one.limit for one in blocking(tmp_path, [M1])] == ["stale"]
    assert [one.limit for one in blocking(tmp_path, [M1._replace(instrument="ETH/USD")])] == ["stale"]


def test_series_with_a_bad_row_is_in_breach_and_the_others_are_judged(tmp_path):
    fill(tmp_path, list(range(10)))
    Shards(tmp_path).merge_bars(
        M1._replace(timeframe=Timeframe.H1),
        pl.DataFrame(
            {"ts": [START // 10**6], "open": 5.0, "high": 1.0, "low": 2.0, "close": 1.0, "volume": 1.0}
        ),
    )
    minutes, hours = judged(tmp_path)
    assert minutes.breaches == {}
    assert "low <= open" in hours.breaches["rows"]


def test_verdict_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "ingest-report.json").write_text('{"limits": 5}')
    with pytest.raises(DataError, match=r"ingest-report\.json"):
        blocking(tmp_path, [M1])
