"""mdn: a denoiser for photos, 16-bit microscopy and Monte Carlo renders.

>>> import mdn
>>> clean = mdn.denoise("photo.jpg")  # or an array
>>> mdn.estimate_noise(clean).sigma

torch is imported when one of these functions is called, not by `import mdn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdn import errors

if TYPE_CHECKING:
    from mdn.api import Model, Noise, denoise, estimate_noise, load_model

__version__ = "0.1.0"
__all__ = ["Model", "Noise", "__version__", "denoise", "errors", "estimate_noise", "load_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mdn import api

        return getattr(api, name)
    raise AttributeError(f"module 'mdn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
