"""A small net that mixes results of other denoisers, pixel by pixel.

Two denoisers of different making fail in different places. For each pixel and colour the net gives
every candidate - their results, and the noisy light itself - a share; the shares add up to one, so
that what all agree on stays as it is. It works in the logarithm of light, as the candidates come.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEAR = 2  # pixels to each side, over which differences are measured


@dataclass(frozen=True)
class MixerConfig:
    """Shape of a Mixer."""

    candidates: int = 3  # the last one is the noisy light
    channels: int = 3
    guides: int = 6  # planes: albedo and normal
    width: int = 24
    dilations: tuple[int, ...] = (1, 2, 1)  # of its 3 x 3 layers


class Mixer(nn.Module):
    """Shares of candidates."""

    multiple = 1
    bytes_per_pixel = 900.0

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        self.config = config
        pairs = config.candidates - 1
        planes = config.candidates * config.channels + 2 * pairs * config.channels + config.guides
        layers: list[nn.Module] = [nn.Conv2d(planes, config.width, 1)]
        for dilation in config.dilations:
            layers.append(nn.ReLU())
            conv = nn.Conv2d(config.width, config.width, 3, dilation=dilation)
            layers += [nn.ReplicationPad2d(dilation), conv]
        layers += [nn.ReLU(), nn.Conv2d(config.width, config.candidates * config.channels, 1)]
        self.layers = nn.Sequential(*layers)

    @property
    def receptive_field(self) -> int:
        """Pixels to each side that a result depends on."""
        return NEAR + sum(self.config.dilations)

    def forward(self, candidates: Tensor, guides: Tensor) -> Tensor:
        """(B, K, C, H, W) of candidates, (B, G, H, W) of guides -> (B, C, H, W), mixed."""
        first, others = candidates[:, :1], candidates[:, 1:]
        apart = (others - first).flatten(1, 2)
        near = _mean(apart.abs())
        planes = torch.cat([candidates.flatten(1, 2), 4 * _mean(apart), 4 * near, guides], 1)
        shares = self.layers(planes).unflatten(1, candidates.shape[1:3]).softmax(1)
        return (shares * candidates).sum(1)


def _mean(planes: Tensor) -> Tensor:
    size = 2 * NEAR + 1
    return F.avg_pool2d(F.pad(planes, [NEAR] * 4, mode="replicate"), size, 1)
