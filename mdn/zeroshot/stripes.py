"""Stripes of one period, and random dither.

Stripes: a sine wave over the whole picture, as a bad cable or mains hum leaves it.

Unlike texture, a wave is everywhere: its frequency stands out of the spectrum, and its strength and
phase, measured in one half of the blocks, hold in the other half, in flat blocks and in busy ones.
A fence or a fabric fills only a part of a picture, and its phase wanders.

Random dither: few levels, and each sample at one of the two around the truth, by chance.

Few levels alone are a drawing or a posterised photograph: there, equal samples lie together. Under
dither each sample is drawn for itself, so that neighbours differ as often as chance has it. In
halftones and error diffusion they differ more often.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.noise.analysis.lines import Wave

BLOCK = 32  # pixels a side of what is asked for its own amplitude: most of LONGEST_PERIOD
FEWEST_BLOCKS = 9  # two halves of fewer agree by chance
SHORTEST_PERIOD = 2.05  # pixels; what changes with every pixel is a mosaic
LONGEST_PERIOD = 40.0  # pixels; longer ones are the picture's own shading
PEAK_POWER = 50.0  # times the mean power of the frequencies around it; noise alone reaches 12
AROUND, OWN = 11, 5  # frequencies a side: what a peak is compared with, and the peak itself
FAINTEST_AMPLITUDE = 1.0 / 255  # of white; 8 bits hold nothing fainter
# Amplitude of a block along that of the other half of the blocks, 1 if equal: the median of the
# blocks, and the worst tenth of them. A grating in one half of a picture gives 0 in the other.
TYPICAL_AGREEMENT, WORST_AGREEMENT = (0.75, 1.33), 0.35
MOST_CUT = 0.3  # share of a block's samples at 0 or 1: cut off, they show less of the wave


def find(sample: Tensor, frequency: tuple[float, float] | None = None) -> Wave | None:
    """The strongest wave of a picture, or None where it has none.

    Args:
        sample: (C, H, W), nominal range 0..1, of neighbouring pixels; its first is (0, 0).
        frequency: cycles a pixel down and across, of another picture of the same instrument; None:
            it is sought.
    """
    if min(sample.shape[1:]) < 2 * BLOCK:
        return None
    peak = frequency or _peak(sample.mean(0))
    return None if peak is None else _everywhere(sample, peak)


def _peak(gray: Tensor) -> tuple[float, float] | None:
    """The frequency that stands out of the spectrum of (H, W), to a small part of a bin."""
    height, width = gray.shape
    windows = [torch.hann_window(n, periodic=False) for n in (height, width)]
    waves = (gray - gray.mean()) * windows[0][:, None] * windows[1]
    power = torch.fft.rfft2(waves).abs().square()
    around = F.pad(power[None, None], (AROUND // 2,) * 4, mode="circular")
    total = F.avg_pool2d(around, AROUND, 1)[0, 0] * AROUND**2
    inner = F.pad(power[None, None], (OWN // 2,) * 4, mode="circular")
    own = F.avg_pool2d(inner, OWN, 1)[0, 0] * OWN**2
    ratio = power * (AROUND**2 - OWN**2) / (total - own).clamp(min=1e-12)
    down, across = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    distance = torch.hypot(down[:, None], across)
    ratio[(distance < 1 / LONGEST_PERIOD) | (distance > 1 / SHORTEST_PERIOD)] = 0
    place = int(ratio.argmax())
    if float(ratio.flatten()[place]) < PEAK_POWER:
        return None
    centre = [float(down[place // len(across)]), float(across[place % len(across)])]
    reach = 0.5
    for _ in range(6):  # closer and closer around the largest
        steps = torch.linspace(-reach, reach, 5, dtype=torch.float64)
        tries = [centre[0] + steps / height, centre[1] + steps / width]
        left, right = (
            torch.exp(-2j * math.pi * f[:, None] * torch.arange(n))
            for f, n in zip(tries, (height, width), strict=True)
        )
        best = int((left @ waves.to(left.dtype) @ right.T).abs().argmax())
        centre = [float(tries[0][best // 5]), float(tries[1][best % 5])]
        reach /= 2
    return centre[0], centre[1]


def _everywhere(sample: Tensor, frequency: tuple[float, float]) -> Wave | None:
    """The wave of that frequency, if its fit to one half of the blocks holds in the other."""
    height, width = sample.shape[1:]
    rows, columns = height // BLOCK, width // BLOCK
    sample = sample[:, : rows * BLOCK, : columns * BLOCK]
    blocks = sample.unflatten(1, (rows, BLOCK)).unflatten(3, (columns, BLOCK))
    blocks = blocks.permute(1, 3, 0, 2, 4).flatten(0, 1)  # (n, C, BLOCK, BLOCK)
    hann = torch.hann_window(BLOCK, periodic=False)
    weight = torch.outer(hann, hann)
    weight = weight / weight.sum()
    level = (blocks * weight).sum((2, 3), keepdim=True)
    turns = (
        frequency[0] * torch.arange(rows * BLOCK)[:, None]
        + frequency[1] * torch.arange(columns * BLOCK)
    ).double()
    carrier = torch.exp(-2j * math.pi * turns).to(torch.complex64)
    carrier = carrier.unflatten(0, (rows, BLOCK)).unflatten(2, (columns, BLOCK))
    carrier = carrier.permute(0, 2, 1, 3).flatten(0, 1)[:, None]
    # Cosine and sine as the window shows them; what twice the frequency adds is little.
    amplitude = 2 * ((blocks - level) * weight * carrier).sum((2, 3))  # (n, C)
    cut = ((blocks <= 0) | (blocks >= 1)).float().mean((1, 2, 3)) > MOST_CUT
    odd = torch.tensor([(r + c) % 2 == 1 for r in range(rows) for c in range(columns)])
    amplitude, odd, spread = amplitude[~cut], odd[~cut], blocks.var((2, 3)).mean(1)[~cut]
    if len(amplitude) < FEWEST_BLOCKS or odd.all() or not odd.any():
        return None
    trust = 1 / (spread + FAINTEST_AMPLITUDE**2)  # calm blocks know best

    def mean(chosen: Tensor) -> Tensor:
        share = trust[chosen] / trust[chosen].sum()
        return (share[:, None] * amplitude[chosen]).sum(0)

    halves = mean(odd), mean(~odd)
    other = torch.where(odd[:, None], halves[1], halves[0])
    along = (amplitude * other.conj()).real.sum(1) / other.abs().square().sum(1).clamp(min=1e-12)
    typical, worst = float(along.median()), float(along.quantile(0.1))
    whole = mean(torch.ones_like(odd))
    wave = Wave(frequency, tuple(whole.real.tolist()), tuple((-whole.imag).tolist()))
    low, high = TYPICAL_AGREEMENT
    if not (low < typical < high and worst > WORST_AGREEMENT):
        return None
    return wave if wave.sigma * math.sqrt(2) > FAINTEST_AMPLITUDE else None


# --- random dither --------------------------------------------------------------------------------

MOST_LEVELS = 32  # 5 bits; the noise of more levels is faint
ROUNDING = 0.6 / 255  # of white: how far levels stored in 8 bits may lie from even ones
SMALL = 8  # pixels a side: hardly any picture passes more than two levels in so few
MIXED = 0.15  # least share of either level in a block; of fewer samples chance says little
FEWEST = 0.05  # share of all blocks that are mixed; of fewer the rest is a drawing
# Unequal neighbours over those expected by chance: drawings have fewer, halftones and error
# diffusion more.
CHANCE = (0.8, 1.15)
DEVIATION = 0.41  # of dither over its step: sqrt(1 / 6), if all fractions are as frequent


def dither_step(sample: Tensor) -> float:
    """The distance of the levels of a picture (C, H, W) under random dither; 0 if it is none."""
    few = len(np.unique(sample[:, ::SMALL].numpy())) <= MOST_LEVELS  # which most fail, quickly
    if min(sample.shape[1:]) < 8 * SMALL or not few:
        return 0.0
    levels = np.unique(sample.numpy())
    if not 2 <= len(levels) <= MOST_LEVELS:
        return 0.0
    between = np.diff(levels)
    count = np.rint((levels[-1] - levels[0]) / between.min())
    even = (levels[-1] - levels[0]) / count
    place = (levels - levels[0]) / even
    if even < 2 * ROUNDING or (abs(place - np.rint(place)) * even).max() > ROUNDING:
        return 0.0
    numbers = ((sample - float(levels[0])) / float(even)).round()
    unequal, expected = _neighbours(numbers)
    by_chance = [
        CHANCE[0] * float(e.sum()) < float(u.sum()) < CHANCE[1] * float(e.sum())
        for u, e in ((unequal[half::2], expected[half::2]) for half in (0, 1))
    ]
    blocks = sample.numel() / SMALL**2
    return float(even) if all(by_chance) and len(unequal) > FEWEST * blocks else 0.0


def _neighbours(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Of blocks that hold two levels, one above the other: pairs side by side that differ, and how
    many would by chance; (n,) each."""
    blocks = numbers.unfold(1, SMALL, SMALL).unfold(2, SMALL, SMALL).flatten(0, 2)
    above = blocks - blocks.amin((1, 2), keepdim=True)
    share = above.mean((1, 2))
    mixed = (above.amax((1, 2)) == 1) & (share > MIXED) & (share < 1 - MIXED)
    above, share = above[mixed], share[mixed]
    unequal = (above.diff(dim=1) != 0).sum((1, 2)) + (above.diff(dim=2) != 0).sum((1, 2))
    pairs, samples = 2 * SMALL * (SMALL - 1), SMALL**2
    return unequal.float(), pairs * 2 * share * (1 - share) * samples / (samples - 1)
