"""What to say of a picture whose noise is not what the model was trained on."""

from __future__ import annotations

import re

import numpy as np

from mdn.encoding import Display
from mdn.noise.estimate import NoiseEstimate
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.cards import Card
from mdn.registry.model import Model

BEYOND = 1.15  # times the strongest level seen, from which on it is worth a remark
CORRELATED = ("spatial", "isp", "jpeg", "grain", "banding", "mixture")
_GAUSSIAN = re.compile(r"gaussian ([\d.]+)-([\d.]+)$")


def warnings_for(card: Card, seen: NoiseEstimate) -> list[str]:
    """One line for each way in which the estimated noise lies outside the card's `noise_seen`.

    A card that lists no noise, such as that of a converted model, gets none.
    """
    if not card.noise_seen:
        return []
    lines = []
    strongest = _strongest(card)
    if strongest is not None and seen.level > BEYOND * strongest:
        lines.append(
            f"its noise, sigma {seen.level:.0f}, is stronger than {card.name} was trained on "
            f"({strongest:g}): some may stay"
        )
    if seen.correlated and not any(kind.startswith(CORRELATED) for kind in card.noise_seen):
        lines.append(
            f"its noise is alike in neighbouring pixels, which {card.name} never saw: "
            "blotches may stay"
        )
    return lines


def model_warnings(page: np.ndarray, model: Model) -> list[str]:
    """What the user should know of the noise of a page (H, W, C), for models that do not ask it."""
    if model.abilities.takes_sigma or not model.card.noise_seen:
        return []
    sample = sample_for_estimation(page, Display(page.dtype).encode)
    return warnings_for(model.card, estimate_noise(sample))


def _strongest(card: Card) -> float | None:
    """The strongest white noise on the card, on the 0-255 scale."""
    found = [float(m[2]) for kind in card.noise_seen if (m := _GAUSSIAN.match(kind))]
    return max(found, default=None)
