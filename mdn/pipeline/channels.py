"""Gray pictures: counted light, or a picture as it is shown? Decided by the samples, not the file.

The same picture comes as 8 bits, as 16, as counts or as floats of any unit. A small net that reads
the noise of windows says how likely light was counted (pipeline.counts_noise). What neighbours
share is counted light only where what a net takes out is even, as in wide-field pictures. What is
not sure is shown, as a net that reads noise itself does less harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdn.encoding import Stretched
from mdn.pipeline import hidden, neighbours
from mdn.pipeline.calibration import Calibration, calibrate
from mdn.pipeline.denoise_tiles import denoise_tiles
from mdn.pipeline.models import Models
from mdn.pipeline.neighbours import Source
from mdn.pipeline.options import Options
from mdn.pipeline.page import Region

BLOCK = 16  # pixels a side
SIDE = 256  # pixels of the part that is denoised, to look at what comes out of it
# Spread over mean of the power of what is taken out, in blocks, and its correlation two pixels
# apart: of wide-field fluorescence .12 to .18 and -.15 to -.08; smoothed noise on photographs has
# .16 to .26 and .06 to .24, grain .22 to .41 and -.22 to .1.
SPREAD, BEYOND = 0.2, -0.05


@dataclass(frozen=True)
class Channel:
    """What is known of one gray channel: of counts its calibration, of others how it is shown."""

    calibration: Calibration | None = None
    stretch: Stretched | None = None  # None: as its dtype is shown
    padding: float | None = None  # the value with which it was padded where it shows nothing
    neighbours: int = 0  # planes on each side that help, at most
    # share of neighbouring planes that shows the same, 0..1; None where none was looked at
    alike: float | None = None

    def beside_others(self, pairs: Sequence[tuple[Source, Source]], number: int | None) -> Channel:
        """The same of planes that have others beside them: whether these help.

        number: planes on each side, as the user says; None: as many as usual.
        """
        known = self.calibration
        if known is None or not neighbours.can_help(known) or number == 0:
            return self
        share = neighbours.alike(pairs, known)
        count = neighbours.NUMBER if number is None else number
        return replace(self, alike=share, neighbours=count if share >= neighbours.ALIKE else 0)

    @property
    def about_neighbours(self) -> str:
        """What is said of them; nothing where there are none."""
        if self.alike is None:
            return ""
        if not self.neighbours:
            return "neighbouring planes differ: each is denoised by itself"
        share = f"{100 * self.alike:.0f} % alike"
        return f"neighbouring planes help, {self.neighbours} on each side: {share}"


Planes = Sequence[tuple[tuple[int, int], Region]]


def read_channel(
    planes: Planes,
    dtype: np.dtype,
    encoding: str,
    models: Models,
    *,
    no_data: float | None = None,
    colour: bool = False,
    told: Options | None = None,
) -> Channel:
    """Look at all planes of a channel.

    Args:
        planes: as of `calibrate`.
        encoding: display, counts, or auto: as the samples say.
        colour: whether it is a colour of a picture, and so no channel of its own.
        told: options with what the user says of the noise; None: those of the models.
    """
    told = told or models.options()
    detector = told.detector
    if encoding == "display" or (colour and encoding == "auto" and detector is None):
        return Channel()
    calibration = calibrate(planes, dtype, no_data, detector)
    coding = calibration.coding
    # What has no noise at all is left alone either way, and says why.
    certain = encoding == "counts" or detector is not None or calibration.reason
    # A sigma of 0 to 255 is of a picture as it is shown.
    if certain or (told.sigma is None and is_counted(calibration, models)):
        return Channel(calibration)
    if calibration.shown_ends[0] < calibration.shown_ends[1]:
        stretch = Stretched(coding.dtype, *calibration.shown_ends)
        return Channel(stretch=stretch, padding=coding.padding)
    return Channel()


def is_counted(calibration: Calibration, models: Models) -> bool:
    """Whether a channel shows the noise of counted light."""
    reading = calibration.reading
    if calibration.coding.curve is None or reading is None:
        return False
    if calibration.spacing == 1:
        return reading.surely_counted
    return reading.may_be_counted and not models.named and _like_wide_field(calibration, models)


def _like_wide_field(calibration: Calibration, models: Models) -> bool:
    """Whether what a net takes out is as strong everywhere, and the noise of a detector."""
    x = calibration.sample[0]
    down, across = (slice((n - min(n, SIDE)) // 2, (n + min(n, SIDE)) // 2) for n in x.shape)
    x = x[down, across][None, None]
    height, width = (side // BLOCK * BLOCK for side in x.shape[2:])
    if min(height, width) < 4 * BLOCK:
        return False
    x = hidden.filled(x, x.isnan())[..., :height, :width].contiguous()
    model, options = models.load("counts"), models.options("counts")
    with torch.inference_mode():
        noise = calibration.conditioning(model)
        y = denoise_tiles(x.to(model.device), [(0, 0)], noise, model, options)[:, :1].cpu()
    return _spread_and_beyond(x - y)


def _spread_and_beyond(rest: Tensor) -> bool:
    rest = rest - rest.mean()
    power = F.avg_pool2d(rest.square(), BLOCK).flatten()
    total = max(float(rest.square().mean()), 1e-30)
    across, down = rest[..., 2:] * rest[..., :-2], rest[..., 2:, :] * rest[..., :-2, :]
    beyond = max(float(across.mean()), float(down.mean()))
    spread = float(power.std() / power.mean().clamp(min=1e-30))
    return spread < SPREAD and beyond / total < BEYOND
