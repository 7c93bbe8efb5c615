"""Archives as Kraken publishes them, made by hand, and the bytes of a lake."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FIRST = 1_704_067_200  # 2024-01-01


def make_zip(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def trade_lines(seed: int, count: int, *, days: int = 60, first: int = FIRST) -> list[str]:
    """Trades with several in one second, and equal ones beside each other."""
    random = np.random.default_rng(seed)
    seconds = np.sort(random.integers(0, days * 86_400, count)) // 7 * 7 + first
    prices = 100 + np.cumsum(random.normal(0, 0.1, count))
    sizes = random.integers(1, 4, count) / 8
    return [
        f"{ts},{price:.1f},{size:.8f}"
        for ts, price, size in zip(seconds.tolist(), prices.tolist(), sizes.tolist(), strict=True)
    ]


def bar_lines(seed: int, count: int, minutes: int, *, first: int = FIRST) -> list[str]:
    """Bars of a walk, a third of them without trades and so absent."""
    random = np.random.default_rng(seed)
    lines = []
    price = 100.0
    for number in range(count):
        close = round(price + float(random.normal(0, 0.2)), 1)
        low, high = min(price, close) - 0.1, max(price, close) + 0.1
        if random.random() > 0.3:
            ts = first + number * minutes * 60
            lines.append(
                f"{ts},{price:.1f},{high:.1f},{low:.1f},{close:.1f},{random.random():.8f},{number % 9 + 1}"
            )
        price = close
    return lines


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def stored(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def bars_and_trades(root: Path) -> dict[str, bytes]:
    """What is stored, without the ledger: it names archives."""
    return {name: content for name, content in stored(root).items() if name != "imports.jsonl"}
