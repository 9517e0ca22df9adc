"""Impulses: single samples far beyond the range of their neighbours (salt, pepper, fireflies).

How far is far follows from the spread of the eight neighbours, or from their usual spread if that
is more, so that strong ordinary noise is not taken for impulses.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 1.25  # spreads of the neighbours beyond them
SMALLEST = 0.1  # of the nominal range: what texture alone reaches too often
QUIET = 0.05  # quantile of the spreads that impulses leave alone, up to a share of 0.3 of them
USUAL = 1.7  # the usual spread of eight normal neighbours over that quantile
BINS = 8  # of brightness, since noise may depend on it
COMMON = 3  # samples at one end, of a sample and its neighbours, that are still no white or black
HOT = 2.0  # spreads of its neighbours that a hot pixel lies beyond them; a point of light: 1.25
USUAL_NORMAL = 2.85  # the usual spread of eight normal neighbours, in standard deviations
MANY, EVERY = 2**17, 5  # of so many samples every fifth tells as much; JPEG's blocks are of 8
AROUND = [0, 1, 2, 3, 5, 6, 7, 8]  # of 3 x 3 samples all but the middle
FEWEST = 0.005  # share of the samples that could show an impulse, for their count to mean something


def find(plane: Tensor) -> tuple[Tensor, float | None]:
    """Where the impulses of a channel (H, W) are, and the share of samples that became one.

    An impulse shows only where it would stand out: salt not on white, nor beside another impulse.
    So the share is counted among the samples where an impulse would have been seen; 0 and 1 are
    taken for the ends of the range. Where only salt or only pepper could be seen, as
    much of the other is assumed; None where neither could. Border samples are left out.
    """
    mask = torch.zeros_like(plane, dtype=torch.bool)
    if min(plane.shape) < 3:
        return mask, None
    centre = plane[1:-1, 1:-1]
    lowest, highest = _neighbours(plane)
    margin = _margin(lowest, highest, _usual(highest - lowest, centre))
    bright, dark = centre > highest + margin, centre < lowest - margin
    mask[1:-1, 1:-1] = bright | dark
    shares = [_share(bright, highest + margin < 1), _share(dark, lowest - margin > 0)]
    visible = [share for share in shares if share is not None]
    return mask, min(1.0, 2 * sum(visible) / len(visible)) if visible else None


def salt_and_pepper(plane: Tensor) -> tuple[float, float] | None:
    """The share of the samples of a channel (H, W) that became salt, and that of pepper.

    Exactly white, and exactly black, and counted only where either would stand out: stars stand
    out on black alone, and dots of print on what is black or white itself. None where too few
    samples lie so, for the picture is drawn in black and white, or noisy.
    """
    if min(plane.shape) < 3:
        return None
    centre = plane[1:-1, 1:-1]
    lowest, highest = _neighbours(plane)
    margin = _margin(lowest, highest, _usual(highest - lowest, centre))
    visible = (highest + margin < 1) & (lowest - margin > 0)
    salt, pepper = (_share(centre == end, visible) for end in (1, 0))
    return None if salt is None or pepper is None else (salt, pepper)


def impulse_mask(planes: Tensor, usual: float) -> Tensor:
    """Where the impulses of (..., H, W) are, bool, by the typical range of the whole picture.

    A function of each sample and its eight neighbours, so that tiles agree with the whole.
    """
    return _standing_out(planes, lambda lowest, highest: _margin(lowest, highest, usual))


def _standing_out(planes: Tensor, margin_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Samples of (..., H, W) beyond their eight neighbours by a margin of these, bool."""
    if min(planes.shape[-2:]) < 3:
        return torch.zeros_like(planes, dtype=torch.bool)
    lowest, highest = _neighbours(_mirrored(planes))
    margin = margin_of(lowest, highest)
    return (planes > highest + margin) | (planes < lowest - margin)


def _mirrored(planes: Tensor) -> Tensor:
    """(..., H, W) -> (..., H + 2, W + 2): the samples at the border have eight neighbours, too."""
    height, width = planes.shape[-2:]
    flat = F.pad(planes.reshape(-1, 1, height, width), (1, 1, 1, 1), mode="reflect")
    return flat.reshape(*planes.shape[:-2], height + 2, width + 2)


def ends(planes: Tensor) -> Tensor:
    """Samples of (..., H, W) exactly at 0 or 1 that few neighbours share, bool.

    Where a picture is known to hold salt and pepper these are suspects, however restless the
    texture that hides them.
    """
    mask = torch.zeros_like(planes, dtype=torch.bool)
    height, width = planes.shape[-2:]
    if min(height, width) < 3:
        return mask
    for end in (0.0, 1.0):
        at_end = planes == end
        around = _mirrored(at_end.float())
        across = around[..., :-2] + around[..., 1:-1] + around[..., 2:]
        alike = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
        mask |= at_end & (alike <= COMMON)
    return mask


def typical_range(plane: Tensor) -> float:
    """How far the eight neighbours of a sample of (H, W) usually lie apart, ordinary noise only."""
    lowest, highest = _neighbours(plane)
    return _usual(highest - lowest, plane[1:-1, 1:-1])


def _margin(lowest: Tensor, highest: Tensor, usual: float) -> Tensor:
    return torch.clamp(REACH * (highest - lowest).clamp(min=usual), min=SMALLEST)


def _neighbours(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest of the eight neighbours of every inner sample of (..., H, W)."""
    height, width = planes.shape[-2:]
    places = [(row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1)]
    lowest = highest = planes[..., : height - 2, : width - 2]
    for row, column in places[1:]:
        shifted = planes[..., row : row + height - 2, column : column + width - 2]
        lowest, highest = torch.minimum(lowest, shifted), torch.maximum(highest, shifted)
    return lowest, highest


def _usual(spread: Tensor, brightness: Tensor) -> float:
    """The spread that is usual where the noise is strongest, among the bins of brightness.

    Not bin by bin: near black and white, clipping makes neighbours alike, but not the next sample.
    """
    if spread.numel() > MANY:
        spread, brightness = (values.flatten()[::EVERY] for values in (spread, brightness))
    place = (brightness * BINS).floor().clamp(0, BINS - 1)
    bins = [spread[place == number] for number in range(BINS)]
    large = [values for values in bins if values.numel() >= 0.02 * spread.numel()]
    quiet = [values.kthvalue(max(1, int(QUIET * values.numel()))).values for values in large]
    return USUAL * float(max(quiet))


def _share(impulses: Tensor, visible: Tensor) -> float | None:
    """The share of the samples in sight that are impulses; None when too few were in sight."""
    count = int(visible.sum())
    if count < max(1, FEWEST * visible.numel()):
        return None
    return int((impulses & visible).sum()) / count


def filled(plane: Tensor, mask: Tensor) -> Tensor:
    """The channel with each impulse replaced by its left or upper neighbour that is none."""
    result = plane.clone()
    for axis in (1, 0):
        before = torch.roll(result, 1, axis)
        usable = mask & ~torch.roll(mask, 1, axis)
        result = torch.where(usable, before, result)
        mask = mask & ~usable
    return result


def hot_pixel_mask(planes: Tensor, level: float) -> Tensor:
    """Hot and dead pixels of a sensor in (..., H, W), bool, where noise has deviation `level`.

    Such a sample stands out from its eight neighbours by more than noise does, and by more than a
    bright point would that the optics have spread over several pixels.
    """

    def margin(lowest: Tensor, highest: Tensor) -> Tensor:
        return HOT * (highest - lowest).clamp(min=USUAL_NORMAL * level)

    return _standing_out(planes, margin)


def fix_hot_pixels(planes: Tensor, sigma: float) -> Tensor:
    """(B, C, H, W) with each hot or dead pixel replaced by the median of its eight neighbours.

    sigma: standard deviation of the noise; 0: it is not known, and nothing is done.
    """
    mask = hot_pixel_mask(planes, sigma) if sigma else None
    if mask is None or not bool(mask.any()):
        return planes
    return torch.where(mask, median_of_neighbours(planes), planes)


def median_of_neighbours(planes: Tensor) -> Tensor:
    """The median of the eight neighbours of every sample of (..., H, W); sides of 2 at least."""
    around = _mirrored(planes).unfold(-2, 3, 1).unfold(-2, 3, 1).flatten(-2)[..., AROUND]
    return around.median(-1).values
