"""Noise that neighbours share, as a camera leaves it: read from a picture, and made anew.

How strong it is at each brightness says the judge inside `photo`. What it looks like shows what
`photo` took away in the calmest parts: noise with the spectrum of such a part is that part,
convolved with white noise (Galerne, Gousseau, Morel, "Random phase textures", IEEE TIP 2011).
"""

from dataclasses import dataclass

import numpy as np

from mdn.encoding import Display
from mdn.nets.unet import UNet
from mdn.pipeline import photo
from mdn.pipeline.models import Models
from mdn.pipeline.reading import read_noise
from mdn.pipeline.sample import sample_for_estimation

PART = 32  # pixels a side of the parts that are compared
CALM = 1 / 8, 1 / 2  # which of them are taken, the calmest first: the very first are often cut off
FEWEST = 4  # such parts
LARGER = 1.4  # than the judge reads: it reads real cameras' noise too low (chosen on 19 pictures)


@dataclass(frozen=True)
class CoarseNoise:
    """What the noise of one picture is like."""

    deviation: np.ndarray  # (H, W, C), at each sample, nominal range 0..1
    parts: np.ndarray  # (n, PART, PART, C), of such noise, fading out towards their edges

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """(H, W, C) of other noise of the kind."""
        shape = self.deviation.shape[:2]
        spectrum = sum(
            np.fft.rfft2(random.standard_normal(shape))[..., None]
            * np.fft.rfft2(part, shape, axes=(0, 1))
            for part in self.parts
        )
        texture = np.fft.irfft2(spectrum, shape, axes=(0, 1))
        return texture / texture.std((0, 1)) * self.deviation


def read(page: np.ndarray, device: str = "auto") -> CoarseNoise | None:
    """The noise of a page (H, W, C) as stored, C = 1 or 3.

    None where neighbours do not share it, where there is none, and where the page is too small to
    show what it looks like.
    """
    noisy = Display(page.dtype).encode(page)
    models = Models("photo", device=device)
    model = models.load()
    assert isinstance(model.net, UNet)
    reading = read_noise(model.net, sample_for_estimation(page, Display(page.dtype).encode))
    if reading.clean or not reading.coarse:
        return None
    answer = photo.restore(noisy, model, models.options()).pixels
    curve = model.net.judge.sigmas(reading.descriptor)[0].cpu().numpy()
    deviation = LARGER * _deviation(curve, answer)
    parts = _calm_parts((noisy - answer) / deviation)
    return CoarseNoise(deviation, parts) if len(parts) >= FEWEST else None


def _deviation(curve: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """(H, W, C): what the curve (C, knots) says for the brightness of each sample."""
    knots = np.linspace(0, 1, curve.shape[1])
    curve = curve if answer.shape[2] == len(curve) else curve.mean(0, keepdims=True)
    planes = np.moveaxis(answer.astype(np.float64).clip(0, 1), 2, 0)
    found = [np.interp(plane, knots, row) for plane, row in zip(planes, curve, strict=True)]
    return np.stack(found, -1).clip(min=1e-6)


def _calm_parts(residual: np.ndarray) -> np.ndarray:
    """(n, PART, PART, C) of what was taken away, (H, W, C), where it holds no lost detail."""
    rows, columns = (length // PART for length in residual.shape[:2])
    channels = residual.shape[2]
    parts = residual[: rows * PART, : columns * PART].reshape(rows, PART, columns, PART, channels)
    parts = parts.swapaxes(1, 2).reshape(-1, PART, PART, channels)
    parts = parts - parts.mean((1, 2), keepdims=True)
    first, last = (round(share * len(parts)) for share in CALM)
    calm = parts[parts.var((1, 2, 3)).argsort()[first:last]]
    fade = np.sqrt(np.hanning(PART + 2)[1:-1])
    return calm * (fade[:, None] * fade)[..., None]
