"""What a net's judge reads in a picture, as data and in words."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.nets.judge import Cells
from mdn.nets.unet import UNet
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.sample import windows_of

ROUNDED = 256.0  # steps in 1 of a descriptor's numbers
CLEAN = 0.25  # sigma, 0-255 scale, that is called none
COARSE = 0.6  # share of sigma left at half the size from which noise is called coarse; white: 0.5
STEEP = 1.6  # largest over smallest sigma from which noise is said to depend on brightness
FEWEST = 16  # cells of 8 x 8 pixels that noise is read in, if not in all
SPAN = 2, 98  # percentiles of a picture's samples between which its curve is known
SOME_IMPULSES = 0.001  # share of the samples
# Where the map says that there is no noise, samples that the net changes by more than this, in
# 0..1, are impulses, where such a share of them is; the rest stays bit for bit.
OUTLIER, FEWEST_OUTLIERS = 8 / 255, 3e-5
NIGHT = 0.1  # median, 0..1, of a sky whose points of light are stars and no impulses
FLOOR = 1 / 255  # added to a map that is scaled to what a user says, so that no place has none


@dataclass(frozen=True)
class Unit:
    """In which unit sigmas are said: on the 0-255 scale, or that of the file."""

    scale: float = 1.0  # how much of black to white an encoded difference of 1 is
    span: float | None = None  # how much of the file's unit it is, to be said in that; or None

    def words(self, sigma: float) -> str:
        """Such as: sigma 9.0, or: noise 31."""
        if self.span is not None:
            return f"noise {self.span * sigma:.3g}"
        return f"sigma {255 * self.scale * sigma:.1f}"

    def given(self, sigma: float) -> str:
        """As the user gave it, such as: sigma 9."""
        return f"sigma {255 * self.scale * sigma:.3g}"

    def option(self, sigma: float) -> str:
        """The option that removes noise of a sigma, such as: --sigma 9."""
        level = 255 * self.scale * sigma
        rounded = math.ceil(level) if level > 1 else float(f"{level:.1g}")
        return f"--sigma {min(255, rounded):g}"


SHOWN = Unit()


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if percent >= 0.95 else f"{percent:.1g}"


@dataclass(frozen=True)
class NoiseReading:
    """The noise of one picture. Sigmas are in the nominal range 0..1."""

    descriptor: Tensor  # (1, size), the net's input; see nets.judge
    # root mean square of the sigma map of each channel, over what was looked at
    channels: tuple[float, ...]
    # (C, knots) sigma of each channel at evenly spread brightnesses, 0 to 1; over the picture its
    # root mean square is `sigma`
    curve: tuple[tuple[float, ...], ...]
    # the darkest and the brightest of the picture, all but some; what the curve says beyond is a
    # guess
    span: tuple[float, float]
    # half, quarter: shares of sigma left when 2 x 2 and 4 x 4 pixels are averaged; 0.5 and 0.25 for
    # white noise, more for coarse noise
    half: float
    quarter: float
    impulses: float  # share of the samples that impulses replaced; 0 where there are too few
    mean: float  # of the sigma map, over all places and channels

    @property
    def sigma(self) -> float:
        """One for the picture: the root mean square of the channels."""
        return (sum(sigma**2 for sigma in self.channels) / len(self.channels)) ** 0.5

    @property
    def noisy(self) -> bool:
        """Whether there is noise to speak of, besides impulses."""
        return 255 * self.sigma >= CLEAN

    @property
    def clean(self) -> bool:
        """Whether there is nothing to speak of."""
        return not self.noisy and self.impulses == 0

    @property
    def raised(self) -> float:
        """As `sigma`, of the map plus FLOOR."""
        return (self.sigma**2 + 2 * FLOOR * self.mean + FLOOR**2) ** 0.5

    @property
    def by_brightness(self) -> bool:
        """Whether sigma depends on brightness."""
        _, sigmas = self._seen()
        return bool((sigmas.max(1) > STEEP * sigmas.min(1)).any())

    @property
    def coarse(self) -> bool:
        """Whether neighbours share the noise, as they do in a camera's pictures."""
        return self.half > COARSE

    def in_words(self, unit: Unit = SHOWN) -> str:
        """One phrase: "sigma 9.0, coarse, as of a camera"."""
        parts = [unit.words(self.sigma)]
        if 255 * self.sigma < CLEAN:
            parts = []
        elif self.coarse:
            parts.append("coarse, as of a camera")
        elif self.by_brightness:
            parts.append("depends on brightness")
        if self.impulses > 0:
            parts.append(f"impulses on {_percent(self.impulses)} % of the samples")
        return ", ".join(parts)

    def estimate(self) -> NoiseEstimate:
        """The same as an estimate from statistics of the pixels has it."""
        brightness, sigmas = self._seen()
        variance = (sigmas**2).mean(0)
        gain, offset = np.polyfit(brightness, variance, 1)
        alike = max(0.0, (4 * self.half**2 - 1) / 3)  # correlation that leaves so much of a mean
        return NoiseEstimate(
            channel_sigmas=self.channels,
            brightness=tuple(brightness.tolist()),
            variance=tuple(variance.tolist()),
            gain=float(gain),
            offset=float(offset),
            curve=(max(0.0, float(offset)), max(0.0, float(gain)), 0.0),
            signal_dependent=self.by_brightness,
            neighbours=(alike, alike),
            correlated=self.coarse,
            low_frequency_sigma=self.sigma * 4 * self.quarter,
            impulses=self.impulses,
            impulsive=self.impulses > 0,
        )

    def _seen(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the span and the knots between them, and the sigmas there: (n,), (C, n)."""
        curve = np.array(self.curve)
        knots = np.linspace(0, 1, curve.shape[1])
        low, high = self.span
        inside = knots[(knots > low) & (knots < high)]
        places = np.array([low, *inside, max(high, low + 1e-3)])
        return places, np.stack([np.interp(places, knots, row) for row in curve])

    def describe(self, scale: float = 1.0) -> dict[str, object]:
        """JSON-able; sigmas on the 0-255 scale.

        scale: how much of black to white an encoded difference of 1 is.
        """
        full = 255 * scale
        return {
            "sigma": round(full * self.sigma, 2),
            "by_brightness": self.by_brightness,
            "curve": [[round(full * sigma, 2) for sigma in row] for row in self.curve],
            "left_at_half_size": round(self.half, 3),
            "left_at_quarter_size": round(self.quarter, 3),
            "correlated": self.coarse,
            "impulses": round(self.impulses, 5),
        }


@torch.no_grad()
def read_noise(net: UNet, sample: Tensor, unknown: Tensor | None = None) -> NoiseReading:
    """Let a net that has a judge look at a picture, or at windows of it.

    Args:
        net: with config.judge.
        sample: (C, H, W) float32, nominal range 0..1, finite. Gray, or channels that are no
            colours, are looked at one by one, all of one picture.
        unknown: (1, H, W) bool, what says nothing of the noise; cells that see any of it are not
            counted, unless all or nearly all do. None for nothing.
    """
    device = next(net.parameters()).device
    count = net.config.channels
    in_colour = len(sample) == count
    windows = [window.to(device) for window in windows_of(sample, count)]
    cells = Cells.joined([net.judge.cells(window) for window in windows])
    weights = [
        window.new_ones(1, 1, *(side // 2 for side in window.shape[2:])) for window in windows
    ]
    if unknown is not None and unknown.any():
        gaps = windows_of(unknown.to(sample).expand(sample.shape).contiguous(), count)
        gaps = [window[:, :1].to(device) for window in gaps]
        known = torch.cat([net.judge.known_cells(window) for window in gaps])
        if int(known.sum()) >= FEWEST:
            cells = cells.chosen(known)
            weights = [F.avg_pool2d(1 - window, 2) for window in gaps]
    # Rounded, as threads and processors differ in what they add up first.
    descriptor = (net.judge.pool(cells) * ROUNDED).round() / ROUNDED
    maps = [net.sigma_map(window, descriptor) for window in windows]
    planes = 1 if in_colour else len(sample)
    sigmas = _mean([each.square() for each in maps], weights, planes).sqrt()
    low, high = np.percentile(sample[..., ::2, ::2].numpy(), SPAN).clip(0, 1)
    # Gray is shown to the net as three equal colours, each channel by itself.
    channels = tuple(sigmas[0].tolist() if in_colour else sigmas.mean(1).tolist())
    # Powers: no picture has more than all its noise left.
    half, quarter, _ = net.judge.facts(descriptor)[0].clamp(max=0).tolist()
    reading = NoiseReading(
        descriptor=descriptor,
        channels=channels,
        curve=_scaled(net.judge.sigmas(descriptor)[0].cpu().numpy(), sample.numpy(), channels),
        span=(float(low), float(high)),
        half=2**half,
        quarter=2**quarter,
        impulses=0.0,
        mean=float(_mean(maps, weights, planes).mean()),
    )
    if reading.noisy or float(sample.median()) < NIGHT:
        return reading
    changes = [(_cleaned(net, window, descriptor) - window).abs() > OUTLIER for window in windows]
    halved = [F.avg_pool2d(change.float(), 2) for change in changes]
    share = float(_mean(halved, weights, planes).mean())
    return replace(reading, impulses=share if share >= FEWEST_OUTLIERS else 0.0)


def _cleaned(net: UNet, window: Tensor, descriptor: Tensor) -> Tensor:
    """A window (1, C, H, W) of any size without its noise."""
    right, below = (-side % net.multiple for side in (window.shape[3], window.shape[2]))
    whole = F.pad(window, (0, right, 0, below), mode="replicate")
    return net(whole, noise=descriptor)[..., : window.shape[2], : window.shape[3]]


def _mean(maps: list[Tensor], weights: list[Tensor], planes: int) -> Tensor:
    """(planes, C): the weighted means of maps (1, C, h, w), as many of each plane."""
    sums = [(values * weight).sum((0, 2, 3)) for values, weight in zip(maps, weights, strict=True)]
    totals = torch.stack([weight.sum() for weight in weights]).unflatten(0, (planes, -1)).sum(1)
    return torch.stack(sums).unflatten(0, (planes, -1)).sum(1) / totals.clamp(min=1)[:, None]


def _scaled(
    curve: np.ndarray, sample: np.ndarray, channels: tuple[float, ...]
) -> tuple[tuple[float, ...], ...]:
    """The curve (C, knots) as strong as the noise of the channels; its shape is the judge's.

    The net multiplies the judge's curve by a factor for each place (nets.unet.LocalSigma and
    TextureSigma), so the curve alone has no scale.
    """
    shown, knots = sample[..., ::8, ::8].ravel(), np.linspace(0, 1, curve.shape[1])
    power = np.mean([np.interp(shown, knots, row) ** 2 for row in curve])
    factor = np.sqrt(np.mean(np.square(channels)) / max(power, 1e-12))
    return tuple(map(tuple, (factor * curve).tolist()))
