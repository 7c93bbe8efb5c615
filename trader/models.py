"""The models of a desk: loaded and proved, and what risk has to know of each.

Must not know sockets or sessions. Called by trader.assemble and trader.backtest.
"""

from inference import ensemble
from inference.ensemble import Ensemble
from risk.policy import ModelTerms
from trader.config import Config


def load_models(config: Config) -> dict[str, Ensemble]:
    """Give every trader's verified ensemble; raises ModelError, which names the first bad one."""
    return {trader.name: ensemble.load(trader.model) for trader in config.traders}


def terms_of(model: Ensemble) -> ModelTerms:
    """Give what risk has to know of an ensemble."""
    label = model.label
    return ModelTerms(model.model_hash, model.name, model.decision, label.barrier_atr, label.horizon_bars)
