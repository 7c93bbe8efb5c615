"""Opinions are found again by what they follow from, and never where anything of it has changed."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.clock import DAY
from core.errors import UsageError
from core.market import Timeframe
from core.text import parse_iso
from inference.ensemble import load as load_model
from tests.inference.making import write_model
from trader.backtest.opinion_cache import OpinionCache, key_of
from trader.backtest.opinion_table import OpinionTable
from trader.backtest.run import run
from trader.config import load

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
START = parse_iso("2024-06-03T00:00:00Z")
ARRAYS = ("ts_close", "usable", "reason", "p", "scales", "spread", "age_s")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "fast"
    write_model(folder, "entry_5m", seed=2)
    return folder


@pytest.fixture(scope="module")
def config(model):
    return load(
        [],
        {},
        {
            "universe.instruments": ["SOL/USDT"],
            "account.a.currency": "USDT",
            "account.a.cash": 10_000,
            "trader.t.code": "TT",
            "trader.t.account": "a",
            "trader.t.model": str(model),
            "trader.t.policy.min_confidence": 0.34,
            "trader.t.policy.min_expected_value": -0.05,
        },
    )


def test_a_second_run_finds_the_opinions_and_ends_the_same(config, tmp_path):
    fresh = run(config, MARKET, START, START + DAY)
    first = run(config, MARKET, START, START + DAY, cache=tmp_path)
    again = run(config, MARKET, START, START + DAY, cache=tmp_path)
    assert (first.opinions, again.opinions) == ("0 of 1 kept from before", "1 of 1 kept from before")
    assert fresh.orders > 10
    for other in (first, again):
        assert msgspec.structs.replace(other, seconds=fresh.seconds, opinions=fresh.opinions) == fresh


def test_another_span_has_opinions_of_its_own(config, tmp_path):
    run(config, MARKET, START, START + DAY, cache=tmp_path)
    later = run(config, MARKET, START + DAY, START + 2 * DAY, cache=tmp_path)
    assert later.opinions == "0 of 1 kept from before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_refused_and_made_anew(config, tmp_path):
    whole = run(config, MARKET, START, START + DAY, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    raw = bytearray(file.read_bytes())
    raw[-9] ^= 1
    file.write_bytes(raw)
    again = run(config, MARKET, START, START + DAY, cache=tmp_path)
    assert again.opinions.startswith(f"0 of 1 kept from before; refused {file}: expected kept opinions; ")
    assert again.sent == whole.sent
    assert run(config, MARKET, START, START + DAY, cache=tmp_path).opinions == "1 of 1 kept from before"


def test_the_key_changes_with_model_data_specification_and_program(model, tmp_path):
    known = load_model(model)
    key = key_of(known, "bars")
    assert key == key_of(load_model(model), "bars")
    others = [key_of(known, "other bars")]
    write_model(tmp_path / "other", "entry_5m", seed=3)
    others.append(key_of(load_model(tmp_path / "other"), "bars"))
    write_model(tmp_path / "wide", "entry_15m", seed=2)
    others.append(key_of(load_model(tmp_path / "wide"), "bars"))
    others.append(key_of(known, "bars", program="with a new kernel"))
    assert len({key, *others}) == 5


def made(seed, rows=40):
    rng = np.random.default_rng(seed)
    shape = (rows, 3)
    return OpinionTable(
        model_hash=f"model {seed}",
        decision=Timeframe.M5,
        instruments=("A/USDT", "B/USDT", "C/USDT"),
        members=("one",),
        ts_close=np.arange(rows) * 300 * 10**9,
        usable=rng.random(shape) < 0.5,
        reason=rng.integers(0, 2, shape).astype(np.uint32),
        reasons=("", "not warm"),
        p=rng.dirichlet([1, 1, 1], shape),
        scales=rng.random((*shape, 3)),
        spread=rng.random(shape),
        age_s=np.zeros(shape),
    )


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path):
    cache, table = OpinionCache(tmp_path), made(1)
    assert cache.get("a" * 64) is None
    cache.put("a" * 64, table)
    found = cache.get("a" * 64)
    assert found is not None
    for name in ARRAYS:
        assert getattr(found, name).dtype == getattr(table, name).dtype
        assert np.array_equal(getattr(found, name), getattr(table, name))
    assert (found.model_hash, found.reasons, found.members) == (
        table.model_hash,
        table.reasons,
        table.members,
    )
    assert (found.instruments, found.decision) == (table.instruments, table.decision)


@pytest.mark.parametrize(
    "text", [b"", b"seamark opinions 1\n", b"seamark opinions 1\n9\n{}", b"something else"]
)
def test_a_file_of_something_else_is_refused(tmp_path, text):
    cache = OpinionCache(tmp_path)
    cache.put("b" * 64, made(2))
    (file,) = tmp_path.iterdir()
    file.write_bytes(text)
    assert cache.get("b" * 64) is None
    assert len(cache.refused) == 1


def test_another_keys_file_is_no_answer(tmp_path):
    cache = OpinionCache(tmp_path)
    cache.put("c" * 64, made(3))
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / f"{'d' * 40}.opinions")
    assert cache.get("d" * 64) is None
    assert cache.refused


def test_the_oldest_go_when_the_folder_is_full(tmp_path):
    cache = OpinionCache(tmp_path, limit_mb=1)
    names = [letter * 64 for letter in "efg"]
    for number, name in enumerate(names):
        cache.put(name, made(number, rows=2_500))  # some 0.5 MB each
        for file in tmp_path.glob(f"{name[:40]}*"):
            stamp = (number + 1) * 10**9
            os.utime(file, ns=(stamp, stamp))
    assert cache.get(names[0]) is None
    assert cache.get(names[2]) is not None


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = OpinionCache(tmp_path / "file")
    assert cache.get("h" * 64) is None
    with pytest.raises(UsageError, match=r"^cache: expected a folder to write to"):
        cache.put("h" * 64, made(1))
