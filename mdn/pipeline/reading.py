"""What a net's judge reads in a picture, as data and in words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.nets.judge import SMALLEST
from mdn.nets.unet import UNet

EVEN_SIDE = 16  # sides of what the sigma map is made of are multiples of this
CLEAN = 0.5  # sigma, 0-255 scale, that is called none
COARSE = 0.6  # share of sigma left at half the size from which noise is called coarse; white: 0.5
STEEP = 1.6  # largest over smallest sigma from which noise is said to depend on brightness
SOME_IMPULSES = 0.001  # share of the samples


@dataclass(frozen=True)
class NoiseReading:
    """The noise of one picture. Sigmas are in the nominal range 0..1.

    Attributes:
        descriptor: (1, size) what the net is told; see nets.judge.
        sigma: root mean square of the sigma map over what was looked at.
        curve: (C, knots) sigma of each channel at evenly spread brightnesses, 0 to 1.
        half, quarter: shares of sigma left when 2 x 2 and 4 x 4 pixels are averaged; 0.5 and 0.25
            for white noise, more for coarse noise.
        impulses: share of the samples that impulses replaced.
    """

    descriptor: Tensor
    sigma: float
    curve: tuple[tuple[float, ...], ...]
    half: float
    quarter: float
    impulses: float

    @property
    def clean(self) -> bool:
        """Whether there is nothing to speak of."""
        return 255 * self.sigma < CLEAN and self.impulses < SOME_IMPULSES

    @property
    def by_brightness(self) -> bool:
        """Whether sigma depends on brightness."""
        return any(max(row) > STEEP * min(row) for row in self.curve)

    @property
    def coarse(self) -> bool:
        """Whether neighbours share the noise, as they do in a camera's pictures."""
        return self.half > COARSE

    def in_words(self) -> str:
        """One phrase: "sigma 9.0, coarse, as of a camera"."""
        parts = [f"sigma {255 * self.sigma:.1f}"]
        if self.coarse:
            parts.append("coarse, as of a camera")
        elif self.by_brightness:
            parts.append("stronger in some brightnesses than in others")
        if self.impulses >= SOME_IMPULSES:
            parts.append(f"impulses on {100 * self.impulses:.1f} % of the samples")
        return ", ".join(parts)

    def describe(self) -> dict[str, object]:
        """JSON-able; sigmas on the 0-255 scale."""
        return {
            "sigma": round(255 * self.sigma, 2),
            "by_brightness": self.by_brightness,
            "curve": [[round(255 * sigma, 2) for sigma in row] for row in self.curve],
            "left_at_half_size": round(self.half, 3),
            "left_at_quarter_size": round(self.quarter, 3),
            "correlated": self.coarse,
            "impulses": round(self.impulses, 5),
        }


@torch.no_grad()
def read_noise(net: UNet, sample: Tensor) -> NoiseReading:
    """Let a net that has a judge look at a picture, or at windows of it.

    Args:
        net: with config.judge.
        sample: (C, H, W) float32, nominal range 0..1, finite. Gray, or channels that are no
            colours, are looked at one by one, all of one picture.
    """
    device = next(net.parameters()).device
    if sample.shape[0] == net.config.channels:
        windows = sample[None]
    else:
        windows = sample[:, None].expand(-1, net.config.channels, -1, -1)
    windows = _large_enough(windows).to(device)
    descriptor = net.judge.picture(windows)
    squares = [net.sigma_map(window[None], descriptor).square().mean() for window in windows]
    half, quarter, impulses = net.judge.facts(descriptor)[0].tolist()
    return NoiseReading(
        descriptor=descriptor,
        sigma=float(torch.stack(squares).mean().sqrt()),
        curve=tuple(tuple(row) for row in net.judge.sigmas(descriptor)[0].tolist()),
        half=min(1.0, 2**half),
        quarter=min(1.0, 2**quarter),
        impulses=max(0.0, 10**impulses - 1e-4),
    )


def _large_enough(windows: Tensor) -> Tensor:
    """Mirrored until the judge takes them, and to a multiple of what the sigma map needs."""
    for axis in (2, 3):
        while windows.shape[axis] < SMALLEST:
            windows = torch.cat([windows, windows.flip(axis)], axis)
    down, right = (-side % EVEN_SIDE for side in windows.shape[2:])
    return F.pad(windows, (0, right, 0, down), mode="reflect")
