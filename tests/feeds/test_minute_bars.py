"""Minutes are made of months whose tape is whole, and made again only when the tape is younger."""

import os

import polars as pl
import pytest

from core.clock import DAY, HOUR, MINUTE
from core.text import parse_iso
from feeds.history import Gap
from feeds.minute_bars import make_months
from feeds.shards import Shards

MARCH = parse_iso("2024-03-01")
APRIL = parse_iso("2024-04-01")
MAY = parse_iso("2024-05-01")


def tape(root, *, since=MARCH, until=MAY, step=7 * HOUR, price=100.0):
    times = range(since, until, step)
    rows = pl.DataFrame(
        {
            "ts": list(times),
            "trade_id": list(range(1, len(times) + 1)),
            "price": [price] * len(times),
            "qty": [0.5] * len(times),
            "side": [1] * len(times),
            "market": [1] * len(times),
        }
    )
    Shards(root).merge_trades("kraken", "BTC/USD", rows)


def months(root):
    return [path.stem for path in sorted((root / "ohlcv/kraken/BTC-USD/1m").glob("*.parquet"))]


@pytest.mark.parametrize(
    "since,reached,made",
    [
        (MARCH, MAY, ["2024-03", "2024-04"]),
        (MARCH + 1, MAY, ["2024-04"]),
        (MARCH, MAY - 1, ["2024-03"]),
        (MARCH - 40 * DAY, APRIL, ["2024-03"]),
        (MARCH + DAY, APRIL - DAY, []),
    ],
)
def test_only_months_within_the_span_are_made(tmp_path, since, reached, made):
    tape(tmp_path)
    make_months(tmp_path, "kraken", "BTC/USD", since, reached, ())
    assert months(tmp_path) == made


def test_month_with_a_gap_is_left_out(tmp_path):
    tape(tmp_path)
    gap = Gap(after_ts=APRIL - HOUR, before_ts=APRIL - MINUTE, ids=4)
    merged = make_months(tmp_path, "kraken", "BTC/USD", MARCH, MAY, [gap])
    assert months(tmp_path) == ["2024-04"]
    assert merged.added == len(pl.read_parquet(tmp_path / "ohlcv/kraken/BTC-USD/1m/2024-04.parquet"))


def test_month_is_made_again_when_its_tape_has_changed(tmp_path):
    tape(tmp_path, until=APRIL)
    assert make_months(tmp_path, "kraken", "BTC/USD", MARCH, APRIL, ()).added > 100
    assert make_months(tmp_path, "kraken", "BTC/USD", MARCH, APRIL, ()) == (0, 0, 0)
    tape(tmp_path, until=APRIL, price=101.0)
    shard = tmp_path / "trades/kraken/BTC-USD/2024-03.parquet"
    os.utime(shard, ns=(2 * 10**18, 2 * 10**18))
    assert make_months(tmp_path, "kraken", "BTC/USD", MARCH, APRIL, ()).replaced > 100
