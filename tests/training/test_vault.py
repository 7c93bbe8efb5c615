import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import iso, parse_iso
from feeds.lake import Lake
from training.cli import run
from training.dataset import fingerprint
from training.provenance import Recipe, read
from training.vault import log as vault
from training.vault.bars import contents_hash, series_of, shut

LINE = vault.Opening(
    version="0.5.0",
    date="2026-11-27",
    venue="guard",
    timeframe="5m",
    instruments=("G0/USD",),
    start="2024-02-01T00:00:00.000000Z",
    end="2024-02-26T00:00:00.000000Z",
    data_hash="ab" * 32,
    who="desk",
    reason="figures of the release",
)


def opened(log, *versions):
    return [vault.open_once(log, msgspec.structs.replace(LINE, version=version)) for version in versions]


def test_an_opening_is_appended_and_chained(tmp_path):
    log = tmp_path / "configs" / "vault.jsonl"
    assert vault.read(log) == ()
    one, two = opened(log, "0.5.0", "0.6.0")
    assert vault.read(log) == (one, two)
    assert one.previous == vault.FIRST
    assert two.previous == one.hash
    assert vault.verify(log, one.hash[:8]) == (one, two)


def test_a_version_opens_it_once(tmp_path):
    log = tmp_path / "vault.jsonl"
    opened(log, "0.5.0")
    before = log.read_bytes()
    with pytest.raises(UsageError, match=r"found 0.5.0, opened 2026-11-27 by desk: figures of the release"):
        opened(log, "0.5.0")
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    "mend",
    [
        lambda lines: [lines[0].replace("desk", "someone"), *lines[1:]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0][:-5], *lines[1:]],
    ],
    ids=["changed", "one taken out", "first taken away", "order changed", "one repeated", "cut short"],
)
def test_tampering_is_found(tmp_path, mend):
    log = tmp_path / "vault.jsonl"
    opened(log, "1", "2", "3")
    log.write_text("\n".join(mend(log.read_text().splitlines())) + "\n")
    with pytest.raises(DataError, match=r"vault.jsonl:\d: expected"):
        vault.verify(log)


def test_a_line_rewritten_with_a_hash_of_its_own_breaks_the_chain(tmp_path):
    log = tmp_path / "vault.jsonl"
    first, second = opened(log, "1", "2")
    forged = msgspec.structs.replace(first, reason="nothing to see")
    forged = msgspec.structs.replace(forged, hash=vault._hash(forged))
    log.write_bytes(b"\n".join(map(msgspec.json.encode, (forged, second))))
    with pytest.raises(DataError, match=r"vault.jsonl:2: expected the hash .* of the line before"):
        vault.read(log)


def test_lines_taken_off_the_end_show_against_a_head_that_was_written_down(tmp_path):
    log = tmp_path / "vault.jsonl"
    *_, last = opened(log, "1", "2")
    log.write_text(log.read_text().splitlines()[0] + "\n")
    assert len(vault.verify(log)) == 1
    with pytest.raises(DataError, match="expected the line with hash"):
        vault.verify(log, last.hash)


@given(st.integers(parse_iso("2000-01-01"), parse_iso("2040-01-01")), st.integers(1, 24))
def test_the_vault_begins_with_a_month_and_holds_whole_ones(end, months):
    start = iso(vault.start_of(end, months))
    assert start[8:] == "01T00:00:00.000000Z"
    whole = (int(iso(end)[:4]) - int(start[:4])) * 12 + int(iso(end)[5:7]) - int(start[5:7])
    assert whole == months


def test_golden_start():
    assert iso(vault.start_of(parse_iso("2025-08-01")))[:10] == "2025-05-01"
    assert iso(vault.start_of(parse_iso("2025-08-20")))[:10] == "2025-05-01"


def test_a_vault_beyond_all_bars_is_refused(null_lake):
    series = series_of(null_lake, "guard", Timeframe.M5)
    end = shut(null_lake, series).end
    with pytest.raises(UsageError, match="expected a start up to the newest bar's close at 2024-02-26"):
        shut(null_lake, series, start=end + 1)
    assert shut(null_lake, series, start=end).start == end
    with pytest.raises(UsageError, match="vault: expected one month or more; found 0"):
        shut(null_lake, series, months=0)


def test_training_with_a_vault_reads_none_of_its_bars(null_lake):
    start = parse_iso("2024-02-01")
    recipe = Recipe("x", None, "guard", Timeframe.M5, None, instruments=("G0/USD",), vault_start=start)
    (bars,) = read(recipe, null_lake)
    assert bars.ts_close.max() == start
    (everything,) = read(msgspec.structs.replace(recipe, vault_start=None), null_lake)
    assert everything.ts_close.max() == parse_iso("2024-02-26")


def test_only_the_version_that_opened_these_bars_may_look(null_lake, tmp_path):
    log = tmp_path / "vault.jsonl"
    series = series_of(null_lake, "guard", Timeframe.M5, ("G1/USD",))
    held = shut(null_lake, series, start=parse_iso("2024-02-01"))
    bars = Lake(null_lake).read(*series[0], start=held.start)
    digest = contents_hash(null_lake, held)
    assert digest == fingerprint([bars])
    line = msgspec.structs.replace(LINE, data_hash=digest, start=iso(held.start))
    vault.open_once(log, line)
    assert vault.require_open(log, "0.5.0", data_hash=digest, start=held.start).reason == LINE.reason
    with pytest.raises(UsageError, match=r"expected an opening by version 0.6.0"):
        vault.require_open(log, "0.6.0", data_hash=digest, start=held.start)
    with pytest.raises(UsageError, match=r"expected the bars that version 0.5.0 opened"):
        vault.require_open(log, "0.5.0", data_hash="00", start=held.start)


def test_commands_open_once_and_show_it(null_lake, tmp_path, capsys):
    log = str(tmp_path / "vault.jsonl")
    where = ["--lake", str(null_lake), "--venue", "guard", "--timeframe", "5m", "--vault-months", "1"]
    words = "vault open --version 9 --reason look --who desk --date 2026-11-27"
    opening = words.split()
    assert run(["vault", "status", *where, "--log", log]) == 0
    assert "openings: none" in capsys.readouterr().out
    assert run([*opening, *where, "--log", log, "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["start"][:10], line["date"], line["who"]) == ("2024-01-01", "2026-11-27", "desk")
    assert run([*opening, *where, "--log", log]) == UsageError.exit_code
    assert capsys.readouterr().err.startswith("training: vault: expected a version that has not opened it")
    assert run(["vault", "status", *where, "--log", log, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["openings"] == [line]
    assert run(["vault", "verify", "--log", log, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "openings": 1, "head": line["hash"]}
