"""An archive of Kraken becomes a lake: once, whatever its flaws, and whoever pulls the plug."""

import io
import signal
import struct
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE
from core.errors import DataError, TemporaryError
from core.market import Timeframe
from feeds.archive import ImportReport, Step, Wanted, import_archive
from feeds.archive_ledger import ledger, read_entries
from feeds.archive_names import PairNames
from feeds.lake import Lake, Series
from tests.feeds.archives import FIRST, bar_lines, bars_and_trades, make_zip, stored, text, trade_lines

ROOT = Path(__file__).parents[2]
M1 = Series("kraken", "BTC/USD", Timeframe.M1)


def take(
    archive: Path, root: Path, *instruments: str, bars: bool = False, tell=lambda _: None
) -> ImportReport:
    return import_archive(archive, root, Wanted(PairNames(), frozenset(instruments), bars), tell)


def tape(root: Path, instrument: str = "BTC/USD") -> list[tuple[int, float, float]]:
    months = list(Lake(root).trades("kraken", instrument))
    return pl.concat(months).select("ts", "price", "qty").rows() if months else []


def rows_of(lines: list[str]) -> list[tuple[int, float, float]]:
    return [(int(t) * 10**9, float(p), float(q)) for t, p, q in (line.split(",") for line in lines)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Both kinds of members, in folders, with everything around them that real archives have."""
    members = {
        "master_q4/": "",
        "master_q4/XBTUSD_1.csv": text(bar_lines(1, 2_000, 1)),
        "master_q4/XBTUSD_60.csv": text(bar_lines(2, 900, 60)),
        "master_q4/XBTUSD_720.csv": text(bar_lines(3, 5, 720)),
        "master_q4/XDGEUR_1440.csv": text(bar_lines(4, 70, 1440)),
        "master_q4/README.txt": "read me",
        "__MACOSX/master_q4/._XBTUSD_1.csv": b"\x00\x05\x16",
        "time/XBTUSD.csv": text(trade_lines(5, 3_000)),
        "time/ETHXBT.csv": text(trade_lines(6, 400, days=20)),
        "time/FOOBAR.csv": text(trade_lines(7, 3)),
        "time/EMPTYUSD.csv": "",
    }
    return make_zip(tmp_path_factory.mktemp("archive") / "Kraken.zip", members)


def test_bars_and_trades_arrive_in_their_series(archive, tmp_path):
    report = take(archive, tmp_path)
    known = [(one.instrument, one.timeframe.value) for one in Lake(tmp_path).series()]
    assert known == [("BTC/USD", "1m"), ("BTC/USD", "1h"), ("DOGE/EUR", "1d")]
    assert Lake(tmp_path).tapes() == [("kraken", "BTC/USD"), ("kraken", "ETH/BTC")]
    assert report.skipped == {"bars of 720 minutes": 1, "not a csv file": 2}
    assert report.unresolved == ("FOOBAR",)
    assert report.refused == ()
    assert tape(tmp_path) == rows_of(trade_lines(5, 3_000))
    lines = bar_lines(1, 2_000, 1)
    bars = Lake(tmp_path).rows(M1)
    assert bars["ts"].to_list() == [int(line.split(",")[0]) * 1000 for line in lines]
    assert bars["trades"].to_list() == [int(line.split(",")[6]) for line in lines]
    assert not (tmp_path / ".import").exists()


def test_second_import_has_nothing_to_do(archive, tmp_path):
    take(archive, tmp_path)
    before = stored(tmp_path)
    report = take(archive, tmp_path)
    assert (report.members, report.already) == ((), 6)
    assert stored(tmp_path) == before


def test_only_the_instruments_asked_for_are_read(archive, tmp_path):
    report = take(archive, tmp_path, "ETH/BTC")
    assert [one.member for one in report.members] == ["time/ETHXBT.csv"]
    assert report.skipped["another instrument"] == 5
    assert [one.instrument for one in take(archive, tmp_path).members] == [
        "BTC/USD",
        "BTC/USD",
        "DOGE/EUR",
        "BTC/USD",
        "EMPTY/USD",
    ]


def test_progress_ends_at_the_whole(archive, tmp_path):
    steps: list[Step] = []
    take(archive, tmp_path, tell=steps.append)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    assert sum("finished" in step.text for step in steps) == 6


def test_bars_of_trades_are_those_of_the_definition(tmp_path):
    lines = trade_lines(8, 2_000, days=35)
    take(make_zip(tmp_path / "T.zip", {"XBTUSD.csv": text(lines)}), tmp_path / "lake", bars=True)
    for timeframe in (Timeframe.M1, Timeframe.H1, Timeframe.D1):
        expected: dict[int, list[tuple[float, float]]] = {}
        for ts, price, qty in rows_of(lines):
            expected.setdefault(timeframe.floor(ts) // 10**6, []).append((price, qty))
        bars = Lake(tmp_path / "lake").rows(M1._replace(timeframe=timeframe))
        assert bars["ts"].to_list() == list(expected)
        for row, trades in zip(bars.iter_rows(named=True), expected.values(), strict=True):
            prices = [price for price, _ in trades]
            assert (row["open"], row["close"]) == (prices[0], prices[-1])
            assert (row["high"], row["low"], row["trades"]) == (max(prices), min(prices), len(trades))
            volume = sum(qty for _, qty in trades)
            assert row["volume"] == pytest.approx(volume)
            assert row["vwap"] == pytest.approx(sum(p * q for p, q in trades) / volume)


def test_bars_can_be_asked_for_later(tmp_path):
    archive = make_zip(tmp_path / "T.zip", {"XBTUSD.csv": text(trade_lines(8, 300))})
    take(archive, tmp_path / "later")
    assert Lake(tmp_path / "later").series() == []
    take(archive, tmp_path / "later", bars=True)
    take(archive, tmp_path / "at-once", bars=True)
    assert bars_and_trades(tmp_path / "later") == bars_and_trades(tmp_path / "at-once")
    assert take(archive, tmp_path / "later").already == 1


def test_malformed_lines_are_counted_and_the_first_are_named(tmp_path):
    lines = trade_lines(9, 50)
    lines[7:7] = ["1704067200,abc,1", "1704067200,1"]
    report = take(make_zip(tmp_path / "T.zip", {"a/XBTUSD.csv": text(lines)}), tmp_path / "lake")
    (member,) = report.members
    assert member.malformed == {"a value is not a number": 1, "expected 3 columns": 1}
    assert [one.line for one in member.first] == [8, 9]
    assert len(tape(tmp_path / "lake")) == 50


def test_unsorted_rows_come_out_sorted(tmp_path):
    lines = bar_lines(4, 200, 1)
    shuffled = list(lines)
    Random(1).shuffle(shuffled)
    for name, content in (("a", lines), ("b", shuffled)):
        take(make_zip(tmp_path / "O.zip", {"XBTUSD_1.csv": text(content)}), tmp_path / name)
    assert bars_and_trades(tmp_path / "a") == bars_and_trades(tmp_path / "b")


def test_seam_of_two_quarters_is_kept_once(tmp_path):
    lines = trade_lines(10, 1_000)
    cuts = sorted({line.split(",")[0] for line in lines})
    early = [line for line in lines if line.split(",")[0] <= cuts[600]]
    late = [line for line in lines if line.split(",")[0] >= cuts[500]]
    for number, part in enumerate((early, late)):
        packed = make_zip(tmp_path / f"Q{number}.zip", {"XBTUSD.csv": text(part)})
        take(packed, tmp_path / "parts", bars=True)
    take(make_zip(tmp_path / "whole.zip", {"XBTUSD.csv": text(lines)}), tmp_path / "whole", bars=True)
    take(make_zip(tmp_path / "glued.zip", {"XBTUSD.csv": text(early + late)}), tmp_path / "glued", bars=True)
    assert bars_and_trades(tmp_path / "parts") == bars_and_trades(tmp_path / "whole")
    assert bars_and_trades(tmp_path / "glued") == bars_and_trades(tmp_path / "whole")


def damaged(archive: Path, out: Path, member: str) -> Path:
    """Flip a bit in the packed bytes of one member."""
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo(member)
    content = bytearray(archive.read_bytes())
    name, extra = struct.unpack_from("<HH", content, info.header_offset + 26)
    content[info.header_offset + 30 + name + extra + info.compress_size // 2] ^= 0x10
    out.write_bytes(content)
    return out


def test_damaged_member_is_refused_and_leaves_nothing_while_the_others_go_on(archive, tmp_path):
    bad = damaged(archive, tmp_path / "Kraken.zip", "time/XBTUSD.csv")
    report = take(bad, tmp_path / "lake")
    (refused,) = report.refused
    assert refused.member == "time/XBTUSD.csv"
    assert "expected a whole member" in refused.reason
    assert len(report.members) == 5
    assert Lake(tmp_path / "lake").tapes() == [("kraken", "ETH/BTC")]
    assert [one.member for one in take(archive, tmp_path / "lake").members] == ["time/XBTUSD.csv"]


def test_member_cut_short_is_refused(tmp_path):
    """The directory promises more packed bytes than the deflate stream holds."""
    whole = make_zip(
        tmp_path / "whole.zip",
        {"XBTUSD.csv": text(trade_lines(1, 2_000)), "ETHUSD.csv": text(trade_lines(2, 9))},
    )
    with zipfile.ZipFile(whole) as file:
        info = file.getinfo("XBTUSD.csv")
    content = bytearray(whole.read_bytes())
    begin = info.header_offset + 30 + len("XBTUSD.csv")
    half = info.compress_size // 2
    content[begin + half : begin + info.compress_size] = bytes(info.compress_size - half)
    (tmp_path / "cut.zip").write_bytes(content)
    report = take(tmp_path / "cut.zip", tmp_path / "lake")
    assert [one.member for one in report.refused] == ["XBTUSD.csv"]
    assert [one.member for one in report.members] == ["ETHUSD.csv"]


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 and then nothing"])
def test_file_that_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "Kraken.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Kraken\.zip: expected a zip archive"):
        take(path, tmp_path / "lake")
    with pytest.raises(DataError, match=r"none\.zip: expected a zip archive"):
        take(tmp_path / "none.zip", tmp_path / "lake")


def test_archive_cut_short_is_named(archive, tmp_path):
    path = tmp_path / "Kraken.zip"
    path.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match="expected a zip archive"):
        take(path, tmp_path / "lake")


def test_two_imports_into_one_lake_wait_for_each_other(archive, tmp_path):
    with ledger(tmp_path), pytest.raises(TemporaryError, match="one is running"):
        take(archive, tmp_path)


def test_lake_that_cannot_be_written_is_named(archive, tmp_path):
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(TemporaryError, match="lake"):
        take(archive, tmp_path / "lake")


def test_line_of_the_ledger_cut_off_by_a_kill_is_taken_back(archive, tmp_path):
    take(archive, tmp_path)
    path = tmp_path / "imports.jsonl"
    before = stored(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    assert len(take(archive, tmp_path).members) == 1
    assert stored(tmp_path) == before
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(DataError, match="line 1"):
        read_entries(tmp_path)


def test_killed_at_ten_moments_and_run_again_the_lake_is_the_same_to_the_byte(archive, tmp_path):
    small = {
        "XBTUSD_60.csv": text(bar_lines(2, 900, 60)),
        "ETHXBT.csv": text(trade_lines(6, 300, days=20)),
        "XBTUSD.csv": text(trade_lines(5, 900, days=40)),
    }
    packed = make_zip(tmp_path / "Kraken.zip", small)
    whole = tmp_path / "whole"
    calls = int(killed(0, packed, whole).stdout)
    random = Random(20_240_101)
    for number, at in enumerate(sorted(random.sample(range(1, calls), 10))):
        lake = tmp_path / f"lake-{number}"
        assert killed(at, packed, lake).returncode == -signal.SIGKILL
        take(packed, lake, bars=True)
        assert stored(lake) == stored(whole), f"killed at call {at} of {calls}"


def killed(at: int, packed: Path, lake: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.feeds.kill_import", str(at), str(packed), str(lake)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


LINES = trade_lines(11, 120, days=40)
SECONDS = sorted({int(line.split(",")[0]) for line in LINES})


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    home = tmp_path_factory.mktemp("whole")
    take(make_zip(home / "whole.zip", {"XBTUSD.csv": text(LINES)}), home / "lake")
    return bars_and_trades(home / "lake")


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_how_archives_are_split_and_ordered_does_not_change_the_lake(whole, tmp_path_factory, data):
    """Parts overlap by whole seconds, come in any order, and may come twice."""
    home = tmp_path_factory.mktemp("split")
    cuts = [0, *sorted(data.draw(st.lists(st.integers(1, len(SECONDS) - 1), max_size=3))), len(SECONDS)]
    spans = [
        (SECONDS[max(0, first - data.draw(st.integers(0, 20)))], SECONDS[last - 1])
        for first, last in pairwise(cuts)
    ]
    order = data.draw(st.permutations([*spans, data.draw(st.sampled_from(spans))]))
    for number, (first, last) in enumerate(order):
        part = [line for line in LINES if first <= int(line.split(",")[0]) <= last]
        take(make_zip(home / f"{number}.zip", {"XBTUSD.csv": text(part)}), home / "lake")
    assert bars_and_trades(home / "lake") == whole


def test_a_bar_that_an_archive_cut_off_is_the_whole_one_in_any_order(tmp_path):
    cut = f"{FIRST},100,101,99,100.5,1.5,3\n"
    whole = f"{FIRST},100,102,99,101.5,4.5,9\n{FIRST + 60},101,102,99,101.5,4.5,9\n"
    for name, order in (("a", (cut, whole)), ("b", (whole, cut))):
        for number, part in enumerate(order):
            take(make_zip(tmp_path / f"{number}.zip", {"XBTUSD_1.csv": part}), tmp_path / name)
    assert bars_and_trades(tmp_path / "a") == bars_and_trades(tmp_path / "b")
    (first, _) = Lake(tmp_path / "a").read("kraken", "BTC/USD", Timeframe.M1).bars()
    assert (first.trades, first.ts_close) == (9, FIRST * 10**9 + MINUTE)


def test_encrypted_member_is_refused(tmp_path):
    whole = make_zip(tmp_path / "E.zip", {"XBTUSD.csv": text(trade_lines(1, 5))})
    content = bytearray(whole.read_bytes())
    content[6] |= 1  # the flag in the local header
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1  # and in the directory
    whole.write_bytes(content)
    (refused,) = take(whole, tmp_path / "lake").refused
    assert "expected a whole member" in refused.reason
    assert zipfile.is_zipfile(io.BytesIO(content))
