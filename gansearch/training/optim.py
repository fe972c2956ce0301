"""Adam for G and for D, each with its own learning rate (Heusel et al. 2017)."""

from torch import nn
from torch.optim import Adam

from gansearch.config import OptimConfig


def adam(network: nn.Module, lr: float, config: OptimConfig) -> Adam:
    """Fused Adam over a network's parameters."""
    return Adam(network.parameters(), lr=lr, betas=(config.beta1, config.beta2), fused=True)
