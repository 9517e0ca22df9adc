"""Renders: the light of an EXR file denoised, every other channel as it came."""

from mdn.tasks.renders.wishes import Wishes

__all__ = ["Wishes"]
