"""Black and white patches a few pixels wide: dust, lost packets, scratches of a film.

Highlights and letters look alike, but differ from their surroundings in a way that patches of noise
do not: these come in both colours, and what surrounds black ones also surrounds white ones.
"""

import torch.nn.functional as F
from torch import Tensor

WIDTH = 9  # pixels: whatever holds a square of that side is no patch
SHARE = (0.001, 0.25)  # of the pixels that are patches
BOTH = 0.15  # least share of the patches that is black, or white
STEP = 0.2  # between a patch and the mean of what is around it
TOGETHER = 1.0  # of the four neighbours of a marked pixel, that are marked; 0.3 for noise cut off
ALIKE = 0.35  # between what is around black ones and around white ones
CROWDED = 0.1  # share of the pixels near a patch that are the other extreme: more is writing


def marks(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Patches of black and of white in (B, C, H, W), nominal range 0..1: bool, (B, 1, H, W) each.

    A function of a pixel and 2 WIDTH around it, so that tiles agree with the whole.
    """
    gray = planes.mean(1, keepdim=True)
    ends = [(planes <= 0).all(1, keepdim=True), (planes >= 1).all(1, keepdim=True)]
    outside = ~(ends[0] | ends[1])
    black, white = (
        found & ((_around(gray, found, outside) - end).abs() > STEP)
        for end, found in enumerate(map(_narrow, ends))
    )
    return black, white


def present(sample: Tensor) -> bool:
    """Whether a picture (C, H, W) has such patches."""
    if min(sample.shape[1:]) < 4 * WIDTH:
        return False
    black, white = marks(sample[None])
    counts = [float(each.float().mean()) for each in (black, white)]
    if not SHARE[0] < sum(counts) < SHARE[1] or min(counts) < BOTH * sum(counts):
        return False
    ends = [(sample <= 0).all(0), (sample >= 1).all(0)]
    if any(_neighbours(each) < TOGETHER for each in (black, white)):
        return False
    for each, other in ((black, ends[1]), (white, ends[0])):
        if float(other[_grown(each, 7)[0, 0]].float().mean()) > CROWDED:
            return False
    gray = sample.mean(0)
    outside = ~(ends[0] | ends[1])
    rings = [gray[_grown(each, 3)[0, 0] & outside] for each in (black, white)]
    if min(map(len, rings)) < 4:
        return False
    return abs(float(rings[0].median() - rings[1].median())) < ALIKE


def _neighbours(marked: Tensor) -> float:
    """How many of the four neighbours of a marked pixel are marked, on average."""
    pairs = (marked[..., 1:, :] & marked[..., :-1, :]).sum()
    pairs += (marked[..., 1:] & marked[..., :-1]).sum()
    return 2 * float(pairs) / max(1.0, float(marked.sum()))


def _around(gray: Tensor, found: Tensor, outside: Tensor) -> Tensor:
    """The mean brightness of the pixels next to patches, over WIDTH."""
    ring = (_grown(found, 3) & outside).float()
    pool = [F.avg_pool2d(part, WIDTH, 1, WIDTH // 2) for part in (gray * ring, ring)]
    return pool[0] / pool[1].clamp(min=1e-6)


def _narrow(at_end: Tensor) -> Tensor:
    """What an opening by a square of WIDTH takes away."""
    half = WIDTH // 2
    eroded = -F.max_pool2d(-F.pad(at_end.float(), (half,) * 4, mode="replicate"), WIDTH, 1)
    return at_end & ~_grown(eroded > 0.5, WIDTH)


def _grown(mask: Tensor, side: int) -> Tensor:
    return F.max_pool2d(mask.float(), side, 1, side // 2) > 0.5
