from pathlib import Path

import msgspec
import pytest

from core.clock import DAY
from core.errors import UsageError
from core.text import parse_iso
from tests.inference.making import write_model
from trader.backtest.several import Variant, run_each
from trader.config import load

ROOT = Path(__file__).parents[3]
MARKET = ROOT / "configs" / "market"
START = parse_iso("2024-06-03T00:00:00Z")


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "fast"
    write_model(folder, "entry_5m", seed=2)
    usual = {
        "account.a.currency": "USDT",
        "account.a.cash": 10_000,
        "trader.t.code": "TT",
        "trader.t.account": "a",
        "trader.t.model": str(folder),
        "trader.t.policy.min_confidence": 0.34,
        "trader.t.policy.min_expected_value": -0.05,
    }
    return [
        Variant(pair, load([], {}, {"universe.instruments": [pair], **usual}))
        for pair in ("SOL/USDT", "BTC/USDT")
    ]


def test_results_do_not_depend_on_how_many_work(variants):
    done = []
    one = run_each(variants, MARKET, START, START + DAY)
    two = run_each(variants, MARKET, START, START + DAY, workers=2, on_done=done.append)
    assert sorted(done) == ["BTC/USDT", "SOL/USDT"]
    for alone, beside, variant in zip(one, two, variants, strict=True):
        assert alone.card.instruments == (variant.name,)
        assert alone.orders > 10
        assert msgspec.structs.replace(beside, seconds=alone.seconds) == alone


def test_a_budget_is_for_all_of_them(variants):
    with pytest.raises(UsageError, match=r"^SOL/USDT: memory: expected a budget"):
        run_each(variants, MARKET, START, START + DAY, memory_mb=300)
