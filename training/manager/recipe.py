"""One run of the in-trade manager, from minutes to a verified artifact and what acting on it is worth.

Must not know the command line or how progress is shown. Called by training.plan, training.manager.cli and
tests. Order matters: entries, fits, calibration, the choice among makers and the threshold all rest on rows
before the test span that their models had not seen; the test span is looked at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from core.clock import SECOND
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays
from inference.card import CLASSES_OF, Card, Kind
from inference.features.spec import SPECS
from training import export
from training.dataset import fingerprint
from training.labels import BarrierTerms
from training.manager import artifact, value
from training.manager.entries import Trades, TradeTerms, simulate, threshold
from training.manager.entry_model import EntryTerms, opinions
from training.manager.heard import Cutting, Heard, hear, judged, spans_of
from training.manager.policy import FEWEST_ACTED
from training.manager.rows import TARGET_NAME, InTrade, InTradeTerms, build
from training.manager.sided import SidedMaker
from training.manager.value import Value
from training.members.kept import Kept, Subject, save
from training.members.member import Maker, Say
from training.panel.panel import Ints
from training.splits import default_test_start

SPEC = "manager_1m5m"


class ManagerOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides the result beside the bars and the makers.

    `test_start` in ns UTC, None = three fifths into the minutes. `entry_spec` and `entry_terms` are of the
    entry model whose entries are simulated, unless kept answers are handed in. A fit sees at most
    `max_rows` looks, `entry_rows` decisions; a threshold leaves at least `fewest_acted` positions early out
    of fold; `trials` as on the card.
    """

    name: str = "manager-1m"
    version: str = "1"
    venue: str = "bitfinex"
    entry_spec: str = "entry_15m"
    entry_terms: BarrierTerms = BarrierTerms(Timeframe.M15)
    entry_folds: int = 4
    entry_rows: int = 60_000
    trade: TradeTerms = TradeTerms()
    in_trade: InTradeTerms = InTradeTerms()
    test_start: int | None = None
    folds: int = 3
    seed: int = 1
    trials: int = 1
    max_rows: int = 60_000
    fewest_acted: int = FEWEST_ACTED
    command: str = ""


class Crafted(NamedTuple):
    """What was made: unseen answers, the written card (None without a folder to write to), and its worth."""

    kept: Kept
    card: Card | None
    value: Value


def craft(
    order: ManagerOrder,
    series: Sequence[BarArrays],
    makers: Sequence[Maker],
    *,
    rivals: Sequence[Maker] = (),
    out: Path | None = None,
    work: Path | None = None,
    say: Say,
    entries: Kept | None = None,
) -> Crafted:
    """Run the order on minutes; `makers` stand from simple to complex, `rivals` are only measured.

    The maker with the best log loss out of fold is written to `out`, or the simplest one that is not worse
    than it by more than one standard error. Writes NAME.npz (answers) and NAME-value.json to `work`.
    DataError where the bars are too few, UsageError for an `out` that holds something else.
    """
    if out is not None:
        export.check_target(out)
    test_start = order.test_start or default_test_start(series[0].ts_open)
    answers = entries or opinions(series, _entry(order, test_start), say)
    say("simulating entries")
    least = threshold(answers, order.trade.share)
    trades = simulate(answers, series, order.trade, least)
    say(f"looking into {len(trades):,} open positions")
    looks = build(trades, series, SPECS[SPEC], order.in_trade, data_hash=fingerprint(series))
    cutting = _cutting(order, test_start)
    heard = hear([SidedMaker(maker) for maker in (*rivals, *makers)], looks, cutting, say)
    rows = judged(looks, heard)
    compared = value.compare(looks, heard, rows, len(rivals), order.seed)
    chosen = next(one for one in heard if one.name == value.simplest(compared))
    say(f"measuring what acting on {chosen.name} is worth")
    worth = _worth(order, trades, series, looks, chosen, least=least, compared=compared, start=test_start)
    kept = _kept(order, looks, heard, rows, chosen, test_start)
    card = None
    if out is not None:
        say("exporting and checking")
        card = artifact.write(
            out,
            looks,
            chosen,
            rival=heard[0] if rivals else None,
            rows=rows,
            spans=spans_of(looks, cutting)[-1],
            made=artifact.Made(
                name=order.name,
                version=order.version,
                venue=order.venue,
                command=order.command,
                seed=order.seed,
                trials=order.trials,
                embargo_s=cutting.embargo // SECOND,
                max_rows=order.max_rows,
                terms=order.in_trade,
                leave_at=worth.threshold.threshold,
            ),
            series=series,
        )
        kept = replace(kept, subject=msgspec.structs.replace(kept.subject, model_hash=card.model_hash))
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        save(work / f"{order.name}.npz", kept)
        value.save(work / f"{order.name}-value.json", worth)
    return Crafted(kept, card, worth)


def _entry(order: ManagerOrder, test_start: int) -> EntryTerms:
    return EntryTerms(
        spec=SPECS[order.entry_spec],
        terms=order.entry_terms,
        venue=order.venue,
        test_start=test_start,
        folds=order.entry_folds,
        seed=order.seed,
        max_rows=order.entry_rows,
    )


def _cutting(order: ManagerOrder, test_start: int) -> Cutting:
    longest = order.trade.max_hold_s * SECOND + order.in_trade.horizon_ns
    return Cutting(test_start, order.folds, longest, order.max_rows, order.seed)


def _worth(
    order: ManagerOrder,
    trades: Trades,
    series: Sequence[BarArrays],
    looks: InTrade,
    chosen: Heard,
    *,
    least: float,
    compared: list[value.Compared],
    start: int,
) -> Value:
    threshold_chosen, alone, gains = value.acted(
        trades, series, looks, chosen, seed=order.seed, fewest=order.fewest_acted
    )
    return Value(
        name=order.name,
        venue=order.venue,
        instruments=looks.panel.instruments,
        start=iso(int(looks.panel.ts.min())),
        test_start=iso(start),
        test_end=iso(int(looks.panel.ts.max())),
        rule=order.in_trade.rule,
        entries=value.entries(trades, looks, least),
        compared=tuple(compared),
        chosen=chosen.name,
        threshold=threshold_chosen,
        alone=tuple(alone),
        gains=tuple(gains),
        seed=order.seed,
        trials=order.trials,
    )


def _kept(
    order: ManagerOrder, looks: InTrade, heard: Sequence[Heard], rows: Ints, chosen: Heard, start: int
) -> Kept:
    panel = looks.panel.only(rows)
    followed = panel.followed[TARGET_NAME]
    subject = Subject(
        name=order.name,
        model=chosen.name,
        kind=Kind.MANAGER.value,
        target=TARGET_NAME,
        spec=panel.spec.name,
        decision=panel.spec.decision.value,
        venue=order.venue,
        source=Timeframe.M1.value,
        instruments=panel.instruments,
        classes=CLASSES_OF[Kind.MANAGER],
        barrier_atr=0.0,
        horizon_bars=order.in_trade.latest,
        seed=order.seed,
        data_hash=panel.data_hash,
        test_start=start,
        test_end=int(panel.ts.max()),
        trials=order.trials,
    )
    return Kept(
        subject=subject,
        instrument=panel.instrument,
        ts=panel.ts,
        ts_end=followed.ts_end,
        fold=chosen.fold[rows],
        kind=followed.kind,
        close=panel.close,
        atr=panel.atr,
        volatility=panel.volatility,
        momentum=panel.momentum,
        long_return=panel.paid.long_return,
        short_return=panel.paid.short_return,
        voices={one.name: one.chances[rows].astype(np.float32) for one in heard},
    )
