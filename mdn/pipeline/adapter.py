"""What fits a model to what it is about to denoise; `mdn.zeroshot` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mdn.engine.run import Encode
from mdn.noise.analysis.lines import Banding
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.registry.model import Model

Part = tuple[np.ndarray, NoiseConditioning]  # (h, w, C) encoded, and what is known of its noise


class Adapter(Protocol):
    """Fits to a picture a model, and what is known of its noise. Both ways give what to use."""

    def to_page(
        self,
        page: np.ndarray,
        encode: Encode,
        bands: Banding | None,
        noise: NoiseConditioning,
        model: Model,
    ) -> tuple[Model, NoiseConditioning, Banding | None]:
        """To a page (H, W, C) as stored; what was found of its banding and noise comes in."""
        ...

    def to_parts(self, parts: Callable[[], Sequence[Part]], model: Model) -> Model:
        """To parts of the planes of a stack."""
        ...
