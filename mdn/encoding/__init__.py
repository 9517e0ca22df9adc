"""Stored samples to the values a net sees, and back."""

from mdn.encoding.anscombe import Anscombe
from mdn.encoding.counts import Counts, Detector, detector_of
from mdn.encoding.display import Display, Stretched
from mdn.encoding.hdr import Hdr, Rec2100, Srgb, coding_of, exposure

__all__ = [
    "Anscombe",
    "Counts",
    "Detector",
    "Display",
    "Hdr",
    "Rec2100",
    "Srgb",
    "Stretched",
    "coding_of",
    "detector_of",
    "exposure",
]
