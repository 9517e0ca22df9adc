"""Linear light of any range, and back: exposure, then an invertible curve. decode(encode(x)) is x.

The curve is the logarithm of mu-law companding, as Kalantari & Ramamoorthi use it to show radiance
to a net ("Deep High Dynamic Range Imaging of Dynamic Scenes", SIGGRAPH 2017, equation 3):

    y = sign(x) * log(1 + mu |x|) / log(1 + mu)

It takes 0 to 0 and 1 to 1, goes on above 1 without end, and treats negative values alike. The
exposure is Reinhard's ("Photographic Tone Reproduction for Digital Images", SIGGRAPH 2002,
equations 1 and 2): the logarithmic mean of the luminance becomes the middle gray, 0.18.

`Srgb` is the other one: what display pictures and the tables of papers know, range 0 to 1 only.
"""

from dataclasses import dataclass

import numpy as np

MIDDLE_GRAY = 0.18
MU = 10.0
OUTLIERS = 0.02  # share at either end
_DARK = 1e-8  # less than this is no light: a render's empty background says nothing on exposure


def exposure(picture: np.ndarray) -> float:
    """What to multiply a whole picture with so that its middle becomes middle gray.

    picture: (..., C), linear light, any float dtype; samples that are not finite play no part.
    Returns a positive factor; 1 for a picture without light. The darkest and the brightest 2 % of
    what is lit count as what they border on: of fireflies and no-data, the value says nothing.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity, left out below
        light = picture.astype(np.float64).mean(-1)
    light = light[np.isfinite(light) & (light > _DARK)]
    if not light.size:
        return 1.0
    light = np.clip(light, *np.quantile(light, (OUTLIERS, 1 - OUTLIERS)))
    return float(MIDDLE_GRAY / np.exp(np.log(light).mean()))


@dataclass(frozen=True)
class Hdr:
    """The whole range of linear light."""

    exposure: float = 1.0  # factor before the curve; one for a whole picture, or a whole sequence
    mu: float = MU  # how strongly dark is opened up

    def encode(self, linear: np.ndarray) -> np.ndarray:
        """Linear light, finite -> float32; 0 stays 0, the exposed 1 stays 1."""
        exposed = np.abs(linear.astype(np.float64)) * (self.mu * self.exposure)
        return (np.copysign(np.log1p(exposed), linear) / np.log1p(self.mu)).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The way back from `encode`, as float32."""
        wide = np.abs(values.astype(np.float64)) * np.log1p(self.mu)
        linear = np.expm1(wide) / (self.mu * self.exposure)
        top = np.finfo(np.float32).max
        return np.copysign(np.minimum(linear, top), values).astype(np.float32)


@dataclass(frozen=True)
class Srgb:
    """Display pictures: clipped to 0..1, then the curve of sRGB (IEC 61966-2-1).

    The protocol of Chen et al. (CVPR 2023) for renders. What is beyond 0..1 is lost.
    """

    def encode(self, linear: np.ndarray) -> np.ndarray:
        """Linear light -> 0..1."""
        return srgb_of(np.clip(linear.astype(np.float64), 0, 1)).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The way back, for 0..1."""
        return light_of_srgb(np.clip(values.astype(np.float64), 0, 1)).astype(np.float32)


def srgb_of(light: np.ndarray) -> np.ndarray:
    """The curve of sRGB (IEC 61966-2-1), for light from 0 on."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def light_of_srgb(shown: np.ndarray) -> np.ndarray:
    """The way back from `srgb_of`."""
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
