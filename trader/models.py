"""The models of a desk: loaded and proved, and what risk has to know of each.

Must not know sockets or sessions. Called by trader.assemble, trader.model_desk and trader.backtest.
"""

from pathlib import Path

from inference import ensemble
from inference.ensemble import Ensemble
from risk.policy import ModelTerms
from trader.config import Config


def load_models(config: Config) -> dict[str, Ensemble]:
    """Give every trader's verified ensemble; raises ModelError, which names the first bad one."""
    return {trader.name: load_model(trader.model) for trader in config.traders}


def load_model(path: Path) -> Ensemble:
    """Give one verified ensemble, or a single model as one; raises ModelError."""
    return ensemble.load(path)


def terms_of(model: Ensemble) -> ModelTerms:
    """Give what risk has to know of an ensemble."""
    label = model.label
    return ModelTerms(model.model_hash, model.name, model.decision, label.barrier_atr, label.horizon_bars)
