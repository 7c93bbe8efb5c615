"""The configuration of a paper desk on a whole synthetic venue.

Must not know what is measured. Called by the benches and by the all-pairs command of the tests.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from venue.synthetic_listing import synthetic

CURRENCY = "USD"
MODEL = Path(__file__).parents[1] / "configs" / "models" / "entry-15m"


def names(count: int, seed: int) -> tuple[str, ...]:
    """Give the symbols that the venue lists, busiest first."""
    return tuple(one.instrument.symbol for one in synthetic(count, seed))


def desk_toml(symbols: tuple[str, ...], tables: Mapping[str, Mapping[str, object]]) -> str:
    """Give a configuration: one trader on all dollar pairs, in a universe of all `symbols`."""
    traded = [symbol for symbol in symbols if symbol.endswith(f"/{CURRENCY}")]
    lines = []
    for name, table in {"universe": {"instruments": symbols}, **tables}.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    lines += [
        '[[account]]\nname = "paper"',
        f'currency = "{CURRENCY}"',
        '[[trader]]\nname = "all"\ncode = "AL"\naccount = "paper"',
        f'model = "{MODEL}"',
        f"instruments = {json.dumps(traded)}",
    ]
    return "\n".join(lines) + "\n"
