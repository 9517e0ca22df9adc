"""Noise variance against brightness, read off the flattest blocks of a picture.

Method of Ponomarenko et al. ("An automatic approach to lossy compression of AVIRIS images", IGARSS
2007) as analysed by Colom and Buades (IPOL 2013): blocks are sorted by the energy of their low
frequencies, and the noise is measured in the high frequencies of the flattest. White noise is
independent in the two, so choosing by the one does not bias the other.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FARTHEST = 5.0  # sigmas from the cut beyond which it takes nothing
DEEPEST = -0.5  # sigmas on the wrong side of the cut where too little is left to tell
SIDE = 8
MOST_BLOCKS = 30_000  # a channel; more change the result by less than its error
BINS = 16  # of brightness
SHARE = 0.03  # of the blocks of a bin: those taken for flat
FEWEST = 40  # blocks that a bin must choose
LOWEST, HIGHEST = 8, 10  # row + column frequency up to which to look for texture, above for noise
DISTRUST = 12  # power of the texture by which a bin counts less; 4 errs twice as much on photos
MOST_CLIPPED = 0.6  # share of a block's samples at 0 or 1


@dataclass(frozen=True)
class VarianceCurve:
    """One entry for each of n bins of brightness that hold enough flat blocks; all (n,) float64."""

    brightness: Tensor  # mean of the chosen blocks
    variance: Tensor  # of the noise, before clipping
    texture: Tensor  # low over high frequency energy in the chosen blocks, 1 or less in flat ones
    count: Tensor  # blocks in the bin
    kept: Tensor  # share of the variance that clipping left

    @property
    def flattest_texture(self) -> float:
        """Texture of the flattest bin that is not a mere few blocks; infinite without any.

        Where a picture is flat somewhere, that is 1 or less for white noise, and several times as
        much for smoothed, striped or compressed noise, which lacks high frequencies everywhere.
        """
        large = self.count >= 0.02 * self.count.sum()
        return float(self.texture[large].min()) if len(self.texture) else math.inf

    @property
    def weight(self) -> Tensor:
        """How far to trust a bin: by its size, less when it is clipped, far less when textured."""
        return self.count * self.kept**2 / self.texture.clamp(min=1) ** DISTRUST


def _cosines() -> Tensor:
    """The orthonormal two-dimensional DCT-II of SIDE x SIDE blocks as a (64, 64) matrix."""
    k = torch.arange(SIDE, dtype=torch.float64)
    basis = torch.cos(math.pi * k[:, None] * (2 * k[None] + 1) / (2 * SIDE)) * math.sqrt(2 / SIDE)
    basis[0] /= math.sqrt(2)
    return torch.kron(basis, basis).float()


def cut(plane: Tensor) -> Tensor:
    """Overlapping blocks (n, 64) of a plane (H, W), H and W at least 8, at most MOST_BLOCKS.

    Large planes leave out rows, then columns, by odd steps: the blocks of a JPEG do not line up.
    """
    rows, columns = plane.shape[0] - SIDE + 1, plane.shape[1] - SIDE + 1
    down = _odd(rows * columns / MOST_BLOCKS) if rows * columns < 9 * MOST_BLOCKS else 9
    across = _odd(rows * columns / down / MOST_BLOCKS)
    return plane.unfold(0, SIDE, down).unfold(1, SIDE, across).reshape(-1, SIDE * SIDE)


def _odd(ratio: float) -> int:
    """The smallest odd number that is not below the ratio."""
    return 2 * math.ceil((ratio - 1) / 2) + 1 if ratio > 1 else 1


def measure(plane: Tensor, clipped: bool) -> VarianceCurve:
    """The noise curve of one channel (H, W), nominal range [0, 1]; no bins where nothing is flat.

    clipped: whether samples beyond [0, 1] were cut off, so that the variance must be corrected.
    """
    blocks = cut(plane)
    if clipped:
        inside = ((blocks <= 0) | (blocks >= 1)).float().mean(1) <= MOST_CLIPPED
        blocks = blocks[inside]
    k = torch.arange(SIDE)
    order = (k[:, None] + k).flatten()  # row plus column frequency of each of the 64 coefficients
    energy = (blocks @ _cosines().T).square_()
    low = energy[:, (order > 0) & (order <= LOWEST)].mean(1)
    high = energy[:, order > HIGHEST]
    mean = blocks.mean(1)
    place = (mean * BINS).floor().clamp(0, BINS - 1)
    bins = [(place == number).nonzero().flatten() for number in range(BINS)]
    rows = [_bin(mean[chosen], low[chosen], high[chosen]) for chosen in bins]
    if not any(rows):  # a tiny picture: all its blocks are one bin
        rows = [_bin(mean, low, high)]
    table = torch.tensor([row for row in rows if row], dtype=torch.float64).reshape(-1, 4)
    brightness, variance, texture, count = table.unbind(1)
    before = unclipped_variance(brightness, variance) if clipped else variance
    share = variance / before.clamp(min=1e-12)
    return VarianceCurve(brightness, before, texture, count, share)


def _bin(mean: Tensor, low: Tensor, high: Tensor) -> tuple[float, ...] | None:
    """Brightness, variance, texture and size of one bin; None when it has too few blocks."""
    if len(mean) < FEWEST:
        return None
    count = max(FEWEST, int(len(mean) * SHARE))
    flattest = torch.topk(low, count, largest=False, sorted=False).indices
    # The median over the frequencies, as in the paper: a few that hold texture do not count.
    variance = float(high[flattest].mean(0).median())
    texture = float(low[flattest].mean()) / max(variance, 1e-12)
    return float(mean[flattest].mean()), variance, texture, float(len(mean))


# --- what clipping to [0, 1] takes from the variance


def _table() -> tuple[Tensor, Tensor]:
    """Mean and deviation after the cut at 0, in deviations before it, on a grid of z.

    A normal variable cut off at 0 has a mean and a deviation whose ratio depends on nothing but
    z = mu / sigma; so that ratio gives z, and with it mu and sigma, back. The model is that of Foi,
    "Clipped noisy images", Signal Processing 89 (2009). The cut at 1 is the mirror image.
    """
    z = torch.linspace(DEEPEST, FARTHEST, 551, dtype=torch.float64)
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    mean = density + z * below
    deviation = ((z * z + 1) * below + z * density - mean * mean).sqrt()
    return mean, deviation


def unclipped_variance(mean: Tensor, variance: Tensor) -> Tensor:
    """The variance before clipping to [0, 1], given mean and variance after it, all (n,) float64.

    Only the nearer end is considered, which holds up to a sigma of a quarter of the range.
    """
    means, deviations = _table()
    distance = torch.minimum(mean, 1 - mean)
    share = _read(means / deviations, deviations, distance / variance.clamp(min=1e-12).sqrt())
    return variance / share**2


def _read(ratios: Tensor, deviations: Tensor, ratio: Tensor) -> Tensor:
    """The deviation that belongs to a ratio, between two entries of the table."""
    upper = torch.searchsorted(ratios, ratio.clamp(ratios[0], ratios[-1])).clamp(1, len(ratios) - 1)
    low, high = ratios[upper - 1], ratios[upper]
    part = ((ratio - low) / (high - low)).clamp(0, 1)
    return deviations[upper - 1] + part * (deviations[upper] - deviations[upper - 1])
