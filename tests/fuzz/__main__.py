"""Fuzz whatever reads bytes of the venue: `./run fuzz --n 1000000`. Prints one JSON document."""

import argparse
import json
import sys

import msgspec
from rich.console import Console
from rich.progress import Progress

from tests.fuzz.corpus import GOLDEN, SHARED, load
from tests.fuzz.harness import SLOW_MS, fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Feed `--n` cases, spread evenly over the targets; exit 1 when one crashes or is slow."""
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="cases in all (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other cases")
    parser.add_argument("--target", default="", help="only targets whose name contains this")
    options = parser.parse_args()
    kinds = [kind for kind in TARGETS if options.target in kind.name]
    if not kinds or options.n < len(kinds):
        names = ", ".join(kind.name for kind in TARGETS)
        parser.error(f"expected one of {names} and at least one case each; found {options.target!r}")
    corpus = load()
    outcomes = []
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("fuzz", total=options.n)
        for place, kind in enumerate(kinds):
            share = options.n // len(kinds) + (place < options.n % len(kinds))
            bar.update(task, description=kind.name)
            outcomes.append(
                fuzz(kind, corpus, n=share, seed=options.seed, told=lambda done: bar.advance(task, done))
            )
    found = {
        "n": sum(one.n for one in outcomes),
        "seed": options.seed,
        "corpus": "shared samples" if SHARED.is_dir() else GOLDEN.name,
        "crashes": sum(one.crashes for one in outcomes),
        f"over_{SLOW_MS:.0f}_ms": sum(one.slow for one in outcomes),
        "slowest_ms": max(one.slowest_ms for one in outcomes),
        "growth_mb": max(one.growth_mb for one in outcomes),
        "targets": msgspec.to_builtins(outcomes),
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if all(one.ok for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
