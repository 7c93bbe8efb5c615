"""The models of a desk: loaded and proved, and what risk has to know of each.

Must not know sockets or sessions. Called by trader.assemble and trader.backtest.
"""

from pathlib import Path

from inference import artifact
from risk.policy import ModelTerms
from trader.config import Config


def load_models(config: Config) -> dict[str, artifact.Artifact]:
    """Give every trader's verified model; raises ModelError, which names the first bad one."""
    return {trader.name: load_model(trader.model) for trader in config.traders}


def load_model(path: Path) -> artifact.Artifact:
    """Give one verified model; raises ModelError."""
    return artifact.load(path)


def terms_of(model: artifact.Artifact) -> ModelTerms:
    """Give what risk has to know of a model."""
    label = model.card.label
    return ModelTerms(model.model_hash, model.name, model.decision, label.barrier_atr, label.horizon_bars)
