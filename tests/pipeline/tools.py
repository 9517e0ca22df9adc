"""What the tests of the pipeline share: a model by name, and a page denoised by it."""

from pathlib import Path
from typing import Any

import numpy as np

from mdn.engine.run import StdOutput
from mdn.pipeline.in_memory import Restored, restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import Model


def load(name: str | Path, **more: Any) -> Model:
    """The model, on the CPU."""
    return Models(str(name), device="cpu", **more).load()


def restored(
    page: np.ndarray, model: str | Path | Model, std: StdOutput | None = None, **options: Any
) -> Restored:
    """The page (H, W, C), denoised in float32; options as pipeline.Options has them."""
    found = model if isinstance(model, Model) else load(model)
    asked = Options(**{"precision": "fp32", "with_std": std is not None} | options)
    return restore_page(page, found, asked, std_output=std)


def denoised(page: np.ndarray, model: str | Path | Model, **options: Any) -> np.ndarray:
    """Its pixels alone."""
    return restored(page, model, **options).pixels
