"""Noise: `synthesis` adds every kind in `kinds.toml`, `analysis` measures what a picture has."""

from mdn.noise.kinds import NOISES, SUITE, NoiseType, add, get

__all__ = ["NOISES", "SUITE", "NoiseType", "add", "get"]
