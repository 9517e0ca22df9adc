"""Colour spaces by number, as AVIF, HEIC, JPEG XL and PNG write them (CICP, ITU-T H.273).

Only primaries and transfer curve are kept: matrix and range say how a file stores its samples, and
each format chooses its own.
"""

from typing import Any, NamedTuple

import numpy as np

BT709, UNSPECIFIED, P3, BT2020 = 1, 2, 12, 9
LINEAR, SRGB, PQ, HLG = 8, 13, 16, 18

# H.273, table 2: x and y of white, red, green and blue.
_D65 = (0.3127, 0.3290)
_PRIMARIES = {
    1: (_D65, (0.640, 0.330, 0.300, 0.600, 0.150, 0.060)),
    5: (_D65, (0.640, 0.330, 0.290, 0.600, 0.150, 0.060)),
    6: (_D65, (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    9: (_D65, (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: (_D65, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
}
_NAMES = {1: "BT.709", 2: "unspecified", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_CURVES = {8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
_CAMERA = (1, 6, 14, 15)  # one curve under four numbers; pictures of it are shown by sRGB's
_MADE = b"\x07\xd0\0\1\0\1" + bytes(6)  # a date for profiles: 1 January 2000
_GAMMA = {4: 2.2, 5: 2.8, LINEAR: 1.0}


class Cicp(NamedTuple):
    """Primaries and transfer curve of RGB samples, by their numbers in H.273."""

    primaries: int
    transfer: int

    @property
    def plain(self) -> bool:
        """Whether a file that says nothing of its colours means the same."""
        return self.primaries in (BT709, UNSPECIFIED) and self.transfer in (
            *_CAMERA,
            UNSPECIFIED,
            SRGB,
        )

    @property
    def unsaid(self) -> bool:
        """Whether nothing is said."""
        return self.transfer == UNSPECIFIED

    @property
    def hdr(self) -> bool:
        """Whether the curve is one of Rec. 2100: brighter than the white of a page."""
        return self.transfer in (PQ, HLG)

    def __str__(self) -> str:
        colours = _NAMES.get(self.primaries, f"primaries {self.primaries}")
        curve = "BT.709" if self.transfer in _CAMERA else _CURVES.get(self.transfer)
        return f"{colours} {curve or f'transfer {self.transfer}'}"


def profile(colour: Cicp) -> bytes | None:
    """An ICC profile for formats that know nothing else; None where there is none.

    HDR curves have none: a profile's white is the display's, theirs is a number of candelas.
    """
    if colour.hdr or colour.primaries not in _PRIMARIES:
        return None
    import imagecodecs

    white, primaries = _PRIMARIES[colour.primaries]
    curve: dict[str, Any] = {}
    if colour.transfer in _GAMMA:
        curve["gamma"] = _GAMMA[colour.transfer]
    elif colour.transfer in (*_CAMERA, SRGB, UNSPECIFIED):
        curve["transferfunction"] = _srgb()
    else:
        return None
    content = bytes(imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, **curve))
    # The library writes the time of day: the same picture must give the same file.
    return content[:24] + _MADE + content[36:]


def _srgb() -> np.ndarray:
    """sRGB's curve (IEC 61966-2-1) from signal to light, in 256 steps."""
    x = np.linspace(0, 1, 256)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)
