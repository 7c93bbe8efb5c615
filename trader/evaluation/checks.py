"""Whether a run has looked at the future: named checks by the real engine on altered copies of the market.

Must not know how models work or how verdicts are shown. Called by `trader backtest run --checks` and by
tests. A pipeline is whatever makes opinions of a lake (`Opine`); it is held against itself on copies that
differ only after some instant, so whatever its opinion up to that instant depends on shows.

`truncation` and `future_permuted` compare opinions bit for bit, the second also the orders that left by
then; `delay_one_bar` is a statistic (trader.evaluation.delay). `leak_canary` and `right_closed_resample`
are cheats of known kind: they pass when the checks catch them on this very market, and show power.
"""

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import UsageError
from core.text import iso
from inference.ensemble import Ensemble
from trader.backtest.opinion_table import OpinionTable, TabledOpinions
from trader.backtest.record import Check
from trader.backtest.run import run, span_opinions
from trader.backtest.source import GridLake, series_of
from trader.config import Config
from trader.evaluation import altered, canary, delay
from trader.models import load_models

NAMES = (delay.NAME, "future_permuted", "truncation", "leak_canary", "right_closed_resample")
DAYS = 14
"""Of a longer span only the newest days are altered: what looks ahead does so every day."""
FIGURES = ("usable", "p_down", "p_hold", "p_up", "atr", "volatility", "close", "spread", "age_s")
"""Of an opinion, in the order in which a difference is told."""
LEAST_DAYS = 3
"""Below this there is no room for instants with a past and a future."""

Opine = Callable[[Path, int, int], TabledOpinions]
"""From a lake's folder and a span, ns UTC, to all opinions about its closes."""
Say = Callable[[str], None]


def look_ahead(
    config: Config,
    lake: Path,
    start: int,
    end: int,
    *,
    opine: Opine | None = None,
    only: Collection[str] = NAMES,
    instants: int = 3,
    days: int = DAYS,
    seed: int = 0,
    say: Say = lambda _: None,
) -> tuple[Check, ...]:
    """Check [start, end), ns UTC in whole days, and give the verdicts in a fixed order.

    The market is altered over the newest `days` of it alone; trades are judged over all of it.

    `opine` is the pipeline, by default the configuration's own models; `only` names the checks to make,
    `instants` is how many futures are altered. `say` is told each check before it begins. Raises UsageError
    for a span of less than three days, and as trader.backtest.run does.
    """
    if end - start < LEAST_DAYS * DAY:
        raise UsageError(f"checks: expected {LEAST_DAYS} days or more; found {(end - start) / DAY:g}")
    models = load_models(config)
    with tempfile.TemporaryDirectory(prefix="seamark-checks-") as folder:
        whole = _Bench(config, models, lake, start, end, Path(folder))
        start = max(start, end - days * DAY)
        bench = replace(whole, start=start)
        # A copy beside copies: whatever differs is the alteration, not how bars are stored.
        bench.lake = bench.copy(lake, lambda bars: bars)
        honest = opine or (lambda root, first, last: span_opinions(config, root, first, last))
        told = honest(bench.lake, start, end)
        at = _instants(told, start, end, instants, seed)
        if not at:
            nothing = f"no usable opinion from {iso(start)} to {iso(end)}: nothing to check"
            return tuple(Check(name, passed=True, found=nothing) for name in NAMES if name in only)
        checks: dict[str, Callable[[], Check]] = {
            delay.NAME: lambda: whole.delayed(honest(lake, whole.start, end), config, seed),
            "future_permuted": lambda: bench.permuted(honest, told, at, seed),
            "truncation": lambda: bench.truncated(honest, told, at),
            "leak_canary": lambda: _leak(bench, at[:1], seed),
            "right_closed_resample": lambda: _right_closed(bench, honest, at[:1], seed),
        }
        return tuple(_made(name, check, say) for name, check in checks.items() if name in only)


def _made(name: str, check: Callable[[], Check], say: Say) -> Check:
    say(name)
    return check()


def _leak(bench: "_Bench", at: list[int], seed: int) -> Check:
    """Let opinions be read from the bar after them; both checks must fail them."""
    eager = canary.eager(bench.config)
    told = bench.peeking(bench.lake, bench.start, bench.end)
    found = (bench.delayed(told, eager, seed), bench.permuted(bench.peeking, told, at, seed, config=eager))
    missed = [f"{check.name}: {check.found}" for check in found if check.passed]
    caught = ", ".join(check.name for check in found if not check.passed) or "nothing"
    said = f"opinions read from the bar after them are caught by: {caught}"
    return Check(
        "leak_canary",
        passed=not missed,
        found="; ".join([said, *(f"not by {one}" for one in missed)]),
        figures=found[0].figures,
    )


def _right_closed(bench: "_Bench", opine: Opine, at: list[int], seed: int) -> Check:
    """Let the pipeline itself see bars named one too soon; the permuted future must show it."""

    def cheat(root: Path, start: int, end: int) -> TabledOpinions:
        copy = bench.copy(root, altered.early)
        return opine(copy, start, end)

    found = bench.permuted(cheat, cheat(bench.lake, bench.start, bench.end), at, seed, orders=False)
    caught = "nothing" if found.passed else "future_permuted"
    return Check(
        "right_closed_resample",
        passed=not found.passed,
        found=f"features that hold the next bar's opening edge are caught by: {caught} ({found.found})",
    )


@dataclass
class _Bench:
    """A market, a span and a desk to try pipelines on; copies of the market lie in `folder`."""

    config: Config
    models: dict[str, Ensemble]
    lake: Path
    start: int
    end: int
    folder: Path
    copies: int = 0

    def copy(self, root: Path, change: altered.Change) -> Path:
        """Write a copy of a lake's bars, from where the features' history begins to the span's end."""
        lake = GridLake(root, self.config)
        self.copies += 1
        target = self.folder / str(self.copies)
        series = series_of(lake, self.config)
        return altered.write(lake, series, target, change, start=self.since, end=self.end)

    @property
    def since(self) -> int:
        """Give the first instant whose bars an opinion of the span may need, with room for cut days."""
        return max(0, self.start - max(model.warm_up_ns for model in self.models.values()) - 4 * DAY)

    def peeking(self, root: Path, start: int, end: int) -> TabledOpinions:
        """Be the pipeline that reads the next bar."""
        lake = GridLake(root, self.config)
        since = max(0, start - DAY)
        return canary.next_bar(self.models, lake, series_of(lake, self.config), start=since, end=end)

    def delayed(self, told: TabledOpinions, config: Config, seed: int) -> Check:
        """Trade opinions in time and a bar late."""
        daily = [
            delay.daily(
                run(config, self.lake, self.start, self.end, opinions=told, delay_bars=bars).trips,
                self.start,
                self.end,
            )
            for bars in (0, 1)
        ]
        return delay.judge(*daily, seed=seed)

    def truncated(self, opine: Opine, told: TabledOpinions, at: list[int]) -> Check:
        """Make opinions of a market that ends at an instant."""
        opinions = 0
        for ts in at:
            found = opine(self.copy(self.lake, altered.truncated(ts)), self.start, self.end)
            if wrong := _difference(told, found, self.start, ts):
                said = f"{wrong} when the data end at {iso(ts)}"
                return Check("truncation", passed=False, found=said)
            opinions = _count(told, self.start, ts)
        said = f"{opinions:,} opinions up to {_at(at)} are the same, bit for bit, without what came later"
        return Check("truncation", passed=True, found=said, figures={"opinions": float(opinions)})

    def permuted(
        self,
        opine: Opine,
        told: TabledOpinions,
        at: list[int],
        seed: int,
        *,
        config: Config | None = None,
        orders: bool = True,
    ) -> Check:
        """Make opinions, and orders, of a market whose bars after an instant change places."""
        name, opinions, sent = "future_permuted", 0, 0
        for number, ts in enumerate(at):
            other = self.copy(self.lake, altered.permuted(ts, seed + number))
            found = opine(other, self.start, self.end)
            if wrong := _difference(told, found, self.start, ts):
                said = f"{wrong} when bars from {iso(ts)} on change places"
                return Check(name, passed=False, found=said)
            opinions = _count(told, self.start, ts)
            if orders:
                wrong, count = self._orders(config or self.config, (self.lake, told), (other, found), ts)
                if wrong:
                    return Check(
                        name, passed=False, found=f"{wrong} when bars from {iso(ts)} on change places"
                    )
                sent = count
        tail = f" and {sent:,} orders" if orders else ""
        said = f"{opinions:,} opinions{tail} up to {_at(at)} are the same, bit for bit, whatever comes later"
        return Check(
            name, passed=True, found=said, figures={"opinions": float(opinions), "orders": float(sent)}
        )

    def _orders(
        self, config: Config, one: tuple[Path, TabledOpinions], other: tuple[Path, TabledOpinions], ts: int
    ) -> tuple[str, int]:
        """Compare the orders that had to be matched by an instant, and so left before it."""
        last = min(self.end, -(-ts // DAY) * DAY + DAY)
        first, second = (
            [
                order
                for order in run(config, lake, self.start, last, opinions=told).sent
                if order.deadline <= ts
            ]
            for lake, told in (one, other)
        )
        for number, order in enumerate(first):
            if number >= len(second) or second[number] != order:
                return f"order {order.cl_ord_id} of {order.instrument} differs", 0
        return (
            ("", len(first)) if len(first) == len(second) else (f"{len(second)} orders, not {len(first)}", 0)
        )


def _instants(told: TabledOpinions, start: int, end: int, count: int, seed: int) -> list[int]:
    """Draw closes, one in each part of the span's inside, from those with an opinion to lose.

    A cheat by one bar shows at the very instant alone, so one at which every opinion is refused would hide
    it; and one at a day's end, where all slower bars close, would hide what reads an open bar. A part
    without one is left out.
    """
    closes = np.unique(np.concatenate([t.ts_close[t.usable.any(axis=1)] for t in told.tables.values()]))
    closes = closes[closes % DAY != 0]
    rng = np.random.default_rng(seed)
    drawn = []
    for low, high in pairwise(np.linspace(start + DAY, end - DAY, count + 1).astype(np.int64).tolist()):
        inside = closes[(closes >= low) & (closes < high)]
        if len(inside):
            drawn.append(int(rng.choice(inside)))
    return drawn


def _difference(one: TabledOpinions, other: TabledOpinions, start: int, until: int) -> str:
    """Name the first opinion of (start, until] that differs in any bit; nothing where none does."""
    found: list[tuple[int, str]] = []
    for trader, table in one.tables.items():
        again = other.tables[trader]
        closes = np.union1d(_within(table, start, until), _within(again, start, until))
        before, after = _bits(table, closes), _bits(again, closes)
        differs = (before != after).any(axis=2)
        if differs.any():
            row = int(differs.any(axis=1).argmax())
            column = int(differs[row].argmax())
            figure = int((before != after)[row, column].argmax())
            was, became = (values.view(np.float64)[row, column, figure] for values in (before, after))
            where = f"{trader}: {table.instruments[column]} at {iso(int(closes[row]))}"
            found.append((int(closes[row]), f"{where}: {FIGURES[figure]} {was:.9g} becomes {became:.9g}"))
    return min(found)[1] if found else ""


def _within(table: OpinionTable, start: int, until: int) -> npt.NDArray[np.int64]:
    return table.ts_close[(table.ts_close > start) & (table.ts_close <= until)]


def _bits(table: OpinionTable, closes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give everything that a decision can read at these closes as whole numbers [closes, N, 9].

    A close without a row is a row without a usable opinion: neither can be traded on.
    """
    columns = [table.usable[..., None].astype(np.float64), table.p, table.scales]
    columns += [table.spread[..., None], table.age_s[..., None]]
    values = np.where(table.usable[..., None], np.concatenate(columns, axis=2), 0.0)
    rows = np.searchsorted(table.ts_close, closes).clip(max=max(0, len(table.ts_close) - 1))
    known = (
        (table.ts_close[rows] == closes)[:, None, None] if len(table.ts_close) else np.zeros((1, 1, 1), bool)
    )
    return np.ascontiguousarray(np.where(known, values[rows], 0.0)).view(np.int64)


def _count(told: TabledOpinions, start: int, until: int) -> int:
    return sum(
        int(table.usable[(table.ts_close > start) & (table.ts_close <= until)].sum())
        for table in told.tables.values()
    )


def _at(at: list[int]) -> str:
    """Name the instants whose later market was altered, the last of them first."""
    tail = f" (and so at {', '.join(map(iso, at[:-1]))})" if at[1:] else ""
    return iso(at[-1]) + tail
