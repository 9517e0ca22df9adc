"""Linear light of any range, and back: exposure, then an invertible curve. decode(encode(x)) is x.

The curve is the logarithm of mu-law companding, as Kalantari & Ramamoorthi use it to show radiance
to a net ("Deep High Dynamic Range Imaging of Dynamic Scenes", SIGGRAPH 2017, equation 3):

    y = sign(x) * log(1 + mu |x|) / log(1 + mu)

It takes 0 to 0 and 1 to 1, goes on above 1 without end, and treats negative values alike. The
exposure is Reinhard's ("Photographic Tone Reproduction for Digital Images", SIGGRAPH 2002,
equations 1 and 2): the logarithmic mean of the luminance becomes the middle gray, 0.18.

`Srgb` is the other one: what display pictures and the tables of papers know, range 0 to 1 only.
`Rec2100` is for photos whose signal is PQ or HLG (ITU-R BT.2100). Neither curve is what nets have
seen: PQ gives half of its range to what is brighter than paper, so that pictures look flat and
noise is strongest in the dark. The light is taken from the signal, the white of paper becomes 1
(203 candelas, or 75 % of HLG's signal: BT.2408), and sRGB's curve is taken from there, on above 1
for what is brighter. Each channel is treated alone, so that hues stay.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from mdn.encoding.display import Display
from mdn.image import Image

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


_CURVES: dict[int, Literal["pq", "hlg"]] = {16: "pq", 18: "hlg"}  # by their numbers in H.273
_PAPER = 203.0  # candelas per square metre
_PEAK = 10000.0  # what PQ's full signal stands for
# BT.2100, table 4.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# BT.2100, table 5.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_PAPER = (np.exp((0.75 - _C) / _A) + _B) / 12


@dataclass(frozen=True)
class Rec2100(Display):
    """A photo whose signal follows one of the two curves, "pq" or "hlg"; its white is full."""

    curve: Literal["pq", "hlg"]

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Stored samples -> float32: 0 is black, 1 paper, and brighter light lies above."""
        if self.dtype.kind == "u":
            return _table(self.curve, int(self.white))[stored]
        return _shown(self.curve, stored.astype(np.float64)).astype(np.float32)

    def decode(self, values: np.ndarray, row: int = 0) -> np.ndarray:
        """float32 -> stored samples: clipped and rounded for integers."""
        signal = _signal(self.curve, values)
        if self.dtype.kind == "f":
            return signal.astype(self.dtype)
        return np.rint(signal * self.white).astype(self.dtype)

    def deviation(self, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """A standard deviation of encoded values -> that of the stored samples, to first order."""
        ends = (values + spread, values - spread)
        above, below = (_signal(self.curve, x) for x in ends)
        return ((above - below) * (self.white / 2)).astype(np.float32)


def coding_of(image: Image) -> Display | Rec2100:
    """How the samples of a photo are encoded for a net."""
    dtype = image.pixels.dtype
    if image.meta.icc or image.meta.cicp is None:
        return Display(dtype)
    curve = _CURVES.get(image.meta.cicp[1])
    return Display(dtype) if curve is None else Rec2100(dtype, curve)


@lru_cache(maxsize=4)
def _table(curve: str, top: int) -> np.ndarray:
    return _shown(curve, np.arange(top + 1) / top).astype(np.float32)


def _shown(curve: str, signal: np.ndarray) -> np.ndarray:
    light = _light_of_pq(signal) if curve == "pq" else _light_of_hlg(signal)
    return srgb_of(light)


def _light_of_pq(signal: np.ndarray) -> np.ndarray:
    power = signal.clip(0, 1) ** (1 / _M2)
    return _PEAK / _PAPER * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _light_of_hlg(signal: np.ndarray) -> np.ndarray:
    signal = signal.clip(0, 1)
    light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)
    return light / _HLG_PAPER


def _signal(curve: str, shown: np.ndarray) -> np.ndarray:
    light = light_of_srgb(np.maximum(shown.astype(np.float64), 0))
    if curve == "hlg":
        light = (light * _HLG_PAPER).clip(0, 1)
        bright = _A * np.log(np.maximum(12 * light - _B, 1e-9)) + _C
        return np.where(light <= 1 / 12, np.sqrt(3 * light), bright).clip(0, 1)
    power = (light * _PAPER / _PEAK).clip(0, 1) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
