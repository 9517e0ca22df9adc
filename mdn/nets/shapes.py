"""Configs of mdn's own nets, read off the shapes of weights that came without theirs."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mdn.nets.official import unwrap
from mdn.nets.unet import UNet, UNetConfig


def convert_unet(checkpoint: Mapping[str, Any]) -> tuple[UNetConfig, dict[str, Tensor]]:
    """A UNet's config and its state dict, which may be nested as the trainers nest them.

    Raises ValueError: the keys or the shapes are not those of a UNet.
    """
    state = unwrap(checkpoint, "head.weight")
    if "tail.weight" not in state or "body.0.first.weight" not in state:
        problem = "the keys do not fit a UNet: tail.weight or body.0.first.weight is missing"
        raise ValueError(problem)
    downs = [state[f"downs.{level}.weight"] for level in range(_count(state, r"downs\.(\d+)\."))]
    widths = (state["head.weight"].shape[0], *(down.shape[0] for down in downs))
    blocks = [_count(state, rf"encoders\.{level}\.(\d+)\.") for level in range(len(downs))]
    channels = state["tail.weight"].shape[0] // 4
    # Beside the picture: one plane of a mask or one for each channel, and perhaps one of the level.
    beside = state["head.weight"].shape[1] // 4 - channels
    per_channel_mask = channels > 1 and beside in (channels, channels + 1)
    noise_conditioned = beside - (channels if per_channel_mask else 1) == 1
    body = _count(state, r"body\.(\d+)\.")
    config = UNetConfig(widths, (*blocks, body), channels, noise_conditioned, per_channel_mask)
    try:
        UNet(config).load_state_dict(state)
    except RuntimeError as error:
        found = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"the keys do not fit a UNet: {found[0][:160]}{more}") from error
    return config, state


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many there are of what the pattern numbers."""
    numbers = [int(match[1]) for key in state if (match := re.match(pattern, key))]
    return max(numbers, default=-1) + 1
