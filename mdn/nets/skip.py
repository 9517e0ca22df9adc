"""The "skip" hourglass of Deep Image Prior (Ulyanov et al., CVPR 2018), as masked pre-training
and iterative filling use it (MPI: Ma et al., NeurIPS 2024, arXiv 2401.14966).

The net sees the picture times the mask, and the mask; batch normalisation takes the statistics of
its input, at test as in training, so that a net in `eval` computes what it was fitted with.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2


@dataclass(frozen=True)
class SkipConfig:
    """Shape of one hourglass; the defaults are the paper's net for synthetic noise."""

    channels: int = 3  # of the picture
    mask_per_channel: bool = True  # a mask plane for each channel, or one shared by all
    scales: int = 5  # how many times the resolution is halved
    width: int = 64  # channels down, up and in the skips

    def __post_init__(self) -> None:
        if min(self.channels, self.scales, self.width) < 1:
            raise ValueError("channels, scales and width must be at least 1")

    @property
    def mask_planes(self) -> int:
        """Planes of the mask."""
        return self.channels if self.mask_per_channel else 1


class Skip(nn.Module):
    """Hourglass: (B, C, H, W) in [0, 1] and its mask to (B, C, H, W) in ]0, 1[."""

    multiple = 1  # any size will do

    def __init__(self, config: SkipConfig) -> None:
        super().__init__()
        self.config = config
        inputs = config.channels + config.mask_planes
        self.scales: Scale = Scale(inputs, config.width, config.scales)
        self.out = nn.Conv2d(config.width, config.channels, 1)

    @property
    def receptive_field(self) -> int:
        """Radius, in pixels, within which an input pixel can change an output pixel.

        Through the convolutions, that is: batch statistics tie every pixel to every other, weakly.
        """
        reach = 0
        for _ in range(self.config.scales):
            # From inside out, in pixels of the finer side: the second 3x3 on the way down, the
            # strided one, half a coarse pixel of nearest upsampling, and the 3x3 on the way up.
            reach = 2 * (reach + 1) + 1 + 1 + 1
        return reach

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of a float32 call by pixel of its input, without gradients."""
        # The widest moment: the concatenation of skip and deeper path, its padded copy, its output.
        return 4 * 7 * self.config.width

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """Fill what the mask hides, and denoise what it keeps.

        Args:
            x: (B, C, H, W), any size.
            visible: 1 shows, 0 hides; (B, C, H, W), or (B, 1, H, W) for a shared mask. None:
                all is shown.
        """
        planes = (x.shape[0], self.config.mask_planes, *x.shape[2:])
        visible = x.new_ones(planes) if visible is None else visible.to(x.dtype).expand(planes)
        inputs = torch.cat([x * visible, visible], 1).contiguous(memory_format=torch.channels_last)
        return torch.sigmoid(self.out(self.scales(inputs)))


class Scale(nn.Module):
    """One halving of the resolution, with everything below it.

    The order in which the layers are made is the order of the published nets' parameters: skip,
    down, below, up. `official.convert_skip` relies on it.
    """

    def __init__(self, inputs: int, width: int, scales: int) -> None:
        super().__init__()
        self.skip, self.skip_norm = nn.Conv2d(inputs, width, 1), BatchNorm(width)
        self.down, self.down_norm = nn.Conv2d(inputs, width, 3, stride=2), BatchNorm(width)
        self.deep, self.deep_norm = nn.Conv2d(width, width, 3), BatchNorm(width)
        self.below = Scale(width, width, scales - 1) if scales > 1 else None
        self.joined_norm = BatchNorm(2 * width)
        self.up, self.up_norm = nn.Conv2d(2 * width, width, 3), BatchNorm(width)
        self.mix, self.mix_norm = nn.Conv2d(width, width, 1), BatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, width, H, W)."""
        height, width = x.shape[-2:]
        side = _activate(self.skip_norm(self.skip(x)))
        deep = _activate(self.down_norm(self.down(_pad(x))))
        deep = _activate(self.deep_norm(self.deep(_pad(deep))))
        if self.below is not None:
            deep = self.below(deep)
        # An odd side gives half a pixel too much on the way back: it is cut off.
        deep = F.interpolate(deep, scale_factor=2.0, mode="nearest")[..., :height, :width]
        x = self.joined_norm(torch.cat([side, deep], 1))
        x = _activate(self.up_norm(self.up(_pad(x))))
        return _activate(self.mix_norm(self.mix(x)))


class BatchNorm(nn.Module):
    """Batch normalisation that always takes the statistics of what it is given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same."""
        if x.numel() == x.shape[1]:
            # One value is its own mean, which torch refuses to normalise.
            return (x - x) * self.weight[:, None, None] + self.bias[:, None, None]
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE, inplace=True)


def _pad(x: Tensor) -> Tensor:
    """One pixel on each side, reflected; along an axis of a single pixel, repeated."""
    mode = "reflect" if min(x.shape[-2:]) > 1 else "replicate"
    if mode == "reflect" or max(x.shape[-2:]) == 1:
        return F.pad(x, (1, 1, 1, 1), mode=mode)
    tall = x.shape[-2] > 1
    x = F.pad(x, (0, 0, 1, 1), mode="reflect" if tall else "replicate")
    return F.pad(x, (1, 1, 0, 0), mode="replicate" if tall else "reflect")
