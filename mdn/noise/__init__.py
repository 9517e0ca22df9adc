"""Noise: `synthesis` adds every kind that mdn knows, `analysis` measures what a picture has."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdn.noise.synthesis import NOISES, SUITE, Level, NoiseFunction, NoiseType, add, get

__all__ = ["NOISES", "SUITE", "Level", "NoiseFunction", "NoiseType", "add", "get"]


def __getattr__(name: str) -> Any:
    """Those of `synthesis`, at their first use: who only measures noise needs none of its kinds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mdn.noise import synthesis

    return getattr(synthesis, name)
