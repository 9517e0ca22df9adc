"""Renders: the light of an EXR file denoised, every other channel as it came."""

from mdn.renders.options import RenderOptions

__all__ = ["RenderOptions"]
