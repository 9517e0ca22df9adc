"""Noise: `synthesis` adds every kind that mdn knows, `analysis` measures what a picture has."""

from mdn.noise.synthesis import NOISES, SUITE, Level, NoiseFunction, NoiseType, add, get

__all__ = ["NOISES", "SUITE", "Level", "NoiseFunction", "NoiseType", "add", "get"]
