"""A desk of 1,000 instruments with the shipped models, for the benches that need one.

Must not know what is measured. Called by the benches only.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.synthetic import START, bars_at, instruments
from core.clock import SECOND
from core.events import LinkChange, Reconciled, SessionStarted, Stream
from core.instrument import Instrument
from core.market import Timeframe
from core.version import VERSION
from inference.artifact import Artifact, load
from inference.ensemble import alone
from inference.pipeline import OpinionSource
from risk.policy import ModelTerms, RiskPolicy
from trader.desk import Desk
from trader.setup import AccountSetup, DeskSetup, TraderSetup

MODELS = Path("configs/models")
CASH = Decimal(1_000_000)


def shipped() -> dict[str, Artifact]:
    """Load every model that the repository ships."""
    return {path.name.replace("-", "_"): load(path) for path in sorted(MODELS.iterdir()) if path.is_dir()}


def desk_setup(
    artifacts: Mapping[str, Artifact], listed: tuple[Instrument, ...], policy: RiskPolicy
) -> DeskSetup:
    """Give one account and trader for each model, all on the same instruments."""
    return DeskSetup(
        mode="paper",
        venue="loopback",
        accounts=tuple(AccountSetup(name, "USDT", CASH) for name in artifacts),
        traders=tuple(
            TraderSetup(
                name=name,
                code=f"T{number}",
                account=name,
                stage="paper",
                decision=model.decision,
                instruments=tuple(one.symbol for one in listed),
                policy=policy,
                terms=ModelTerms(
                    model.model_hash,
                    model.name,
                    model.decision,
                    model.card.label.barrier_atr,
                    model.card.label.horizon_bars,
                ),
            )
            for number, (name, model) in enumerate(artifacts.items())
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


def warmed(artifacts: Mapping[str, Artifact], count: int, ts: int) -> OpinionSource:
    """Give an opinion source whose every feature is warm at `ts`."""
    names = tuple(one.symbol for one in instruments(count))
    source = OpinionSource({name: alone(model) for name, model in artifacts.items()}, names)
    rng = np.random.default_rng(3)
    needed: dict[Timeframe, int] = {}
    for model in artifacts.values():
        for block in model.spec.blocks:
            needed[block.timeframe] = max(needed.get(block.timeframe, 0), block.warm_up + 1)
    for timeframe, bars in needed.items():
        for back in range(bars, 0, -1):
            source.on_bars(bars_at(names, timeframe, ts - back * timeframe.ns, rng))
    return source


def midnight(days: int) -> int:
    """Give a midnight far enough from the start for every warm-up."""
    return START + days * Timeframe.D1.ns
