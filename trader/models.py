"""The models of a desk: loaded and proved, and what risk has to know of each.

Must not know sockets or sessions. Called by trader.assemble and trader.backtest.
"""

from inference import artifact
from risk.policy import ModelTerms
from trader.config import Config


def load_models(config: Config) -> dict[str, artifact.Artifact]:
    """Give every trader's verified model; raises ModelError, which names the first bad one."""
    return {trader.name: artifact.load(trader.model) for trader in config.traders}


def terms_of(model: artifact.Artifact) -> ModelTerms:
    """Give what risk has to know of a model."""
    label = model.card.label
    return ModelTerms(model.model_hash, model.name, model.decision, label.barrier_atr, label.horizon_bars)
