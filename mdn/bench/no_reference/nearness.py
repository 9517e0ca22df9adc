"""Ranks results by how near they lie to that of `photo`, where neighbours share the noise.

`photo` was trained on such noise to give the mean of all clean pictures that a noisy one may come
from. For whoever knows no more than it does, the expected squared error of any result is that of
this mean, and the squared distance to it (the decomposition into variance and bias). By this
measure `photo` itself is always first: it tells good results from bad ones, but not whether
something is better than `photo`.
"""

import math

import numpy as np

from mdn.encoding import Display
from mdn.nets.unet import UNet
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.reading import read_noise
from mdn.pipeline.sample import sample_for_estimation

# By logistic regression over 1,151 pairs of results on 75 simulated pictures: models/TRIALS.md.
STEEPNESS = 1.67


def reference(page: np.ndarray, device: str = "auto") -> np.ndarray | None:
    """What `photo` makes of a page (H, W, C) as stored, C = 1 or 3: float32, nominal 0..1.

    None where neighbours do not share the noise, and where there is none.
    """
    coding = Display(page.dtype)
    models = Models("photo", device=device)
    model = models.load()
    assert isinstance(model.net, UNet)
    reading = read_noise(model.net, sample_for_estimation(page, coding.encode))
    if reading.clean or not reading.coarse:
        return None
    return restore_page(coding.encode(page), model, models.options()).pixels


def sureness(nearer: np.ndarray, farther: np.ndarray) -> float:
    """How sure it is that the nearer of two results has the smaller error: 0.5 to 0.84.

    nearer, farther: the results less the reference, of one shape.
    """
    apart = float(((nearer - farther) ** 2).mean())
    if apart == 0:
        return 0.5
    # On the line through both results, where the reference lies: 0 half-way, 1 at the nearer one.
    lead = float((farther**2).mean() - (nearer**2).mean()) / apart
    return 1 / (1 + math.exp(-STEEPNESS * min(lead, 1.0)))
