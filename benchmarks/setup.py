"""A desk of many instruments with ensembles of models, for the benches that need one.

Must not know what is measured. Called by the benches only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np

from benchmarks.synthetic import START, bars_at, instruments
from core.clock import SECOND
from core.events import LinkChange, Reconciled, SessionStarted, Stream
from core.instrument import Instrument
from core.market import TIMEFRAMES, Bar, Timeframe
from core.version import VERSION
from inference.ensemble import ENSEMBLE_FILE, Ensemble, load
from inference.features.spec import FeatureSpec
from inference.pipeline import OpinionSource
from risk.policy import ModelTerms, RiskPolicy
from trader.desk import Desk
from trader.setup import AccountSetup, DeskSetup, TraderSetup

MODELS = Path("configs/models")
CASH = Decimal(1_000_000)
TWINS = "untrained twins"


def shipped() -> dict[str, Ensemble]:
    """Load every single model that the repository ships."""
    folders = [path for path in sorted(MODELS.iterdir()) if (path / "card.json").is_file()]
    loaded = {path.name.replace("-", "_"): load(path) for path in folders}
    return {name: one for name, one in loaded.items() if len(one.members) == 1}


def shipped_ensembles() -> dict[str, Ensemble]:
    """Load every ensemble of several models that the repository ships."""
    folders = [path for path in sorted(MODELS.iterdir()) if (path / ENSEMBLE_FILE).is_file()]
    return {path.name.replace("-", "_"): load(path) for path in folders}


def whole() -> dict[str, Ensemble]:
    """Load the shipped ensemble that has the most members, which the daemon has to keep up with."""
    largest = max(shipped_ensembles().values(), key=lambda one: len(one.members))
    return {largest.name: largest}


def final() -> dict[str, Ensemble]:
    """Give one trader with the untrained twins of the final networks.

    They are made in a process of their own: what it takes to write a network is no part of a daemon.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return {"twins": pool.submit(_twins).result()}


def _twins() -> Ensemble:
    from benchmarks.twin_ensemble import twin_ensemble

    return twin_ensemble()


def desk_setup(
    ensembles: Mapping[str, Ensemble], listed: tuple[Instrument, ...], policy: RiskPolicy
) -> DeskSetup:
    """Give one account and trader for each ensemble, all on the same instruments."""
    return DeskSetup(
        mode="paper",
        venue="loopback",
        accounts=tuple(AccountSetup(name, "USDT", CASH) for name in ensembles),
        traders=tuple(
            TraderSetup(
                name=name,
                code=f"T{number}",
                account=name,
                stage="paper",
                decision=one.decision,
                instruments=tuple(instrument.symbol for instrument in listed),
                policy=policy,
                terms=ModelTerms(
                    one.model_hash, one.name, one.decision, one.label.barrier_atr, one.label.horizon_bars
                ),
            )
            for number, (name, one) in enumerate(ensembles.items())
        ),
        instruments=listed,
    )


def started(setup: DeskSetup, ts: int) -> Desk:
    """Give a desk with links up and every account reconciled."""
    desk = Desk()
    desk.on_event(SessionStarted(ts, ts // SECOND, VERSION, "bench", msgspec.msgpack.encode(setup)))
    desk.on_event(LinkChange(ts, Stream.PUBLIC, up=True))
    for account in setup.accounts:
        desk.on_event(LinkChange(ts, Stream.PRIVATE, up=True, account=account.name))
        desk.on_event(Reconciled(ts, account.name, account.cash, (), (), ()))
    return desk


def specs_of(ensembles: Iterable[Ensemble]) -> list[FeatureSpec]:
    """Give the specifications of all members."""
    return [member.artifact.spec for one in ensembles for member in one.members]


def needed(specs: Iterable[FeatureSpec]) -> dict[Timeframe, int]:
    """Give how many bars of each timeframe make everything warm."""
    found: dict[Timeframe, int] = {}
    for block in (block for spec in specs for block in spec.blocks):
        found[block.timeframe] = max(found.get(block.timeframe, 0), block.warm_up + 1)
    return found


def closes(
    wanted: Mapping[Timeframe, int], names: Sequence[str], ts: int, rng: np.random.Generator
) -> Iterator[list[Bar]]:
    """Give the last so many bars of each timeframe that closed by `ts`, all that close together, in order."""
    due: dict[int, list[Timeframe]] = {}
    for timeframe in TIMEFRAMES:
        for back in range(wanted.get(timeframe, 0)):
            due.setdefault(ts - back * timeframe.ns, []).append(timeframe)
    for now in sorted(due):
        yield [bar for one in due[now] for bar in bars_at(names, one, now - one.ns, rng)]


def warmed(ensembles: Mapping[str, Ensemble], count: int, ts: int) -> OpinionSource:
    """Give an opinion source whose every feature is warm at `ts`."""
    names = tuple(one.symbol for one in instruments(count))
    source = OpinionSource(ensembles, names, perf_counter_ns)
    for bars in closes(needed(specs_of(ensembles.values())), names, ts, np.random.default_rng(3)):
        source.on_bars(bars)
    return source


def midnight(days: int) -> int:
    """Give a midnight far enough from the start for every warm-up."""
    return START + days * Timeframe.D1.ns
