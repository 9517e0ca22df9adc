"""Intel Open Image Denoise, a program of others, behind the face of a net.

What it does is in the package pyoidn (Apache 2.0), an extra of mdn; there are no weights here. Its
best is reached in two steps (its documentation, section "Prefiltering"): albedo and normal are
denoised first, each alone, and then guide the light, which the filter is told are clean. Only then
does it run its large net.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from torch import nn

TOP = 65504.0  # what half floats hold; beyond, its own arithmetic overflows


@dataclass(frozen=True)
class OidnConfig:
    """It has no shape to choose."""

    channels: int = 3


class OpenImageDenoise(nn.Module):
    """The filter, on the processor. pyoidn is needed when it is first used."""

    multiple = 1
    receptive_field = 0
    bytes_per_pixel = 1000.0

    def __init__(self, config: OidnConfig) -> None:
        super().__init__()
        self.config = config
        self._device: Any = None

    def light(
        self, light: np.ndarray, albedo: np.ndarray | None, normal: np.ndarray | None, clean: bool
    ) -> np.ndarray:
        """Linear light (H, W, 3), denoised.

        Args:
            light: float32, finite, of any range; where it is below 0 its negative is denoised.
            albedo, normal: (H, W, 3) float32, or None. Normals count beside albedo only.
            clean: whether these are without noise, as `guide` makes them.
        """
        images = {} if albedo is None else {"albedo": albedo.clip(0, 1)}
        if albedo is not None and normal is not None:
            images["normal"] = normal.clip(-1, 1)
        flags = ["hdr", "cleanAux"] if clean and images else ["hdr"]
        result = self._filtered(images | {"color": light.clip(0, TOP)}, flags)
        if (light < 0).any():
            result -= self._filtered(images | {"color": (-light).clip(0, TOP)}, flags)
        return result

    def guide(self, planes: np.ndarray, kind: str) -> np.ndarray:
        """Albedo or normal (H, W, 3), as `kind` says, denoised alone."""
        low = 0 if kind == "albedo" else -1
        return self._filtered({kind: planes.clip(low, 1)}, [])

    def _filtered(self, images: dict[str, np.ndarray], flags: list[str]) -> np.ndarray:
        own = import_module("pyoidn")
        if self._device is None:
            self._device = own.Device()
            self._device.commit()
        arrays = {key: np.ascontiguousarray(each, np.float32) for key, each in images.items()}
        result = np.empty_like(next(iter(arrays.values())))
        work = own.Filter(self._device, "RT")
        try:
            for key, array in (arrays | {"output": result}).items():
                work.set_image(key, array, own.OIDN_FORMAT_FLOAT3)
            for flag in flags:
                work.set_bool(flag, True)
            work.commit()
            work.execute()
        finally:
            work.release()
        return result
