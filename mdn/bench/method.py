"""What every method of a benchmark is."""

import numpy as np
import torch

from mdn.bench.renders import Render


class Method:
    """A way to turn a noisy page into a cleaner one; as it stands, the noisy page itself.

    Attributes:
        name: what rows call it.
        kind: input, model or baseline.
        identity: changes when its results may.
        device: where it computes.
        linear: it takes renders in linear light.
        renders_only: it takes nothing else.
    """

    name, kind, identity, title = "noisy", "input", "noisy", "the input itself"
    device = torch.device("cpu")
    linear, renders_only = True, False

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """(H, W, C) in its dtype -> the same, denoised.

        sigma is the true deviation of the noise, in units of white; only methods that say so use
        it. render: the guides, for those who take linear light. Raises FileError where it cannot
        do the picture called `name`.
        """
        return noisy

    def prepare(self) -> None:
        """Loads what is loaded once, so that it is not timed. Called before every picture."""

    def describe(self) -> dict[str, object]:
        """What a report says of it; JSON-able."""
        return {"name": self.name, "kind": self.kind, "title": self.title}
