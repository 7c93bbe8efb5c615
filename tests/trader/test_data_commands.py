"""`trader data` as people and scripts use it: one line for a mistake, a code that says what happened."""

import json
from pathlib import Path

import polars as pl
import pytest

from core.clock import SECOND, ManualClock
from core.errors import TemporaryError, UsageError
from tests.feeds.archives import bar_lines, make_zip, text, trade_lines
from trader import cli
from trader.commands.data_options import chosen, progress

SHIPPED = Path(__file__).parents[2] / "configs" / "market"


def run(capsys, *arguments):
    code = cli.run([str(word) for word in ("data", *arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def archive(tmp_path) -> Path:
    members = {
        "XBTUSD_1.csv": text([*bar_lines(1, 300, 1), "broken"]),
        "XBTUSD_60.csv": text(bar_lines(2, 5, 60)),
        "ETHUSD.csv": text(trade_lines(3, 100, days=3)),
        "WHAT.csv": "",
    }
    return make_zip(tmp_path / "Kraken.zip", members)


def test_import_tells_what_it_did_and_leaves_a_log(capsys, archive, tmp_path):
    lake, log = tmp_path / "lake", tmp_path / "logs" / "import.log"
    code, out, err = run(capsys, "import-zip", archive, "--lake", lake, "--log", log, "--bars", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["ok"] is True
    (report,) = answer["archives"]
    assert report["unresolved"] == ["WHAT"]
    assert report["members"][0]["malformed"] == {"expected 7 columns": 1}
    lines = log.read_text().splitlines()
    assert [line.split()[1:3] for line in lines] == [["import", "Kraken.zip"]] * len(lines)
    assert "started" in lines[0]
    assert "finished number=1/3 member=XBTUSD_1.csv" in lines[1]
    assert "broken" in lines[1]
    assert lines[-1].endswith("done=100.0% left_s=0 ended members=3 refused=0")
    code, out, _ = run(capsys, "import-zip", archive, "--lake", lake, "--bars")
    assert code == 0
    assert "0 members imported, 3 were there already" in out
    assert "not resolved: WHAT; see --pairs" in out


def test_damaged_archive_is_65_and_the_next_one_is_taken(capsys, archive, tmp_path):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"nothing")
    code, out, err = run(
        capsys, "import-zip", bad, archive, "--lake", tmp_path / "lake", "--log", tmp_path / "log"
    )
    assert (code, err) == (65, "")
    assert f"refused: {bad}: expected a zip archive" in out
    assert "3 members imported" in out
    assert "refused" in (tmp_path / "log").read_text()


def test_list_verify_and_report_answer_in_json(capsys, archive, tmp_path):
    lake = tmp_path / "lake"
    run(capsys, "import-zip", archive, "--lake", lake, "--instruments", "BTC/USD")
    code, out, _ = run(capsys, "list", "--lake", lake, "--json")
    assert code == 0
    assert [(one["instrument"], one["kind"]) for one in json.loads(out)] == [
        ("BTC/USD", "1m"),
        ("BTC/USD", "1h"),
    ]
    code, out, _ = run(capsys, "report", "--lake", lake, "--json")
    assert code == 0
    body = json.loads(out)
    assert body["series"][0]["duplicates"] == 0
    assert body["series"][0]["malformed"] == 1
    assert "robust" not in body["outlier_rule"]
    assert (lake / "ingest-report.json").is_file()
    code, out, _ = run(capsys, "verify", "--lake", lake, "--json", "--log", tmp_path / "verify.log")
    answer = json.loads(out)
    assert code == 65  # the two members tell different walks
    assert answer["findings"][0]["file"] == "ohlcv/kraken/BTC-USD/1h/2024-01.parquet"
    assert "left_s=0" in (tmp_path / "verify.log").read_text().splitlines()[-1]


def test_shipped_market_is_sound(capsys):
    code, out, _ = run(capsys, "verify", "--lake", SHIPPED)
    assert (code, out) == (0, "ok   6 checks, 345600 rows, 0 findings\n")
    code, out, _ = run(capsys, "list", "--lake", SHIPPED)
    assert out.splitlines()[1].split()[:4] == ["binance", "AVAX/USDT", "5m", "57600"]


def test_bad_row_is_65_and_named(capsys, tmp_path):
    path = tmp_path / "ohlcv/kraken/BTC-USD/1m.parquet"
    path.parent.mkdir(parents=True)
    row = {"ts": [0, 60_000], "open": 1.0, "high": [2.0, 0.5], "low": 0.5, "close": 1.0, "volume": 1.0}
    pl.DataFrame(row).write_parquet(path)
    code, out, _ = run(capsys, "verify", "--lake", tmp_path)
    assert code == 65
    assert out.startswith(
        "BAD  ohlcv/kraken/BTC-USD/1m.parquet row 1: expected low <= open, close <= high, found"
    )
    code, out, _ = run(capsys, "report", "--lake", tmp_path)
    assert code == 65
    assert "rows: lake:" in out


def test_broken_limit_is_65(capsys, archive, tmp_path):
    lake = tmp_path / "lake"
    run(capsys, "import-zip", archive, "--lake", lake)
    code, out, _ = run(capsys, "report", "--lake", lake, "--max-missing", "5")
    assert code == 65
    assert "missing: " in out
    assert "limit 5" in out


def test_export_writes_both_formats(capsys, tmp_path):
    words = ("export", "--lake", SHIPPED, "--venue", "binance", "--instruments", "BTC/USDT")
    lake = tmp_path / "lake"
    (lake / "ohlcv/binance/BTC-USDT").mkdir(parents=True)
    (lake / "ohlcv/binance/BTC-USDT/5m.parquet").symlink_to(SHIPPED / "ohlcv/binance/BTC-USDT/5m.parquet")
    words = ("export", "--lake", lake, "--venue", "binance")
    code, out, _ = run(capsys, *words, "--out", tmp_path / "out", "--json")
    assert code == 0
    (written,) = json.loads(out)["files"]
    assert written["file"].endswith("hourly/binance_BTCUSDT_1h_20240101_20240718.parquet")
    code, out, _ = run(capsys, *words, "--format", "pickle", "--out", tmp_path / "crypto_5m.pkl")
    assert code == 0
    assert out.splitlines()[-1].endswith("in all")


@pytest.mark.parametrize(
    "words,code,expected",
    [
        (["list", "--lake", "nowhere"], 64, "--lake: expected a folder; found nothing at nowhere"),
        (["verify", "--lake", "nowhere"], 64, "--lake"),
        (["report", "--lake", "nowhere"], 64, "--lake"),
        (["import-zip", "--lake", "x"], 64, "Missing argument"),
        (["import-zip", "a.zip", "--lake", "x", "--instruments", "BTCUSD"], 64, "found 'BTCUSD'"),
        (["import-zip", "a.zip", "--lake", "x", "--pairs", "none.json"], 65, "none.json: expected an answer"),
        (["export", "--lake", str(SHIPPED), "--out", "x", "--venue", "nobody"], 65, "expected nobody bars"),
        (["export", "--lake", str(SHIPPED), "--out", "x", "--format", "csv"], 64, "csv"),
        (["report", "--lake", str(SHIPPED), "--max-missing", "101"], 64, "--max-missing"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(capsys, tmp_path, monkeypatch, words, code, expected):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *words)
    assert (found, out) == (code, "")
    assert expected in err
    assert err.count("\n") == 1


def test_empty_folder_lists_and_reports_nothing(capsys, tmp_path):
    assert run(capsys, "list", "--lake", tmp_path)[:2] == (0, f"nothing in {tmp_path}\n")
    assert run(capsys, "report", "--lake", tmp_path)[:2] == (0, f"no bars in {tmp_path}\n")
    assert run(capsys, "verify", "--lake", tmp_path)[0] == 0


def test_log_has_a_line_every_ten_seconds_and_for_every_text(tmp_path):
    clock, log = ManualClock(0), tmp_path / "a" / "progress.log"
    with progress("import", log, clock) as tell:
        for second in range(1, 31):
            clock.advance_to(second * SECOND)
            tell(second, 60, "half" if second == 15 else "")
            if second == 10:  # written while the work goes on
                assert log.read_text() == "1970-01-01T00:00:10.000000Z import done=16.7% left_s=50\n"
    assert [line.split()[0][14:19] for line in log.read_text().splitlines()] == ["00:10", "00:15", "00:25"]
    assert "half" in log.read_text()


def test_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TemporaryError, match="--log"), progress("import", tmp_path, ManualClock(0)):
        pass


def test_instruments_are_names_with_a_slash():
    assert chosen(" BTC/USD, ETH/USD,") == {"BTC/USD", "ETH/USD"}
    with pytest.raises(UsageError):
        chosen("BTC/")
