"""Stored samples to the values a net sees, and back."""

from mdn.encoding.anscombe import Anscombe
from mdn.encoding.counts import Counts
from mdn.encoding.display import Display
from mdn.encoding.hdr import Hdr, Srgb, exposure

__all__ = ["Anscombe", "Counts", "Display", "Hdr", "Srgb", "exposure"]
