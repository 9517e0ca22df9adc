"""Pictures of any number of channels for a net that takes so many.

Gray goes to a colour net as equal channels, and the mean of its answers comes back. Colour goes to
a gray net channel by channel, and so do measurements, whose channels have nothing in common, to any
net.
"""

from __future__ import annotations

from torch import Tensor

from mdn.registry.model import Origins


def to_net_channels(
    x: Tensor, origins: Origins, wanted: int, *, separate: bool = False
) -> tuple[Tensor, Origins]:
    """(B, C, H, W) -> itself, or (B C, wanted, H, W); and where each of those begins.

    separate: the channels are no colours, and each is shown for itself.
    """
    count, channels = x.shape[:2]
    if channels == wanted and not (separate and channels > 1):
        return x, origins
    single = x.reshape(count * channels, 1, *x.shape[2:])
    return single.expand(-1, wanted, -1, -1), [each for each in origins for _ in range(channels)]


def from_net_channels(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The way back, to (B, C, H, W) of that shape."""
    return y if y.shape == shape else y.mean(1, keepdim=True).reshape(shape)
